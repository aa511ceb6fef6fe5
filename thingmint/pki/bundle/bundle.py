"""A bundle: the authorities of a workspace as bytes, to be sealed; packed from values, unpacked into values alone.

A compressed tar whose manifest has the SHA-256 of each file. What is unpacked has known names, sizes within bounds and
no links, or it is refused whole: whoever has a recipient's certificate can seal anything for it. The database travels
as the rows of an index.txt, the ledger's among them: a stranger's SQLite file is never opened. Its serial number stays
behind, so that two workspaces of one authority do not count from the same.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from thingmint.errors import CheckError, InputError, ThingmintError
from thingmint.ids import AuthorityName
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.pki.bench import Bench
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.signing import transaction
from thingmint.pki.store import index
from thingmint.pki.store.database import Database
from thingmint.pki.store.index import Row

VERSION = 1
_MANIFEST = "manifest.json"
_PATH = re.compile(
    r"(?P<name>[a-z0-9-]+)/(?:(?P=name)\.(?P<end>pem|key|csr)|db/(?P<db>index\.txt|crlnumber\.txt)"
    r"|certs/(?P<serial>(?:[0-9A-F]{2}){1,20})\.pem)",
    re.ASCII,
)
_MOST_UNPACKED = 256 * 2**20
_MOST_PEM = 64 * 2**10
_TAR_BLOCK = 512


@dataclass(frozen=True)
class Share:
    """One authority in a bundle. `rows` is all that it ever issued; None where its database is elsewhere."""

    name: AuthorityName
    certificate: Certificate
    csr: bytes | None = None
    key: bytes | None = field(default=None, repr=False)  # as its file is: encrypted, if that is
    rows: tuple[Row, ...] | None = None
    certs: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # by serial number
    crl_number: bytes | None = None

    @property
    def key_is_encrypted(self) -> bool:
        return self.key is not None and inspect.is_encrypted(self.key)

    @property
    def is_root(self) -> bool:
        return self.certificate.issued_by(self.certificate)


@dataclass(frozen=True)
class Bundle:
    """The authorities, parents before children, and when they were taken."""

    made: datetime
    shares: tuple[Share, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Authority(_Strict):
    name: str
    common_name: str
    thumbprint: str
    not_after: str  # ISO 8601, UTC
    key: bool


class _Manifest(_Strict):
    version: int
    made: str  # ISO 8601, UTC
    authorities: list[_Authority]
    sha256: dict[str, str]


def collect(bench: Bench, *, with_root_key: bool) -> Bundle:
    """Every authority that has a certificate, as it stands after a recovery; never a device's key.

    Raises InputError where a key may be read by others: it would be shared as if nobody had; and where the root's is
    asked for and not here: a backup without it would be found out when it is needed.
    """
    shares = []
    for signer in family.everybody(bench.workspace):
        if signer.certificate.exists():
            transaction.recover(bench, signer)
            shares.append(_share(signer, with_root_key=with_root_key))
    if with_root_key and shares and not any(share.is_root and share.key for share in shares):
        raise _no_root_key(family.root(bench.workspace))
    return Bundle(datetime.now(UTC).replace(microsecond=0), tuple(shares))


def _no_root_key(root: Signer) -> InputError:
    leave_out = "leave --with-root-key out"
    if root.token:
        return InputError(
            f"--with-root-key cannot put in the root key, since it is {root.token}: a token gives none away.",
            things_to_try=[leave_out, "its backup is a second token: see the maker's own tools"],
        )
    return InputError(
        f"--with-root-key asks for {root.key}, which is not there.",
        things_to_try=["bring it back from where it is kept offline, then run this again", leave_out],
    )


def _share(signer: Signer, *, with_root_key: bool) -> Share:
    certificate = inspect.read_certificate(signer.certificate)
    key = rows = None
    certs: dict[str, bytes] = {}
    if signer.key.exists() and (with_root_key or not certificate.issued_by(certificate)):
        inspect.require_private(signer.key)
        key = signer.key.read_bytes()
    if signer.index.exists():
        rows = tuple(sorted(Database(signer).everything().values(), key=lambda row: row.serial))
        paths = {row.serial: signer.certificate_of(row.serial) for row in rows}
        certs = {serial: path.read_bytes() for serial, path in paths.items() if path.exists()}
    return Share(
        AuthorityName.parse(signer.name),
        certificate,
        csr=_content(signer.csr),
        key=key,
        rows=rows,
        certs=certs,
        crl_number=_content(signer.crl_number),
    )


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def pack(bundle: Bundle) -> bytes:
    """Raises InputError where this is more than `unpack` would take."""
    content = {path: data for share in bundle.shares for path, data in _files(share)}
    manifest = _Manifest(
        version=VERSION,
        made=bundle.made.isoformat(),
        authorities=[_entry(share) for share in bundle.shares],
        sha256={path: hashlib.sha256(data).hexdigest() for path, data in content.items()},
    )
    content = {_MANIFEST: manifest.model_dump_json(indent=1).encode(), **content}
    size = sum(len(data) + 2 * _TAR_BLOCK for data in content.values())
    if size > _MOST_UNPACKED:
        raise too_large(size, most=_MOST_UNPACKED)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in content.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def too_large(size: int, *, most: int) -> InputError:
    """It was compressed already; what is left to do."""
    return InputError(
        f"these authorities with all that they issued are too large for a bundle: {size / 2**20:.0f} MiB, "
        f"and {most // 2**20} MiB are the most.",
        things_to_try=["carry the folder ca/ itself, on an encrypted disk, while nothing is issued"],
    )


def _files(share: Share) -> Iterator[tuple[str, bytes]]:
    name = share.name.text
    yield f"{name}/{name}.pem", share.certificate.pem
    for end, data in (("csr", share.csr), ("key", share.key)):
        if data is not None:
            yield f"{name}/{name}.{end}", data
    if share.rows is not None:
        yield f"{name}/db/index.txt", index.render(share.rows)
    if share.crl_number is not None:
        yield f"{name}/db/crlnumber.txt", share.crl_number
    for serial, data in share.certs.items():
        yield f"{name}/certs/{serial}.pem", data


def _entry(share: Share) -> _Authority:
    own = share.certificate
    return _Authority(
        name=share.name.text,
        common_name=own.common_name,
        thumbprint=own.thumbprint,
        not_after=own.not_after.isoformat(),
        key=share.key is not None,
    )


def unpack(packed: bytes) -> Bundle:
    """Values, and no file anywhere. Raises CheckError unless it is just what `pack` makes."""
    content = _members(_decompressed(packed))
    manifest = _manifest(content.pop(_MANIFEST, b""))
    if {path: hashlib.sha256(data).hexdigest() for path, data in content.items()} != manifest.sha256:
        raise refused("its files are not those of its manifest")
    try:
        made = datetime.fromisoformat(manifest.made)
        shares = tuple(_shared(AuthorityName.parse(entry.name), content) for entry in manifest.authorities)
    except (ValueError, UnicodeDecodeError) as error:
        raise refused(str(error)) from None
    except ThingmintError as error:
        raise refused(error.message.rstrip(".")) from None
    if [_entry(share) for share in shares] != manifest.authorities or made.tzinfo is None:
        raise refused("its manifest tells of other authorities than it holds")
    if sum(1 for share in shares for _ in _files(share)) != len(content):
        raise refused("it holds files of no authority, or the same authority twice")
    return Bundle(made, shares)


def _decompressed(packed: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)  # gzip
    try:
        data = stream.decompress(packed, _MOST_UNPACKED + 1)
    except zlib.error:
        raise refused("it cannot be decompressed") from None
    if len(data) > _MOST_UNPACKED:
        raise refused(f"it holds more than {_MOST_UNPACKED // 2**20} MiB")
    if not stream.eof or stream.unused_data:
        raise refused("it is cut off, or something follows it")
    return data


def _members(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", format=tarfile.USTAR_FORMAT) as archive:
            for member in archive:
                # The first of these ends it: what tarfile would make of odd headers further on is not tried out.
                if member.type != tarfile.REGTYPE or member.pax_headers or member.issparse():
                    raise refused(f"{member.name!r} is no plain file")
                if not (member.name == _MANIFEST or _PATH.fullmatch(member.name)) or member.name in found:
                    raise refused(f"{member.name!r} does not belong into one, or is there twice")
                most = _MOST_PEM if member.name.endswith((".pem", ".key", ".csr")) else _MOST_UNPACKED
                source = archive.extractfile(member) if 0 <= member.size <= most else None
                if source is None:
                    raise refused(f"{member.name!r} has an impossible size")
                found[member.name] = source.read()
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise refused(f"it is no archive ({error})") from None
    return found


def _manifest(data: bytes) -> _Manifest:
    try:
        manifest = _Manifest.model_validate_json(data)
    except ValidationError:
        raise refused("its manifest is missing or cannot be read") from None
    if manifest.version != VERSION:
        raise InputError(
            f"the bundle has version {manifest.version}, and this thingmint reads {VERSION}.",
            things_to_try=["update thingmint"],
        )
    return manifest


def _shared(name: AuthorityName, content: Mapping[str, bytes]) -> Share:
    chain = inspect.parse_chain(content.get(f"{name}/{name}.pem", b""), where=f"{name}.pem")
    rows = content.get(f"{name}/db/index.txt")
    where = Path(f"{name}/db/index.txt")
    folder = f"{name}/certs/"
    return Share(
        name,
        chain[0],
        csr=content.get(f"{name}/{name}.csr"),
        key=content.get(f"{name}/{name}.key"),
        rows=None if rows is None else index.parse(rows.decode("utf-8"), where=where),
        certs={path[len(folder) : -4]: data for path, data in content.items() if path.startswith(folder)},
        crl_number=content.get(f"{name}/db/crlnumber.txt"),
    )


def refused(why: str, *, detail: str = "") -> CheckError:
    """Sealed by somebody, and no bundle that `ca-export` made."""
    return CheckError(
        f"the bundle is refused: {why}. Nothing was written.",
        detail=detail,
        things_to_try=["use nothing of it", "ask whoever made it for another copy, and tell them"],
    )
