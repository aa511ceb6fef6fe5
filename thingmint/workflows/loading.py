"""Credentials into a modem: what stands there is compared, what is missing is written and proven, the evidence is kept."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, InputError
from thingmint.pki import bench, inspect
from thingmint.pki.device import identity, renewal
from thingmint.pki.device.record import Begun, Credential, DeviceFiles, Loading, Record
from thingmint.workflows.station import Visit

if TYPE_CHECKING:
    from thingmint.modem.credentials import Kind, Stored

    Listing = Mapping[tuple[int, int], Stored]

ROOT, CERTIFICATE, KEY = "server root", "client certificate", "private key"
MADE_IN_MODEM = "made in the modem"


@dataclass(frozen=True)
class Wanted:
    """One credential that a sec tag shall hold. `content` is None for a key that the modem made itself."""

    tag: int
    kind: "Kind"
    what: str
    name: str  # the certificate's, for people and for the record
    content: bytes | None

    @property
    def sha256(self) -> str:
        return "" if self.content is None else digest(self.content)


def load(visit: Visit, wanted: Sequence[Wanted], *, force: bool) -> tuple[Credential, ...]:
    """Bring the sec tags to what is wanted; returns what they hold then.

    Raises InputError where a tag holds something else that is not this device's, and nothing was written.
    """
    from thingmint.modem import commands, credentials

    there = {(one.tag, one.kind): one for one in credentials.listing(visit.modem)}
    _require_own_key(visit, wanted, there)
    todo = [one for one in wanted if one.content is not None and not _holds(there, one)]
    obstacles = _obstacles(visit, wanted, there)
    if obstacles and not force:
        raise in_the_way(obstacles)
    stale = {(one.tag, one.kind) for one in obstacles} | ({(w.tag, int(w.kind)) for w in todo} & there.keys())
    if todo or stale:
        begin(visit, [one.tag for one in wanted])
        with commands.offline(visit.modem):
            for tag, kind in sorted(stale):
                credentials.delete(visit.modem, tag, kind)
            for one in todo:
                credentials.store(visit.modem, one.tag, one.kind, one.content or b"")
    loaded = [Credential(one.tag, one.what, one.sha256 or there[one.tag, one.kind].sha256, one.name) for one in wanted]
    for one, now in zip(wanted, loaded, strict=True):
        word = "unchanged" if one not in todo else "replaced" if (one.tag, one.kind) in there else "loaded"
        visit.session.console.say(f"{word}: sec tag {now.sec_tag} · {now.kind} · {now.name} · {now.sha256[:16]}")
    return tuple(loaded)


def _holds(there: "Listing", one: Wanted) -> bool:
    stored = there.get((one.tag, one.kind))
    return stored is not None and stored.sha256 == one.sha256


def _require_own_key(visit: Visit, wanted: Sequence[Wanted], there: "Listing") -> None:
    """A key that was made in a modem is in that modem, or nowhere. Its digest cannot be predicted, only remembered."""
    record = Record.read(_files(visit).record)
    loading = record.modem if record else None
    known = {one.sec_tag: one.sha256 for one in loading.credentials if one.kind == KEY} if loading else {}
    for one in wanted:
        if one.content is not None:
            continue
        stored = there.get((one.tag, one.kind))
        if loading and loading.imei != visit.identity.imei:
            fault = f"that is the one with the IMEI {loading.imei}, not this one"
        elif known and one.tag not in known:
            fault = f"it is in sec tag {', '.join(map(str, known))}, not in {one.tag}"
        elif stored is None:
            fault = f"sec tag {one.tag} of this modem holds none"
        elif known and known[one.tag] != stored.sha256:
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


def begin(visit: Visit, tags: Sequence[int]) -> None:
    """Write down that these tags of this modem are being loaded: a run that is cut off leaves half a credential there."""
    own = _files(visit)
    begun = Begun(visit.identity.imei, tuple(sorted(set(tags))))
    with bench.locked(visit.session):
        visit.session.workspace.write(own.record, replace(record_of(own), loading_begun=begun).to_json())


def begun(visit: Visit) -> tuple[int, ...]:
    """The sec tags of this modem that a run which was cut off had begun to load."""
    record = Record.read(_files(visit).record)
    told = record.loading_begun if record else None
    return told.sec_tags if told and told.imei == visit.identity.imei else ()


def _files(visit: Visit) -> DeviceFiles:
    return DeviceFiles.of(visit.session.workspace, visit.device)


def _obstacles(visit: Visit, wanted: Sequence[Wanted], there: "Listing") -> "list[Stored]":
    """What the wanted tags hold that is neither wanted nor this device's own of an earlier time."""
    from thingmint.modem.credentials import Kind

    own = earlier(visit)
    known = {(one.tag, int(one.kind)): one for one in wanted}
    tags = {one.tag for one in wanted} - set(begun(visit))
    return [
        stored
        for place, stored in sorted(there.items())
        if stored.tag in tags
        and stored.sha256 not in own
        and (place in known or stored.kind != Kind.ROOT_CA)  # a key is made beside whatever root is there
        and (place not in known or known[place].sha256 not in {"", stored.sha256})
    ]


def in_the_way(obstacles: "Sequence[Stored]") -> InputError:
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
    records = [Record.read(path) for path in (own.record, *retired) if path.suffix == ".json"]
    loadings = [one.modem for one in records if one and one.modem]
    given = [path.read_bytes() for path in (own.certificate, own.chain, own.key, *retired) if path.is_file()]
    given += [
        identity.chain_pem(workspace, inspect.read_certificate(path)) for path in retired if path.suffix == ".pem"
    ]
    return {digest(one) for one in given} | {one.sha256 for loading in loadings for one in loading.credentials}


def digest(content: bytes) -> str:
    """As the modem lists it: SHA-256 in upper-case hex of the exact bytes."""
    return hashlib.sha256(content).hexdigest().upper()


def _described(stored: "Stored") -> str:
    return f"sec tag {stored.tag} · {kind_of(stored)} · {stored.sha256 or 'no digest'}"


def kind_of(stored: "Stored") -> str:
    from thingmint.modem.credentials import Kind

    return Kind(stored.kind).words if stored.kind in set(Kind) else f"type {stored.kind}"


def record_of(own: DeviceFiles) -> Record:
    found = Record.read(own.record)
    if found is None:
        raise InputError(
            f"the device's record {own.record} is missing.",
            things_to_try=[f"it is written again by: invoke device --imei {own.record.stem} --no-register"],
        )
    return found


def remember(visit: Visit, loaded: Sequence[Credential]) -> None:
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
        session.workspace.write(own.record, replace(record_of(own), modem=loading, loading_begun=None).to_json())
    session.console.say(f"recorded: {own.record}")
