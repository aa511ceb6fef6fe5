"""What a device presents: its leaf, or its chain, as the authority that the hub has verified needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint.errors import HubError, InputError
from thingmint.ids import DeviceId
from thingmint.pki.authority import family
from thingmint.pki.device import identity
from thingmint.pki.device.record import DeviceFiles
from thingmint.pki.inspect import Certificate
from thingmint.session import Session

if TYPE_CHECKING:
    from thingmint.workflows.targets import Hub


def presented(session: Session, hub: "Hub", chosen: DeviceId, certificate: Certificate) -> Path:
    """The leaf alone where the hub's anchor is its direct issuer, else the chain; the chain where we may not ask.

    Raises InputError where no authority above the device is verified on the hub: it would hang up without a reason.
    """
    own = DeviceFiles.of(session.workspace, chosen)
    issuer = identity.signer_of(session.workspace, chosen, None).name
    needed = chain_needed(hub, family.above(session.workspace, certificate), chosen, issuer=issuer)
    return own.chain if needed else own.certificate


def presented_or_chain(session: Session, hub: "Hub | None", chosen: DeviceId, certificate: Certificate) -> Path:
    """As `presented`; where the hub cannot be asked, or trusts none of them yet, the chain, which fits every anchor."""
    chain = DeviceFiles.of(session.workspace, chosen).chain
    if hub is None:
        return chain
    try:
        return presented(session, hub, chosen, certificate)
    except (InputError, HubError) as error:
        session.console.warn(
            f"{error.message} The device is given its whole chain, which fits every authority above it."
        )
        return chain


def chain_needed(hub: "Hub", above: Sequence[Certificate], chosen: DeviceId, *, issuer: str) -> bool:
    """The same, of a certificate that may not be there yet: `above` are its authorities, the direct issuer first."""
    from thingmint.hub.transport import seen

    anchors, mine = _verified(hub), {one.thumbprint for one in above}
    if anchors is None:
        return True
    if not mine & anchors:  # what was just uploaded may not be listed for a moment
        anchors = seen(lambda: mine & (_verified(hub) or set()) or None) or set()
    if not mine & anchors:
        raise InputError(
            f"no authority above {chosen} is verified on {hub.target.hub}: the hub would refuse it, unless it comes in "
            "through the provisioning service.",
            detail="\n".join(f"{one.common_name}  {one.thumbprint}" for one in above),
            things_to_try=[
                f"verify one: invoke verify{family.option(issuer)}",
                "see what the hub has: invoke cas",
                f"or have the provisioning service let it in: invoke enroll{family.option(issuer)} connect --imei {chosen} --dps",
            ],
        )
    return above[0].thumbprint not in anchors


def known_untrusted(session: Session, hub: "Hub", certificate: Certificate) -> bool:
    """Whether the hub tells that it trusts no authority above `certificate`. False, too, where it cannot be asked."""
    try:
        anchors = _verified(hub)
    except HubError:
        return False
    above = family.above(session.workspace, certificate)
    return anchors is not None and not any(one.thumbprint in anchors for one in above)


def _verified(hub: "Hub") -> set[str] | None:
    """The thumbprints of the hub's verified authorities; None where whoever is signed in may not list them."""
    if hub.target.connection_string:
        return None
    try:
        return {one.thumbprint for one in hub.certificates.list() if one.verified}
    except HubError as refusal:
        if refusal.status in {401, 403}:
            return None
        raise
