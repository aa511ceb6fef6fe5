"""device, devices and device-delete: a device's certificate here and its identity on the hub."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from thingmint.ids import DeviceId
from thingmint.pki import bench
from thingmint.pki.authority import family
from thingmint.pki.device import identity, renewal
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.pki.signer import Signer
from thingmint.pki.wish import Wish
from thingmint.session import Session
from thingmint.workflows import consent, options, targets
from thingmint.workflows.device import anchors
from thingmint.workflows.hub import entrance, registration

if TYPE_CHECKING:
    from thingmint.hub.identity import Identity
    from thingmint.workflows.targets import Hub


def device(
    session: Session,
    *,
    imei: str | None,
    ca: str | None = None,
    key: str | None = None,
    days: str | None = None,
    renew: bool = False,
    register: bool = True,
) -> identity.Identity:
    """The identity on the hub, then key, CSR, certificate and chain: the article's order.

    `renew`: a new key and certificate in place of the old. A renewal that was cut off is finished in any case.
    """
    wish = options.wish(key=key, days=days)
    chosen = DeviceId.parse(imei)
    signer = identity.signer_of(session.workspace, chosen, options.device_authority(ca))
    with bench.locked(session) as locked:
        renew = not finish_renewal(locked, signer, chosen, wish) and renew
        if renew and bring_back(locked, chosen):
            signer = identity.signer_of(session.workspace, chosen, options.device_authority(ca))
        if renew:
            renewal.require_possible(locked, signer, chosen)
        else:
            identity.require_possible(locked, signer, chosen, wish)
    hub = registration.open_hub(session, chosen, wanted=register)
    options.warn_of_doubt(session, chosen)
    enabled = registration.register(session, hub, chosen, renew=renew) if hub else True
    with bench.locked(session) as locked:
        made = (renewal.renew if renew else identity.make)(locked, signer, chosen, wish)
        if hub:
            registration.record(session, made.files, hub.target.hub_host)
    tell(session, made, renewed=renew)
    if made.certificate and not made.files.key_in_modem:
        session.console.next_step(_next(session, hub, signer, made) if enabled else lets_in(session, chosen))
    return made


def _next(session: Session, hub: "Hub | None", signer: Signer, made: identity.Identity) -> str:
    """What the device needs to be heard, as far as that is known."""
    connects = f"invoke connect --imei {made.device}"
    if hub is None:
        record = Record.read(made.files.record)
        if record and record.registered_on:  # whose service knows a new certificate once it came in with that
            return f"{connects} --dps" if record.by_service else connects
        return f"invoke device --imei {made.device} registers it on the hub"
    if made.certificate and anchors.known_untrusted(session, hub, made.certificate):
        return f"invoke verify{family.option(signer.name)} {connects.removeprefix('invoke ')}"
    return connects


def lets_in(session: Session, chosen: DeviceId) -> str:
    """What to type of one that is registered, and disabled."""
    again = registration.let_in(session, chosen, by_service=False, blocked=False, disabled=True)
    return f"{again} lets it in again"


def finish_renewal(locked: bench.Bench, signer: Signer, chosen: DeviceId, wish: Wish) -> bool:
    """An earlier renewal that was cut off is finished first, whatever is asked for now. Whether there was one."""
    found = renewal.under_way(locked.workspace, chosen)
    if found:
        locked.session.console.say(f"an earlier renewal of {chosen} was cut off: it is finished now")
        renewal.renew(locked, signer, chosen, wish)
    return found


def bring_back(locked: bench.Bench, chosen: DeviceId) -> bool:
    """Whether the certificate had been lost from devices/, and is back."""
    found = identity.bring_back(locked, chosen)
    if found:
        locked.session.console.say(f"the certificate of {chosen} was not in devices/: it is brought back from certs/")
    return found


def tell(session: Session, made: identity.Identity, *, renewed: bool) -> None:
    """What exists now. Nothing with --dry."""
    if made.certificate is None:
        return
    done = "renewed" if renewed else "made" if made.new else "unchanged"
    session.console.say(f"{done}: certificate of {made.device} ({made.certificate.key})")
    session.console.say(
        f"  {made.files.certificate}, until {made.certificate.not_after:%Y-%m-%d}, "
        f"thumbprint {made.certificate.thumbprint}"
    )
    in_modem = made.files.key_in_modem
    key = "in its modem, which keeps it" if in_modem else f"{made.files.key} (keep it private)"
    session.console.say(f"  key: {key} · chain: {made.files.chain.name}")


def devices(session: Session, *, as_json: bool = False) -> None:
    """The hub's device identities."""
    if targets.dry(session, "list the device identities"):
        return
    hub = targets.open_hub(session)
    found = sorted(hub.registry.list(), key=lambda one: one.device_id)
    if as_json:
        session.console.result_json([_as_json(one) for one in found])
        return
    session.console.table(
        ("deviceId", "authenticationType", "status", "connectionState", "lastActivityTime"),
        [(d.device_id, d.authentication, d.status, d.connection_state, _time(d.last_activity)) for d in found],
    )
    session.console.say(f"{len(found)} device(s) on {hub.target.hub}")


def device_delete(session: Session, *, imei: str | None, yes: bool = False) -> None:
    """Remove the identity from the hub, and nothing else."""
    chosen = DeviceId.parse(imei)
    if targets.dry(session, f"delete the identity {chosen}"):
        return
    hub = targets.open_hub(session)
    if registration.known(session, hub, chosen) is None:
        session.console.say(f"unchanged: {chosen} has no identity on {hub.target.hub}")
        return
    consent.ask(session, f"delete the identity of {chosen} on {hub.target.hub}", yes=yes)
    hub.registry.delete(chosen.text)
    own = DeviceFiles.of(session.workspace, chosen)
    with bench.locked(session):
        registration.record(session, own, None)
    session.console.say(f"deleted: the identity of {chosen} on {hub.target.hub}; the device can no longer connect")
    standing = entrance.standing(session, hub, chosen)
    comes_back = entrance.warn_of_return(session, hub, chosen, standing.ways)
    stays = [path.name for path in (own.key, own.csr, own.certificate, own.chain) if path.exists()]
    if stays:
        revoked = identity.revoked(session.workspace, chosen)
        state = "is revoked" if revoked else "stays valid"
        session.console.say(f"  what stays: {', '.join(stays)} in {session.workspace.devices}; its certificate {state}")
        if not comes_back:
            again = standing.let_in(session, chosen) or f"invoke device --imei {chosen}"
            session.console.next_step(f"{again} lets it in again")


def _time(value: datetime | None) -> str:
    return value.isoformat(timespec="seconds") if value else "never"


def _as_json(one: "Identity") -> dict[str, Any]:
    """The hub's own field names, so that a script for `az iot hub device-identity list` reads them."""
    return {
        "deviceId": one.device_id,
        "authenticationType": one.authentication,
        "status": one.status,
        "connectionState": one.connection_state,
        "lastActivityTime": one.last_activity.isoformat() if one.last_activity else None,
    }
