"""device --keygen: the modem makes the key and keeps it, our authority signs, the certificate goes back into the modem."""

from typing import TYPE_CHECKING

from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.device import enclosed, identity
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.pki.signer import Signer
from thingmint.session import Session
from thingmint.workflows import anchors, devices, loading, options, provisioning, registration, station
from thingmint.workflows.loading import CERTIFICATE, KEY, MADE_IN_MODEM, Wanted
from thingmint.workflows.provisioning import Tags
from thingmint.workflows.station import NOTHING, Leave, Visit

if TYPE_CHECKING:
    from thingmint.modem.credentials import Stored
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
    tag = station.sec_tag(sec_tag, "--sec-tag", Tags.of(record).own)
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
        session.console.say(f"would have the modem on {named} make a key in sec tag {tag}")
        with bench.locked(session) as locked:
            return enclosed.issue(locked, signer, chosen, None, wish, renew=renew)
    _require_room(session, hub, signer, chosen)
    with station.visit(session, chosen, named, leave) as visit:
        needed = enclosed.modem_needed(session.workspace, chosen, renew=renew)
        stale = _stale(visit, tag, force=leave.force) if needed else []
        enabled = registration.register(session, hub, chosen) if hub else True
        csr = _generate(visit, signer, tag, stale) if needed else None
        with bench.locked(session) as locked:
            made = enclosed.issue(locked, signer, chosen, csr, wish, renew=renew)
        loaded = loading.load(visit, _wanted(session, hub, made, tag), force=leave.force)
    loading.remember(visit, loaded)
    if hub:
        with bench.locked(session):
            registration.record(session, made.files, hub.target.hub_host)
    devices.tell(session, made, renewed=renew)
    provides = f"invoke provision --imei {chosen} --port {named}"
    session.console.next_step(f"{provides} adds the server roots" if enabled else registration.lets_in(chosen))
    return made


def _renewal_begun(session: Session, chosen: DeviceId) -> bool:
    """Whether the modem may hold a newer key than the certificate's, of which nothing is here."""
    certified = DeviceFiles.of(session.workspace, chosen).certificate.exists()
    return certified and enclosed.begun(session.workspace, chosen) is not None


def _require_room(session: Session, hub: "Hub | None", signer: Signer, chosen: DeviceId) -> None:
    """Raises InputError where the chain, which is not there yet, would be more than the modem takes at once."""
    from thingmint.modem import credentials

    above = family.chain(session.workspace, signer)
    try:
        needed = hub is None or anchors.chain_needed(hub, above, chosen, issuer=signer.name)
    except (InputError, HubError):
        needed = True  # as it is told once the chain is there
    if needed:
        sent = [one.pem for one in above if not one.issued_by(one)]
        # The issuer's own certificate is about as long as the one that it will issue.
        credentials.require_loadable(b"".join([above[0].pem, *sent]), f"the chain of {chosen}")


def _stale(visit: Visit, tag: int, *, force: bool) -> "list[Stored]":
    """What stands in the new key's place, and may go: this device's own earlier pair, or a key of a run that was cut off.

    Raises InputError where it is something else, unless `force`.
    """
    from thingmint.modem import credentials
    from thingmint.modem.credentials import Kind

    pair = {Kind.CLIENT_CERTIFICATE, Kind.PRIVATE_KEY}
    there = [one for one in credentials.listing(visit.modem, tag) if one.kind in pair]
    own = loading.earlier(visit)
    foreign = [one for one in there if one.sha256 not in own]
    if foreign and not force and tag not in loading.begun(visit):
        raise loading.in_the_way(foreign)
    return there


def _generate(visit: Visit, signer: Signer, tag: int, stale: "list[Stored]") -> bytes:
    """The CSR as the modem encodes it, after its attestation was compared with it. What is begun is written down first."""
    from thingmint.modem import commands, credentials, keygen

    with bench.locked(visit.session) as locked:
        enclosed.begin(locked, signer, visit.device, tag)
    loading.begin(visit, [tag])
    with commands.offline(visit.modem):
        for one in stale:
            credentials.delete(visit.modem, one.tag, one.kind)
        made = keygen.generate(visit.modem, tag, visit.device.text)
    visit.session.console.say(f"made: a key in sec tag {tag} · {made.attestation.words}")
    return made.csr


def _wanted(session: Session, hub: "Hub | None", made: Identity, tag: int) -> tuple[Wanted, ...]:
    from thingmint.modem.credentials import Kind

    certificate = inspect.read_certificate(made.files.certificate)
    shown = provisioning.presented(session, hub, made.device, certificate)
    return (
        Wanted(tag, Kind.CLIENT_CERTIFICATE, CERTIFICATE, shown.name, provisioning.loadable(shown)),
        Wanted(tag, Kind.PRIVATE_KEY, KEY, MADE_IN_MODEM, None),
    )
