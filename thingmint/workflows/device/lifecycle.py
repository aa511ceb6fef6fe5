"""device-revoke, expiring and ca-check: what becomes of certificates after they were made."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.audit.finding import summed_up
from thingmint.pki.authority import family
from thingmint.pki.bundle import joining
from thingmint.pki.device import identity
from thingmint.pki.device.record import DeviceFiles
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.pki.signing import revocation, transaction
from thingmint.pki.store.database import Database
from thingmint.session import Session
from thingmint.workflows import consent, options, targets
from thingmint.workflows.device import devices
from thingmint.workflows.hub import entrance, registration

if TYPE_CHECKING:
    from thingmint.workflows.targets import Hub

REASONS = ("unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation")
"""The reasons of RFC 5280 5.3.1 that fit a device, as openssl spells them."""


def device_revoke(session: Session, *, imei: str | None, reason: str | None, yes: bool = False) -> None:
    """Lock a device out, where it comes in before where it is: blocked on the provisioning service, its identity disabled
    on the hub, since neither checks a CRL; then the index says revoked. Raises HubError at the end where it is not blocked.
    """
    chosen = DeviceId.parse(imei)
    why = reason or "unspecified"
    if why not in REASONS:
        raise InputError(f"--reason {why!r} is no reason to revoke.", things_to_try=REASONS)
    own = DeviceFiles.of(session.workspace, chosen)
    with bench.locked(session) as locked:
        devices.bring_back(locked, chosen)
    if not session.workspace.exists(own.certificate):
        raise InputError(
            f"{chosen} has no certificate here: {own.certificate} is missing.",
            things_to_try=[f"to lock it out of the hub alone: invoke device-delete --imei {chosen}"],
        )
    signer = identity.signer_of(session.workspace, chosen, None)
    known = late = None
    service = session.settings.azure.provisioning_service
    if not targets.dry(session, f"block {chosen} on {service} and disable its identity"):
        _unlock(session, signer, own)  # before anything changes: without the key there is no revocation
        hub = targets.open_hub(session)
        known = entrance.standing(session, hub, chosen)
        shut = f"disable it on {hub.target.hub}"
        if known.ways:
            shut = f"block it on {service}, {shut}"
        consent.ask(session, f"revoke the certificate of {chosen}, {shut}", yes=yes)
        late = _lock_out(session, hub, chosen, inspect.read_certificate(own.certificate), known)
    with bench.locked(session) as locked:
        transaction.recover(locked, signer)
        revoked, listed = _done(session, signer, own)
        if revoked:
            session.console.say(f"unchanged: {own.certificate} is revoked already")
        else:
            transaction.revoke(locked, signer, own.certificate, reason=why)
            session.console.say(f"{'would be revoked' if session.dry else 'revoked'}: {own.certificate} ({why})")
        if not listed:
            _tell_crl(session, revocation.make_crl(locked, signer))
    if known is None:
        return
    session.console.say(
        f"  what stays: its files{', and its identity, which stays disabled' if known.identity else ''}"
    )
    again = registration.let_in(
        session,
        chosen,
        by_service=known.by_service,
        blocked=known.ways is not None,
        disabled=known.identity is not None,
    )
    session.console.next_step(f"to let it in again: {again}")
    if late is not None:
        raise HubError(
            f"{chosen} is revoked, but not blocked on {service}: {late.message}",
            detail=late.detail,
            things_to_try=["run the same line again: what is done stays done", *late.things_to_try],
            status=late.status,
            code=late.code,
        )


def _lock_out(
    session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, known: entrance.Standing
) -> HubError | None:
    """At the provisioning service first, through which it would come back; and on the hub, whatever became of the first.

    Returns why it could not be blocked.
    """
    from thingmint.hub.transport import anew

    late = known.untold
    if known.ways is not None:
        try:
            entrance.block(session, hub, chosen, certificate, known.ways)
        except HubError as refusal:
            late = refusal
    anew(lambda: _disable(session, hub, chosen))
    return late


def _done(session: Session, signer: Signer, own: DeviceFiles) -> tuple[bool, bool]:
    """Whether an earlier run has revoked it, and whether the revocation list names it: a cut may come between the two."""
    if session.workspace.only_planned(own.certificate):
        return False, False
    serial = inspect.read_certificate(own.certificate).serial
    revoked = Database(signer).status(serial) == "R"
    return revoked, revoked and revocation.lists(signer, serial)


def _disable(session: Session, hub: "Hub", chosen: DeviceId) -> None:
    found = registration.known(session, hub, chosen)
    if found is None:
        session.console.say(f"unchanged: {chosen} has no identity on {hub.target.hub}")
    elif found.status == "disabled":
        session.console.say(f"unchanged: {chosen} is disabled on {hub.target.hub} already")
    else:
        hub.registry.disable(chosen.text, etag=found.etag)
        session.console.say(f"disabled: {chosen} on {hub.target.hub}")


def _unlock(session: Session, signer: Signer, own: DeviceFiles) -> None:
    """Ask for what the authority's key needs, unless all that it does is done already."""
    signer.able_to_sign()
    with bench.locked(session) as locked:
        transaction.recover(locked, signer)
        if not all(_done(session, signer, own)):
            access.unlock(session, signer)


def crl(session: Session, *, ca: str | None = None) -> None:
    """An authority's revocation list, for servers that check one (IoT Hub does not)."""
    targets.announce(session)
    signer = family.require(session.workspace, options.authority(ca, family.DEFAULT))
    with bench.locked(session) as locked:
        made = revocation.make_crl(locked, signer)
    _tell_crl(session, made)


def _tell_crl(session: Session, made: revocation.Crl | None) -> None:
    if made:
        proofs = f" and {made.proofs} used proof(s) of possession" if made.proofs else ""
        session.console.say(
            f"made: {made.path}, {made.revoked} revoked certificate(s){proofs}, good until {made.next_update:%Y-%m-%d}"
        )


@dataclass(frozen=True)
class Expiry:
    """One certificate of this workspace and when it ends."""

    kind: str  # authority or device
    name: str
    not_after: datetime
    days: int  # until then; negative: it is over
    outlives: str  # the authority that ends earlier, or empty


def expiring(session: Session, *, within: str | None, as_json: bool = False) -> None:
    """What ends within N days, the soonest first. Raises CheckError (exit 4) if anything does."""
    targets.announce(session)
    limit = _days(within or "90d")
    found = [one for one in _all(session) if one.days <= limit or one.outlives]
    found.sort(key=lambda one: one.not_after)
    if as_json:
        session.console.result_json(
            [
                {
                    "kind": one.kind,
                    "name": one.name,
                    "notAfter": one.not_after.isoformat(),
                    "days": one.days,
                    "outlives": one.outlives or None,
                }
                for one in found
            ]
        )
    elif found:
        session.console.table(("kind", "name", "expires"), [(one.kind, one.name, _sentence(one)) for one in found])
    if found:
        raise CheckError(
            f"{len(found)} certificate(s) end within {limit} days, or outlive their authority.",
            things_to_try=["a device: invoke device --imei ID --renew", "an authority ends with all that it issued"],
        )
    session.console.say(f"nothing ends within {limit} days")


def _all(session: Session) -> list[Expiry]:
    workspace = session.workspace
    made = [one for one in family.everybody(workspace) if one.certificate.exists()]
    held = [inspect.read_certificate(one.certificate) for one in made]
    found = [_expiry("authority", one.name, own, held) for one, own in zip(made, held, strict=True)]
    return found + [
        _expiry("device", path.stem, inspect.read_certificate(path), held) for path in identity.certificates(workspace)
    ]


def _expiry(kind: str, name: str, certificate: Certificate, authorities: Sequence[Certificate]) -> Expiry:
    days = (certificate.not_after - datetime.now(UTC)).days
    issuer = next((one for one in authorities if certificate.issued_by(one)), None)
    outlives = issuer.common_name if issuer and certificate.not_after > issuer.not_after else ""
    return Expiry(kind, name, certificate.not_after, days, outlives)


def _sentence(one: Expiry) -> str:
    when = f"{one.not_after:%Y-%m-%d}"
    text = f"expired {-one.days} days ago ({when})" if one.days < 0 else f"expires in {one.days} days ({when})"
    return f"{text}, later than its authority {one.outlives!r}" if one.outlives else text


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}d?", text, re.ASCII):
        raise InputError(f"--within {text!r} is no number of days.", things_to_try=["e.g. --within 90d"])
    return int(text.removesuffix("d"))


def ca_check(session: Session) -> None:
    """Prove every invariant of ca/ and devices/, change nothing. Raises CheckError (exit 4) naming what is broken."""
    targets.announce(session)
    if not family.found(session.workspace) and not joining.staging(session.workspace).exists():
        _nothing_there(session)
        return
    with session.workspace.locked("ca"):  # not `bench.locked`, which makes folders and closes them to others
        report = audit.audit(session.workspace)
    session.console.say(
        f"looked at {report.authorities} authorities, {report.certificates} issued certificates, {report.devices} devices"
    )
    for note in report.unchecked:
        session.console.say(f"not checked: {note}")
    for name in report.locked_out:
        session.console.say(f"locked out: {name}")
    if report.findings:
        rows = [
            (str(one.where), one.what, "the next run" if one.by_itself else "you", one.cure)
            for one in summed_up(report.findings)
        ]
        session.console.table(("where", "what", "mended by", "cure"), rows)
        alone = sum(one.by_itself for one in report.findings)
        raise CheckError(
            f"{len(report.findings)} of the checks did not hold; nothing was changed. "
            f"The next run that signs mends {alone} by itself, {len(report.findings) - alone} need you."
        )
    session.console.say("all is well: index, ledger, files, keys, chains and serials tell one story")


def _nothing_there(session: Session) -> None:
    """Raises InputError, unless with --dry an earlier task of this line would have made something."""
    workspace = session.workspace
    if any(map(workspace.only_planned, (workspace.ca, family.root(workspace).certificate))):
        session.console.say("nothing is made yet, and nothing was looked at")
        return
    make = "make them: invoke rootca subca"
    if not workspace.root.is_dir():
        raise InputError(
            f"the workspace {workspace.root} does not exist.",
            things_to_try=["name another folder in THINGMINT_WORKSPACE", make],
        )
    if identity.certificates(workspace):
        make = f"{workspace.devices} holds certificates: bring {workspace.ca} back from a backup"
    raise InputError(f"there is no authority in {workspace.ca}.", things_to_try=[make])
