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
        name, _, value = part.partition("=")
        if name not in {"seed", "rate"}:
            raise _unusable(text, f"there is no {name!r}, but seed and rate")
        if name in values:
            raise _unusable(text, f"{name} is given twice")
        if not value:
            raise _unusable(text, f"{name} has no value")
        values[name] = value
    if not values:
        raise _unusable(text, "it is empty, and wants a seed, a rate, or both")
    seed = values.get("seed", str(random.randrange(10**6)))  # noqa: S311 - no secret
    if not re.fullmatch(r"[0-9]{1,12}", seed, re.ASCII):
        raise _unusable(text, f"{seed} is no seed, which is a whole number from 0 on, of 12 digits at most")
    rate = values.get("rate", str(_USUAL_RATE))
    if not re.fullmatch(r"[0-9]?\.?[0-9]{1,6}", rate, re.ASCII) or not 0 < float(rate) <= 1:
        raise _unusable(text, f"{rate} is no rate, which is above 0 and at most 1, with 6 decimals at most")
    return Chaos(int(seed), float(rate))


def _unusable(text: str, why: str) -> InputError:
    return InputError(f"--chaos {text!r}: {why}.", things_to_try=[_EXAMPLE])
