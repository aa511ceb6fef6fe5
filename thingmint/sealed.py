"""Bytes sealed for a passphrase or for recipients' certificates: JWE JSON (RFC 7516) with AES-256-GCM.

Any JOSE library opens it. A passphrase becomes a key by scrypt, whose parameters stand in the protected header, and
that key wraps the content's (A256KW): PBES2, the standard's own way, is held by joserfc and jwcrypto alike to fewer
rounds than a passphrase needs today. The file ends in a checksum, so that damage is told from a wrong passphrase.
Recipients learn that nobody changed it, not who made it: whoever has their certificates can seal for them.
"""

import base64
import datetime as dt
import hashlib
import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.errors import JoseError
from joserfc.jwe import GeneralJSONEncryption, JWERegistry, decrypt_json, encrypt_json
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from joserfc.registry import HeaderParameter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thingmint.errors import CheckError, InputError

_TYPE = "thingmint-bundle-v1"
_ALGORITHMS = ("A256KW", "RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM")
# 128 MiB and a third of a second a guess; a file may ask for at most the double.
_SCRYPT_N, _SCRYPT_MOST = 2**17, 2**18
_RECIPIENTS = 64
_LARGEST = 128 * 2**20
MOST_DATA = _LARGEST // 2
"""How many bytes are sealed at most."""
# Braces, brackets and commas of the longest list of recipients; base64url, all the rest of a bundle, has none.
_STRUCTURE = 2048
_CHECKSUM = b',"sha256":"%s"}'
_TAIL = len(_CHECKSUM % (b"0" * 64))


@dataclass(frozen=True)
class Sealed:
    """What is told without opening it: SHA-256 thumbprints of the recipients' certificates, none for a passphrase."""

    kind: Literal["passphrase", "recipients"]
    recipients: tuple[str, ...]


class WrongPassphraseError(InputError):
    """Asking again may bring the right one."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Scrypt(_Strict):
    n: int = Field(ge=2, le=_SCRYPT_MOST)
    r: Literal[8]
    p: Literal[1]
    salt: str = Field(min_length=22, max_length=86, pattern=r"^[A-Za-z0-9_-]+$")


class _Protected(_Strict):
    typ: Literal["thingmint-bundle-v1"]
    enc: Literal["A256GCM"]
    scrypt: _Scrypt | None = None


class _Header(_Strict):
    alg: Literal["A256KW", "RSA-OAEP-256", "ECDH-ES+A256KW"]
    kid: str | None = None
    thumbprint: str | None = Field(None, alias="x5t#S256", pattern=r"^[A-Za-z0-9_-]{43}$")
    epk: dict[str, str] | None = None


class _Recipient(_Strict):
    header: _Header
    encrypted_key: str


class _Bundle(_Strict):
    """The shape, checked before any library sees it."""

    protected: str
    iv: str
    ciphertext: str
    tag: str
    recipients: list[_Recipient] = Field(min_length=1, max_length=_RECIPIENTS)


def seal_for_passphrase(data: bytes, passphrase: str) -> bytes:
    """Whoever knows the passphrase opens it. Raises InputError if `data` is too large."""
    scrypt = {"n": _SCRYPT_N, "r": 8, "p": 1, "salt": _encode(os.urandom(16))}
    key = OctKey.import_key(_derive(passphrase, _Scrypt.model_validate(scrypt)))
    return _seal(data, {"scrypt": scrypt}, [({"alg": "A256KW"}, key)])


def seal_for_recipients(data: bytes, certificates: Sequence[bytes]) -> bytes:
    """Each holder of a key whose certificate (PEM) is among these opens it. Raises InputError naming an unfit one."""
    recipients: dict[str, tuple[dict[str, str], Key]] = {}
    for pem in certificates:
        certificate, key = _recipient(pem)
        thumbprint = _encode(certificate.fingerprint(hashes.SHA256()))
        algorithm = "RSA-OAEP-256" if isinstance(key, RSAKey) else "ECDH-ES+A256KW"
        recipients[thumbprint] = ({"alg": algorithm, "kid": key.thumbprint(), "x5t#S256": thumbprint}, key)
    if not 1 <= len(recipients) <= _RECIPIENTS:
        raise InputError(f"a bundle is sealed for 1 to {_RECIPIENTS} recipients; {len(recipients)} were named.")
    return _seal(data, {}, list(recipients.values()))


def require_recipient(pem: bytes) -> None:
    """Raises InputError where nothing can be sealed for this certificate."""
    _recipient(pem)


def describe(sealed: bytes) -> Sealed:
    """Who can open it. Raises InputError if it is no bundle, CheckError if it is damaged."""
    bundle, protected = _parse(sealed)
    thumbprints = [one.header.thumbprint for one in bundle.recipients]
    names = tuple(base64.urlsafe_b64decode(one + "=").hex().upper() for one in thumbprints if one)
    return Sealed("passphrase" if protected.scrypt else "recipients", names)


def open_with_passphrase(sealed: bytes, passphrase: str) -> bytes:
    """Raises WrongPassphraseError, InputError for no bundle, CheckError for a damaged or changed one."""
    bundle, protected = _parse(sealed)
    if protected.scrypt is None:
        raise InputError(
            "the bundle is sealed for recipients' keys, not for a passphrase.",
            detail="\n".join(describe(sealed).recipients),
            things_to_try=["open it with the private key of one of these certificates (SHA-256 thumbprints)"],
        )
    key = OctKey.import_key(_derive(passphrase, protected.scrypt))
    wrong = WrongPassphraseError(
        "the bundle cannot be opened: the passphrase is wrong.", things_to_try=["ask whoever made the bundle"]
    )
    return _open(bundle, bundle.recipients[0], key, wrong=wrong)


def open_with_key(sealed: bytes, key_pem: bytes, passphrase: str | None = None) -> bytes:
    """Open with a recipient's private key, itself encrypted or not. Raises as open_with_passphrase does."""
    bundle, protected = _parse(sealed)
    if protected.scrypt is not None:
        raise InputError("the bundle is sealed for a passphrase, not for recipients' keys.")
    key = _private_key(key_pem, passphrase)
    kid = key.thumbprint()
    for recipient in bundle.recipients:
        if recipient.header.kid == kid:
            wrong = InputError(
                "the bundle cannot be opened: the key does not fit.", things_to_try=["ask whoever made the bundle"]
            )
            return _open(bundle, recipient, key, wrong=wrong)
    raise InputError(
        "the bundle is not sealed for this key.",
        detail="\n".join(describe(sealed).recipients),
        things_to_try=["take the private key of one of the certificates above (SHA-256 thumbprints)"],
    )


def _seal(data: bytes, extra: dict[str, Any], recipients: Sequence[tuple[dict[str, str], Key]]) -> bytes:
    if len(data) > MOST_DATA:
        raise InputError(f"a bundle holds at most {MOST_DATA // 2**20} MiB; this would be {len(data) / 2**20:.0f} MiB.")
    encryption = GeneralJSONEncryption({"typ": _TYPE, "enc": "A256GCM", **extra}, data)
    for header, key in recipients:
        encryption.add_recipient(header, key)
    text = json.dumps(encrypt_json(encryption, None, registry=_registry()), separators=(",", ":"))
    body = text.encode("ascii").removesuffix(b"}")
    return body + _CHECKSUM % hashlib.sha256(body).hexdigest().encode("ascii")


def _open(bundle: _Bundle, recipient: _Recipient, key: Key, *, wrong: InputError) -> bytes:
    one = bundle.model_copy(update={"recipients": [recipient]})
    try:
        opened = decrypt_json(one.model_dump(by_alias=True, exclude_none=True), key, registry=_registry())  # type: ignore[arg-type]
    except JoseError as error:
        if isinstance(error.__cause__, InvalidTag):
            raise _changed() from None
        raise wrong from None
    except (ValueError, TypeError):  # a header that only a forger writes: base64 that is none, a point off its curve
        raise _changed() from None
    return opened.plaintext or b""


def _parse(sealed: bytes) -> tuple[_Bundle, _Protected]:
    sealed = sealed.strip()
    if len(sealed) > _LARGEST or not sealed.startswith(b'{"protected":"'):
        raise InputError("this is no thingmint bundle.", things_to_try=["take the file that `ca-export` wrote"])
    body, tail = sealed[:-_TAIL], sealed[-_TAIL:]
    if tail != _CHECKSUM % hashlib.sha256(body).hexdigest().encode("ascii"):
        raise CheckError(
            "the bundle is damaged or not complete: its checksum does not hold.",
            things_to_try=["copy it again, as a binary file", "ask whoever made it for another copy"],
        )
    if sum(body.count(one) for one in (b"{", b"[", b",")) > _STRUCTURE:
        raise _changed()
    try:
        bundle = _Bundle.model_validate_json(body + b"}")
        header = json.loads(base64.urlsafe_b64decode(bundle.protected + "=" * (-len(bundle.protected) % 4)))
        typ = header.get("typ", "")
        if typ != _TYPE and str(typ).startswith("thingmint-bundle-"):
            raise InputError("the bundle was made by a newer thingmint.", things_to_try=["update thingmint"])
        protected = _Protected.model_validate(header)
    except (ValidationError, ValueError, AttributeError, RecursionError):
        raise _changed() from None
    return bundle, protected


def _changed() -> CheckError:
    return CheckError(
        "the bundle is not as it was sealed: somebody changed it, or it was never a thingmint bundle.",
        things_to_try=["use nothing of it", "ask whoever made it for another copy, and tell them"],
    )


def _registry() -> JWERegistry:
    registry = JWERegistry({"scrypt": HeaderParameter("how the passphrase became a key", _is_dict)}, _ALGORITHMS)
    # The library's own limits are those of a web token.
    registry.max_ciphertext_length = _LARGEST
    registry.max_encrypted_key_length = 4096  # RSA-16384
    return registry


def _is_dict(value: object) -> None:
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - what the library asks of a check


def _derive(passphrase: str, scrypt: _Scrypt) -> bytes:
    """The key of a passphrase, however the keyboard composed its accents."""
    salt = base64.urlsafe_b64decode(scrypt.salt + "=" * (-len(scrypt.salt) % 4))
    text = unicodedata.normalize("NFC", passphrase).encode()
    try:
        return Scrypt(salt=salt, length=32, n=scrypt.n, r=scrypt.r, p=scrypt.p).derive(text)
    except ValueError:  # n is no power of two
        raise _changed() from None


def _recipient(pem: bytes) -> tuple[x509.Certificate, Key]:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        public = certificate.public_key()
    except ValueError:
        raise InputError(
            "a recipient's certificate cannot be read.", things_to_try=["give it as PEM: -----BEGIN CERTIFICATE-----"]
        ) from None
    who = f"the recipient's certificate {certificate.subject.rfc4514_string()}"
    now = dt.datetime.now(dt.UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise InputError(
            f"{who} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d} only.",
            things_to_try=["ask the recipient for the certificate in use"],
        )
    key = _as_jwk(public)
    if key is None:
        raise InputError(
            f"{who} holds a key that nothing can be sealed for.",
            things_to_try=["use RSA of at least 2048 bits, or EC P-256 or P-384"],
        )
    return certificate, key


def _private_key(pem: bytes, passphrase: str | None) -> Key:
    try:
        private = load_pem_private_key(pem, passphrase.encode() if passphrase else None)
    except TypeError:
        needs = (
            "is encrypted: its passphrase is needed" if not passphrase else "is not encrypted: it takes no passphrase"
        )
        raise InputError(f"the private key {needs}.") from None
    except ValueError:
        give = ["give it as PEM, a text that begins with -----BEGIN"]
        if not passphrase:
            raise InputError("this is no private key.", things_to_try=give) from None
        raise WrongPassphraseError(
            "the private key cannot be read: the passphrase is wrong, or this is no key.", things_to_try=give
        ) from None
    key = _as_jwk(private)
    if key is None:
        raise InputError("nothing is ever sealed for a private key of this kind.")
    return key


def _as_jwk(key: object) -> Key | None:
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey) and key.key_size >= 2048:
        return RSAKey.import_key(key)
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) and key.curve.name in {
        "secp256r1",
        "secp384r1",
    }:
        return ECKey.import_key(key)
    return None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
