"""Command-line values into checked ones: they arrive as text or None, and leave as what the parts below take."""

import re
from dataclasses import replace
from typing import overload

from thingmint import openssl
from thingmint.errors import InputError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import family, profile
from thingmint.pki.token import SCHEME, TokenKey
from thingmint.pki.wish import Wish
from thingmint.session import Session


def warn_of_doubt(session: Session, device: DeviceId) -> None:
    """Say where the id is no IMEI: a typing slip would cost a certificate."""
    doubt = device.imei_doubt()
    if doubt:
        session.console.warn(f"{device} is no IMEI ({doubt}); it is used as it is.")


def wish(*, cn: str | None = None, key: str | None = None, days: str | None = None, pathlen: str | None = None) -> Wish:
    """Raises InputError naming the option."""
    if cn is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", cn, re.ASCII):
        raise InputError(
            f"--cn {cn!r} cannot be used: 1 to 64 letters, digits, spaces and . _ - are allowed.",
            things_to_try=['e.g. --cn "Development Root CA"'],
        )
    if key is not None and key not in openssl.KEY_SPECS:
        shown = f"{SCHEME}…" if key.startswith(SCHEME) else repr(key)  # somebody may have put a PIN into it
        raise InputError(f"--key {shown} is no kind of key that is made here.", things_to_try=openssl.KEY_SPECS)
    if days is not None and not (re.fullmatch(r"[0-9]{1,5}", days, re.ASCII) and 1 <= int(days) <= 36500):
        raise InputError(f"--days {days!r} is no number of days from 1 to 36500.", things_to_try=["e.g. --days 365"])
    levels = [str(number) for number in range(profile.MOST_LEVELS + 1)]
    if pathlen is not None and pathlen not in levels:
        raise InputError(
            f"--pathlen {pathlen!r} is no number of levels from 0 to {profile.MOST_LEVELS}.",
            things_to_try=["0: it signs devices only", "1: it may sign authorities that sign devices"],
        )
    return Wish(cn, key, None if days is None else int(days), None if pathlen is None else int(pathlen))


def authority_wish(
    *,
    cn: str | None = None,
    key: str | None = None,
    days: str | None = None,
    pathlen: str | None = None,
    encrypt: bool = False,
) -> Wish:
    """The same for an authority, whose key may be encrypted, or on a token."""
    if key is None or not key.startswith(SCHEME):
        return replace(wish(cn=cn, key=key, days=days, pathlen=pathlen), encrypt=encrypt)
    token = TokenKey.parse(key, "--key")
    if encrypt:
        raise InputError(
            "--encrypt and a --key on a token exclude each other.",
            things_to_try=["leave --encrypt out: a token guards its key by its PIN"],
        )
    return replace(wish(cn=cn, days=days, pathlen=pathlen), token=token)


@overload
def authority(name: str | None, default: AuthorityName) -> AuthorityName: ...
@overload
def authority(name: str | None, default: None = None) -> AuthorityName | None: ...
def authority(name: str | None, default: AuthorityName | None = None) -> AuthorityName | None:
    """An authority's name from the command line, or `default` where none was given."""
    return default if name is None else AuthorityName.parse(name)


def require_alone(option: str, **others: object) -> None:
    """Raises InputError where an option is given together with `option` that means something else."""
    for name, value in others.items():
        if value:
            raise InputError(f"--{name} and {option} cannot be used together.", things_to_try=["leave one of them out"])


def certificate_name(session: Session, name: str | None, ca: AuthorityName = family.DEFAULT) -> str:
    """A CA certificate's name on the hub; the hub would check it, but only after an upload was under way."""
    if name is None:
        configured = session.settings.azure.certificate
        # cert-0xacc5-subca is the article's name for the article's authority; the others are named after it.
        return configured if ca == family.DEFAULT else f"{configured.removesuffix(f'-{family.DEFAULT}')}-{ca}"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name, re.ASCII):
        raise InputError(
            f"--name {name!r} cannot name a certificate on the hub: 1 to 64 letters, digits and . _ - are allowed."
        )
    return name
