"""The provisioning service as a device's way in: its id scope, whether it would let one in, and how one is kept out."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, InputError, UntrustedError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.device.record import DeviceFiles
from thingmint.pki.inspect import Certificate
from thingmint.session import Session
from thingmint.target import PROVISIONING_DEVICES
from thingmint.workflows import targets
from thingmint.workflows.hub import registration

if TYPE_CHECKING:
    from thingmint.device.registration import Assignment
    from thingmint.hub.account import ServiceResource
    from thingmint.hub.enrollments import EnrollmentGroup, IndividualEnrollment, RegistrationState
    from thingmint.hub.identity import Identity
    from thingmint.workflows.targets import Hub


def id_scope(session: Session, hub: "Hub | None" = None) -> str:
    """The configuration's, else what the provisioning service itself says. Raises InputError where neither is to be had."""
    if scope := session.settings.azure.id_scope:
        return scope
    if session.dry:
        service = session.settings.azure.provisioning_service
        raise InputError(
            "azure.id_scope is not set, and with --dry the provisioning service is not asked for it.",
            things_to_try=[
                f"az iot dps show --name {service} --query properties.idScope prints it",
                "set azure.id_scope in the configuration, or THINGMINT_AZURE_ID_SCOPE",
            ],
        )
    return require_service(hub or targets.open_hub(session)).id_scope


def require_service(hub: "Hub") -> "ServiceResource":
    """Raises InputError where there is no such provisioning service."""
    found = hub.resources.service()
    if found is None:
        raise InputError(
            f"there is no provisioning service {hub.target.provisioning_service!r} in {hub.target.resource_group!r}.",
            things_to_try=[
                "make it, linked to the hub: invoke hub-create",
                "check azure.provisioning_service: invoke config",
            ],
        )
    return found


_TURNS = 4  # how often a device registers where another registration of it comes between


@dataclass(frozen=True)
class Ways:
    """How one device comes in: the groups of an authority above it, an enrollment of its own, and what it has done."""

    groups: tuple["EnrollmentGroup", ...]
    own: "IndividualEnrollment | None"
    registration: "RegistrationState | None"

    @property
    def blocked(self) -> bool:
        return self.own is not None and self.own.status == "disabled"

    @property
    def open(self) -> bool:
        """Whether it came in, or would, unless it is blocked."""
        return bool(self.groups or self.own or self.registration)


@dataclass(frozen=True)
class Standing:
    """Where a device is known: its identity on the hub, and its ways in; None where there are none, or it was not told.

    `untold` is why not, where that may be told another time.
    """

    identity: "Identity | None"
    ways: Ways | None
    untold: HubError | None = None

    @property
    def by_service(self) -> bool:
        """Whether the provisioning service brings it to the hub: it did, or nobody did yet and that would."""
        if self.identity is not None:
            return self.identity.authentication == registration.THUMBPRINT
        return self.ways is not None and self.ways.open

    @property
    def disabled(self) -> bool:
        return self.identity is not None and self.identity.status == "disabled"

    def let_in(self, session: Session, chosen: DeviceId) -> str:
        """The line that lets it in again; nothing where nothing keeps it out."""
        blocked = self.ways is not None and self.ways.blocked
        return registration.let_in(session, chosen, by_service=self.by_service, blocked=blocked, disabled=self.disabled)


def standing(session: Session, hub: "Hub", chosen: DeviceId) -> Standing:
    """For tasks of the hub, whose user may have no say in a provisioning service: that is told, and no error."""
    own = DeviceFiles.of(session.workspace, chosen).certificate
    above = family.above(session.workspace, inspect.read_certificate(own)) if own.exists() else ()
    identity = registration.known(session, hub, chosen)
    unknown = f"whether {chosen} comes in through {hub.target.provisioning_service}, too, was not told"
    if hub.target.connection_string:
        session.console.warn(f"{unknown}: a connection string is for the hub alone.")
        return Standing(identity, None)
    try:
        return Standing(identity, ways(hub, chosen, above))
    except HubError as refusal:
        session.console.warn(f"{unknown}: {refusal.message}")
        return Standing(identity, None, None if refusal.status in {401, 403} else refusal)


def ways(hub: "Hub", chosen: DeviceId, above: Sequence[Certificate]) -> Ways | None:
    """`above` are the device's authorities. None where there is no provisioning service."""
    if hub.resources.service() is None:
        return None
    thumbprints = {one.thumbprint for one in above}
    names = {one.name.casefold() for one in hub.provisioning.list() if one.thumbprint in thumbprints}
    return Ways(
        tuple(one for one in hub.enrollments.groups() if one.certificate.casefold() in names),
        hub.enrollments.individual(chosen.text),
        hub.enrollments.registration(chosen.text),
    )


def block(session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, found: Ways) -> None:
    """Keep it out of the provisioning service, also where nothing would let it in today: a group may be made tomorrow.

    The service asks no revocation list. A disabled enrollment of the device's own counts before every group.
    """
    service = hub.target.provisioning_service
    if found.blocked:
        session.console.say(f"unchanged: {chosen} is blocked on {service} already")
    else:
        hub.enrollments.block(chosen.text, certificate.pem)
        session.console.say(f"blocked: {chosen} on {service}, by a disabled enrollment of its own")


def warn_of_return(session: Session, hub: "Hub", chosen: DeviceId, found: Ways | None) -> bool:
    """Where a device whose identity was deleted comes back at its next registration, say so, and how to keep it out."""
    if found is None or not found.open or found.blocked:
        return False
    session.console.warn(
        f"it comes in through {hub.target.provisioning_service}, and is back at its next registration. "
        f"To keep it out: invoke device-revoke --imei {chosen}"
    )
    return True


def come_in(
    session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, *, websockets: bool = False
) -> None:
    """Register as the device, and be assigned to the configuration's hub. Raises HubError with the reason, CheckError."""
    from thingmint.device import comeback
    from thingmint.device.registration import register

    own = DeviceFiles.of(session.workspace, chosen)
    scope = id_scope(session, hub)
    session.console.say(f"registering {chosen} at {PROVISIONING_DEVICES} (id scope {scope}) with {own.chain.name}")

    def speak(seconds: float) -> "Assignment":
        return register(
            hub.target,
            scope,
            chosen.text,
            certificate_chain=own.chain,
            key=own.key,
            timeout=seconds,
            websockets=websockets,
        )

    for turn in range(1, _TURNS + 1):
        try:
            assigned = comeback.until_through(speak, targets.ANSWER_SECONDS[hub.target.kind], session.console.say)
            break
        except HubError as refusal:
            # Whoever registers the same device meanwhile makes the service forget the operation that is asked for.
            if refusal.status != 404 or turn == _TURNS:
                raise _explained(session, hub, chosen, certificate, scope, refusal) from None
            session.console.say("another registration of it may have replaced this one: it registers again")
            time.sleep(random.uniform(0, turn))  # noqa: S311 - apart from the other, no secret
    session.console.say(f"assigned: {chosen} to {assigned.hub_host}")
    _require_ours(hub, chosen, assigned)
    with bench.locked(session):
        registration.record(session, own, hub.target.hub_host, by_service=True)


def _require_ours(hub: "Hub", chosen: DeviceId, assigned: "Assignment") -> None:
    """What follows speaks to the configuration's hub, with a certificate whose CN is the id as it was typed."""
    if assigned.hub_host.casefold() != hub.target.hub_host.casefold():
        raise CheckError(
            f"{chosen} was assigned to {assigned.hub_host}, and the configuration names {hub.target.hub_host}.",
            things_to_try=[
                "name that hub in azure.hub",
                "or have the group assign yours: invoke enroll --replace",
            ],
        )
    if assigned.device_id != chosen.text:
        raise CheckError(
            f"{chosen} was registered as {assigned.device_id!r}: the hub would refuse a certificate whose CN is another.",
            things_to_try=[f"make one whose CN is that: invoke device --imei {assigned.device_id} --no-register"],
        )


def _explained(
    session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, scope: str, refusal: HubError
) -> HubError:
    """The refusal with its reason: a device is told next to nothing, but the service tells who may ask it."""
    if isinstance(refusal, UntrustedError):  # it was the device that refused
        return refusal
    try:
        reason = _reason(session, hub, chosen, certificate, scope, refusal)
    except HubError:
        return refusal
    if reason is None:
        return refusal
    why, things = reason
    return HubError(
        f"{refusal.message} {why}",
        detail=refusal.detail,
        things_to_try=[*things, *(one for one in refusal.things_to_try if "lab.log" in one)],
        status=refusal.status,
        code=refusal.code,
    )


def _reason(
    session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, scope: str, refusal: HubError
) -> tuple[str, list[str]] | None:
    service = hub.target.provisioning_service
    described = hub.resources.service()
    found = ways(hub, chosen, family.above(session.workspace, certificate))
    issuer = family.issuer_of(session.workspace, certificate)
    ca = family.option(issuer.name) if issuer else ""
    if described is None or found is None:
        return f"There is no provisioning service {service}.", ["make it: invoke hub-create"]
    if described.id_scope != scope:
        things = [f"set azure.id_scope to {described.id_scope}, or to null: it is asked for then"]
        return f"The id scope of {service} is {described.id_scope}, not {scope}.", things
    if found.blocked:
        known = Standing(hub.registry.get(chosen.text), found)
        things = [f"let it in again: {known.let_in(session, chosen)}"]
        return f"A disabled enrollment of its own blocks it on {service}.", things
    if not found.own and not found.groups:
        return f"No enrollment group of {service} has its CA.", [
            f"enroll the CA: invoke enroll{ca}",
            "see what there is: invoke enrollments",
        ]
    if not found.own and all(one.status == "disabled" for one in found.groups):
        group = found.groups[0].group_id
        return f"The enrollment group {group} is disabled.", [
            f"make it anew: invoke enrollment-delete --group {group} enroll{ca} --group {group}"
        ]
    verified = {one.name.casefold() for one in hub.provisioning.list() if one.verified}
    if found.groups and not any(one.certificate.casefold() in verified for one in found.groups):
        return f"Its CA is not verified on {service}.", [f"prove possession of its key: invoke enroll{ca}"]
    if found.groups and not any(
        described.is_linked(host) for one in found.groups for host in one.hubs or described.hubs
    ):
        return f"The hub of its enrollment group is not linked to {service}.", ["link it: invoke hub-create"]
    if refusal.status == 404 and found.registration:
        return "Another registration of it replaced this one.", ["run the same command again, once the other is done"]
    if found.registration and found.registration.error:
        return f"{service} says: {found.registration.error}", []
    return None
