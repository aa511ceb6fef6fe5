"""The authorities as the audit sees them: each certificate is read once, and one that cannot be read hides no other."""

from dataclasses import dataclass

from thingmint.errors import ThingmintError
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Kin:
    """`signers` as family.everybody has them; `certificates`, by name, of those that have a readable one."""

    signers: tuple[Signer, ...]
    certificates: dict[str, Certificate]

    @classmethod
    def of(cls, workspace: Workspace) -> "Kin":
        signers = family.found(workspace)
        certificates = {}
        for one in signers:
            try:
                certificates[one.name] = inspect.read_certificate(one.certificate)
            except ThingmintError:
                continue  # who looks at this authority says why
        kin = cls(signers, certificates)
        return cls(tuple(sorted(signers, key=kin._rank)), certificates)

    def _rank(self, one: Signer) -> tuple[int, bool, str]:
        own = self.certificates.get(one.name)
        return (len(self.above(own)) if own else 0, one.name != family.ROOT.text, one.name)

    def issuer_of(self, certificate: Certificate) -> str | None:
        """The name of the authority whose key signed `certificate`; a root is its own issuer."""
        return next((name for name, own in self.certificates.items() if certificate.issued_by(own)), None)

    def above(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """The certificates of the authorities above, the direct issuer first."""
        links: list[Certificate] = []
        current = certificate
        while (name := self.issuer_of(current)) is not None:
            link = self.certificates[name]
            if link.thumbprint in {current.thumbprint, *(one.thumbprint for one in links)}:
                break  # the root issued itself
            links.append(link)
            current = link
        return tuple(links)
