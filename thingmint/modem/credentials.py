"""The modem's credential storage, AT%CMNG: listed, written and proven by digest, deleted. Contents are never read.

What the modem lists is the SHA-256 of the exact bytes it was given. `OK` proves nothing: a USB bridge drops bytes
without a word, and other tools store line ends that no TLS stack takes.
"""

import enum
import hashlib
import re
from dataclasses import dataclass

from thingmint.errors import InputError, ModemError
from thingmint.modem import refusals
from thingmint.modem.at import LONGEST, Modem
from thingmint.modem.pem import canonical

NRF_CLOUD = 16842753
_MODEMS_OWN = 2**31  # from here on
_WRITE_SECONDS = 15.0
_LINE = re.compile(r'%CMNG: (\d+),(\d+)(?:,"([0-9A-Fa-f]{64})?")?')


class Kind(enum.IntEnum):
    ROOT_CA = 0
    CLIENT_CERTIFICATE = 1
    PRIVATE_KEY = 2
    PSK = 3
    PSK_IDENTITY = 4
    PUBLIC_KEY = 5
    DEVICE_IDENTITY = 6

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ").replace(" ca", " CA").replace("psk", "PSK")


@dataclass(frozen=True)
class Stored:
    """One entry. `kind` is a number where the modem has kinds that no one documents; `sha256` may be empty."""

    tag: int
    kind: int
    sha256: str


def listing(modem: Modem, tag: int | None = None) -> tuple[Stored, ...]:
    """What is stored, of one tag or of all, the modem's own entries too."""
    return _listed(modem, "AT%CMNG=1" if tag is None else f"AT%CMNG=1,{tag}")


def require_loadable(content: bytes, what: str, *, tag: int = 10) -> bytes:
    """`content` as it is to be stored under `tag`: PEM with LF ends, nothing else. Raises InputError naming `what`."""
    text = canonical(content, what)
    limit = LONGEST - len(_write_command(tag, Kind.ROOT_CA, b""))
    if len(text) > limit:
        raise InputError(
            f"{what} has {len(text)} bytes, and the AT host takes {limit} at once.",
            things_to_try=[
                "a chain: leave out the root, or present the device's certificate alone",
                "keys and certificates of ec:P-256 are a third as long: pki.key, or --key ec:P-256",
                "several roots in one file: keep the one that the hub's chain ends in",
            ],
        )
    return text


def require_users_tag(tag: int) -> None:
    """Raises InputError for a tag that is not the user's to change: nRF Cloud's, the modem's own, or none at all."""
    whose = "none: they begin at 0" if tag < 0 else owner(tag)
    if whose:
        raise InputError(
            f"security tag {tag} is {whose}.", things_to_try=["use another, e.g. 10 (--sec-tag); see: invoke creds"]
        )


def owner(tag: int) -> str:
    """Whose tag it is; empty for the user's."""
    if tag == NRF_CLOUD:
        return "nRF Cloud's: without it the device is lost to it"
    return "the modem's own" if tag >= _MODEMS_OWN else ""


def store(modem: Modem, tag: int, kind: int, content: bytes) -> None:
    """Write, and prove by the digest that the modem computes. Tried twice; nothing incomplete is left behind.

    `content` comes from require_loadable. Raises ModemError naming what was found instead.
    """
    require_users_tag(tag)
    command = _write_command(tag, kind, content)
    if len(command) > LONGEST:
        require_loadable(content, f"the {kind_name(kind)} for tag {tag}", tag=tag)
    wanted = digest(content)
    faults: list[ModemError | None] = []
    found = None
    try:
        while len(faults) < 2:
            faults.append(_write(modem, tag, kind, command))
            found = _found(modem, tag, kind)
            if found == wanted:
                return
    except BaseException as error:
        if faults or not isinstance(error, refusals.RefusedError):  # refused at once: nothing was written
            _clear_up(modem, tag, kind, error)
        raise
    refused = faults[-1]
    if refused and all(isinstance(fault, refusals.RefusedError) for fault in faults):
        raise refused
    said = _variant(content, found)
    failure = ModemError(
        f"the {kind_name(kind)} for tag {tag} did not arrive whole in the modem at {modem.port}, twice: {said}.",
        detail="\n".join([f"written: {wanted}", f"found:   {found or '-'}", *(one.message for one in faults if one)]),
        things_to_try=_cures(said),
    )
    _clear_up(modem, tag, kind, failure)
    raise failure


def delete(modem: Modem, tag: int, kind: int) -> bool:
    """Whether it was there."""
    require_users_tag(tag)
    try:
        modem.ask(f"AT%CMNG=3,{tag},{int(kind)}", seconds=_WRITE_SECONDS)
    except ModemError as error:
        if error.code == refusals.NOT_FOUND:
            return False
        raise
    return True


def _write(modem: Modem, tag: int, kind: int, command: str) -> ModemError | None:
    """Returns what lost bytes may have caused: the silence of a host that lacks a quote, a refusal of what is left."""
    try:
        try:
            modem.ask(command, seconds=_WRITE_SECONDS)
        except refusals.RefusedError as error:
            if error.code != refusals.ALREADY_EXISTS:
                raise
            # Some modem firmware overwrites; this one does not.
            delete(modem, tag, kind)
            modem.ask(command, seconds=_WRITE_SECONDS)
    except refusals.SilenceError as error:
        return error
    except refusals.RefusedError as error:
        if error.code not in {None, refusals.INVALID_CONTENT, refusals.WRONG_PARAMETER}:
            raise
        return error
    return None


def _found(modem: Modem, tag: int, kind: int) -> str | None:
    entries = _listed(modem, f"AT%CMNG=1,{tag},{int(kind)}")
    return next((one.sha256 for one in entries if (one.tag, one.kind) == (tag, kind)), None)


def _clear_up(modem: Modem, tag: int, kind: int, error: BaseException) -> None:
    """What a failed write left must not look like a credential: delete it, or say that it may be there."""
    try:
        delete(modem, tag, kind)
    except ModemError:
        left = f"the {kind_name(kind)} of tag {tag} may be in the modem incomplete: run this again, or delete it there"
        if isinstance(error, ModemError):
            error.things_to_try = (left, *error.things_to_try)
        else:
            error.add_note(left)


def _listed(modem: Modem, command: str) -> tuple[Stored, ...]:
    found = []
    for line in modem.ask(command):
        match = _LINE.fullmatch(line)
        if match is None:
            raise refusals.nonsense(command, line)
        found.append(Stored(int(match[1]), int(match[2]), (match[3] or "").upper()))
    return tuple(found)


def _write_command(tag: int, kind: int, content: bytes) -> str:
    return f'AT%CMNG=0,{tag},{int(kind)},"{content.decode("ascii")}"'


def digest(content: bytes) -> str:
    """As the modem lists it: SHA-256 of the exact bytes, in upper-case hex."""
    return hashlib.sha256(content).hexdigest().upper()


def kind_name(kind: int) -> str:
    return Kind(kind).words if kind in set(Kind) else f"credential of type {kind}"


def _variant(content: bytes, found: str | None) -> str:
    """What was stored, told by its digest."""
    if not found:
        return "it lists nothing there" if found is None else "it lists it without a digest"
    crlf = content.replace(b"\n", b"\r\n")
    for words, variant in (
        ("it holds CRLF line ends", crlf),
        ("the last newline is missing", content.removesuffix(b"\n")),
        ("it holds CRLF line ends, the last one missing", crlf.removesuffix(b"\r\n")),
    ):
        if digest(variant) == found:
            return words
    for start, kept in ((content, ""), (crlf, ", with CRLF line ends")):
        running = hashlib.sha256()
        for size in range(len(start)):
            if running.hexdigest().upper() == found:
                return f"it is truncated at {size} of {len(start)} bytes{kept}"
            running.update(start[size : size + 1])
    return "bytes were lost or changed on the way"


def _cures(variant: str) -> list[str]:
    if "CRLF" in variant:
        return [
            "something between here and the modem changes line ends: a terminal server? Set it to raw or binary",
            "the firmware's AT host must pass on what stands in quotes as it is, as Nordic's at_client sample does",
        ]
    if "newline" in variant:
        return ["the firmware's AT host must pass on what stands in quotes, as Nordic's at_client sample does"]
    return [
        "use another USB cable or port, and no hub",
        "end other programs that use the port: a log monitor, ModemManager",
        "switch the board off and on, then run this again",
    ]
