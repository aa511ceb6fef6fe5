"""What a bundle holds, and that anything else in its place is refused whole, before a file is written."""

import dataclasses
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import paper
from tests.conftest import MakeSession
from tests.pki.test_authority import make_both
from tests.pki.test_identity import make_device
from thingmint.console import Console
from thingmint.errors import CheckError, InputError, ThingmintError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.bundle import bundle, vetting
from thingmint.pki.bundle.bundle import Bundle, Share
from thingmint.session import Session


def collect(session: Session, *, with_root_key: bool = False) -> Bundle:
    with bench.locked(session) as locked:
        return bundle.collect(locked, with_root_key=with_root_key)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A root, an intermediate and a device of it, as the owner shares them."""
    from thingmint import config
    from thingmint.session import make_session

    loaded = config.load({"THINGMINT_PKI_KEY": "ec:P-256"})
    session = make_session(tmp_path_factory.mktemp("owner") / "ws", loaded, Console(quiet=True))
    make_both(session)
    make_device(session, DeviceId.parse("one"))
    return collect(session)


@pytest.fixture(scope="module")
def packed(taken: Bundle) -> bytes:
    return bundle.pack(taken)


def members(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def archive(content: dict[str, bytes], *more: tuple[tarfile.TarInfo, bytes], seal: bool = True) -> bytes:
    """A tar of these files; with `seal`, under a manifest that has their right digests."""
    import hashlib

    if seal:
        manifest = json.loads(content["manifest.json"])
        manifest["sha256"] = {
            name: hashlib.sha256(data).hexdigest() for name, data in content.items() if name != "manifest.json"
        }
        content = {**content, "manifest.json": json.dumps(manifest).encode()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member, data in more:
            tar.addfile(member, io.BytesIO(data) if data else None)
    return gzip.compress(buffer.getvalue())


def test_it_comes_back_as_it_was(taken: Bundle, packed: bytes) -> None:
    assert bundle.unpack(packed) == taken
    assert list(vetting.problems(taken)) == []


def test_inside_are_authorities_and_no_devices_key(taken: Bundle, packed: bytes) -> None:
    root, sub = taken.shares
    (one,) = sub.certs
    assert sorted(members(packed)) == sorted([
        "manifest.json",
        *(f"rootca/{end}" for end in ("rootca.pem", "rootca.csr", "db/index.txt")),
        *(f"rootca/certs/{serial}.pem" for serial in root.certs),
        *(f"subca/{end}" for end in ("subca.pem", "subca.csr", "subca.key", "db/index.txt", f"certs/{one}.pem")),
    ])  # fmt: skip
    assert b"PRIVATE KEY" not in members(packed)["manifest.json"]
    assert "PRIVATE" not in repr(taken)


def test_the_root_key_goes_along_only_when_told(session: Session) -> None:
    make_both(session)
    with_key = collect(session, with_root_key=True)
    assert with_key.shares[0].key == family.root(session.workspace).key.read_bytes()
    assert collect(session).shares[0].key is None


def test_a_root_key_that_is_asked_for_and_cannot_go_along_is_an_error(session: Session) -> None:
    make_both(session)
    root = family.root(session.workspace)
    root.key.unlink()
    with pytest.raises(InputError, match=r"rootca\.key, which is not there"):
        collect(session, with_root_key=True)
    root.uri.write_text("pkcs11:token=acme;object=rootca\n")
    with pytest.raises(InputError, match="a token gives none away"):
        collect(session, with_root_key=True)


def test_rows_of_the_ledger_go_along(session: Session) -> None:
    make_both(session)
    make_device(session, DeviceId.parse("early"))
    family.signer(session.workspace).index.write_bytes(b"")  # as it is after 500 rows
    make_device(session, DeviceId.parse("late"))
    rows = collect(session).shares[1].rows or ()
    assert {row.common_name for row in rows} == {"early", "late"}


def test_a_key_that_others_may_read_is_not_shared(session: Session) -> None:
    make_both(session)
    family.signer(session.workspace).key.chmod(0o644)
    with pytest.raises(InputError, match="may be read by others"):
        collect(session)


def test_too_large_is_told_with_what_helps(taken: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_MOST_UNPACKED", 2**12)
    with pytest.raises(InputError, match="too large for a bundle"):
        bundle.pack(taken)


# --- archives that `pack` does not make ----------------------------------------------------------------------------

Hostile = Callable[[dict[str, bytes]], bytes]


def link(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member, b""


def edited(change: Callable[[dict[str, Any]], object]) -> Hostile:
    def make(content: dict[str, bytes]) -> bytes:
        manifest = json.loads(content["manifest.json"])
        change(manifest)
        return archive({**content, "manifest.json": json.dumps(manifest).encode()}, seal=False)

    return make


@pytest.mark.parametrize(
    "hostile",
    [
        lambda content: archive({**content, "../evil.pem": b""}),
        lambda content: archive({**content, "/etc/cron.d/evil": b""}),
        lambda content: archive({**content, "subca/../../evil.key": b""}),
        lambda content: archive({**content, "subca/db/../subca.key": b""}),
        lambda content: archive({**content, "subca\\evil.pem": b""}),
        lambda content: archive({**content, "subca/rootca.key": b""}),
        lambda content: archive({**content, "subca/db/ledger.sqlite3": b""}),
        lambda content: archive({**content, "subca/certs/zz.pem": b""}),
        lambda content: archive({**content, "subca.cnf": b""}),
        lambda content: archive({**content, "other/other.pem": content["subca/subca.pem"]}),
        lambda content: archive(content, link("rootca/rootca.key", tarfile.SYMTYPE)),
        lambda content: archive(content, link("rootca/rootca.key", tarfile.LNKTYPE)),
        lambda content: archive(content, link("rootca/rootca.key", tarfile.CHRTYPE)),
        lambda content: archive(content, link("rootca/certs", tarfile.DIRTYPE)),
        lambda content: archive(content, (tarfile.TarInfo("subca/subca.pem"), b"")),
        lambda content: archive({**content, "subca/subca.key": b"x" * 2**17}),
        lambda content: archive({**content, "subca/subca.pem": b"no certificate"}),
        lambda content: archive({**content, "subca/db/index.txt": b"V\tno row\n"}),
        lambda content: archive({**content, "subca/db/index.txt": b"\xff\xfe"}),
        lambda content: archive({name: data for name, data in content.items() if name != "subca/subca.pem"}),
        lambda content: archive({**content, "subca/subca.key": b"another"}, seal=False),
        lambda content: archive({name: data for name, data in content.items() if not name.startswith("rootca/c")},
                                seal=False),
        lambda _: archive({}, seal=False),
        lambda _: archive({"manifest.json": b"[" * 100_000}, seal=False),
        edited(lambda manifest: manifest["authorities"][0].update(thumbprint="0" * 40)),
        edited(lambda manifest: manifest["authorities"][0].update(key=True)),
        edited(lambda manifest: manifest["authorities"].append(manifest["authorities"][0])),
        edited(lambda manifest: manifest["authorities"].pop()),
        edited(lambda manifest: manifest["authorities"][0].update(name="../rootca")),
        edited(lambda manifest: manifest["authorities"][0].update(name="con")),
        edited(lambda manifest: manifest.update(made="yesterday")),
        edited(lambda manifest: manifest.update(made="2026-01-01")),
        edited(lambda manifest: manifest.update(more="of it")),
        lambda _: gzip.compress(b"no archive" * 100),
        lambda _: b"",
        lambda content: archive(content) + b"more",
        lambda content: archive(content)[:-9],
        lambda _: gzip.compress(b"\0" * (256 * 2**20 + 1), 1),
    ],
)  # fmt: skip
def test_anything_else_is_refused_whole(packed: bytes, hostile: Hostile) -> None:
    with pytest.raises(CheckError, match="the bundle is refused: .* Nothing was written"):
        bundle.unpack(hostile(members(packed)))


def test_a_newer_version_asks_for_an_update(packed: bytes) -> None:
    with pytest.raises(InputError, match="version 2"):
        bundle.unpack(edited(lambda manifest: manifest.update(version=2))(members(packed)))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_byte_is_changed_there_is_one_clear_refusal(taken: Bundle, packed: bytes, data: st.DataObject) -> None:
    plain = bytearray(gzip.decompress(packed))
    for _ in range(data.draw(st.integers(1, 3))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))
    try:
        # When it was made is told by nobody else; the seal around it is what vouches for that.
        assert dataclasses.replace(bundle.unpack(gzip.compress(bytes(plain), 1)), made=taken.made) == taken
    except ThingmintError as error:
        assert "PRIVATE KEY" not in error.render()


# --- well packed, and yet not one story ----------------------------------------------------------------------------


def with_sub(taken: Bundle, **changes: Any) -> Bundle:
    root, sub = taken.shares
    return dataclasses.replace(taken, shares=(root, dataclasses.replace(sub, **changes)))


def foreign() -> paper.Paper:
    return paper.make("Development Intermediate CA")


def broken(taken: Bundle) -> Iterator[tuple[Bundle, str]]:
    root, sub = taken.shares
    other, (row,) = foreign(), sub.rows or ()
    certificate = inspect.parse_chain(other.issue("one").pem, where="test")[0]
    leaf = inspect.parse_chain(sub.certs[row.serial], where="test")[0]
    yield with_sub(taken, key=other.key_pem), "the key of subca is another one's"
    yield with_sub(taken, key=b"-----BEGIN PRIVATE KEY-----\nnonsense"), "the key of subca cannot be read"
    yield with_sub(taken, csr=root.csr), "the CSR of subca is for another key"
    yield with_sub(taken, csr=b"nonsense"), "holds no readable CSR"
    yield with_sub(taken, certificate=leaf, key=None), "the certificate of subca is no CA's"
    yield dataclasses.replace(taken, shares=(sub,)), "who signed subca ('Development Root CA') is not inside"
    yield dataclasses.replace(taken, shares=(root, dataclasses.replace(root, name=sub.name))), "the same certificate"
    yield dataclasses.replace(taken, shares=(dataclasses.replace(sub, name=root.name),)), "rootca did not sign itself"
    odd = inspect.parse_chain(paper.make("Acme\x1b[2J").pem, where="test")[0]
    yield with_sub(taken, certificate=odd, csr=None, key=None), "cannot be printed: 'Acme\\x1b[2J'"
    yield with_sub(taken, rows=()), "the database of subca does not know the certificate"
    yield with_sub(taken, certs={}), "subca has no certificate of its row"
    yield with_sub(taken, certs={row.serial: b"nonsense"}), "cannot be read"
    yield with_sub(taken, certs={row.serial: certificate.pem}), "is not the one of its row"
    yield with_sub(taken, crl_number=b"one"), "the CRL number of subca is none"
    forged = dataclasses.replace(
        row, serial=certificate.serial, expires=certificate.not_after.strftime("%y%m%d%H%M%SZ")
    )
    yield with_sub(taken, rows=(forged,), certs={forged.serial: certificate.pem}), "was signed by another key"
    for change in ({"expires": "999999999999Z"}, {"subject": "/CN=two"}, {"status": "R", "revoked": "x\x1b[2J"}):
        yield with_sub(taken, rows=(dataclasses.replace(row, **change),)), "is not the one of its row"


def test_what_does_not_hold_together_is_named(taken: Bundle) -> None:
    for bad, said in broken(taken):
        found = list(vetting.problems(bad))
        assert any(said in one for one in found), (said, found)
        assert all("\x1b" not in one and "PRIVATE" not in one for one in found)
        assert bundle.unpack(bundle.pack(bad)) == bad  # by its form alone it is fine


def test_an_encrypted_key_is_carried_as_it_is(session: Session, tmp_path: Path, make_session_in: MakeSession) -> None:
    make_both(session)
    signer = family.signer(session.workspace)
    argv = ["openssl", "pkcs8", "-topk8", "-in", str(signer.key), "-passout", "env:SECRET", "-out", str(tmp_path / "k")]
    subprocess.run(argv, check=True, env={"SECRET": "open sesame", "PATH": "/usr/bin:/bin"})
    signer.key.write_bytes((tmp_path / "k").read_bytes())
    sub: Share = bundle.unpack(bundle.pack(collect(session))).shares[1]
    assert sub.key == signer.key.read_bytes()
    assert sub.key_is_encrypted
    assert list(vetting.problems(collect(session))) == []
