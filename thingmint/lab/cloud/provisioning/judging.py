"""Whether a device may register: which enrollment its certificate falls under, and why none."""

import base64
from collections.abc import Iterator, Sequence

from cryptography import x509

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.chain import CertificateProblem
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.provisioning.answers import INVALID_CERTIFICATE, refusal
from thingmint.lab.cloud.provisioning.enrollments import valid_id
from thingmint.lab.cloud.provisioning.records import Enrollment
from thingmint.lab.cloud.wire import Refusal, now

Anchor = tuple[x509.Certificate, Enrollment]


def enrollment_of(hub: Hub, registration_id: str, shown: Sequence[bytes]) -> Enrollment:
    """The enrollment for a device that showed these certificates, its own first. Raises Refusal, with the reason.

    https://learn.microsoft.com/azure/iot-dps/concepts-service#individual-enrollment: the device's own goes before any
    group, and blocks it where it is disabled or does not fit. Of groups, that of the CA nearest to the device counts.
    """
    leaf = chain.load(shown[0]) if shown else None
    if leaf is None:
        raise _invalid("it showed no certificate that can be read")
    name = chain.common_name(leaf.subject)
    # Of valid ids alone: beyond ASCII other characters have these for their small letters, the Kelvin sign a k.
    if not valid_id(name) or name.lower() != registration_id.lower():
        raise _invalid(f"its certificate's CN {name!r} is not the registration id {registration_id!r}")
    above = [one for der in shown[1:] if (one := chain.load(der))]
    individual = hub.store.individuals.get(registration_id)
    if individual is not None:
        if individual.attestation.proof == "clientCertificates":
            if chain.der(leaf) not in map(base64.b64decode, individual.attestation.values):
                raise _invalid(f"its certificate is not that of the {individual}")
            return individual
        found = _nearest(leaf, above, list(_anchors(hub, [individual])))
        return found or _unknown(hub, leaf, [individual])
    groups = hub.store.groups.page()
    return _nearest(leaf, above, list(_anchors(hub, groups))) or _unknown(hub, leaf, groups)


def _anchors(hub: Hub, enrollments: Sequence[Enrollment]) -> Iterator[Anchor]:
    for enrollment in enrollments:
        for value in enrollment.attestation.values:
            if enrollment.attestation.proof == "caReferences":
                kept = hub.store.provisioning_certificates.get(value)
                der = kept.der if kept and kept.verified else b""
            else:
                der = base64.b64decode(value)
            if certificate := chain.load(der):
                yield certificate, enrollment


def _nearest(leaf: x509.Certificate, above: list[x509.Certificate], anchors: list[Anchor]) -> Enrollment | None:
    """The enrollment whose CA is met first on the way up. Raises Refusal where the way leads through no good CA."""
    current = leaf
    for between in range(chain.LONGEST_CHAIN):
        refused = ""
        for certificate, enrollment in anchors:
            if chain.issued(current, certificate):
                problem = _problem(certificate, between)
                if not problem:
                    return enrollment
                refused = refused or problem  # of a renewed CA, another certificate may be good
        issuer = next((one for one in above if one != current and chain.issued(current, one)), None)
        if issuer and not refused:
            refused = _problem(issuer, between)
        if refused:
            raise _invalid(refused)
        if issuer is None:
            return None
        current = issuer
    return None


def _problem(certificate: x509.Certificate, between: int) -> str:
    """Why it may not issue, with so many CAs between it and the device; empty where it may."""
    try:
        chain.require_issuer(certificate, between, now())
    except CertificateProblem as problem:
        return f"{certificate.subject.rfc4514_string()!r} above its certificate is not accepted: {problem}"
    return ""


def _unknown(hub: Hub, leaf: x509.Certificate, enrollments: Sequence[Enrollment]) -> Enrollment:
    """Raises Refusal: no enrollment's CA stands above the certificate."""
    reasons = [
        f"no enrollment's CA certificate stands above its certificate, issued by {leaf.issuer.rfc4514_string()!r}"
    ]
    if not enrollments:
        reasons = ["there is no enrollment"]
    for enrollment in enrollments:
        if enrollment.attestation.proof == "caReferences":
            for name in enrollment.attestation.values:
                kept = hub.store.provisioning_certificates.get(name)
                if kept is None or not kept.verified:
                    state = "not verified" if kept else "deleted"
                    reasons.append(f"the certificate {name!r} of the {enrollment} is {state}")
    raise refusal(INVALID_CERTIFICATE, "CA certificate not found.", reason="; ".join(reasons))


def _invalid(reason: str) -> Refusal:
    return refusal(INVALID_CERTIFICATE, "Invalid certificate.", reason=reason)
