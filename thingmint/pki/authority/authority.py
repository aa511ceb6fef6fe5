"""Authorities: a name, a parent and a folder; made once, then only agreed with."""

from dataclasses import dataclass

from thingmint.errors import InputError
from thingmint.ids import AuthorityName
from thingmint.pki import inspect, profile
from thingmint.pki.authority import family, layout
from thingmint.pki.bench import Bench
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access, cakey, pair
from thingmint.pki.profile import Profile
from thingmint.pki.signer import Signer
from thingmint.pki.signing import issuing, transaction
from thingmint.pki.signing.order import Request, Terms
from thingmint.pki.wish import Wish


@dataclass(frozen=True)
class Plan:
    """What makes one authority: its request, who signs it, and as what."""

    signer: Signer
    parent: Signer | None  # None: it signs itself
    profile: Profile
    common_name: str
    task: str  # what a person types to make it


@dataclass(frozen=True)
class Made:
    """What exists now. `certificate` is None where --dry has nothing to read; `new` is False if it was there before."""

    signer: Signer
    certificate: Certificate | None
    new: bool


def make_root(bench: Bench, wish: Wish) -> Made:
    """The self-signed root. Raises InputError if an existing one contradicts the wish."""
    own = family.root(bench.workspace)
    name = wish.common_name or bench.session.settings.pki.root_cn
    return _make(bench, Plan(own, None, profile.ROOT, name, "rootca"), wish)


def make_intermediate(
    bench: Bench, wish: Wish, *, name: AuthorityName = family.DEFAULT, parent: AuthorityName | None = None
) -> Made:
    """An intermediate, signed by its parent (the root, if none is named).

    Raises InputError if there is no such parent, if the parent may not sign authorities, or if the wish contradicts.
    """
    own = family.signer(bench.workspace, name)
    above, kind = signed_by(bench, own, parent, wish)
    task = "subca" if name == family.DEFAULT else f"subca --name {name}"
    return _make(bench, Plan(own, above, kind, wish.common_name or default_name(bench, name), task), wish)


def signed_by(bench: Bench, own: Signer, parent: AuthorityName | None, wish: Wish) -> tuple[Signer, Profile]:
    """Who signs an intermediate, or who did, and as what. Raises InputError where nobody can."""
    above = _parent(bench, own, parent)
    limit = None
    if above.certificate.exists():
        limit = profile.pathlen_of(inspect.read_certificate(above.certificate))
    if own.certificate.exists():
        pathlen = profile.pathlen_of(inspect.read_certificate(own.certificate)) or 0
    else:
        pathlen = _derived(above, limit, wish.pathlen)
    return above, profile.intermediate(pathlen, parent_is_root=above.name == family.ROOT.text)


def default_name(bench: Bench, name: AuthorityName) -> str:
    """The common name of an intermediate where none is asked for."""
    configured = bench.session.settings.pki.subca_cn
    return configured if name == family.DEFAULT else f"{configured} {name}"[:64]


def _parent(bench: Bench, own: Signer, asked: AuthorityName | None) -> Signer:
    """Who signs it, or who did: an omitted --parent never conflicts."""
    workspace = bench.workspace
    if own.name == family.ROOT.text:
        raise InputError("the root CA is its own parent.", things_to_try=["make it: invoke rootca"])
    found = None
    if own.certificate.exists():
        found = family.issuer_of(workspace, inspect.read_certificate(own.certificate))
    if found and asked and found.name != asked.text:
        raise InputError(
            f"{own.certificate} was signed by {found.name}, and --parent {asked} asks for another.",
            things_to_try=["leave --parent out to use what exists", "make another authority: --name NAME"],
        )
    if asked and asked.text == own.name:
        raise InputError(f"{own.name} cannot be its own parent.", things_to_try=["--parent rootca"])
    return found or family.require(workspace, asked or family.ROOT)


def _derived(parent: Signer, limit: int | None, asked: int | None) -> int:
    """How many authorities may stand below a new one: what is asked, or as its parent allows; 0 below a root."""
    highest = profile.MOST_LEVELS if limit is None else limit - 1
    if highest < 0:
        raise InputError(
            f"{parent.name} may sign devices only (its certificate says pathlen:0).",
            things_to_try=[
                "sign it by the root: --parent rootca",
                "or make an authority that may sign others: invoke subca --name NAME --pathlen 1",
            ],
        )
    if asked is not None and asked > highest:
        raise InputError(
            f"--pathlen {asked} is more than {parent.name} can give: {highest} at most.",
            things_to_try=[f"--pathlen {highest}, or leave it out"],
        )
    return asked if asked is not None else 0 if limit is None else highest


def _make(bench: Bench, plan: Plan, wish: Wish) -> Made:
    workspace, own = bench.workspace, plan.signer
    issuer = plan.parent or own
    transaction.recover(bench, own)
    transaction.recover(bench, issuer)
    if workspace.exists(own.certificate):
        if workspace.only_planned(own.certificate):
            return Made(own, None, new=False)
        certificate = inspect.read_certificate(own.certificate)
        _agree(certificate, wish, plan)
        cakey.adopt(bench, own, wish)
        if own.db.is_dir():
            layout.write_cnf(bench, own, root=plan.parent is None, pathlen=plan.profile.pathlen)
        return Made(own, certificate, new=False)
    if plan.parent:
        require_free_name(bench, own, plan.common_name, task=plan.task)
        if not bench.session.dry:
            plan.parent.able_to_sign()
            access.unlock(bench.session, plan.parent)  # before a key is made that nobody could sign
    cakey.require_possible(bench, own, wish)
    layout.lay_out(bench, own, root=plan.parent is None, pathlen=plan.profile.pathlen)
    # the article's root line says `req -new -newkey`, the others `req -newkey`
    asked = pair.RequestWish(own.cnf.name, plan.common_name, plan.profile.request, new=plan.parent is None)
    cakey.make(bench, own, wish, asked)
    request = Request(own.csr, own.certificate, plan.common_name)
    made = issuing.issue(bench, issuer, [request], Terms(plan.profile, wish.days))
    return Made(own, made[0] if made else None, new=True)


def require_free_name(bench: Bench, own: Signer, common_name: str, *, task: str) -> None:
    """Two authorities of one common name could not be told apart in a chain."""
    for other in family.everybody(bench.workspace):
        if other.name == own.name or not other.certificate.exists():
            continue
        if inspect.read_certificate(other.certificate).common_name.casefold() == common_name.casefold():
            raise InputError(
                f"{other.name} is called {common_name!r} already.",
                things_to_try=[f'invoke {task} --cn "ANOTHER NAME"'],
            )


def _agree(certificate: Certificate, wish: Wish, plan: Plan) -> None:
    """An existing authority is used, never changed: what contradicts it is refused."""
    where, parent = plan.signer.certificate, plan.parent
    issuer = inspect.read_certificate(parent.certificate) if parent else None
    wish.require_agreement(where, certificate, issuer)
    if not certificate.issued_by(issuer or certificate):
        raise InputError(
            f"{where} was not issued by {parent.certificate if parent else 'its own key'}.",
            things_to_try=[
                f"bring back the {parent.certificate.name if parent else 'certificate'} that belongs to it",
                f"move {plan.signer.folder} away and run `invoke {plan.task}` to make a new one",
            ],
        )
    cakey.require_agreement(plan.signer, wish)
    if plan.signer.key.exists() and not plan.signer.encrypted:  # a root's key may be offline
        plan.signer.require_own(inspect.read_key_digest(plan.signer.key))
