"""From the configuration to an open hub: which one, how to trust it, who signs in. The lab is started where needed."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thingmint.errors import InputError, ThingmintError
from thingmint.session import Session
from thingmint.target import Target

if TYPE_CHECKING:
    from thingmint.hub.certificates import HubCertificates
    from thingmint.hub.credentials import Credential
    from thingmint.hub.enrollments import Enrollments
    from thingmint.hub.identity import Registry
    from thingmint.hub.provisioning import ProvisioningCertificates
    from thingmint.hub.resources import Resources
    from thingmint.lab.control import RunningLab

ARM = "https://management.azure.com"
ANSWER_SECONDS = {"azure": 60.0, "lab": 15.0}
"""How long a device waits in all for its hub, or the provisioning service."""


@dataclass(frozen=True)
class Hub:
    """An open hub: its CA certificates and its device registry; and the provisioning service that devices come in by.

    `lab` is None on Azure.
    """

    target: Target
    certificates: "HubCertificates"
    registry: "Registry"
    resources: "Resources"
    provisioning: "ProvisioningCertificates"
    enrollments: "Enrollments"
    lab: "RunningLab | None"


def announce(session: Session, *, signed_in_as: str = "") -> None:
    """The first line on stderr of every task."""
    azure = session.settings.azure
    if session.settings.target == "lab":
        session.console.announce(f"lab ({session.workspace.lab})")
        return
    who = f" · signed in as {signed_in_as}" if signed_in_as else ""
    session.console.announce(f"Azure · {azure.subscription_id} · {azure.hub}{who}")


def dry(session: Session, deed: str, where: str | None = None) -> bool:
    """With --dry: say that the task would do `deed` there, or on the hub, and return True. The network is left alone."""
    if session.dry:
        announce(session)
        session.console.say(f"would {deed} on {where or session.settings.azure.hub}")
    return session.dry


def require_sign_in(session: Session, task: str) -> None:
    """Raises InputError where a connection string is all there is, in the lab too: it opens the hub's registry alone."""
    if session.settings.azure.auth == "connection-string":
        raise InputError(
            f"{task} needs a sign-in: azure.auth is connection-string, which is for the hub's registry alone.",
            things_to_try=["set azure.auth to identity, or THINGMINT_AZURE_AUTH=identity; on Azure, run `az login`"],
        )


def open_hub(session: Session) -> Hub:
    """Announce the target, start the lab where it is the target, sign in. Never called with --dry.

    Raises HubError where the sign-in fails, InputError where the lab is down and may not be started.
    """
    from thingmint.hub.certificates import HubCertificates
    from thingmint.hub.enrollments import Enrollments
    from thingmint.hub.provisioning import ProvisioningCertificates
    from thingmint.hub.registry import open_registry
    from thingmint.hub.resources import Resources

    target, credential, lab = sign_in(session)
    return Hub(
        target,
        HubCertificates(target, credential),
        open_registry(target, credential),
        Resources(target, credential),
        ProvisioningCertificates(target, credential),
        Enrollments(target, credential),
        lab,
    )


def sign_in(session: Session) -> "tuple[Target, Credential, RunningLab | None]":
    """As `open_hub` does, without asking whether there is a hub."""
    from thingmint.hub.credentials import open_credential, signed_in_as
    from thingmint.hub.identity import read_connection_string

    lab = None
    if session.settings.target == "lab":
        announce(session)
        lab = open_lab(session)
        target = lab.target(session.settings)
        credential = open_credential(target)
    else:
        target = azure_target(session)
        credential = open_credential(target)
        try:
            name = (
                f"the policy {read_connection_string(target).policy}"
                if target.connection_string
                else signed_in_as(credential, target=target)
            )
        except ThingmintError:
            announce(session)  # also where nobody is signed in, the target is named first
            raise
        announce(session, signed_in_as=name)
    return target, credential, lab


def azure_target(session: Session) -> Target:
    """Azure's public endpoints for the configured hub. Raises InputError in a shell whose proxy is the lab's."""
    from thingmint.lab import environment

    if (folder := environment.folder_of(os.environ)) is not None:
        raise InputError(
            f"this shell is set up for the lab in {folder}: nothing in it reaches Azure.",
            things_to_try=[f"put it back: {environment.at_hand(os.environ).used(' --undo')}", "use another terminal"],
        )
    azure = session.settings.azure
    connection_string = None
    if azure.auth == "connection-string":
        connection_string = os.environ.get(azure.connection_string_variable)
        if not connection_string:
            raise InputError(
                f"azure.auth is connection-string, but {azure.connection_string_variable} is not set.",
                things_to_try=[
                    f"set it: az iot hub connection-string show --hub-name {azure.hub}",
                    "or set azure.auth to identity, and run `az login`",
                ],
            )
    return Target(
        kind="azure",
        subscription_id=azure.subscription_id,
        resource_group=azure.resource_group,
        hub=azure.hub,
        hub_host=session.settings.hub_host,
        arm_url=ARM,
        registry_host=session.settings.hub_host,
        provisioning_service=azure.provisioning_service,
        provisioning_host=f"{azure.provisioning_service}.azure-devices-provisioning.net",
        tenant_id=azure.tenant_id,
        connection_string=connection_string,
    )


def open_lab(session: Session) -> "RunningLab":
    """The workspace's lab, started where it may be. Raises InputError where it may not."""
    from thingmint.lab import control

    lab = control.found(session)
    if lab is None:
        _may_start(session)
        session.workspace.prepare()
        lab = control.start(session)
        session.console.say(f"watch it: {lab.page}")
    if lab.chaos:
        session.console.say(f"the lab misbehaves on purpose (--chaos {lab.chaos}): its log names each fault")
    return lab


def _may_start(session: Session) -> None:
    if not session.settings.lab.autostart:
        raise InputError(
            f"no lab is running in {session.workspace.lab}, and lab.autostart is off.",
            things_to_try=["start it: invoke lab-up"],
        )
    session.console.say("starting the lab (it ends by itself when idle; `invoke lab-down` ends it now)")
