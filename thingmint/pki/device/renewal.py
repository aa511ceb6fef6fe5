"""A device's certificate renewed: new key, new certificate, the old one superseded in the same transaction.

The new files are made in devices/renewing/ by the very steps that make a first identity, each of which picks up what an
interrupted run left. Then the old pair moves to devices/retired/, and the new one takes its names. A CSR in renewing/
without a key is a modem's, put there by enclosed.py: nothing else is needed to finish.
"""

import re
from pathlib import Path

from thingmint import files
from thingmint.errors import InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.device import identity
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access
from thingmint.pki.profile import DEVICE
from thingmint.pki.signer import Signer
from thingmint.pki.signing import transaction
from thingmint.pki.signing.order import Terms
from thingmint.pki.wish import Wish
from thingmint.workspace import Workspace


def renew(bench: Bench, signer: Signer, device: DeviceId, wish: Wish) -> Identity:
    """Revoke as superseded and issue anew, both or neither. Raises InputError where there is nothing to renew."""
    workspace = bench.workspace
    own, new = DeviceFiles.of(workspace, device), staging(workspace, device)
    transaction.recover(bench, signer)
    if not under_way(workspace, device):
        identity.check(workspace, signer, device, renewable=True)
        _require_key_here(own, device)
    if not new.certificate.exists():  # while it exists, all that is left is to swap
        workspace.make_directory(new.key.parent)
        if new.csr.exists() and not new.key.exists():
            terms = Terms(DEVICE, wish.days, from_modem=True)
            identity.sign(bench, signer, device, terms, new, superseded=[own.certificate])
        else:
            identity.issue(bench, signer, device, wish, new, superseded=[own.certificate])
    if bench.session.dry:
        return Identity(device, own, None, new=True)
    _swap(bench, signer, device, new)
    for folder in (new.key.parent, _retired(workspace)):
        for leftover in folder.glob(f".{device}.*.tmp"):
            leftover.unlink()  # what a killed run had begun to write
    certificate = inspect.read_certificate(own.certificate)
    identity.write_companions(workspace, signer, own, device, certificate)
    return Identity(device, own, certificate, new=True)


def require_possible(bench: Bench, signer: Signer, device: DeviceId) -> None:
    """Everything `renew` would refuse, asked before the hub is told of it."""
    if not bench.session.dry:
        identity.check(bench.workspace, signer, device, renewable=True)
        _require_key_here(DeviceFiles.of(bench.workspace, device), device)
        signer.able_to_sign()
        access.unlock(bench.session, signer)


def _require_key_here(own: DeviceFiles, device: DeviceId) -> None:
    """Raises InputError where the modem has the key: a new one of this machine's would not be in the device."""
    if own.key_in_modem:
        raise InputError(
            f"the private key of {device} is in its modem: --renew alone would make another one here.",
            things_to_try=[f"have the modem make a new one: {own.renewed_by}"],
        )


def under_way(workspace: Workspace, device: DeviceId) -> bool:
    """Whether a renewal was begun and not finished: it has to be finished before anything else is done."""
    new = staging(workspace, device)
    return any(path.exists() for path in (new.key, new.csr, new.certificate))


def staging(workspace: Workspace, device: DeviceId) -> DeviceFiles:
    folder = workspace.devices / "renewing"
    return DeviceFiles(*(folder / f"{device}{suffix}" for suffix in (".key", ".csr", ".pem", ".chain.pem", ".json")))


def retired(workspace: Workspace, device: DeviceId) -> list[Path]:
    """The device's superseded files: ID.SERIAL.key, .csr, .pem, .json. An id may hold dots, too."""
    name = re.compile(rf"{re.escape(device.text)}\.[0-9A-F]+\.[a-z]+")
    return sorted(path for path in _retired(workspace).glob("*") if name.fullmatch(path.name))


def _retired(workspace: Workspace) -> Path:
    return workspace.devices / "retired"


def _swap(bench: Bench, signer: Signer, device: DeviceId, new: DeviceFiles) -> None:
    """Each old file is copied away, then replaced in one step, so that its name is never empty. The certificate is last:
    while the old one stands there, its serial number names the retired files, and the next run goes on here."""
    workspace = bench.workspace
    own = DeviceFiles.of(workspace, device)
    old, fresh = inspect.read_certificate(own.certificate), inspect.read_certificate(new.certificate)
    workspace.make_directory(_retired(workspace))

    def retire(path: Path) -> Path:
        return _retired(workspace) / f"{path.stem}.{old.serial}{path.suffix}"

    for made, current in ((new.key, own.key), (new.csr, own.csr)):
        _replace(workspace, made, current, retire(current))
    if own.key.exists() and not _is_key_of(fresh, own.key):
        workspace.move(own.key, retire(own.key))  # the new key is in the modem
    record = Record.read(own.record)
    if record and record.serial == old.serial:
        workspace.copy(own.record, retire(own.record), mode=files.PUBLIC)  # what was loaded of the old one
    if not own.key.exists():
        # Before the certificate has its name: without the record, it would seem to have lost its key.
        identity.write_companions(workspace, signer, own, device, fresh)
    _replace(workspace, new.certificate, own.certificate, retire(own.certificate))


def _is_key_of(certificate: Certificate, key: Path) -> bool:
    try:
        return inspect.read_key_digest(key) == certificate.public_key
    except ToolError:
        return False  # an old one that was damaged, or encrypted


def _replace(workspace: Workspace, made: Path, current: Path, old: Path) -> None:
    if not made.exists():
        return  # an interrupted run moved it already
    if current.exists():
        workspace.copy(current, old, mode=files.SECRET if current.suffix == ".key" else files.PUBLIC)
    workspace.move(made, current)
