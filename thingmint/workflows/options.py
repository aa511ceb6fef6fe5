"""Command-line values into checked ones: they arrive as text or None, and leave as what the parts below take."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import overload

from thingmint import openssl
from thingmint.errors import InputError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import profile
from thingmint.pki.authority import family
from thingmint.pki.token import SCHEME, TokenKey
from thingmint.pki.wish import COMMON_NAMES, Wish, is_common_name
from thingmint.session import Session


def warn_of_doubt(session: Session, device: DeviceId) -> None:
    """Say where the id is no IMEI: a typing slip would cost a certificate."""
    doubt = device.imei_doubt()
    if doubt:
        session.console.warn(f"{device} is no IMEI ({doubt}); it is used as it is.")


def wish(*, cn: str | None = None, key: str | None = None, days: str | None = None, pathlen: str | None = None) -> Wish:
    """Raises InputError naming the option."""
    if cn is not None and not is_common_name(cn):
        raise InputError(
            f"--cn {cn!r} cannot be used: {COMMON_NAMES} are allowed.",
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


def device_authority(ca: str | None) -> AuthorityName | None:
    """The authority that shall sign devices. Raises InputError for the root, whose profile makes authorities."""
    named = authority(ca)
    if named == family.ROOT:
        raise InputError(
            "the root CA signs authorities, not devices.", things_to_try=[f"--ca {family.DEFAULT}, or leave --ca out"]
        )
    return named


def require_alone(option: str, why: str, **others: object) -> None:
    """Raises InputError where an option is given together with `option` that has no place beside it."""
    for name, value in others.items():
        if value:
            raise InputError(
                f"--{name} and {option} cannot be used together: {why}.", things_to_try=[f"leave --{name} out"]
            )


def require_beside(option: str, why: str, **others: object) -> None:
    """Raises InputError where an option is given that means nothing without `option`, which is not there."""
    for name, value in others.items():
        if value:
            raise InputError(
                f"--{name} belongs to {option}: {why}.", things_to_try=[f"add {option}", f"leave --{name} out"]
            )


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


def new_file(path: str | None, option: str, example: str) -> Path:
    """Where a new file shall be. Raises InputError if there is one: nothing is overwritten."""
    if path is None:
        raise InputError("no file was named.", things_to_try=[f"e.g. {option} {example}"])
    found = Path(path).absolute()
    if not found.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {found.parent}.")
    if found.exists() or found.is_symlink():
        raise InputError(
            f"{option} {path}: that file exists, and is not overwritten.",
            things_to_try=["name another, or move it away"],
        )
    return found


def content(path: str, option: str, *, most: int = 2**20) -> bytes:
    """What is in a file that the command line names. Raises InputError where it cannot be read, or is no such file."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{option} {path} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise InputError(f"{option} {path} is too large: {most // 2**20} MiB are the most.")
    return data


def seconds(text: str | None, option: str, *, least: float, most: float) -> float | None:
    """Raises InputError naming the option."""
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        raise InputError(
            f"{option} {text!r} is no number of seconds from {least:g} to {most:g}.",
            things_to_try=[f"e.g. {option} 120"],
        )
    return found
