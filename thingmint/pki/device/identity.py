"""A device's identity: key, CSR, certificate and chain in devices/, made once and then only checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thingmint import files
from thingmint.errors import InputError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.pki.bench import Bench
from thingmint.pki.device.record import KEYGEN, DeviceFiles, Record
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access, pair
from thingmint.pki.profile import DEVICE
from thingmint.pki.signer import Signer
from thingmint.pki.signing import issuing, transaction
from thingmint.pki.signing.order import Request, Terms
from thingmint.pki.store.database import Database
from thingmint.pki.wish import Wish
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Identity:
    """`certificate` is None where --dry has nothing to read; `new` is False if it was there before."""

    device: DeviceId
    files: DeviceFiles
    certificate: Certificate | None
    new: bool


def certificates(workspace: Workspace) -> list[Path]:
    """Every device's certificate file, in the order of their names."""
    return sorted(path for path in workspace.devices.glob("*.pem") if not path.name.endswith(".chain.pem"))


def clashes(workspace: Workspace, names: Sequence[str]) -> dict[str, str]:
    """Which of these names differ by case alone from one that an authority here has certified, and from which."""
    found = {}
    for signer in family.everybody(workspace):
        valid = Database(signer).valid(names) if signer.ledger.exists() else {}
        for name in names:
            row = valid.get(name.casefold())
            if row and row.common_name != name:
                found[name] = row.common_name
    return found


def require_unique(workspace: Workspace, device: DeviceId) -> None:
    """Raises InputError if an authority here has a valid certificate for the same name in another case."""
    device.require_unique(clashes(workspace, [device.text]).values())


def signer_of(workspace: Workspace, device: DeviceId, asked: AuthorityName | None) -> Signer:
    """The authority that issued the device's certificate, or that shall: the one that is asked for, or the article's.

    Raises InputError where another authority than the asked one has issued it, or where there is no such authority.
    """
    own = DeviceFiles.of(workspace, device)
    issuer = None
    if own.certificate.exists():
        issuer = family.issuer_of(workspace, inspect.read_certificate(own.certificate))
    if issuer and asked and issuer.name != asked.text:
        raise InputError(
            f"{own.certificate} was issued by {issuer.name}, and --ca {asked} asks for another.",
            things_to_try=["leave --ca out to use what exists", "use another device id"],
        )
    return issuer or family.require(workspace, asked or family.DEFAULT)


def require_possible(bench: Bench, signer: Signer, device: DeviceId, wish: Wish) -> None:
    """Everything `make` would refuse, asked before the hub is told of the device."""
    transaction.recover(bench, signer)
    own = DeviceFiles.of(bench.workspace, device)
    if own.certificate.exists():
        certificate = check(bench.workspace, signer, device)
        wish.require_agreement(own.certificate, certificate, inspect.read_certificate(signer.certificate))
    elif not bench.session.dry:
        require_no_request_of_a_modem(own, device)
        require_able_to_sign(bench, signer, device)
        require_not_lost(bench.workspace, signer, device)
        access.unlock(bench.session, signer)


def require_able_to_sign(bench: Bench, signer: Signer, device: DeviceId) -> None:
    """Raises InputError where the authority cannot sign, or the name is taken in another case."""
    signer.able_to_sign()
    require_unique(bench.workspace, device)


def require_no_request_of_a_modem(own: DeviceFiles, device: DeviceId) -> None:
    """Raises InputError where a CSR waits whose key is in a modem: a key made here would be another one."""
    if own.csr.exists() and own.key_in_modem:
        raise InputError(
            f"the CSR {own.csr} is of a key in the modem, and its certificate was not made yet.",
            things_to_try=[
                f"finish it: invoke device --imei {device}{KEYGEN}",
                f"move {own.csr.name} and {own.record.name} away to make a key here",
            ],
        )


def require_not_lost(workspace: Workspace, signer: Signer, device: DeviceId) -> None:
    """Raises InputError where the device has a valid certificate and its files are gone: a new key would not fit it."""
    own = DeviceFiles.of(workspace, device)
    row = Database(signer).valid([device.text]).get(device.key())
    if row and not own.key.exists():
        raise InputError(
            f"{signer.name} has issued a certificate for {device} (serial {row.serial}), and its key is not here.",
            things_to_try=[
                f"bring {device}.key, .csr and .pem back to {workspace.devices}",
                f"if the key is lost, make a new one: {own.renewed_by}",
            ],
        )


def bring_back(bench: Bench, device: DeviceId) -> bool:
    """A certificate that is valid and gone from devices/ is copied there again, from the authority that issued it.

    So that it can be renewed or revoked. False where there is nothing to bring back.
    """
    own = DeviceFiles.of(bench.workspace, device)
    if bench.session.dry or own.certificate.exists():
        return False
    for signer in family.everybody(bench.workspace):
        transaction.recover(bench, signer)
        row = Database(signer).valid([device.text]).get(device.key())
        if row and row.common_name == device.text and signer.certificate_of(row.serial).exists():
            bench.workspace.copy(signer.certificate_of(row.serial), own.certificate, mode=files.PUBLIC)
            return True
    return False


def revoked(workspace: Workspace, device: DeviceId) -> bool:
    """Whether the certificate in devices/ is one that its authority has revoked."""
    own = DeviceFiles.of(workspace, device)
    if not own.certificate.exists():
        return False
    certificate = inspect.read_certificate(own.certificate)
    issuer = family.issuer_of(workspace, certificate)
    return issuer is not None and issuer.index.exists() and Database(issuer).status(certificate.serial) == "R"


def make(bench: Bench, signer: Signer, device: DeviceId, wish: Wish) -> Identity:
    """Key, CSR and certificate by the article's two lines, then the chain file and the record.

    Raises InputError where existing files contradict each other, the wish, or the authority.
    """
    workspace = bench.workspace
    own = DeviceFiles.of(workspace, device)
    require_possible(bench, signer, device, wish)
    if workspace.exists(own.certificate):
        if workspace.only_planned(own.certificate):
            return Identity(device, own, None, new=False)
        certificate = inspect.read_certificate(own.certificate)
        write_companions(workspace, signer, own, device, certificate)
        return Identity(device, own, certificate, new=False)
    made = issue(bench, signer, device, wish, own)
    if made:
        write_companions(workspace, signer, own, device, made)
    return Identity(device, own, made, new=True)


def issue(
    bench: Bench, signer: Signer, device: DeviceId, wish: Wish, at: DeviceFiles, *, superseded: Sequence[Path] = ()
) -> Certificate | None:
    """The article's two lines for a device: key and CSR, then the certificate, into the files `at`; None with --dry.

    The certificates `superseded` are revoked in the same transaction.
    """
    pair.make(
        bench,
        key=at.key,
        csr=at.csr,
        spec=pair.KeyWish(wish.key, bench.session.settings.pki.key),
        request=pair.RequestWish(signer.cnf.name, device.text, DEVICE.request),
    )
    return sign(bench, signer, device, Terms(DEVICE, wish.days), at, superseded=superseded)


def sign(
    bench: Bench, signer: Signer, device: DeviceId, terms: Terms, at: DeviceFiles, *, superseded: Sequence[Path] = ()
) -> Certificate | None:
    """The second line alone: the CSR is there."""
    request = Request(at.csr, at.certificate, device.text)
    issued = issuing.issue(bench, signer, [request], terms, superseded=superseded)
    return issued[0] if issued else None


def check(workspace: Workspace, signer: Signer, device: DeviceId, *, renewable: bool = False) -> Certificate:
    """The device's certificate, after proving that it is this device's, its key's, its authority's, and in date.

    Needs no CA key. `renewable`: expired, revoked, or without its key will do. Raises InputError naming what does not hold.
    """
    own = DeviceFiles.of(workspace, device)
    if not own.certificate.exists():
        raise InputError(
            f"the device {device} has no certificate here: {own.certificate} is missing.",
            things_to_try=[f"make it: invoke device --imei {device}", "bring it back from a backup"],
        )
    certificate = inspect.read_certificate(own.certificate)
    in_modem = not renewable and own.key_in_modem
    if not (own.key.exists() or in_modem or renewable):
        raise InputError(
            f"the device {device} has no private key here: {own.key} is missing.",
            things_to_try=[
                "bring it back from a backup" + ("" if own.record.exists() else f"; if it is in a modem: {own.record}"),
                f"make a new key and certificate: invoke device --imei {device} --renew",
            ],
        )
    if own.key.exists():
        inspect.require_private(own.key)
    if certificate.common_name != device.text:
        raise InputError(
            f"{own.certificate} is for {certificate.common_name!r}, not for {device.text!r}.",
            things_to_try=["give it its own name back", f"bring back the certificate of {device} from a backup"],
        )
    if not renewable:
        _require_pair(workspace, own, device, certificate, in_modem=in_modem)
    if not certificate.issued_by(inspect.read_certificate(signer.certificate)):
        raise InputError(
            f"{own.certificate} was not issued by {signer.certificate}.",
            things_to_try=[
                "bring back the authority that issued it",
                f"or move the files {device}.* in {workspace.devices} away, and run: invoke device --imei {device}",
            ],
        )
    if renewable:
        return certificate
    if signer.index.exists() and Database(signer).status(certificate.serial) == "R":
        raise InputError(
            f"{own.certificate} was revoked.",
            things_to_try=[f"make a new one: {own.renewed_by}"],
        )
    if certificate.expired:
        raise InputError(
            f"{own.certificate} expired on {certificate.not_after:%Y-%m-%d}: no hub accepts it.",
            things_to_try=[f"renew it: {own.renewed_by}"],
        )
    return certificate


def _require_pair(
    workspace: Workspace, own: DeviceFiles, device: DeviceId, certificate: Certificate, *, in_modem: bool
) -> None:
    """Raises InputError unless the certificate is the key's; the CSR stands for a key that is in the modem."""
    if in_modem:
        path, found = own.csr, inspect.read_request(own.csr).public_key if own.csr.exists() else certificate.public_key
    else:
        path, found = own.key, inspect.read_key_digest(own.key)
    if found != certificate.public_key:
        swapping = (workspace.devices / "renewing" / own.certificate.name).exists()
        raise InputError(
            f"{path} does not belong to {own.certificate}: their public keys differ.",
            things_to_try=[f"finish the renewal that was cut off: invoke device --imei {device}"]
            if swapping
            else [
                f"bring back the {'CSR' if in_modem else 'key'} that the certificate was issued for",
                f"or make a new pair: {own.renewed_by}",
            ],
        )


def chain_pem(workspace: Workspace, certificate: Certificate) -> bytes:
    """The certificate and the intermediates above it: whichever of them, or the root, the hub has for its anchor."""
    above = (one for one in family.above(workspace, certificate) if not one.issued_by(one))
    return b"".join(one.pem for one in (certificate, *above))


def write_companions(
    workspace: Workspace, signer: Signer, own: DeviceFiles, device: DeviceId, certificate: Certificate
) -> None:
    """The chain and the record follow from the certificate: written where they are missing or tell another story.

    Whoever calls this knows that the key fits; where there is none here, it is in the modem.
    """
    chain = chain_pem(workspace, certificate)
    if not own.chain.exists() or own.chain.read_bytes() != chain:
        workspace.write(own.chain, chain, mode=files.PUBLIC)
    record = Record.read(own.record)
    if record is None or record.serial != certificate.serial:
        in_modem = not own.key.exists()
        fresh = Record(
            device.text,
            signer.name,
            certificate.serial,
            certificate.thumbprint,
            certificate.not_after.isoformat(),
            key_in_modem=in_modem,
        )
        if record:  # what is true of the device, whichever its certificate
            fresh = replace(
                fresh,
                registered_on=record.registered_on,
                by_service=record.by_service,
                made_key=record.made_key if in_modem else None,
                sec_tag=record.sec_tag,
                secondary_tag=record.secondary_tag,
                loading_begun=record.loading_begun,
                firmware=record.firmware,
            )
        workspace.write(own.record, fresh.to_json())
