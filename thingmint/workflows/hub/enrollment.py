"""enroll, enrollments and enrollment-delete: which devices the provisioning service brings to the hub."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.pki.device import identity
from thingmint.pki.signer import Signer
from thingmint.pki.store.database import Database
from thingmint.session import Session
from thingmint.workflows import consent, options, targets
from thingmint.workflows.hub import entrance, possession

if TYPE_CHECKING:
    from thingmint.hub.enrollments import EnrollmentGroup, IndividualEnrollment, RegistrationState
    from thingmint.workflows.targets import Hub

# https://learn.microsoft.com/rest/api/iot-dps/service/enrollment-group/create-or-update
_GROUP = re.compile(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]", re.ASCII)
_TURNS = 5  # how often somebody else may come first before the error is told


@dataclass(frozen=True)
class _Wish:
    """The group that was asked for, and the line that asked: without --group and --replace."""

    group_id: str
    certificate: str
    hub_host: str
    line: str
    of_group: str
    replace: bool

    def fits(self, group: "EnrollmentGroup") -> bool:
        hubs = {one.casefold() for one in group.hubs}
        ours = not hubs or self.hub_host.casefold() in hubs
        return ours and group.attestation == "x509" and group.certificate.casefold() == self.certificate.casefold()


def enroll(
    session: Session,
    *,
    group: str | None = None,
    ca: str | None = None,
    name: str | None = None,
    replace: bool = False,
) -> None:
    """An authority into the provisioning service, proven, and a group that brings its devices to the hub; once.

    The group is called as the authority is, unless it is named.
    """
    chosen = options.authority(ca, family.DEFAULT)
    wanted = options.certificate_name(session, name, chosen)
    called = _group_id(chosen.text if group is None else group)
    signer = family.require(session.workspace, chosen)
    azure = session.settings.azure
    targets.require_sign_in(session, "enroll")
    if session.dry:
        possession.dry(session, signer, wanted, azure.provisioning_service)
        session.console.say(f"would make the enrollment group {called}, whose devices are assigned to {azure.hub}")
        return
    certificate = possession.checked(session, signer)
    hub = targets.open_hub(session)
    service = entrance.require_service(hub)
    if not service.is_linked(hub.target.hub_host):
        raise InputError(
            f"{hub.target.hub} is not linked to {service.name}: it could assign no device.",
            detail="\n".join(f"linked: {one}" for one in service.hubs) or "no hub is linked",
            things_to_try=[
                "link it: invoke hub-create",
                "check azure.hub and azure.provisioning_service: invoke config",
            ],
        )
    line, named = f"invoke enroll{family.option(chosen.text)}", f" --name {name}" if name else ""
    of_group = f" --group {group}" if group else ""
    wish = _Wish(called, wanted, hub.target.hub_host, line + named, of_group, replace=replace)
    judged = _judged(session, hub, wish)
    place = possession.Place(
        hub.provisioning,
        service.name,
        "provisioning service",
        line + of_group,
        named,
        lambda: [f"the enrollment group {one}" for one in _going_by(hub, wanted)],
    )
    possession.prove(session, place, signer, certificate, wanted, replace=replace)
    made = _put(session, hub, wish, judged)
    _keep_out(session, hub, signer)
    _tell(session, hub, made, certificate.common_name, line + named)
    session.console.say(f"  the id scope, which such devices are built with: {service.id_scope}")
    session.console.result(service.id_scope)
    its = "" if chosen in {family.DEFAULT, family.ROOT} else f" --ca {chosen}"
    session.console.next_step(f"invoke device --imei ID{its} --no-register connect --imei ID --dps")


def _keep_out(session: Session, hub: "Hub", signer: Signer) -> None:
    """Those whose certificate was revoked before there was a service to block them on."""
    revoked = {row.serial: row.common_name for row in Database(signer).revoked()}
    names = set(revoked.values())
    for path in identity.certificates(session.workspace):
        if path.stem in names and (certificate := inspect.read_certificate(path)).serial in revoked:
            chosen = DeviceId.parse(path.stem)
            if found := entrance.ways(hub, chosen, ()):
                entrance.block(session, hub, chosen, certificate, found)


def _judged(session: Session, hub: "Hub", wish: _Wish) -> "EnrollmentGroup | None":
    """What is there under this name: nothing, what is wanted, or what may be rolled. Raises InputError for all else."""
    found = hub.enrollments.group(wish.group_id)
    if found and not wish.fits(found):
        _require_consent(session, hub, found, wish)
    return found


def _put(session: Session, hub: "Hub", wish: _Wish, judged: "EnrollmentGroup | None") -> "EnrollmentGroup":
    """Make or roll what was judged; what somebody wrote meanwhile, while possession was proven, is judged first."""
    service = hub.target.provisioning_service
    turns = _TURNS
    while judged is None or not wish.fits(judged):
        try:
            made = hub.enrollments.put_group(
                wish.group_id, certificate=wish.certificate, hub=wish.hub_host, judged=judged
            )
        except HubError as refusal:
            turns -= 1
            if refusal.status not in {404, 409, 412} or not turns:
                raise
            judged = _judged(session, hub, wish)
        else:
            if judged:
                session.console.say(f"rolled: the group {made.group_id}, which was {_described(judged)}")
            session.console.say(f"enrolled: {wish.certificate}, by the group {made.group_id} on {service}")
            return made
    session.console.say(f"unchanged: the enrollment group {judged.group_id} is on {service} already")
    return judged


def _going_by(hub: "Hub", certificate: str) -> list[str]:
    return [one.group_id for one in hub.enrollments.groups() if one.certificate.casefold() == certificate.casefold()]


def _described(group: "EnrollmentGroup") -> str:
    return f"{group.certificate or group.attestation}, assigned to {', '.join(group.hubs) or 'any linked hub'}"


def _tell(session: Session, hub: "Hub", group: "EnrollmentGroup", common_name: str, line: str) -> None:
    if group.status == "enabled":
        session.console.say(f"  devices of {common_name!r} that register there are assigned to {hub.target.hub_host}")
        return
    session.console.warn(
        f"the group is {group.status}, so its devices are refused. To let them in: "
        f"invoke enrollment-delete --group {group.group_id} {line.removeprefix('invoke ')} --group {group.group_id}"
    )


def _group_id(text: str) -> str:
    if not _GROUP.fullmatch(text):
        raise InputError(
            f"--group {text!r} cannot name an enrollment group.",
            things_to_try=["use letters, digits and . _ : - (1 to 128, ending with a letter, a digit or -)"],
        )
    return text


def _require_consent(session: Session, hub: "Hub", group: "EnrollmentGroup", wish: _Wish) -> None:
    """A group of another authority, or for another hub, is likely a colleague's."""
    service, line = hub.target.provisioning_service, wish.line
    if not wish.replace:
        raise InputError(
            f"the enrollment group {group.group_id} on {service} is another than is asked for.",
            detail=f"there:     {_described(group)}\nasked for: {wish.certificate}, assigned to {wish.hub_host}",
            things_to_try=[
                f"make a group of its own: {line} --group NAME",
                f"roll that group to this CA and hub; the other's devices are then refused: {line}{wish.of_group} --replace",
            ],
        )
    consent.ask(
        session, f"roll the enrollment group {group.group_id} from {group.certificate} to {wish.certificate}", yes=True
    )


def enrollments(session: Session, *, as_json: bool = False) -> None:
    """Groups, single devices' own enrollments, and the devices that registered, with their state."""
    targets.require_sign_in(session, "enrollments")
    if targets.dry(session, "list the enrollments", session.settings.azure.provisioning_service):
        return
    hub = targets.open_hub(session)
    service = entrance.require_service(hub)
    groups, individuals = hub.enrollments.groups(), hub.enrollments.individuals()
    registered = [one for group in groups for one in hub.enrollments.registrations(group.group_id)]
    singles = [hub.enrollments.registration(one.registration_id) for one in individuals]
    known = {one.registration_id for one in registered}
    registered += [one for one in singles if one and one.registration_id not in known]
    if as_json:
        session.console.result_json(_as_json(groups, individuals, registered))
        return
    session.console.table(
        ("kind", "id", "status", "by", "hub", "updated"),
        [
            *(("group", g.group_id, g.status, g.certificate or g.attestation, " ".join(g.hubs), "") for g in groups),
            *(("enrollment", e.registration_id, e.status, e.attestation, "", "") for e in individuals),
            *(("device", r.registration_id, _state(r), r.group_id, r.hub, _time(r)) for r in registered),
        ],
    )
    session.console.say(
        f"{len(groups)} group(s), {len(individuals)} enrollment(s) of single devices, "
        f"{len(registered)} registered device(s) on {service.name} (id scope {service.id_scope})"
    )


def _state(one: "RegistrationState") -> str:
    return f"{one.status}: {one.error}" if one.error else one.status


def _time(one: "RegistrationState") -> str:
    return one.updated.isoformat(timespec="seconds") if one.updated else ""


def _as_json(
    groups: "tuple[EnrollmentGroup, ...]",
    individuals: "tuple[IndividualEnrollment, ...]",
    registered: "list[RegistrationState]",
) -> dict[str, Any]:
    """The service's own field names, where it has one."""
    return {
        "enrollmentGroups": [
            {
                "enrollmentGroupId": one.group_id,
                "provisioningStatus": one.status,
                "attestation": one.attestation,
                "certificate": one.certificate or None,
                "iotHubs": list(one.hubs),
            }
            for one in groups
        ],
        "enrollments": [
            {
                "registrationId": one.registration_id,
                "provisioningStatus": one.status,
                "attestation": one.attestation,
            }
            for one in individuals
        ],
        "registrations": [
            {
                "registrationId": one.registration_id,
                "status": one.status,
                "enrollmentGroupId": one.group_id or None,
                "assignedHub": one.hub or None,
                "deviceId": one.device_id or None,
                "error": one.error or None,
                "lastUpdatedDateTimeUtc": one.updated.isoformat() if one.updated else None,
            }
            for one in registered
        ],
    }


def enrollment_delete(
    session: Session, *, group: str | None = None, imei: str | None = None, yes: bool = False
) -> None:
    """Remove a group, or one device's own enrollment, from the provisioning service; the hub keeps its identities."""
    if group is not None:
        options.require_alone("--group", "one of them is deleted", imei=imei)
    elif imei is None:
        raise InputError(
            "enrollment-delete needs one of --group NAME and --imei ID.", things_to_try=["see them: invoke enrollments"]
        )
    targets.require_sign_in(session, "enrollment-delete")
    what = (
        f"the enrollment group {_group_id(group)}" if group is not None else f"the enrollment of {DeviceId.parse(imei)}"
    )
    service = session.settings.azure.provisioning_service
    if session.dry:
        targets.announce(session)
        session.console.say(f"would delete {what} on {service}")
        return
    hub = targets.open_hub(session)
    entrance.require_service(hub)
    found = hub.enrollments.group(group) if group is not None else hub.enrollments.individual(DeviceId.parse(imei).text)
    if found is None:
        session.console.say(f"unchanged: {what} is not on {service}")
        return
    consent.ask(session, f"delete {what} on {service}", yes=yes)
    if group is not None:
        hub.enrollments.delete_group(group, etag=found.etag)
        session.console.say(f"deleted: {what} on {service}; its devices come in no more")
        session.console.say("  what stays: the CA certificate there, and the devices' identities on the hub")
    else:
        chosen = DeviceId.parse(imei)
        hub.enrollments.delete_individual(chosen.text, etag=found.etag)
        freed = found.status == "disabled"
        session.console.say(f"deleted: {what} on {service}" + ("; it is blocked no more there" if freed else ""))
        _tell_standing(session, hub, chosen)


def _tell_standing(session: Session, hub: "Hub", chosen: DeviceId) -> None:
    """What of a device is left whose own enrollment was deleted."""
    try:
        known = entrance.standing(session, hub, chosen)
    except HubError as refusal:  # it is deleted: what else is there, another may know
        session.console.warn(f"whether it has an identity on {hub.target.hub} was not told: {refusal.message}")
        return
    if known.identity is not None:
        session.console.say(f"  what stays: its identity on {hub.target.hub}, which is {known.identity.status}")
    for one in known.ways.groups if known.ways else ():
        session.console.say(f"  the group {one.group_id}, which its CA is enrolled by, is {one.status}")
    if again := known.let_in(session, chosen):
        session.console.next_step(f"{again} lets it in again")
