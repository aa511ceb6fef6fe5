"""A key that never leaves its modem: the modem makes it and answers with a CSR; certificate and chain as for any device.

The order that survives a cut anywhere: `modem_needed`; if so, `begin` (the record says in which sec tag), and the modem
is asked; then `issue`, which keeps its CSR before anything is signed, and signs one that waits without asking anew.
"""

from dataclasses import replace

from thingmint.errors import CheckError, InputError
from thingmint.ids import DeviceId
from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.device import identity, renewal
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import KEYGEN, DeviceFiles, MadeKey, Record
from thingmint.pki.inspect import Certificate, SigningRequest
from thingmint.pki.keys import access
from thingmint.pki.profile import DEVICE
from thingmint.pki.signer import Signer
from thingmint.pki.signing import issuing, transaction
from thingmint.pki.signing.order import Request, Terms
from thingmint.pki.wish import Wish
from thingmint.workspace import Workspace

KEY = "ec:P-256"
"""The one kind of key that AT%KEYGEN makes."""


def require_possible(bench: Bench, signer: Signer, device: DeviceId, wish: Wish, *, renew: bool = False) -> None:
    """Everything that `issue` would refuse whatever the CSR, asked before the modem or the hub is told of anything."""
    transaction.recover(bench, signer)
    own, new = DeviceFiles.of(bench.workspace, device), renewal.staging(bench.workspace, device)
    _require_profile(bench)
    if wish.key not in {None, KEY}:
        raise InputError(
            f"a modem makes keys of the kind {KEY}, and --key {wish.key} asks for another.",
            things_to_try=["leave --key out"],
        )
    if bench.session.dry:
        return
    if renew:
        if new.key.exists() or new.certificate.exists():
            raise InputError(
                f"an earlier renewal of {device} was cut off, and it needs no modem.",
                things_to_try=[f"finish it first: invoke device --imei {device}"],
            )
        identity.check(bench.workspace, signer, device, renewable=True)
        signer.able_to_sign()
    elif own.certificate.exists():
        _require_enclosed(bench.workspace, signer, own, device, wish)
        return
    else:
        _require_no_other_key(own, device)
        identity.require_able_to_sign(bench, signer, device)
        if pending(bench.workspace, device) is None:
            identity.require_not_lost(bench.workspace, signer, device)
    access.unlock(bench.session, signer)


def _require_profile(bench: Bench) -> None:
    """With the article's cnf files a certificate has the extensions of its CSR, and a modem's are not the profile's."""
    if not bench.hardened:
        raise InputError(
            "with pki.profile article, a certificate gets the extensions that its CSR asks for, and a modem cannot be "
            "told what to ask for.",
            things_to_try=["use an authority of the hardened profile: another workspace, pki.profile hardened"],
        )


def _require_enclosed(workspace: Workspace, signer: Signer, own: DeviceFiles, device: DeviceId, wish: Wish) -> None:
    """Raises InputError where the device has a certificate that is not of a key in its modem."""
    if own.key.exists():
        raise InputError(
            f"{device} has a certificate, and its private key is here: {own.key}.",
            things_to_try=[
                f"have the modem make a new one in its place: invoke device --imei {device} --renew{KEYGEN}",
                "leave --keygen out to use what exists",
            ],
        )
    certificate = identity.check(workspace, signer, device)
    wish.require_agreement(own.certificate, certificate, inspect.read_certificate(signer.certificate))


def _require_no_other_key(own: DeviceFiles, device: DeviceId) -> None:
    """Raises InputError where a run that makes the key here was cut off before there was a certificate."""
    if own.key.exists():
        raise InputError(
            f"{own.key} was made here, and its certificate was not.",
            things_to_try=[
                f"finish it: invoke device --imei {device}",
                f"move {own.key.name} and {own.csr.name} away to have the modem make a key",
            ],
        )
    if own.csr.exists() and not own.key_in_modem:
        raise InputError(
            f"the CSR {own.csr} is there, but its private key {own.key} is not, and no record says that a modem made it.",
            things_to_try=["bring the key back", f"move {own.csr} away to have the modem make a key"],
        )


def begin(bench: Bench, signer: Signer, device: DeviceId, sec_tag: int) -> None:
    """Write down that a modem is about to be asked for a key, in which sec tag. Nothing with --dry."""
    if bench.session.dry:
        return
    own = DeviceFiles.of(bench.workspace, device)
    told = replace(_record(own, signer, device), keygen_begun=sec_tag, sec_tag=sec_tag)
    bench.workspace.write(own.record, told.to_json())


def take_back(bench: Bench, device: DeviceId) -> None:
    """The modem has refused: there is no key, and nothing to go on with."""
    own = DeviceFiles.of(bench.workspace, device)
    record = Record.read(own.record)
    if record and not record.serial:  # begun for a first key: there is nothing else to tell
        own.record.unlink()
    elif record:
        bench.workspace.write(own.record, replace(record, keygen_begun=None).to_json())


def made(bench: Bench, signer: Signer, device: DeviceId, key: MadeKey) -> None:
    """Write down which key it is, as soon as the modem has made it: nothing else can tell it from another's."""
    own = DeviceFiles.of(bench.workspace, device)
    bench.workspace.write(own.record, replace(_record(own, signer, device), made_key=key).to_json())


def begun(workspace: Workspace, device: DeviceId) -> int | None:
    """The sec tag in which a run that was cut off had a key made, or was about to; None: there was no such run."""
    record = Record.read(DeviceFiles.of(workspace, device).record)
    return record.keygen_begun if record else None


def pending(workspace: Workspace, device: DeviceId) -> SigningRequest | None:
    """The CSR of a generated key that waits to be signed; None: the modem has to be asked."""
    own, new = DeviceFiles.of(workspace, device), renewal.staging(workspace, device)
    for at, known in ((new, True), (own, own.key_in_modem)):
        if known and at.csr.exists() and not at.key.exists() and not at.certificate.exists():
            return inspect.read_request(at.csr)
    return None


def modem_needed(workspace: Workspace, device: DeviceId, *, renew: bool = False) -> bool:
    """Whether `issue` needs a CSR that the modem has yet to make: only then is there anything to `begin`."""
    certified = DeviceFiles.of(workspace, device).certificate.exists()
    return (renew or not certified) and pending(workspace, device) is None


def issue(
    bench: Bench, signer: Signer, device: DeviceId, csr_der: bytes | None, wish: Wish, *, renew: bool = False
) -> Identity:
    """Certificate, chain and record for the modem's CSR; None: for the one that waits (see `pending`), or with --dry.

    `renew`: in place of what exists, whose key may be here or in the modem: revoked in the same transaction, files to
    devices/retired/. A device that has its certificate already is left as it is.
    Raises CheckError where the CSR is not what the modem was asked for, InputError where its key is another's.
    """
    own = DeviceFiles.of(bench.workspace, device)
    at = renewal.staging(bench.workspace, device) if renew else own
    require_possible(bench, signer, device, wish, renew=renew)
    if own.certificate.exists() and not renew:
        certificate = inspect.read_certificate(own.certificate)
        _require_same_key(csr_der, certificate, device)
        identity.write_companions(bench.workspace, signer, own, device, certificate)
        return Identity(device, own, certificate, new=False)
    if not bench.session.dry:
        _keep(bench, signer, device, csr_der, at)
        if renew:
            return renewal.renew(bench, signer, device, wish)
    terms = Terms(DEVICE, wish.days, from_modem=True)
    issued = identity.sign(bench, signer, device, terms, at, superseded=[own.certificate] if renew else [])
    if issued:
        _require_same_key(csr_der, issued, device)
        identity.write_companions(bench.workspace, signer, own, device, issued)
    return Identity(device, own, issued, new=True)


def _require_same_key(csr_der: bytes | None, certificate: Certificate, device: DeviceId) -> None:
    """Raises CheckError where the modem's key is another than the certificate's: somebody was faster, with another modem."""
    if csr_der is None:
        return
    if inspect.parse_request_der(csr_der, where="the modem's answer").public_key != certificate.public_key:
        raise CheckError(
            f"{device} has got a certificate meanwhile, and it is of another key than the one that this modem made.",
            things_to_try=[f"if this modem is the right one: invoke device --imei {device} --renew{KEYGEN}"],
        )


def _keep(bench: Bench, signer: Signer, device: DeviceId, csr_der: bytes | None, at: DeviceFiles) -> None:
    """The CSR as the modem wrote it, in its file, once nothing speaks against it; one that waits there stays."""
    waiting = pending(bench.workspace, device)
    if csr_der is None:
        if waiting is None:
            raise InputError(f"no CSR of a modem waits for {device}.", things_to_try=["ask the modem for one"])
        return
    request = inspect.parse_request_der(csr_der, where="the modem's answer")
    if waiting:
        if waiting.public_key != request.public_key:
            raise InputError(
                f"{at.csr} waits to be signed, and what the modem answered now is of another key.",
                things_to_try=[f"move {at.csr} away if that key is gone, then run this again"],
            )
        return
    own = DeviceFiles.of(bench.workspace, device)
    _require_as_asked(request, device, own)
    old = [inspect.read_certificate(own.certificate).serial] if own.certificate.exists() else []
    asked = {Request(at.csr, at.certificate, device.text): request.public_key}
    for refused in issuing.refusals(signer, asked, freed=old).values():
        raise refused
    bench.workspace.make_directory(at.csr.parent)
    if at.csr == own.csr:  # told first: a CSR without a key would seem to have lost it
        told = replace(_record(own, signer, device), key_in_modem=True)
        bench.workspace.write(own.record, told.to_json())
    bench.workspace.write(at.csr, request.pem)


def _require_as_asked(request: SigningRequest, device: DeviceId, own: DeviceFiles) -> None:
    """Raises CheckError unless the CSR is for this device's name, and for a new key of the modem's kind."""
    differences = [
        text
        for wrong, text in (
            (request.subject != f"CN={device}", f"it is for the subject {request.subject!r}, not for 'CN={device}'"),
            (request.key != KEY, f"its key is {request.key}, not {KEY}"),
            (_is_certified(request, own), "its key is the one that the certificate has already"),
        )
        if wrong
    ]
    if differences:
        raise CheckError(
            f"the CSR that the modem answered is not what was asked for: {'; '.join(differences)}.",
            things_to_try=["have the modem make a key anew, in a sec tag that is empty"],
        )


def _is_certified(request: SigningRequest, own: DeviceFiles) -> bool:
    return own.certificate.exists() and inspect.read_certificate(own.certificate).public_key == request.public_key


def _record(own: DeviceFiles, signer: Signer, device: DeviceId) -> Record:
    return Record.read(own.record) or Record(device.text, signer.name, "", "", "")
