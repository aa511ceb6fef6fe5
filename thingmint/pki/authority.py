"""Authorities: a name, a parent and a folder; made once, then only agreed with."""

from dataclasses import dataclass
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import InputError, ToolError
from thingmint.pki import inspect, keys, transaction
from thingmint.pki.bench import Bench
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.transaction import Request
from thingmint.pki.wish import Wish
from thingmint.render import render
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """What makes one kind of authority: its task, its request, and how it is signed."""

    task: str
    template: str
    request: tuple[str, ...]
    extensions: str | None  # section of the signing cnf; None: that cnf's x509_extensions
    selfsign: bool
    new: bool  # the article's root line says `req -new -newkey`, the others `req -newkey`


_ROOT = Plan("rootca", "rootca.cnf.j2", openssl.CA_REQUEST, "v3_root", selfsign=True, new=True)
_INTERMEDIATE = Plan("subca", "subca.cnf.j2", openssl.SUBCA_REQUEST, None, selfsign=False, new=False)


@dataclass(frozen=True)
class Made:
    """What exists now. `certificate` is None where --dry has nothing to read; `new` is False if it was there before."""

    signer: Signer
    certificate: Certificate | None
    new: bool


def root(workspace: Workspace) -> Signer:
    return Signer(workspace.ca / "rootca")


def intermediate(workspace: Workspace) -> Signer:
    return Signer(workspace.ca / "subca")


def make_root(bench: Bench, wish: Wish) -> Made:
    """The self-signed root. Raises InputError if an existing one contradicts the wish."""
    return _make(
        bench, root(bench.workspace), None, plan=_ROOT, wish=wish, default_name=bench.session.settings.pki.root_cn
    )


def make_intermediate(bench: Bench, wish: Wish) -> Made:
    """The intermediate, signed by the root. Raises InputError if there is no root or the wish contradicts."""
    parent = root(bench.workspace)
    parent.require(bench.workspace, made_by="rootca")
    made = intermediate(bench.workspace)
    return _make(bench, made, parent, plan=_INTERMEDIATE, wish=wish, default_name=bench.session.settings.pki.subca_cn)


def _make(bench: Bench, signer: Signer, parent: Signer | None, *, plan: Plan, wish: Wish, default_name: str) -> Made:
    workspace, pki = bench.workspace, bench.session.settings.pki
    issuer = parent or signer
    transaction.recover(bench, signer)
    transaction.recover(bench, issuer)
    if workspace.exists(signer.certificate):
        if workspace.only_planned(signer.certificate):
            return Made(signer, None, new=False)
        certificate = inspect.read_certificate(signer.certificate)
        _agree(certificate, wish, signer, parent, plan)
        _render_cnf(bench, signer, plan)
        return Made(signer, certificate, new=False)
    common_name = wish.common_name or default_name
    _lay_out(bench, signer, plan)
    keys.make(
        bench,
        key=signer.key,
        csr=signer.csr,
        spec=keys.KeyWish(wish.key, pki.key),
        request=keys.RequestWish(signer.cnf.name, common_name, plan.request, new=plan.new),
    )
    certificates = transaction.issue(
        bench,
        issuer,
        [Request(signer.csr, signer.certificate, common_name, is_ca=True)],
        extensions=plan.extensions if bench.hardened else None,
        selfsign=plan.selfsign,
        days=wish.days,
    )
    return Made(signer, certificates[0] if certificates else None, new=True)


def _agree(certificate: Certificate, wish: Wish, signer: Signer, parent: Signer | None, plan: Plan) -> None:
    """An existing authority is used, never changed: what contradicts it is refused."""
    where = signer.certificate
    issuer = inspect.read_certificate(parent.certificate) if parent else None
    wish.require_agreement(where, certificate, issuer)
    if not certificate.issued_by(issuer or certificate):
        raise InputError(
            f"{where} was not issued by {parent.certificate if parent else 'its own key'}.",
            things_to_try=[
                f"bring back the {'rootca.pem' if parent else 'certificate'} that belongs to it",
                f"move {signer.folder} away and run `invoke {plan.task}` to make a new one",
            ],
        )
    if signer.key.exists():  # a root's key may be offline
        signer.require_matching_key(certificate)


def _lay_out(bench: Bench, signer: Signer, plan: Plan) -> None:
    """The article's folders and database, and its cnf."""
    workspace = bench.workspace
    for folder in (signer.folder, signer.certs, signer.db):
        workspace.make_directory(folder)
    _render_cnf(bench, signer, plan)
    if workspace.exists(signer.index) and workspace.exists(signer.serial):
        return
    if signer.certs.is_dir() and any(signer.certs.iterdir()):
        missing = signer.index if not signer.index.exists() else signer.serial
        raise ToolError(
            f"{missing} is missing, although {signer.certs} holds issued certificates.",
            things_to_try=["restore it from a backup; an empty one would let names and serials be given twice"],
        )
    bench.session.shell.echo(["touch", workspace.from_ca(signer.index)], cwd=workspace.ca)
    workspace.write(signer.index, b"", mode=files.SECRET)
    workspace.write(signer.attributes, b"unique_subject = yes\n", mode=files.SECRET)
    serial = bench.openssl(*openssl.rand_serial(), redirect=workspace.from_ca(signer.serial))
    workspace.write(signer.serial, serial.stdout.encode("ascii"), mode=files.SECRET)


def _render_cnf(bench: Bench, signer: Signer, plan: Plan) -> None:
    """Rendered again where configuration or template changed; a file that was edited by hand is kept beside it."""
    pki = bench.session.settings.pki
    text = render(plan.template, {"name": signer.name, "days": pki.days, "hardened": bench.hardened}).encode()
    if signer.cnf.exists():
        if signer.cnf.read_bytes() == text:
            return
        kept: Path = signer.cnf.with_name(signer.cnf.name + ".old")
        bench.session.console.say(f"{signer.cnf.name} is rendered anew; the earlier one is kept as {kept.name}")
        bench.workspace.write(kept, signer.cnf.read_bytes())
    origin = f"from templates/{plan.template}, with pki.profile {pki.profile} and pki.days {pki.days}"
    remark = f"{signer.cnf.name}: {origin}; copy it to replay these lines elsewhere"
    bench.session.shell.remark(remark, cwd=bench.workspace.ca)
    bench.workspace.write(signer.cnf, text)
