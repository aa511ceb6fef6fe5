"""device, devices and device-delete: a device's certificate here and its identity on the hub."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki import bench
from thingmint.pki.device import identity, renewal
from thingmint.pki.device.identity import DeviceFiles, Record
from thingmint.session import Session
from thingmint.workflows import consent, options, targets

if TYPE_CHECKING:
    from thingmint.hub.identity import Identity
    from thingmint.workflows.targets import Hub

X509_CA = "certificateAuthority"


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
        if renewal.under_way(session.workspace, chosen):
            session.console.say(f"an earlier renewal of {chosen} was cut off: it is finished now")
            renewal.renew(locked, signer, chosen, wish)
            renew = False
        if renew and identity.bring_back(locked, chosen):
            session.console.say(f"the certificate of {chosen} was not in devices/: it is brought back from certs/")
            signer = identity.signer_of(session.workspace, chosen, options.device_authority(ca))
        if renew:
            renewal.require_possible(locked, signer, chosen)
        else:
            identity.require_possible(locked, signer, chosen, wish)
    hub = None
    if not register:
        targets.announce(session)
    elif not targets.dry(session, f"register {chosen} as {X509_CA}"):
        hub = targets.open_hub(session)
    options.warn_of_doubt(session, chosen)
    enabled = _register(session, hub, chosen) if hub else True
    with bench.locked(session) as locked:
        made = (renewal.renew if renew else identity.make)(locked, signer, chosen, wish)
        if hub:
            record_registration(session, made.files, hub.target.hub_host)
    if made.certificate:
        done = "renewed" if renew else "made" if made.new else "unchanged"
        session.console.say(f"{done}: certificate of {chosen} ({made.certificate.key})")
        session.console.say(
            f"  {made.files.certificate}, until {made.certificate.not_after:%Y-%m-%d}, "
            f"thumbprint {made.certificate.thumbprint}"
        )
        session.console.say(f"  key: {made.files.key} (keep it private) · chain: {made.files.chain.name}")
        registers = f"invoke device --imei {chosen} registers it on the hub"
        connects = f"invoke connect --imei {chosen}" if enabled else _let_in(chosen)
        session.console.next_step(connects if register else registers)
    return made


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
    if hub.registry.get(chosen.text) is None:
        session.console.say(f"unchanged: {chosen} has no identity on {hub.target.hub}")
        return
    consent.ask(session, f"delete the identity of {chosen} on {hub.target.hub}", yes=yes)
    hub.registry.delete(chosen.text)
    own = DeviceFiles.of(session.workspace, chosen)
    record_registration(session, own, None)
    session.console.say(f"deleted: the identity of {chosen} on {hub.target.hub}; the device can no longer connect")
    stays = [path.name for path in (own.key, own.csr, own.certificate, own.chain) if path.exists()]
    if stays:
        revoked = identity.revoked(session.workspace, chosen)
        state = "is revoked" if revoked else "stays valid"
        session.console.say(f"  what stays: {', '.join(stays)} in {session.workspace.devices}; its certificate {state}")
        again = f"invoke device --imei {chosen}{' --renew' if revoked else ''}"
        session.console.next_step(f"{again} registers it again")


def _let_in(chosen: DeviceId) -> str:
    return f"invoke device-delete --imei {chosen} device --imei {chosen} lets it in again"


def _register(session: Session, hub: "Hub", chosen: DeviceId) -> bool:
    """Whether the hub lets it in: an identity that somebody disabled stays so."""
    found = hub.registry.get(chosen.text)
    if found is None:
        try:
            found = hub.registry.create(chosen.text)
            session.console.say(f"registered: {chosen} on {hub.target.hub} ({X509_CA})")
        except HubError as error:
            # Somebody else was faster, or our own earlier try was committed and its answer lost.
            found = hub.registry.get(chosen.text) if error.status == 409 else None
            if found is None:
                raise
    else:
        session.console.say(f"unchanged: {chosen} is registered on {hub.target.hub} already")
    require_x509_ca(hub, found)
    if found.status != "enabled":
        session.console.warn(
            f"{chosen} is {found.status} on the hub, which refuses it. To let it in again: "
            f"invoke device-delete --imei {chosen} device --imei {chosen}"
        )
    return found.status == "enabled"


def require_x509_ca(hub: "Hub", found: "Identity") -> None:
    if found.authentication != X509_CA:
        raise InputError(
            f"{found.device_id} is registered on {hub.target.hub} with the authentication {found.authentication!r}: "
            "a certificate of this CA would not let it in.",
            things_to_try=[
                f"delete that identity, then run this again: invoke device-delete --imei {found.device_id}",
                "use another id",
            ],
        )


def record_registration(session: Session, own: DeviceFiles, hub_host: str | None) -> None:
    record = Record.read(own.record)
    if record and record.registered_on != hub_host:
        session.workspace.write(own.record, replace(record, registered_on=hub_host).to_json())


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
