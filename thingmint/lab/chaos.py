"""--chaos: how often the lab misbehaves on purpose, and the seed from which all of that follows."""

import random
import re
from dataclasses import dataclass

from thingmint.errors import InputError

_USUAL_RATE = 0.2
_EXAMPLE = "--chaos seed=7,rate=0.2"


@dataclass(frozen=True)
class Chaos:
    seed: int
    rate: float
    """How likely a fault is at each point where one may happen."""

    def __str__(self) -> str:
        return f"seed={self.seed},rate={self.rate:g}"


def parse(text: str | None) -> Chaos | None:
    """`seed=N,rate=R`, either of which may be left out; None stays None. Raises InputError naming what is wrong."""
    if text is None:
        return None
    values: dict[str, str] = {}
    for part in filter(None, (word.strip() for word in text.split(","))):
        name, given, value = part.partition("=")
        if name not in {"seed", "rate"} or not given or name in values:
            raise InputError(f"--chaos {text!r} cannot be used, because of {part!r}.", things_to_try=[_EXAMPLE])
        values[name] = value
    if not values:
        raise InputError("--chaos wants a seed, a rate, or both.", things_to_try=[_EXAMPLE])
    seed = values.get("seed", str(random.randrange(10**6)))  # noqa: S311 - no secret
    if not re.fullmatch(r"[0-9]{1,12}", seed, re.ASCII):
        raise InputError(f"--chaos seed={seed}: a seed is a whole number.", things_to_try=[_EXAMPLE])
    rate = values.get("rate", str(_USUAL_RATE))
    if not re.fullmatch(r"[0-9]?\.?[0-9]{1,6}", rate, re.ASCII) or not 0 < float(rate) <= 1:
        raise InputError(f"--chaos rate={rate}: a rate is above 0 and at most 1.", things_to_try=[_EXAMPLE])
    return Chaos(int(seed), float(rate))
