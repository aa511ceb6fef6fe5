"""The authorities of a workspace and how they hang together: found by their folders, joined by their signatures."""

from pathlib import Path

from thingmint.errors import InputError
from thingmint.ids import AuthorityName
from thingmint.pki import inspect
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.workspace import Workspace

ROOT = AuthorityName("rootca")
DEFAULT = AuthorityName("subca")
"""The article's names: the root, and the authority that signs where none is named."""


def signer(workspace: Workspace, name: AuthorityName = DEFAULT) -> Signer:
    return Signer(workspace.ca / name.text)


def option(name: str) -> str:
    """What a line says beside its task where the authority is not the one that is meant without it."""
    return "" if name == DEFAULT.text else f" --ca {name}"


def root(workspace: Workspace) -> Signer:
    return signer(workspace, ROOT)


def found(workspace: Workspace) -> tuple[Signer, ...]:
    """Every authority that was made or begun, by name. Reads none of their files."""
    if not workspace.ca.is_dir():
        return ()
    return tuple(Signer(path) for path in sorted(workspace.ca.iterdir()) if path.is_dir() and _is_authority(path))


def everybody(workspace: Workspace) -> tuple[Signer, ...]:
    """The same, the root first, then parents before children as far as known."""
    signers = found(workspace)
    return tuple(sorted(signers, key=lambda one: (len(chain(workspace, one)), one.name != ROOT.text, one.name)))


def _is_authority(folder: Path) -> bool:
    return (
        any((folder / f"{folder.name}{end}").exists() for end in (".pem", ".key", ".uri", ".csr"))
        or (folder / "db").is_dir()
    )


def chain(workspace: Workspace, one: Signer) -> tuple[Certificate, ...]:
    """Its certificate and those above it, up to the root where it is here; empty where there is no certificate yet."""
    if not one.certificate.exists():
        return ()
    own = inspect.read_certificate(one.certificate)
    return (own, *above(workspace, own))


def above(workspace: Workspace, certificate: Certificate) -> tuple[Certificate, ...]:
    """The certificates of the authorities above, the direct issuer first, as far as this workspace has them."""
    links: list[Certificate] = []
    current = certificate
    while (issuer := issuer_of(workspace, current)) is not None:
        link = inspect.read_certificate(issuer.certificate)
        if link.thumbprint in {current.thumbprint, *(one.thumbprint for one in links)}:
            break  # the root issued itself
        links.append(link)
        current = link
    return tuple(links)


def issuer_of(workspace: Workspace, certificate: Certificate) -> Signer | None:
    """The authority of this workspace whose key signed `certificate`; a root is its own issuer."""
    if not workspace.ca.is_dir():
        return None
    for path in sorted(workspace.ca.iterdir()):
        one = Signer(path)
        if not (path.is_dir() and one.certificate.exists()):
            continue
        if certificate.issued_by(inspect.read_certificate(one.certificate)):
            return one
    return None


def require(workspace: Workspace, name: AuthorityName) -> Signer:
    """The authority of that name. Raises InputError naming the missing task, and the authorities that there are."""
    one = signer(workspace, name)
    if not workspace.exists(one.certificate):
        known = [other.name for other in everybody(workspace) if other.certificate.exists() and other.name != ROOT.text]
        make = {ROOT: "rootca", DEFAULT: "rootca subca"}.get(name, f"subca --name {name}")
        raise InputError(
            f"there is no authority in {one.folder}: {one.certificate.name} is missing.",
            things_to_try=[
                f"make it: invoke {make}",
                *(
                    [f"where it was signed elsewhere: invoke ca-import --from {name}.chain.pem"]
                    if one.csr.exists()
                    else ()
                ),
                *(f"use another: --ca {other}" for other in known),
            ],
        )
    return one
