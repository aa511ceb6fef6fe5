"""provision: a device's credentials into its modem, each proven by the digest that the modem gives back."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from thingmint import roots
from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.lab.state import LabFolder
from thingmint.modem import credentials
from thingmint.modem.credentials import Kind
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.pki.device import enclosed, identity
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.pki.inspect import Certificate
from thingmint.session import Session
from thingmint.workflows import options, targets
from thingmint.workflows.device import anchors
from thingmint.workflows.modem import loading, station
from thingmint.workflows.modem.loading import CERTIFICATE, KEY, MADE_IN_MODEM, ROOT, Wanted
from thingmint.workflows.modem.sectags import Tags
from thingmint.workflows.modem.station import NOTHING, Leave

if TYPE_CHECKING:
    from thingmint.workflows.targets import Hub


def provision(
    session: Session,
    *,
    imei: str | None,
    port: str | None,
    sec_tag: str | None = None,
    secondary_tag: str | None = None,
    leave: Leave = NOTHING,
    server_root: str | None = None,
) -> None:
    """Server roots, client certificate and private key into the modem. What it holds already is left alone.

    Raises InputError or CheckError before the modem is touched where the device's files do not hold together, and
    ModemError where the modem refuses or loses what it was given; the next run goes on from there.
    """
    chosen = DeviceId.parse(imei)
    named = station.require_port(port)
    offered = _offered_root(session, server_root)
    own = DeviceFiles.of(session.workspace, chosen)
    tags = Tags.of(Record.read(own.record)).but(sec_tag, secondary_tag)
    dry = f"load the credentials of {chosen} into the sec tags {tags.own} and {tags.secondary} of the modem on {named}"
    if session.workspace.only_planned(own.certificate):
        station.dry(session, dry)
        return
    signer = identity.signer_of(session.workspace, chosen, None)
    certificate = identity.check(session.workspace, signer, chosen)
    loading.record_of(own)
    _require_in_date(session, certificate)
    if own.key_in_modem and enclosed.begun(session.workspace, chosen) is not None:
        raise InputError(
            f"the modem of {chosen} was making a new key when that was cut off: its certificate may fit another.",
            things_to_try=[f"finish it: invoke device --imei {chosen} --keygen --port {named}"],
        )
    if station.dry(session, dry):
        return
    wanted = _wanted(session, chosen, certificate, tags, offered)
    with station.visit(session, chosen, named, leave) as visit:
        loaded = loading.load(visit, wanted, tags, force=leave.force)
    loading.remember(visit, loaded, tags)
    session.console.say(
        f"proven: the modem of {chosen} holds what {session.settings.hub_host} needs, by the digest of each credential"
    )
    _tell_next(session, chosen, tags, simulated=visit.identity.simulated)


def _offered_root(session: Session, path: str | None) -> bytes | None:
    """The user's own server root, judged. Raises InputError where no hub can be trusted by it."""
    if path is None:
        return None
    pem = options.content(path, "--server-root")
    for doubt in roots.judge(pem, f"--server-root {path}"):
        session.console.warn(doubt)
    return pem


def _require_in_date(session: Session, certificate: Certificate) -> None:
    """The device's own end is checked with its other files."""
    if certificate.not_before > datetime.now(UTC):
        raise InputError(
            f"the certificate of {certificate.common_name} is good from {certificate.not_before:%Y-%m-%d %H:%M} UTC on.",
            things_to_try=["check this machine's clock, and that of the one that made it", "wait until then"],
        )
    for one in family.above(session.workspace, certificate):
        if one.expired:
            raise InputError(
                f"the authority {one.common_name!r} above this device expired on {one.not_after:%Y-%m-%d}: "
                "no hub accepts what it issued.",
                things_to_try=["make a new authority, and the device's certificate anew: invoke expiring"],
            )


def _wanted(
    session: Session, chosen: DeviceId, certificate: Certificate, tags: Tags, offered: bytes | None
) -> tuple[Wanted, ...]:
    """What the sec tags shall hold, each credential in the form and of the size that the modem takes."""
    hub = _hub(session)
    own = DeviceFiles.of(session.workspace, chosen)
    public = roots.server_roots()
    root = offered or (_lab_root(hub) if hub and hub.lab else public.primary.pem)
    if offered and hub and hub.lab and offered.split() != _lab_root(hub).split():
        session.console.warn("the lab's own root is another: with this one, the device does not trust the lab.")
    # The lab's chain may change, too: to the root that `advise` shows a device.
    second = LabFolder(session.workspace.lab).second_ca.read_bytes() if hub and hub.lab else public.secondary.pem
    shown = anchors.presented_or_chain(session, hub, chosen, certificate)
    key = None if own.key_in_modem else loading.loadable(own.key, tags.own)
    return (
        _root(tags.own, root),
        Wanted(tags.own, Kind.CLIENT_CERTIFICATE, CERTIFICATE, shown.name, loading.loadable(shown, tags.own)),
        Wanted(tags.own, Kind.PRIVATE_KEY, KEY, own.key.name if key else MADE_IN_MODEM, key),
        _root(tags.secondary, second),
    )


def _root(tag: int, pem: bytes) -> Wanted:
    name = inspect.parse_chain(pem, where="the server root")[0].common_name
    content = credentials.require_loadable(pem, f"the server root {name}", tag=tag)
    return Wanted(tag, Kind.ROOT_CA, ROOT, name, content)


def _hub(session: Session) -> "Hub | None":
    """The hub that is asked what it trusts. None where it cannot be asked: a factory's bench need not be signed in."""
    try:
        return targets.open_hub(session)
    except (HubError, InputError) as error:
        if session.settings.target == "lab":
            raise
        session.console.say(f"{session.settings.azure.hub} could not be asked: {error.message}")
        return None


def _lab_root(hub: "Hub") -> bytes:
    assert hub.target.ca_file is not None  # noqa: S101 - every lab has one
    return hub.target.ca_file.read_bytes()


def _tell_next(session: Session, chosen: DeviceId, tags: Tags, *, simulated: bool) -> None:
    if simulated:
        session.console.next_step(
            f"stop the simulated modem, and boot it with an application: invoke modem --imei {chosen} --app azure_iot_hub"
        )
        return
    session.console.next_step(
        f"build the application that looks into these tags ({tags.own}, {tags.secondary}): "
        f"invoke firmware --app azure_iot_hub --imei {chosen}"
    )
