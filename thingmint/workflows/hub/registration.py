"""A device's identity on the hub: registered, kept in step with its record, and told where the hub shuts it out."""

from dataclasses import replace
from typing import TYPE_CHECKING

from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki.device import identity
from thingmint.pki.device.record import KEYGEN, DeviceFiles, Record
from thingmint.session import Session
from thingmint.workflows import targets

if TYPE_CHECKING:
    from thingmint.hub.identity import Identity
    from thingmint.workflows.targets import Hub

X509_CA, THUMBPRINT = "certificateAuthority", "selfSigned"


def open_hub(session: Session, chosen: DeviceId, *, wanted: bool) -> "Hub | None":
    """The hub on which `chosen` is to be registered; None where that is not wanted, or with --dry."""
    if not wanted:
        targets.announce(session)
    elif not targets.dry(session, f"register {chosen} as {X509_CA}"):
        return targets.open_hub(session)
    return None


def let_in(session: Session, chosen: DeviceId, *, by_service: bool, blocked: bool, disabled: bool) -> str:
    """The one line that lets a device in again; nothing where nothing keeps it out.

    `by_service`: it comes in through the provisioning service; `blocked` there, `disabled` on the hub.
    """
    renewed_by = DeviceFiles.of(session.workspace, chosen).renewed_by
    revoked = identity.revoked(session.workspace, chosen)
    if not (blocked or disabled or revoked):
        return ""
    words = [f"enrollment-delete --imei {chosen} --yes"] if blocked else []
    if disabled:
        words.append(f"device-delete --imei {chosen} --yes")
    makes = renewed_by.removeprefix("invoke ") if revoked else f"device --imei {chosen}"
    if not by_service:
        words += [makes] if disabled or revoked else []
        return f"invoke {' '.join(words)}"
    if revoked:
        words.append(f"{makes} --no-register")
    if KEYGEN not in renewed_by:
        words.append(f"connect --imei {chosen} --dps")
    return f"invoke {' '.join(words)}"


def known(session: Session, hub: "Hub", chosen: DeviceId) -> "Identity | None":
    """Its identity on the hub; looked for again where this workspace knows that it was registered."""
    from thingmint.hub.transport import seen

    mine = Record.read(DeviceFiles.of(session.workspace, chosen).record)
    there = mine is not None and mine.registered_on == hub.target.hub_host
    return seen(lambda: hub.registry.get(chosen.text), looks=5 if there else 1)


def register(session: Session, hub: "Hub", chosen: DeviceId, *, renew: bool = False) -> bool:
    """Whether the hub lets it in: an identity that somebody disabled stays so."""
    from thingmint.hub.transport import seen

    found = hub.registry.get(chosen.text)
    if found is None:
        try:
            found = hub.registry.create(chosen.text)
            session.console.say(f"registered: {chosen} on {hub.target.hub} ({X509_CA})")
        except HubError as error:
            # Somebody else was faster, or our own earlier try was committed and its answer lost.
            found = seen(lambda: hub.registry.get(chosen.text)) if error.status == 409 else None
            if found is None:
                raise
    else:
        session.console.say(f"unchanged: {chosen} is registered on {hub.target.hub} already")
    require_x509_ca(hub, found, renew=renew)
    if found.status != "enabled":
        session.console.warn(f"{chosen} is {found.status} on {hub.target.hub}, which refuses it")
    return found.status == "enabled"


def require_x509_ca(hub: "Hub", found: "Identity", *, renew: bool = False) -> None:
    if found.authentication == THUMBPRINT:
        chosen = found.device_id
        raise InputError(
            f"{chosen} is registered on {hub.target.hub} by its certificate's thumbprint, as the provisioning "
            "service registers those that come in through it.",
            things_to_try=[
                f"leave that to it: invoke device --imei {chosen}{' --renew' if renew else ''} --no-register",
                f"a new certificate counts once it came in: invoke connect --imei {chosen} --dps",
                f"or register it as any other: invoke device-delete --imei {chosen}, then run this line again",
            ],
        )
    if found.authentication != X509_CA:
        raise InputError(
            f"{found.device_id} is registered on {hub.target.hub} with the authentication {found.authentication!r}: "
            "a certificate of this CA would not let it in.",
            things_to_try=[
                f"delete that identity, then run this again: invoke device-delete --imei {found.device_id}",
                "use another id",
            ],
        )


def record(session: Session, own: DeviceFiles, hub_host: str | None, *, by_service: bool = False) -> None:
    """Write where it is registered, and by whom, into the device's record; None: nowhere any more."""
    found = Record.read(own.record)
    if found and (found.registered_on, found.by_service) != (hub_host, by_service):
        known = replace(found, registered_on=hub_host, by_service=by_service)
        session.workspace.write(own.record, known.to_json())
