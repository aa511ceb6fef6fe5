"""The steps of a series that run in worker processes, a part of a batch at a time: keys and CSRs, checks, publishing.

In process, because a spawned `openssl req` costs 7 ms and its RSA keys take 5.6 times as long as cryptography's. What
goes to and fro between the processes are names, digests and certificates; a private key never leaves its worker but
into its file.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thingmint import files
from thingmint.console import Console
from thingmint.errors import ThingmintError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import inspect, profile
from thingmint.pki.device import identity
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import pair
from thingmint.pki.signer import Signer
from thingmint.pki.signing.order import Keys, Request, Terms, look_at
from thingmint.pki.signing.readback import read_back, require_strictly_valid
from thingmint.pki.store.index import Row
from thingmint.pki.wish import Wish
from thingmint.shell import Shell
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Job:
    """What all parts of a series have in common."""

    root: Path  # the workspace
    signer: Signer
    asked_signer: str | None  # --ca, which an existing device must not contradict
    wish: Wish
    default_key: str
    terms: Terms
    hardened: bool
    openssl: str  # the program


@dataclass(frozen=True)
class Prepared:
    """One device before signing: the digest of its key, or that it is done already, or why it cannot be done."""

    device: DeviceId
    public_key: str = ""
    done: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Issued:
    """A certificate that was read back and found as asked, on its way to devices/."""

    device: str
    serial: str
    public_key: str
    thumbprint: str
    not_after: str  # ISO 8601, UTC
    pem: bytes

    @classmethod
    def of(cls, certificate: Certificate) -> "Issued":
        return cls(
            certificate.common_name,
            certificate.serial,
            certificate.public_key,
            certificate.thumbprint,
            certificate.not_after.isoformat(),
            certificate.pem,
        )


@functools.cache
def _workspace(root: Path) -> Workspace:
    console = Console(quiet=True)
    return Workspace(root, shell=Shell(console), console=console)


@functools.cache
def _issuer(signer: Signer) -> Certificate:
    return inspect.read_certificate(signer.certificate)


def request_of(workspace: Workspace, device: DeviceId) -> Request:
    return Request(workspace.device_file(device, ".csr"), workspace.device_file(device, ".pem"), device.text)


def prepare(job: Job, devices: Sequence[DeviceId]) -> list[Prepared]:
    """Each device's key and CSR, made where they are missing. A problem of one concerns no other."""
    staged: list[tuple[Path, Path]] = []
    prepared = []
    for device in devices:
        try:
            prepared.append(_prepare(job, device, staged))
        except ThingmintError as error:
            prepared.append(Prepared(device, problem=error.message))
    # Keys first, and durable before their CSRs have names: a CSR without its key would be nobody's.
    for end in (".key", ".csr"):
        files.rename_all([move for move in staged if move[1].suffix == end], over=False)
    return prepared


def _prepare(job: Job, device: DeviceId, staged: list[tuple[Path, Path]]) -> Prepared:
    workspace = _workspace(job.root)
    own = DeviceFiles.of(workspace, device)
    if own.certificate.exists():
        asked = AuthorityName(job.asked_signer) if job.asked_signer else None
        signer = identity.signer_of(workspace, device, asked)
        certificate = identity.check(workspace, signer, device)
        job.wish.require_agreement(own.certificate, certificate, inspect.read_certificate(signer.certificate))
        identity.write_companions(workspace, signer, own, device, certificate)
        return Prepared(device, certificate.public_key, done=True)
    if own.key.exists() and own.csr.exists():
        pair.require_agreement(own.key, own.csr, job.wish.key)
        return Prepared(device, look_at(request_of(workspace, device), job.terms))
    identity.require_no_request_of_a_modem(own, device)
    pair.require_no_orphan(workspace, own.key, own.csr)
    made = pair.in_process(
        own.key if own.key.exists() else None,
        job.wish.key or job.default_key,
        device.text,
        profile.request_extensions(job.terms.profile),
    )
    for path, data, mode in ((own.key, made.key_pem, files.SECRET), (own.csr, made.csr_pem, files.PUBLIC)):
        if not path.exists():
            staged.append((_stage(path, data, mode), path))
    return Prepared(device, made.public_key)


def check(job: Job, rows: Sequence[Row], wanted: Keys) -> list[Issued]:
    """Read back what openssl claims to have issued; `rows` and `wanted` are of the same names. Raises CheckError."""
    found = read_back(job.signer, rows, wanted, job.terms, _issuer(job.signer), hardened=job.hardened)
    return [Issued.of(certificate) for certificate in found.values()]


def publish(job: Job, issued: Sequence[Issued], above: bytes, registered_on: str | None) -> None:
    """Give the certificates their names in devices/; chain and record first, so that a certificate is never without.

    openssl's own strict verdict comes before that. Raises CheckError if it differs from ours.
    """
    workspace = _workspace(job.root)
    if job.hardened:
        serials = [one.serial for one in issued]
        require_strictly_valid(workspace, Shell(Console(quiet=True)), job.openssl, job.signer, serials)
    staged = []
    for one in issued:
        own = DeviceFiles.of(workspace, DeviceId(one.device))
        record = Record(one.device, job.signer.name, one.serial, one.thumbprint, one.not_after, registered_on)
        for path, data in ((own.chain, one.pem + above), (own.record, record.to_json()), (own.certificate, one.pem)):
            staged.append((_stage(path, data, files.PUBLIC), path))
    files.rename_all(staged)


def _stage(final: Path, data: bytes, mode: int) -> Path:
    temporary = Workspace.staged(final)
    try:
        files.create(temporary, data, mode=mode, durable=False)
    except FileExistsError:  # an interrupted run's; the series holds the lock
        temporary.unlink()
        files.create(temporary, data, mode=mode, durable=False)
    return temporary
