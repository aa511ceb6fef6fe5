"""Where a device's firmware looks for its credentials: the sec tag, and the one beside it that holds a server root alone."""

import re
from dataclasses import dataclass

from thingmint.errors import InputError
from thingmint.pki.device.record import Record

_OWN, _SECONDARY = 10, 11
"""The article's sec tag, and the one that CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG names."""
_HIGHEST = 2**31 - 1


@dataclass(frozen=True)
class Tags:
    """The firmware is built with these numbers, so they stay when a certificate is renewed."""

    own: int = _OWN
    secondary: int = _SECONDARY

    @classmethod
    def of(cls, record: Record | None) -> "Tags":
        """Those that the device was loaded into before; else the article's."""
        own = _OWN if record is None or record.sec_tag is None else record.sec_tag
        if record and record.secondary_tag not in {None, own}:
            return cls(own, record.secondary_tag or 0)
        return cls(own, _beside(own))

    def but(self, own: str | None, secondary: str | None) -> "Tags":
        """With what the command line says. Raises InputError."""
        chosen = self.own if own is None else parse(own, "--sec-tag")
        if secondary is not None:
            beside = parse(secondary, "--secondary-tag")
        else:
            beside = self.secondary if self.secondary != chosen else _beside(chosen)
        if chosen == beside:
            raise InputError(
                f"--sec-tag and --secondary-tag are both {chosen}, and a tag holds one server root.",
                things_to_try=[f"--secondary-tag {_beside(chosen)}"],
            )
        return Tags(chosen, beside)


def _beside(own: int) -> int:
    return _SECONDARY if own != _SECONDARY else _SECONDARY + 1


def parse(text: str, option: str) -> int:
    """Raises InputError where it is no number that AT%CMNG takes, or one that is not the user's."""
    from thingmint.modem import credentials

    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) or int(text) > _HIGHEST:
        raise InputError(f"{option} {text!r} is no sec tag: a number from 0 to {_HIGHEST}.")
    credentials.require_users_tag(int(text))
    return int(text)
