"""Delegation: a CSR from elsewhere is signed only if nothing speaks against it; what comes back is taken only if it holds."""

import base64
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests import paper
from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_authority import fingerprint, make_both, openssl
from tests.pki.test_joining import require_sound
from thingmint.errors import CheckError, InputError, ToolError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import bench, inspect, profile
from thingmint.pki.audit import audit
from thingmint.pki.authority import authority, delegation, family
from thingmint.pki.authority.authority import Made
from thingmint.pki.authority.delegation import Asked, Taken
from thingmint.pki.device import identity
from thingmint.pki.wish import Wish
from thingmint.session import Session

FACTORY = AuthorityName("factory-a")
NOTHING_SPECIAL = Wish()


@pytest.fixture
def owner(tmp_path: Path, authorities: Path, make_session_in: MakeSession) -> Session:
    return make_session_in(shutil.copytree(authorities, tmp_path / "owner"), pki_key="ec:P-256")


@pytest.fixture
def factory(session: Session) -> Session:
    """A workspace without any root."""
    return session


def ask(session: Session, wish: Wish = NOTHING_SPECIAL) -> Asked:
    with bench.locked(session) as locked:
        return delegation.ask(locked, FACTORY, wish)


def sign(session: Session, csr: bytes, wish: Wish = NOTHING_SPECIAL, *, name: str = "factory-a", by: str = "") -> Made:
    request = inspect.parse_request(csr, where="f.csr")
    parent = AuthorityName(by) if by else None
    with bench.locked(session) as locked:
        return delegation.sign(locked, AuthorityName(name), request, "f.csr", parent=parent, wish=wish)


def take(session: Session, chain: bytes) -> Taken:
    with bench.locked(session) as locked:
        return delegation.take(locked, inspect.parse_chain(chain, where="f.chain.pem"), "f.chain.pem")


def asked_pem(session: Session) -> bytes:
    request = ask(session).request
    assert request
    return request.pem


def chain_of(made: Made) -> bytes:
    return delegation.chain_file(made.signer).read_bytes()


def test_key_and_csr_are_made_once_without_any_root(factory: Session) -> None:
    first = ask(factory)
    assert first.new
    assert first.request
    assert first.request.common_name == "Development Intermediate CA factory-a"
    before = fingerprint(factory.workspace.root)
    assert not ask(factory).new
    assert fingerprint(factory.workspace.root) == before
    assert first.signer.key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="--cn Other asks for another"):
        ask(factory, Wish("Other"))
    with pytest.raises(InputError, match="--key 'rsa:2048' asks for another"):
        ask(factory, Wish(key="rsa:2048"))
    (finding,) = audit.audit(factory.workspace).findings
    assert "invoke ca-import --from factory-a.chain.pem" in finding.cure


def test_the_owner_signs_under_the_profile_and_keeps_no_key(owner: Session, factory: Session) -> None:
    made = sign(owner, asked_pem(factory), Wish(days=30))
    assert made.new
    assert made.certificate
    root = inspect.read_certificate(family.root(owner.workspace).certificate)
    kind = profile.intermediate(0, parent_is_root=True)
    assert profile.problems(made.certificate, kind, root, hardened=True) == []
    assert made.certificate.lifetime_days == 30
    assert sorted(path.name for path in made.signer.folder.iterdir()) == [
        "factory-a.chain.pem", "factory-a.csr", "factory-a.pem",
    ]  # fmt: skip
    chain = inspect.read_chain(delegation.chain_file(made.signer))
    assert [one.common_name for one in chain] == ["Development Intermediate CA factory-a", "Development Root CA"]
    require_sound(owner)


def test_signing_again_changes_nothing_and_another_csr_is_refused(
    owner: Session, factory: Session, tmp_path: Path, make_session_in: MakeSession
) -> None:
    csr = asked_pem(factory)
    sign(owner, csr)
    before = fingerprint(owner.workspace.root)
    assert not sign(owner, csr).new
    assert fingerprint(owner.workspace.root) == before
    with pytest.raises(InputError, match="--days"):
        sign(owner, csr, Wish(days=3))
    other = asked_pem(make_session_in(tmp_path / "other", pki_key="ec:P-256"))
    with pytest.raises(InputError, match="for another key than f.csr has") as caught:
        sign(owner, other)
    for pem in (csr, other):
        assert inspect.parse_request(pem, where="").public_key in caught.value.render()
    assert fingerprint(owner.workspace.root) == before


def test_an_unpublished_certificate_is_published_when_signing_again(owner: Session, factory: Session) -> None:
    csr = asked_pem(factory)
    made = sign(owner, csr)
    made.signer.certificate.unlink()
    delegation.chain_file(made.signer).unlink()
    again = sign(owner, csr)
    assert made.certificate
    assert again.certificate
    assert again.certificate.serial == made.certificate.serial


def csr(tmp_path: Path, *arguments: str, subject: str = "/CN=Factory", key: Sequence[str] = ()) -> bytes:
    key = key or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    out = tmp_path / "any.csr"
    line = ("req", "-new", *key, "-nodes", "-keyout", str(tmp_path / "any.key"), "-subj", subject, "-out", str(out))
    openssl(*line, *arguments)
    return out.read_bytes()


@pytest.mark.parametrize(
    ("subject", "more", "key", "said"),
    [
        ("/CN=Factory/O=Evil", (), (), "its subject is"),
        ("/O=Nobody", (), (), "its subject is"),
        ("/CN=Fabrik \\/ 7", (), (), "its subject is"),
        ("/CN=development root ca", (), (), "is called"),
        ("/CN=Factory", ("-addext", "subjectAltName=DNS:hub.example"), (), "subjectAltName"),
        ("/CN=Factory", ("-addext", "extendedKeyUsage=codeSigning"), (), "extended key usages"),
        ("/CN=Factory", (), ("-newkey", "rsa:1024"), "rsa:1024"),
        ("/CN=Factory", (), ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"), "ec:secp521r1"),
        ("/CN=Factory", (), ("-newkey", "ed25519"), "Ed25519"),
    ],
)
def test_what_speaks_against_a_csr_is_named_and_nothing_written(
    owner: Session, tmp_path: Path, subject: str, more: tuple[str, ...], key: tuple[str, ...], said: str
) -> None:
    before = fingerprint(owner.workspace.root)
    with pytest.raises(InputError, match=said):
        sign(owner, csr(tmp_path, *more, subject=subject, key=key))
    assert fingerprint(owner.workspace.root) == before


def test_a_key_belongs_to_one_identity(owner: Session, factory: Session, tmp_path: Path) -> None:
    sign(owner, asked_pem(factory))
    with bench.locked(owner) as locked:
        device = identity.make(locked, family.signer(owner.workspace), DeviceId.parse("one"), Wish())
    for key, said in (
        (family.signer(owner.workspace).key, "its key is the one of subca"),
        (ask(factory).signer.key, "its key is the one of factory-a"),
        (device.files.key, "certified before, by subca for 'one'"),
    ):
        with pytest.raises(InputError, match=said):
            sign(owner, csr(tmp_path, key=("-key", str(key))), name="factory-b")


def test_a_csr_that_its_key_did_not_sign_is_refused(factory: Session) -> None:
    pem = asked_pem(factory)
    signature = inspect.parse_request(pem, where="").parsed.signature
    body = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    forged = body.replace(signature, bytes([*signature[:-1], signature[-1] ^ 1]))
    text = base64.encodebytes(forged).decode()
    with pytest.raises(ToolError, match="does not match its public key"):
        inspect.parse_request(
            f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n".encode(), where="f.csr"
        )


def test_an_authority_made_here_needs_no_csr(owner: Session, factory: Session) -> None:
    with pytest.raises(InputError, match="subca was made in this workspace"):
        sign(owner, asked_pem(factory), name="subca")


# --- what comes back -------------------------------------------------------------------------------------------------


def test_the_manufacturer_takes_it_signs_devices_and_all_is_well(owner: Session, factory: Session) -> None:
    chain = chain_of(sign(owner, asked_pem(factory)))
    taken = take(factory, chain)
    assert (taken.new, taken.above) == (True, ("rootca",))
    require_sound(factory)
    before = fingerprint(factory.workspace.root)
    assert not take(factory, chain).new
    assert fingerprint(factory.workspace.root) == before
    with bench.locked(factory) as locked:
        made = identity.make(locked, family.signer(factory.workspace, FACTORY), DeviceId.parse("one"), Wish())
    require_sound(factory)
    ca = owner.workspace.ca
    verdict = openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", str(ca / "rootca/rootca.pem"),
                      "-untrusted", str(made.files.chain), str(made.files.certificate))  # fmt: skip
    assert verdict.strip().endswith("OK")


def test_longer_chains_get_names_after_their_cns_beside_a_root_of_ones_own(owner: Session, factory: Session) -> None:
    with bench.locked(owner) as locked:
        authority.make_intermediate(locked, Wish("Acme", pathlen=1), name=AuthorityName("policy"))
    make_both(factory)
    made = sign(owner, csr_named(factory, "Factory A"), by="policy")
    assert made.certificate
    assert profile.pathlen_of(made.certificate) == 0
    taken = take(factory, chain_of(made))
    assert taken.above == ("acme", "development-root-ca")
    assert take(factory, chain_of(made)).above == taken.above
    require_sound(factory)


def csr_named(session: Session, common_name: str) -> bytes:
    request = ask(session, Wish(common_name)).request
    assert request
    return request.pem


def test_a_chain_that_nobody_here_asked_for_is_refused(owner: Session, factory: Session) -> None:
    chain = chain_of(sign(owner, asked_pem(factory)))
    factory.workspace.ca.rename(factory.workspace.ca.with_name("elsewhere"))
    with pytest.raises(InputError, match="no authority here asked for f.chain.pem"):
        take(factory, chain)
    assert not list(factory.workspace.ca.glob("*/*.pem"))


Build = Callable[[paper.Paper], list[paper.Paper]]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda root: [root.issue("Sub", ca=True)], "which is no root"),
        (lambda root: [root.issue("Sub", ca=True), paper.make("Root")], "was not signed by the next one"),
        (lambda root: [root.issue("Sub\x1b[2J", ca=True), root], "cannot be printed"),
        (lambda root: [root.issue("leaf"), root], "is no CA's certificate"),
        (lambda root: [root.issue("old", ca=True, end=-paper.DAY / 2), root], "is valid from .* only"),
        (lambda root: [root.issue("new", ca=True, start=paper.DAY), root], "is valid from .* only"),
    ],
)
def test_a_chain_that_does_not_hold_is_refused(factory: Session, build: Build, said: str) -> None:
    ask(factory)
    links = build(paper.make("Root"))
    before = fingerprint(factory.workspace.root)
    with pytest.raises(CheckError, match=said):
        take(factory, b"".join(one.pem for one in links))
    assert fingerprint(factory.workspace.root) == before


def test_a_chain_longer_than_its_root_allows_is_refused(owner: Session, factory: Session) -> None:
    chain = inspect.parse_chain(chain_of(sign(owner, asked_pem(factory))), where="")
    sub = inspect.read_certificate(family.signer(owner.workspace).certificate)
    with pytest.raises(CheckError, match="lets 0 authorities stand below it, not 1"):
        delegation._require_chain([chain[0], sub, chain[1]], "f.chain.pem")


def test_another_certificate_for_the_same_key_is_refused(
    owner: Session, factory: Session, tmp_path: Path, make_session_in: MakeSession
) -> None:
    pem = asked_pem(factory)
    take(factory, chain_of(sign(owner, pem)))
    second = make_session_in(tmp_path / "second", pki_key="ec:P-256")
    make_both(second)
    with pytest.raises(InputError, match="has another certificate for the same key"):
        take(factory, chain_of(sign(second, pem)))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_rename_is_finished_by_running_again(
    owner: Session, factory: Session, make_session_in: MakeSession, when: str
) -> None:
    made = sign(owner, asked_pem(factory))
    job = partial(forks.take_chain, chain=delegation.chain_file(made.signer))
    roots = list(forks.killed(factory.workspace.root, job, when))
    assert len(roots) > 2
    for root in roots:
        assert forks.run(root, job) == 0
        require_sound(make_session_in(root))
