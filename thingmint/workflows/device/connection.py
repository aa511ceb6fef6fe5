"""connect: speak as the device, then prove by the hub's own word that it heard."""

import hashlib
import json
import random
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki.device import identity
from thingmint.pki.device.record import DeviceFiles
from thingmint.pki.inspect import Certificate
from thingmint.session import Session
from thingmint.workflows import targets
from thingmint.workflows.device import anchors
from thingmint.workflows.hub import entrance, registration

if TYPE_CHECKING:
    from thingmint.workflows.targets import Hub

# Azure writes lastActivityTime with some delay; the lab at once.
PROOF_SECONDS = {"azure": 120.0, "lab": 15.0}


def connect(session: Session, *, imei: str | None, dps: bool = False, websockets: bool = False) -> str:
    """Send one telemetry message as the device; returns its body. Raises CheckError unless the hub heard it.

    `dps`: it registers at the provisioning service first, so that nobody has to have registered it on the hub.
    """
    chosen = DeviceId.parse(imei)
    options = " --websockets" if websockets else ""
    first = "register at the provisioning service, " if dps else ""
    port = "websockets (port 443)" if websockets else "MQTT (port 8883)"
    if targets.dry(session, f"{first}connect as {chosen} over {port}, send telemetry and read the registry"):
        return ""
    certificate = identity.check(session.workspace, identity.signer_of(session.workspace, chosen, None), chosen)
    _require_key_here(DeviceFiles.of(session.workspace, chosen), chosen)
    hub = targets.open_hub(session)
    if dps:
        entrance.come_in(session, hub, chosen, certificate, websockets=websockets)
        shown = DeviceFiles.of(session.workspace, chosen).chain  # which fits every anchor
    else:
        shown = _presented(session, hub, chosen, certificate, options)
    body = json.dumps({"temperature": round(random.uniform(20, 30), 1), "timestamp": int(time.time())})  # noqa: S311

    def speak() -> str:
        try:
            _send(session, hub, chosen, shown, body, websockets=websockets, dps=dps)
        except HubError as refusal:
            raise _explained(session, hub, chosen, certificate, refusal, options) from None
        return body

    session.console.result(heard(session, hub, chosen, speak))
    return body


def heard(session: Session, hub: "Hub", chosen: DeviceId, speak: Callable[[], str]) -> str:
    """`speak` as the device, and return what it said once the hub has told that it heard. Raises CheckError if it did not."""
    proven = expecting(session, hub, chosen)
    body = speak()
    proven(body)
    return body


def expecting(session: Session, hub: "Hub", chosen: DeviceId) -> Callable[[str], None]:
    """To be called with what the device will have said. Raises CheckError then if the hub did not hear it."""
    heard_before = _last_heard(hub, chosen)
    # The hub's clock, not ours: this machine's may be off. Its Date header has whole seconds.
    started = hub.registry.server_time().replace(microsecond=0)
    return lambda body: _prove(session, hub, chosen, body, heard_before, started)


def _prove(session: Session, hub: "Hub", chosen: DeviceId, body: str, heard_before: int, started: datetime) -> None:
    moment = _require_heard(session, hub, chosen, since=started)
    if hub.lab:
        stored = [one.body for one in hub.lab.telemetry(chosen.text, after=heard_before)]
        if body not in stored:
            raise CheckError(
                f"{hub.target.hub} saw {chosen}, but did not store what it sent: {body}",
                things_to_try=[f"read the lab's log: {session.workspace.lab / 'lab.log'}"],
            )
    session.console.say(f"heard: {hub.target.hub} last saw {chosen} at {moment:%Y-%m-%d %H:%M:%S} UTC")


def _presented(session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, options: str) -> Path:
    """What fits the hub's anchor; or, where the provisioning service has registered the device by that, its certificate."""
    found = registration.known(session, hub, chosen)
    if found is None:
        raise InputError(
            f"{chosen} has no identity on {hub.target.hub}: the hub would refuse it.",
            things_to_try=[
                f"register it: invoke device --imei {chosen}",
                f"or have the provisioning service do so, where its CA is enrolled: invoke connect --imei {chosen} --dps{options}",
            ],
        )
    if found.authentication == registration.THUMBPRINT:
        return DeviceFiles.of(session.workspace, chosen).certificate
    return anchors.presented(session, hub, chosen, certificate)


def _explained(
    session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate, refusal: HubError, options: str
) -> HubError:
    """The refusal with its reason, where the registry shows one: a device is told none."""
    if refusal.status != 401:
        return refusal
    try:
        known = entrance.standing(session, hub, chosen)
    except HubError:
        return refusal
    found = known.identity
    if found is None:
        return refusal
    if found.status != "enabled":
        why = f"{chosen} is {found.status} on {hub.target.hub}."
        things = [f"let it in again: {known.let_in(session, chosen)}"]
    elif found.authentication == registration.THUMBPRINT and not set(found.thumbprints) & _thumbprints(certificate):
        why = "The hub knows another certificate of it: a new one counts once it came in with that."
        things = [f"invoke connect --imei {chosen} --dps{options}"]
    else:
        return refusal
    return HubError(f"{refusal.message} {why}", detail=refusal.detail, things_to_try=things, status=refusal.status)


def _thumbprints(certificate: Certificate) -> set[str]:
    """In both forms that a hub takes."""
    der = ssl.PEM_cert_to_DER_cert(certificate.pem.decode("ascii"))
    return {certificate.thumbprint, hashlib.sha256(der).hexdigest().upper()}


def _require_key_here(own: DeviceFiles, chosen: DeviceId) -> None:
    if own.key_in_modem:
        raise InputError(
            f"the private key of {chosen} is in its modem: this machine cannot speak as it.",
            things_to_try=[
                f"load the server roots, too, and let the device connect itself: invoke provision --imei {chosen} --port P",
                "to prove authority and hub without it: invoke device --imei ID connect --imei ID, with another id",
            ],
        )


def _send(
    session: Session, hub: "Hub", chosen: DeviceId, shown: Path, body: str, *, websockets: bool, dps: bool
) -> None:
    from thingmint.device import comeback, telemetry

    own = DeviceFiles.of(session.workspace, chosen)
    port = "443 (websockets)" if websockets else "8883"
    session.console.say(f"connecting as {chosen} to {hub.target.hub_host}:{port} with {shown.name}")

    def speak(seconds: float) -> None:
        telemetry.send_telemetry(
            hub.target,
            chosen.text,
            certificate_chain=shown,
            key=own.key,
            body=body,
            timeout=seconds,
            websockets=websockets,
            dps=dps,
        )

    comeback.until_through(speak, targets.ANSWER_SECONDS[hub.target.kind], session.console.say)


def _last_heard(hub: "Hub", chosen: DeviceId) -> int:
    stored = hub.lab.telemetry(chosen.text, newest=True) if hub.lab else []
    return stored[-1].sequence if stored else 0


def _require_heard(session: Session, hub: "Hub", chosen: DeviceId, *, since: datetime) -> datetime:
    """Poll the registry until its lastActivityTime is of this run."""
    started = time.monotonic()
    told = False
    while True:
        found = hub.registry.get(chosen.text)
        if found and found.last_activity and found.last_activity >= since:
            return found.last_activity
        waited = time.monotonic() - started
        if waited > PROOF_SECONDS[hub.target.kind]:
            last = found.last_activity if found else None
            raise CheckError(
                f"{chosen} sent its message and the hub acknowledged it, but the registry does not show it: "
                f"lastActivityTime is {last.astimezone(UTC).isoformat() if last else 'never'}, "
                f"this run began at {since.isoformat()}.",
                things_to_try=["run this again in some minutes", "invoke devices shows the registry's view"],
            )
        if waited > 5 and not told:
            told = True
            session.console.say("waiting for the registry to show it (Azure may take a minute or two)")
        time.sleep(0.2 if hub.lab else 2)
