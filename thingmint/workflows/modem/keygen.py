"""device --keygen: the modem makes the key and keeps it, our authority signs, the certificate goes back into the modem."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.modem import credentials, keygen
from thingmint.modem.credentials import Kind, Stored
from thingmint.modem.keygen import GeneratedKey
from thingmint.modem.refusals import ALREADY_EXISTS, KEYGEN_FAILED, RefusedError
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.device import enclosed, identity
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import DeviceFiles, MadeKey, Record
from thingmint.pki.signer import Signer
from thingmint.session import Session
from thingmint.workflows import options
from thingmint.workflows.device import anchors, devices
from thingmint.workflows.hub import registration
from thingmint.workflows.modem import loading, station
from thingmint.workflows.modem.loading import CERTIFICATE, KEY, MADE_IN_MODEM, Wanted
from thingmint.workflows.modem.sectags import Tags
from thingmint.workflows.modem.station import NOTHING, Leave, Visit

if TYPE_CHECKING:
    from thingmint.workflows.targets import Hub


def device(
    session: Session,
    *,
    imei: str | None,
    port: str | None,
    sec_tag: str | None = None,
    leave: Leave = NOTHING,
    ca: str | None = None,
    key: str | None = None,
    days: str | None = None,
    renew: bool = False,
    register: bool = True,
) -> Identity:
    """The identity on the hub, a key in the modem, its CSR signed by our profile, and the certificate in the same sec tag.

    A run that was cut off is gone on with: the CSR is kept before anything is signed. Raises as `provision` does.
    """
    wish = options.wish(key=key, days=days)
    chosen = DeviceId.parse(imei)
    named = station.require_port(port)
    record = Record.read(DeviceFiles.of(session.workspace, chosen).record)
    tags = Tags.of(record).but(sec_tag, None)
    signer = identity.signer_of(session.workspace, chosen, options.device_authority(ca))
    with bench.locked(session) as locked:
        renew = not devices.finish_renewal(locked, signer, chosen, wish) and renew
        if _renewal_begun(session, chosen):
            session.console.say(
                f"an earlier renewal of {chosen} was cut off while its modem made a key: it makes another"
            )
            renew = True
        if renew and devices.bring_back(locked, chosen):
            signer = identity.signer_of(session.workspace, chosen, options.device_authority(ca))
        enclosed.require_possible(locked, signer, chosen, wish, renew=renew)
    hub = registration.open_hub(session, chosen, wanted=register)
    options.warn_of_doubt(session, chosen)
    if session.dry:
        session.console.say(f"would have the modem on {named} make a key in sec tag {tags.own}")
        with bench.locked(session) as locked:
            return enclosed.issue(locked, signer, chosen, None, wish, renew=renew)
    _require_room(session, hub, signer, chosen, tags.own)
    with station.visit(session, chosen, named, leave) as visit:
        needed = enclosed.modem_needed(session.workspace, chosen, renew=renew)
        stale = _stale(visit, tags.own, force=leave.force) if needed else []
        enabled = registration.register(session, hub, chosen, renew=renew) if hub else True
        csr = _generate(visit, signer, tags, stale) if needed else None
        with bench.locked(session) as locked:
            made = enclosed.issue(locked, signer, chosen, csr, wish, renew=renew)
        loaded = loading.load(visit, _wanted(session, hub, made, tags.own), tags, force=leave.force)
    loading.remember(visit, loaded, tags)
    if hub:
        with bench.locked(session):
            registration.record(session, made.files, hub.target.hub_host)
    devices.tell(session, made, renewed=renew)
    provides = f"invoke provision --imei {chosen} --port {named}"
    session.console.next_step(f"{provides} adds the server roots" if enabled else devices.lets_in(session, chosen))
    return made


def _renewal_begun(session: Session, chosen: DeviceId) -> bool:
    """Whether the modem may hold a newer key than the certificate's, of which nothing is here."""
    certified = DeviceFiles.of(session.workspace, chosen).certificate.exists()
    return certified and enclosed.begun(session.workspace, chosen) is not None


def _require_room(session: Session, hub: "Hub | None", signer: Signer, chosen: DeviceId, tag: int) -> None:
    """Raises InputError where the chain, which is not there yet, would be more than the modem takes at once."""
    above = family.chain(session.workspace, signer)
    try:
        needed = hub is None or anchors.chain_needed(hub, above, chosen, issuer=signer.name)
    except (InputError, HubError):
        needed = True  # as it is told once the chain is there
    if needed:
        sent = [one.pem for one in above if not one.issued_by(one)]
        # The issuer's own certificate is about as long as the one that it will issue.
        credentials.require_loadable(b"".join([above[0].pem, *sent]), f"the chain of {chosen}", tag=tag)


def _stale(visit: Visit, tag: int, *, force: bool) -> list[Stored]:
    """What stands in the new key's place, and may go: this device's own earlier pair, or a key of a run that was cut off.

    Raises InputError where it is something else, unless `force`. A server root is in nobody's way.
    """
    there = [one for one in credentials.listing(visit.modem, tag) if one.kind != Kind.ROOT_CA]
    own = loading.earlier(visit)
    unfinished = loading.begun(visit)
    foreign = [one for one in there if one.sha256 not in own]
    if foreign and not force and not (unfinished and tag in unfinished.sec_tags):
        raise loading.in_the_way(foreign)
    return there


def _generate(visit: Visit, signer: Signer, tags: Tags, stale: Sequence[Stored]) -> bytes:
    """The CSR as the modem encodes it, after its attestation was compared with it.

    What is begun is written down first, and which key it is right after: nothing else tells it from somebody else's.
    """
    with bench.locked(visit.session) as locked:
        enclosed.begin(locked, signer, visit.device, tags.own)
    try:
        with loading.offline(visit, tags, [tags.own]):
            made = _asked(visit, tags.own, stale)
            key = credentials.listing(visit.modem, tags.own)
    except RefusedError:
        with bench.locked(visit.session) as locked:
            enclosed.take_back(locked, visit.device)
        raise
    digest = next(one.sha256 for one in key if one.kind == Kind.PRIVATE_KEY)
    with bench.locked(visit.session) as locked:
        enclosed.made(locked, signer, visit.device, MadeKey(visit.identity.imei, tags.own, digest))
    visit.session.console.say(f"made: a key in sec tag {tags.own} · {made.attestation.words}")
    return made.csr


def _asked(visit: Visit, tag: int, stale: Sequence[Stored]) -> GeneratedKey:
    """The old pair goes only where the modem will not make a key beside it: one that makes none keeps what it has."""
    try:
        return keygen.generate(visit.modem, tag, visit.device.text)
    except RefusedError as error:
        if not stale or error.code not in {ALREADY_EXISTS, KEYGEN_FAILED}:
            raise
    for one in stale:
        credentials.delete(visit.modem, one.tag, one.kind)
    return keygen.generate(visit.modem, tag, visit.device.text)


def _wanted(session: Session, hub: "Hub | None", made: Identity, tag: int) -> tuple[Wanted, ...]:
    certificate = inspect.read_certificate(made.files.certificate)
    shown = anchors.presented_or_chain(session, hub, made.device, certificate)
    return (
        Wanted(tag, Kind.CLIENT_CERTIFICATE, CERTIFICATE, shown.name, loading.loadable(shown, tag)),
        Wanted(tag, Kind.PRIVATE_KEY, KEY, MADE_IN_MODEM, None),
    )
