"""A device's certificate renewed: new key, new certificate, the old one superseded in the same transaction.

The new files are made in devices/renewing/ by the very steps that make a first identity, each of which picks up what an
interrupted run left. Then the old pair moves to devices/retired/, and the new one takes its names.
"""

from thingmint import files
from thingmint.ids import DeviceId
from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.device import identity
from thingmint.pki.device.identity import DeviceFiles, Identity
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.pki.signing import transaction
from thingmint.pki.wish import Wish
from thingmint.workspace import Workspace


def renew(bench: Bench, signer: Signer, device: DeviceId, wish: Wish) -> Identity:
    """Revoke as superseded and issue anew, both or neither. Raises InputError where there is nothing to renew."""
    workspace = bench.workspace
    own, new = DeviceFiles.of(workspace, device), _staging(workspace, device)
    transaction.recover(bench, signer)
    if not under_way(workspace, device):
        identity.check(workspace, signer, device, renewable=True)
    if not new.certificate.exists():  # while it exists, all that is left is to swap
        workspace.make_directory(new.key.parent)
        identity.issue(bench, signer, device, wish, new, superseded=[own.certificate])
    if bench.session.dry:
        return Identity(device, own, None, new=True)
    _swap(workspace, own, new)
    for folder in (new.key.parent, workspace.devices / "retired"):
        for leftover in folder.glob(f".{device}.*.tmp"):
            leftover.unlink()  # what a killed run had begun to write
    certificate = inspect.read_certificate(own.certificate)
    identity.write_companions(workspace, signer, own, device, certificate)
    return Identity(device, own, certificate, new=True)


def require_possible(bench: Bench, signer: Signer, device: DeviceId) -> None:
    """Everything `renew` would refuse, asked before the hub is told of it."""
    if not bench.session.dry:
        identity.check(bench.workspace, signer, device, renewable=True)
        signer.able_to_sign()
        access.unlock(bench.session, signer)


def under_way(workspace: Workspace, device: DeviceId) -> bool:
    """Whether a renewal was begun and not finished: it has to be finished before anything else is done."""
    new = _staging(workspace, device)
    return any(path.exists() for path in (new.key, new.csr, new.certificate))


def _staging(workspace: Workspace, device: DeviceId) -> DeviceFiles:
    folder = workspace.devices / "renewing"
    return DeviceFiles(*(folder / f"{device}{suffix}" for suffix in (".key", ".csr", ".pem", ".chain.pem", ".json")))


def _swap(workspace: Workspace, own: DeviceFiles, new: DeviceFiles) -> None:
    """Each old file is copied away, then replaced in one step, so that its name is never empty. The certificate is last:
    while the old one stands there, its serial number names the retired files."""
    serial = inspect.read_certificate(own.certificate).serial
    retired = workspace.devices / "retired"
    workspace.make_directory(retired)
    for fresh, current in ((new.key, own.key), (new.csr, own.csr), (new.certificate, own.certificate)):
        if not fresh.exists():
            continue  # an interrupted run moved it already
        if current.exists():
            mode = files.SECRET if current == own.key else files.PUBLIC
            workspace.copy(current, retired / f"{current.stem}.{serial}{current.suffix}", mode=mode)
        workspace.move(fresh, current)
