"""Credentials into a modem: what stands there is compared, what is missing is written and proven, the evidence is kept."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from thingmint.errors import CheckError, InputError, ToolError
from thingmint.modem import commands, credentials
from thingmint.modem.credentials import Kind, Stored
from thingmint.pki import bench, inspect
from thingmint.pki.device import identity, renewal
from thingmint.pki.device.record import Begun, Credential, DeviceFiles, Loading, Record
from thingmint.workflows.modem.sectags import Tags
from thingmint.workflows.modem.station import Visit
from thingmint.workspace import Workspace

Listing = Mapping[tuple[int, int], Stored]

ROOT, CERTIFICATE, KEY = "server root", "client certificate", "private key"
MADE_IN_MODEM = "made in the modem"


@dataclass(frozen=True)
class Wanted:
    """One credential that a sec tag shall hold. `content` is None for a key that the modem made itself."""

    tag: int
    kind: Kind
    what: str
    name: str  # the certificate's, for people and for the record
    content: bytes | None = field(repr=False)

    @property
    def place(self) -> tuple[int, int]:
        return self.tag, int(self.kind)

    @property
    def sha256(self) -> str:
        return "" if self.content is None else credentials.digest(self.content)


def load(visit: Visit, wanted: Sequence[Wanted], tags: Tags, *, force: bool) -> tuple[Credential, ...]:
    """Bring the sec tags to what is wanted; returns what they hold then.

    Raises InputError where a tag holds something else that is not this device's, and nothing was written.
    """
    there = {(one.tag, one.kind): one for one in credentials.listing(visit.modem)}
    _require_own_key(visit, wanted, there)
    todo = [one for one in wanted if one.content is not None and not _holds(there, one)]
    obstacles = _obstacles(visit, wanted, there)
    if obstacles and not force:
        raise in_the_way(obstacles)
    places = {one.place for one in wanted}
    extras = [one for one in obstacles if (one.tag, one.kind) not in places]
    if todo or extras or begun(visit):
        with offline(visit, tags, {one.tag for one in wanted}):
            for other in extras:
                credentials.delete(visit.modem, other.tag, other.kind)
            for one in todo:
                credentials.store(visit.modem, one.tag, one.kind, one.content or b"")
    loaded = [Credential(one.tag, one.what, one.sha256 or there[one.place].sha256, one.name) for one in wanted]
    for one, now in zip(wanted, loaded, strict=True):
        word = "unchanged" if one not in todo else "replaced" if one.place in there else "loaded"
        visit.session.console.say(f"{word}: sec tag {now.sec_tag} · {now.kind} · {now.name} · {now.sha256[:16]}")
    return tuple(loaded)


def loadable(path: Path, tag: int) -> bytes:
    """A file in the form that the modem takes. Raises InputError naming it where it is no such PEM, or too large."""
    return credentials.require_loadable(path.read_bytes(), str(path), tag=tag)


def _holds(there: Listing, one: Wanted) -> bool:
    stored = there.get(one.place)
    return stored is not None and stored.sha256 == one.sha256


def _require_own_key(visit: Visit, wanted: Sequence[Wanted], there: Listing) -> None:
    """A key that was made in a modem is in that modem, or nowhere. Its digest cannot be predicted, only remembered."""
    record = Record.read(_files(visit).record)
    made = record.made_key if record else None
    for one in wanted:
        if one.content is not None:
            continue
        stored = there.get(one.place)
        if made is None:
            fault = "which one it is, nothing here tells"
        elif made.imei != visit.identity.imei:
            fault = f"that is the one with the IMEI {made.imei}, not this one"
        elif made.sec_tag != one.tag:
            fault = f"it is in sec tag {made.sec_tag}, not in {one.tag}"
        elif stored is None:
            fault = f"sec tag {one.tag} of this modem holds none"
        elif made.sha256 != stored.sha256:
            fault = f"sec tag {one.tag} of this modem holds another by now"
        else:
            continue
        raise CheckError(
            f"the private key of {visit.device} was made in its modem, and {fault}.",
            things_to_try=[
                "connect the modem that made it; name its tag: --sec-tag N",
                f"if it is lost, make a new one: invoke device --imei {visit.device} --renew --keygen --force --port P",
            ],
        )


@contextlib.contextmanager
def offline(visit: Visit, tags: Tags, touched: Iterable[int]) -> Iterator[None]:
    """The modem where its credentials may be changed, afterwards in the mode that it was in before all of this began.

    What is begun is written down first: a run that is cut off leaves half a credential, and a modem that is off the air.
    """
    earlier_run = begun(visit)
    with commands.offline(visit.modem, back_to=earlier_run.mode if earlier_run else None) as mode:
        before = earlier_run.sec_tags if earlier_run else ()
        _write_begun(visit, tags, Begun(visit.identity.imei, tuple(sorted({*touched, *before})), mode))
        yield


def _write_begun(visit: Visit, tags: Tags, ours: Begun) -> None:
    workspace, own = visit.session.workspace, _files(visit)
    with bench.locked(visit.session):
        for path in workspace.devices.glob("*.json"):
            if path != own.record and b'"loading_begun"' in path.read_bytes():
                _forget(workspace, path, ours)
        told = replace(record_of(own), loading_begun=ours, sec_tag=tags.own, secondary_tag=tags.secondary)
        workspace.write(own.record, told.to_json())


def _forget(workspace: Workspace, path: Path, ours: Begun) -> None:
    """What another device had begun in these tags of this modem is no longer its own."""
    with contextlib.suppress(ToolError):  # a damaged record is ca-check's business
        other = Record.read(path)
        theirs = other.loading_begun if other else None
        if other and theirs and theirs.imei == ours.imei and set(theirs.sec_tags) & set(ours.sec_tags):
            workspace.write(path, replace(other, loading_begun=None).to_json())


def begun(visit: Visit) -> Begun | None:
    """What a run that was cut off had begun in this modem."""
    record = Record.read(_files(visit).record)
    told = record.loading_begun if record else None
    return told if told and told.imei == visit.identity.imei else None


def _files(visit: Visit) -> DeviceFiles:
    return DeviceFiles.of(visit.session.workspace, visit.device)


def _obstacles(visit: Visit, wanted: Sequence[Wanted], there: Listing) -> list[Stored]:
    """What the wanted tags hold that is neither wanted nor this device's own of an earlier time."""
    own = earlier(visit)
    known = {one.place: one for one in wanted}
    unfinished = begun(visit)
    tags = {one.tag for one in wanted} - set(unfinished.sec_tags if unfinished else ())
    return [
        stored
        for place, stored in sorted(there.items())
        if stored.tag in tags
        and stored.sha256 not in own
        and (place in known or stored.kind != Kind.ROOT_CA)  # a key is made beside whatever root is there
        and (place not in known or known[place].sha256 not in {"", stored.sha256})
    ]


def in_the_way(obstacles: Sequence[Stored]) -> InputError:
    return InputError(
        "the modem's sec tags hold something else, and it was left there.",
        detail="\n".join(_described(one) for one in obstacles),
        things_to_try=[
            "--force replaces it; a private key is lost for good then",
            "use another: --sec-tag N (and --secondary-tag M); see what they hold: invoke creds",
        ],
    )


def earlier(visit: Visit) -> set[str]:
    """The digests of what this device was given before: as its record tells, and what it was given of retired files."""
    workspace, own = visit.session.workspace, _files(visit)
    retired = renewal.retired(workspace, visit.device)
    given = [path.read_bytes() for path in (own.certificate, own.chain, own.key, *retired) if path.is_file()]
    told: set[str] = set()
    for path in (own.record, *retired):
        with contextlib.suppress(ToolError):  # a damaged one tells nothing
            if path.suffix == ".pem":
                given.append(identity.chain_pem(workspace, inspect.read_certificate(path)))
            elif path.suffix == ".json" and (record := Record.read(path)):
                told |= {one.sha256 for one in (record.modem.credentials if record.modem else ())}
                told |= {record.made_key.sha256} if record.made_key else set()
    return told | {credentials.digest(one) for one in given}


def _described(stored: Stored) -> str:
    return f"sec tag {stored.tag} · {credentials.kind_name(stored.kind)} · {stored.sha256 or 'no digest'}"


def record_of(own: DeviceFiles) -> Record:
    found = Record.read(own.record)
    if found is None:
        raise InputError(
            f"the device's record {own.record} is missing.",
            things_to_try=[f"it is written again by: invoke device --imei {own.record.stem} --no-register"],
        )
    return found


def remember(visit: Visit, loaded: Sequence[Credential], tags: Tags) -> None:
    """The evidence, in the device's record: what, where, in which modem, for which hub, when."""
    own, session = _files(visit), visit.session
    loading = Loading(
        imei=visit.identity.imei,
        firmware=visit.identity.firmware,
        hardware=visit.identity.hardware,
        target=session.settings.hub_host,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        credentials=tuple(loaded),
    )
    with bench.locked(session):
        now = replace(record_of(own), modem=loading, loading_begun=None, sec_tag=tags.own, secondary_tag=tags.secondary)
        session.workspace.write(own.record, now.to_json())
    session.console.say(f"recorded: {own.record}")
