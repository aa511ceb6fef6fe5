"""device --keygen: the modem makes the key and keeps it, our authority signs, the certificate goes back into the modem."""

from typing import TYPE_CHECKING

from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.device import enclosed, identity
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import DeviceFiles
from thingmint.pki.signer import Signer
from thingmint.pki.wish import Wish
from thingmint.session import Session
from thingmint.workflows import devices, loading, options, provisioning, registration, station
from thingmint.workflows.loading import CERTIFICATE, KEY, MADE_IN_MODEM, Wanted
from thingmint.workflows.station import Leave

if TYPE_CHECKING:
    from thingmint.modem.at import Modem
    from thingmint.modem.commands import ModemIdentity
    from thingmint.modem.credentials import Stored
    from thingmint.workflows.targets import Hub


def device(
    session: Session,
    *,
    imei: str | None,
    port: str | None,
    sec_tag: str | None = None,
    leave: Leave,
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
    tag = station.sec_tag(sec_tag, "--sec-tag", station.SEC_TAG)
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
    enabled = registration.register(session, hub, chosen) if hub else True
    with station.opened(session, named) as modem:
        found = station.meet(session, modem, chosen, leave)
        made = _in_modem(session, modem, found, chosen, signer, wish, tag=tag, renew=renew, force=leave.force)
        wanted = _wanted(session, hub, made, tag)
        loaded = loading.load(session, modem, found, chosen, wanted, force=leave.force)
    loading.remember(session, chosen, found, loaded)
    if hub:
        with bench.locked(session):
            registration.record(session, made.files, hub.target.hub_host)
    devices.tell(session, made, renewed=renew)
    provides = f"invoke provision --imei {chosen} --port {named}{f' --sec-tag {tag}' if sec_tag else ''}"
    session.console.next_step(f"{provides} adds the server roots" if enabled else registration.lets_in(chosen))
    return made


def _renewal_begun(session: Session, chosen: DeviceId) -> bool:
    """Whether the modem may hold a newer key than the certificate's, of which nothing is here."""
    certified = DeviceFiles.of(session.workspace, chosen).certificate.exists()
    return certified and enclosed.begun(session.workspace, chosen) is not None


def _in_modem(
    session: Session,
    modem: "Modem",
    found: "ModemIdentity",
    chosen: DeviceId,
    signer: Signer,
    wish: Wish,
    *,
    tag: int,
    renew: bool,
    force: bool,
) -> Identity:
    """The modem's key certified: made now, unless its CSR is here already."""
    csr = None
    if enclosed.modem_needed(session.workspace, chosen, renew=renew):
        stale = _stale(session, modem, found, chosen, tag, force=force)
        with bench.locked(session) as locked:
            enclosed.begin(locked, signer, chosen, tag)
        loading.begin(session, found, chosen, [tag])
        csr = _generate(session, modem, chosen, tag, stale)
    with bench.locked(session) as locked:
        return enclosed.issue(locked, signer, chosen, csr, wish, renew=renew)


def _stale(
    session: Session, modem: "Modem", found: "ModemIdentity", chosen: DeviceId, tag: int, *, force: bool
) -> "list[Stored]":
    """What stands in the new key's place, and may go: this device's own earlier pair, or a key of a run that was cut off.

    Raises InputError where it is something else, unless `force`.
    """
    from thingmint.modem import credentials
    from thingmint.modem.credentials import Kind

    pair = {Kind.CLIENT_CERTIFICATE, Kind.PRIVATE_KEY}
    there = [one for one in credentials.listing(modem, tag) if one.kind in pair]
    own = loading.earlier(session, chosen)
    foreign = [one for one in there if one.sha256 not in own]
    if foreign and not force and tag not in loading.begun(session, found, chosen):
        raise loading.in_the_way(foreign)
    return there


def _generate(session: Session, modem: "Modem", chosen: DeviceId, tag: int, stale: "list[Stored]") -> bytes:
    """The CSR as the modem encodes it, after its attestation was compared with it."""
    from thingmint.modem import commands, credentials, keygen

    with commands.offline(modem):
        for one in stale:
            credentials.delete(modem, one.tag, one.kind)
        made = keygen.generate(modem, tag, chosen.text)
    session.console.say(f"made: a key in sec tag {tag} · {made.attestation.words}")
    return made.csr


def _wanted(session: Session, hub: "Hub | None", made: Identity, tag: int) -> tuple[Wanted, ...]:
    from thingmint.modem.credentials import Kind

    certificate = inspect.read_certificate(made.files.certificate)
    shown = provisioning.presented(session, hub, made.device, certificate)
    return (
        Wanted(tag, Kind.CLIENT_CERTIFICATE, CERTIFICATE, shown.name, provisioning.loadable(shown)),
        Wanted(tag, Kind.PRIVATE_KEY, KEY, MADE_IN_MODEM, None),
    )
