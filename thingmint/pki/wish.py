"""What a command line asked of a certificate, held against one that exists already."""

import re
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.pki import profile
from thingmint.pki.inspect import Certificate
from thingmint.pki.token import TokenKey

COMMON_NAMES = "1 to 64 letters, digits, spaces and . _ -"


def is_common_name(text: str) -> bool:
    """Whether an authority may be called so: what no tool needs to escape."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", text, re.ASCII) is not None


@dataclass(frozen=True)
class Wish:
    """None: the option was not given, so it never conflicts with what exists. `days` is a validity in days.

    `encrypt` and `token` say how an authority's key is kept; cakey.py holds them against what exists.
    """

    common_name: str | None = None
    key: str | None = None
    days: int | None = None
    pathlen: int | None = None
    encrypt: bool = False
    token: TokenKey | None = None

    def require_agreement(self, path: Path, found: Certificate, issuer: Certificate | None) -> None:
        """Raises InputError, naming both, where the certificate at `path` contradicts what was asked for."""
        # A life that was cut at the issuer's end is what the same wish would get again.
        clipped = issuer is not None and found.not_after >= issuer.not_after
        days = found.lifetime_days
        if clipped and self.days is not None and self.days > days:
            days = self.days
        for option, wanted, is_so in (
            ("--cn", self.common_name, found.common_name),
            ("--key", self.key, found.key),
            ("--days", self.days, days),
            ("--pathlen", self.pathlen, profile.pathlen_of(found)),
        ):
            if wanted is not None and wanted != is_so:
                raise InputError(
                    f"{path} exists with {option} {is_so}, and {option} {wanted} asks for another.",
                    things_to_try=[
                        f"leave {option} out to use what exists",
                        "use another workspace (THINGMINT_WORKSPACE)",
                    ],
                )
