"""Command-line values into checked ones: they arrive as text or None, and leave as what the parts below take."""

import re

from thingmint import openssl
from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.pki.wish import Wish
from thingmint.session import Session


def warn_of_doubt(session: Session, device: DeviceId) -> None:
    """Say where the id is no IMEI: a typing slip would cost a certificate."""
    doubt = device.imei_doubt()
    if doubt:
        session.console.warn(f"{device} is no IMEI ({doubt}); it is used as it is.")


def wish(*, cn: str | None = None, key: str | None = None, days: str | None = None) -> Wish:
    """Raises InputError naming the option."""
    if cn is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", cn, re.ASCII):
        raise InputError(
            f"--cn {cn!r} cannot be used: 1 to 64 letters, digits, spaces and . _ - are allowed.",
            things_to_try=['e.g. --cn "Development Root CA"'],
        )
    if key is not None and key not in openssl.KEY_SPECS:
        raise InputError(f"--key {key!r} is no kind of key that is made here.", things_to_try=openssl.KEY_SPECS)
    if days is not None and not (re.fullmatch(r"[0-9]{1,5}", days, re.ASCII) and 1 <= int(days) <= 36500):
        raise InputError(f"--days {days!r} is no number of days from 1 to 36500.", things_to_try=["e.g. --days 365"])
    return Wish(cn, key, None if days is None else int(days))


def certificate_name(session: Session, name: str | None) -> str:
    """A CA certificate's name on the hub; the hub would check it, but only after an upload was under way."""
    if name is None:
        return session.settings.azure.certificate
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name, re.ASCII):
        raise InputError(
            f"--name {name!r} cannot name a certificate on the hub: 1 to 64 letters, digits and . _ - are allowed."
        )
    return name
