"""A key that is made in the modem and never leaves it: AT%KEYGEN, its CSR, and what the modem attests of it."""

import base64
import binascii
import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

from thingmint.errors import CheckError, InputError, ModemError
from thingmint.modem import refusals
from thingmint.modem.at import Modem
from thingmint.modem.credentials import Kind, require_users_tag

_SECONDS = 60.0
_ANSWER = re.compile(r'%KEYGEN: "([A-Za-z0-9_-]+)(?:\.([A-Za-z0-9_-]+))?"')
_COSE_SIGN1 = 18
_KEY_GENERATION = 9  # the message type in the payload


@dataclass(frozen=True)
class Attestation:
    """What the modem says of the key it made. The CSR's digest and the tag were compared.

    Its signature (COSE, ES256, by the device identity key) was not: that takes the public key which Nordic has.
    """

    device_uuid: str
    sec_tag: int
    csr_sha256: str

    @property
    def words(self) -> str:
        return f"modem {self.device_uuid}: digest and tag match, attestation signature not checked"


@dataclass(frozen=True)
class GeneratedKey:
    """`csr` is the DER exactly as the modem made it: it encodes the algorithm in a way that some libraries refuse."""

    csr: bytes
    attestation: Attestation


def generate(modem: Modem, tag: int, common_name: str) -> GeneratedKey:
    """Make a P-256 key under `tag` and a CSR for it. Raises ModemError, or CheckError if the attestation is another's."""
    require_users_tag(tag)
    if not re.fullmatch(r"[A-Za-z0-9._ -]{1,64}", common_name):
        raise InputError(
            f"{common_name!r} cannot be the CN of a CSR that the modem makes.",
            things_to_try=["letters, digits, '.', '_' and '-', 64 at most: the device id"],
        )
    command = f'AT%KEYGEN={tag},{int(Kind.PRIVATE_KEY)},0,"CN={common_name}"'
    answer = modem.ask(command, seconds=_SECONDS)
    match = _ANSWER.fullmatch(answer[0]) if len(answer) == 1 else None
    if match is None:
        raise refusals.nonsense(command, "\n".join(answer) or "OK, and nothing else")
    if match[2] is None:
        raise ModemError(
            f"the modem made a key under security tag {tag}, and attests nothing of it: nothing is to be signed.",
            things_to_try=[
                "modem firmware from 1.3.0 on attests: AT+CGMR tells the version",
                f"delete the key: invoke creds-delete --sec-tag {tag}",
            ],
        )
    try:
        csr, cose = _decode(match[1]), _decode(match[2])
    except binascii.Error:
        raise refusals.nonsense(command, answer[0]) from None
    return GeneratedKey(csr, attested(cose, csr, tag))


def attested(cose: bytes, csr: bytes, tag: int) -> Attestation:
    """What `cose` attests. Raises CheckError unless it is about this CSR and this tag."""
    message_type, device, its_tag, digest = _payload(cose)
    if message_type != _KEY_GENERATION:
        raise CheckError(f"the modem attests something else than a key it made (message type {message_type}).")
    actual = hashlib.sha256(csr).digest()
    if digest != actual:
        raise CheckError(
            "the modem's attestation is about another CSR than the one that arrived: nothing is to be signed.",
            detail=f"attested: {digest.hex()}\narrived:  {actual.hex()}",
            things_to_try=["delete the key and make it again: invoke creds-delete, then this"],
        )
    if its_tag != tag:
        raise CheckError(
            f"the modem attests a key under security tag {its_tag}, and tag {tag} was asked for.",
            things_to_try=["see what the modem holds: invoke creds"],
        )
    return Attestation(str(uuid.UUID(bytes=device)), its_tag, actual.hex().upper())


def _payload(cose: bytes) -> tuple[int, bytes, int, bytes]:
    """Message type, device UUID, tag and CSR digest: CBOR in COSE_Sign1 (RFC 9052, 4.2)."""
    import cbor2

    try:
        outer: Any = cbor2.loads(cose)
        if outer.tag != _COSE_SIGN1:
            raise ValueError(outer.tag)
        _protected, _unprotected, payload, _signature = outer.value
        message_type, device, its_tag, digest, _nonce = cbor2.loads(payload)  # the self-describing tag is dropped
        if len(device) != 16 or len(digest) != 32:
            raise ValueError(device)
        return int(message_type), bytes(device), int(cbor2.loads(its_tag)), bytes(digest)
    except (ValueError, TypeError, AttributeError, cbor2.CBORDecodeError):
        raise ModemError(
            "the modem's attestation of its new key cannot be read.",
            things_to_try=["run this again", "modem firmware from 1.3.0 on attests: AT+CGMR tells the version"],
        ) from None


def _decode(text: str) -> bytes:
    """base64url without its padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
