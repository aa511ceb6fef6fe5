"""show, cas, ca-delete and config: looking at what exists, and the article's clean-up."""

from typing import TYPE_CHECKING, Any

from thingmint import openssl
from thingmint.config import Settings
from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.session import Session
from thingmint.workflows import consent, options, targets

if TYPE_CHECKING:
    from thingmint.hub.possession import CaCertificate
    from thingmint.pki.device.header import Source


def show(session: Session, *, imei: str | None = None, ca: str | None = None, header: bool = False) -> None:
    """The article's `req -text` and `x509 -text` on stdout, then the chain.

    `header`: a C header with a device's certificates instead, for firmware that has them compiled in.
    """
    targets.announce(session)
    if (imei is None) == (ca is None):
        raise InputError("show needs one of --imei ID and --ca NAME.", things_to_try=["e.g. invoke show --ca subca"])
    if header and imei is None:
        raise InputError("--header is for a device.", things_to_try=["e.g. invoke show --imei ID --header"])
    workspace = session.workspace
    if imei is not None:
        own = DeviceFiles.of(workspace, DeviceId.parse(imei))
        csr, certificate, made_by = own.csr, own.certificate, f"device --imei {imei}"
    else:
        signer = family.require(workspace, options.authority(ca, family.DEFAULT))
        csr, certificate, made_by = signer.csr, signer.certificate, signer.name
    if not certificate.exists():
        raise InputError(f"{certificate} does not exist.", things_to_try=[f"make it: invoke {made_by}"])
    if header:
        _show_header(session, DeviceId.parse(imei), own)
        return
    bench.require_openssl(session)
    texts = [openssl.req_text(workspace.from_ca(csr))] if csr.exists() else []
    for arguments in (*texts, openssl.x509_text(workspace.from_ca(certificate))):
        finished = session.shell.read((session.settings.pki.openssl, *arguments), cwd=workspace.ca, echo=True)
        if finished.exit_code:
            raise bench.failed(finished, workspace.ca)
        session.console.result(finished.stdout.rstrip("\n"))
    shown = inspect.read_certificate(certificate)
    for depth, link in enumerate((*reversed(family.above(workspace, shown)), shown)):
        arrow = f"{'   ' * (depth - 1)}└─ " if depth else ""
        session.console.say(f"{arrow}{link.common_name}  until {link.not_after:%Y-%m-%d}  {link.thumbprint}")
    if imei is not None and (record := Record.read(own.record)) and record.registered_on:
        session.console.say(f"registered on {record.registered_on}")


def _show_header(session: Session, device: DeviceId, own: DeviceFiles) -> None:
    from thingmint.pki.device.header import Source, c_header

    if not own.chain.exists():
        raise InputError(
            f"{own.chain} does not exist.",
            things_to_try=[f"it is written again by: invoke device --imei {device} --no-register"],
        )
    certificate, chain = (Source(str(path), path.read_bytes()) for path in (own.certificate, own.chain))
    session.console.result(c_header(device, _server_roots(session), certificate, chain))
    session.console.say("no private key is in it, and none belongs into firmware")


def _server_roots(session: Session) -> "list[Source]":
    """What a device has to trust to know its hub: Azure's two, or the lab's own."""
    from thingmint import roots
    from thingmint.lab.state import LabFolder
    from thingmint.pki.device.header import Source

    if session.settings.target == "azure":
        found = roots.server_roots()
        return [Source(one.name, one.pem) for one in (found.primary, found.secondary)]
    path = LabFolder(session.workspace.lab).ca
    if not path.exists():
        session.console.warn(f"no server root is in it: {path} does not exist before the lab has run (invoke lab-up).")
        return []
    return [Source(str(path), path.read_bytes())]


def cas(session: Session, *, as_json: bool = False) -> None:
    """The hub's CA certificates."""
    if targets.dry(session, "list the CA certificates"):
        return
    hub = targets.open_hub(session)
    found = hub.certificates.list()
    if as_json:
        session.console.result_json([_as_json(one) for one in found])
        return
    session.console.table(
        ("name", "subject", "isVerified", "expires", "thumbprint"),
        [
            (c.name, c.subject, str(c.verified).lower(), f"{c.expires:%Y-%m-%d}" if c.expires else "", c.thumbprint)
            for c in found
        ],
    )
    session.console.say(f"{len(found)} CA certificate(s) on {hub.target.hub}")


def ca_delete(session: Session, *, name: str | None, yes: bool = False) -> None:
    """Remove a CA certificate from the hub: its devices are refused from then on."""
    if name is None:
        raise InputError(
            "no certificate was named.", things_to_try=["see them: invoke cas", "invoke ca-delete --name NAME"]
        )
    wanted = options.certificate_name(session, name)
    if targets.dry(session, f"delete the CA certificate {wanted}"):
        return
    hub = targets.open_hub(session)
    found = hub.certificates.get(wanted)
    if found is None:
        session.console.say(f"unchanged: {hub.target.hub} has no CA certificate {wanted}")
        return
    consent.ask(session, f"delete {wanted} ({found.subject}, {found.thumbprint}) on {hub.target.hub}", yes=yes)
    hub.certificates.delete(wanted, etag=found.etag)
    session.console.say(f"deleted: {wanted} on {hub.target.hub}; devices of {found.subject!r} are refused from now on")
    session.console.say("  what stays: the authority itself in ca/")
    session.console.next_step("invoke verify uploads it again")


def config(session: Session) -> None:
    """The values in force and where each came from."""
    targets.announce(session)
    loaded = session.loaded
    rows = []
    for path, value in _flat(loaded.settings):
        variable = loaded.overrides.get(path)
        rows.append((path, "" if value is None else str(value), variable or str(loaded.file)))
    session.console.table(("key", "value", "from"), rows)


def _flat(settings: Settings) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for section, value in settings.model_dump().items():
        rows += [(f"{section}.{key}", v) for key, v in value.items()] if isinstance(value, dict) else [(section, value)]
    return rows


def _as_json(one: "CaCertificate") -> dict[str, Any]:
    return {
        "name": one.name,
        "subject": one.subject,
        "thumbprint": one.thumbprint,
        "isVerified": one.verified,
        "expires": one.expires.isoformat() if one.expires else None,
        "etag": one.etag,
    }
