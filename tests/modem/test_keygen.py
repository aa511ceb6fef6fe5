"""A key made in the modem: the published sample of a real one, and answers that are not about it."""

import hashlib

import cbor2
import pytest

from tests.modem.host import Host, Nrf
from thingmint.errors import CheckError, InputError, ModemError
from thingmint.modem import keygen
from thingmint.modem.at import Modem

# Published by Nordic: modem firmware 1.3, sec_tag 42.
CSR = (
    "MIIBCjCBrwIBADAvMS0wKwYDVQQDDCQ1MDM2MzE1NC0zOTMyLTQ4MzQtODAyYi0wOTA4NzE4MzE0ZGMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATPLBN5-"
    "YWj13l6NWeqNFW8VjHOWZB5IfeaEyfMeiUk6V1NEMuYnEBwwrBdV94F5XdscCKDLtvtyKo4VTbnK-mPoB4wHAYJKoZIhvcNAQkOMQ8wDTALBgNVHQ8EBAMCA-gw"
    "DAYIKoZIzj0EAwIFAANIADBFAiAO2KmzF9Ms599GC3EueXhmp6AWwtD6c7bA_lhnNc7ZgQIhAMFJC99z_GfLJxCT2U8Dt4MFCB_5wwFYSDcSg-ucfLHS"
)
COSE = (
    "0oRDoQEmoQRBIVhM2dn3hQlQUDYxVDkySDSAKwkIcYMU3EIYKlgglFk5S_wQVOvIPvm-qjnYS4BZ4mCg7Bsf3cAVIGelPGNQVF8u_v_HrhBJH107c3QBLVhA35AZ"
    "a4ZWQbm7mRQfFuGGlfLFgiNwMLxxjsmiQHNtT01o5c6pm2uEqMn0T_YY0aEXZer2hCS-YwNoW97zcH_Iug"
)
NAME = "50363154-3932-4834-802b-0908718314dc"


def answers(nrf: Nrf, words: str, tag: int = 42) -> None:
    nrf.replies[f'AT%KEYGEN={tag},2,0,"CN={NAME}"'] = f"{words}\r\nOK\r\n".encode()


def test_the_published_sample_of_a_real_modem(modem: Modem, nrf: Nrf) -> None:
    answers(nrf, f'%KEYGEN: "{CSR}.{COSE}"')
    made = keygen.generate(modem, 42, NAME)
    assert made.csr == keygen._decode(CSR)
    assert made.attestation.csr_sha256 == hashlib.sha256(made.csr).hexdigest().upper()
    assert (made.attestation.device_uuid, made.attestation.sec_tag) == (NAME, 42)
    assert made.attestation.words.endswith("digest and tag match, attestation signature not checked")


def test_another_csr_than_the_attested_one_is_a_failed_check(modem: Modem, nrf: Nrf) -> None:
    answers(nrf, f'%KEYGEN: "{CSR[:-4]}AAAA.{COSE}"')
    with pytest.raises(CheckError, match="about another CSR"):
        keygen.generate(modem, 42, NAME)


def test_another_tag_than_the_attested_one_is_a_failed_check(modem: Modem, nrf: Nrf) -> None:
    answers(nrf, f'%KEYGEN: "{CSR}.{COSE}"', tag=43)
    with pytest.raises(CheckError, match="under security tag 42, and tag 43 was asked for"):
        keygen.generate(modem, 43, NAME)


def test_an_attestation_of_another_kind_is_a_failed_check() -> None:
    payload = cbor2.dumps(cbor2.CBORTag(55799, [8, bytes(16), cbor2.dumps(42), bytes(32), bytes(16)]))
    with pytest.raises(CheckError, match="message type 8"):
        keygen.attested(cbor2.dumps(cbor2.CBORTag(18, [b"", {}, payload, bytes(64)])), b"", 42)


@pytest.mark.parametrize(
    "answer",
    [
        "OK?",
        f'%KEYGEN: "{CSR}.{COSE[:-9]}"',
        f'%KEYGEN: "{CSR[:-3]}.{COSE}"',
        f'%KEYGEN: "{CSR}.AAAA"',
        f'%KEYGEN: "{CSR}.oA"',
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error_of_the_modem(modem: Modem, nrf: Nrf, answer: str) -> None:
    answers(nrf, answer)
    with pytest.raises(ModemError):
        keygen.generate(modem, 42, NAME)


def test_a_key_without_an_attestation_is_an_error_of_the_modem(modem: Modem, nrf: Nrf) -> None:
    answers(nrf, f'%KEYGEN: "{CSR}"')
    with pytest.raises(ModemError, match="made a key under security tag 42, and attests nothing of it"):
        keygen.generate(modem, 42, NAME)


def test_a_key_that_cannot_be_made_is_named(modem: Modem, nrf: Nrf) -> None:
    nrf.replies[f'AT%KEYGEN=42,2,0,"CN={NAME}"'] = b"+CME ERROR: 523\r\n"
    with pytest.raises(ModemError, match="could not make a key") as caught:
        keygen.generate(modem, 42, NAME)
    assert caught.value.code == 523


@pytest.mark.parametrize("name", ["", 'a"', "a,O=b", "a\r", "x" * 65])
def test_a_name_that_cannot_be_a_cn_is_not_sent(modem: Modem, host: Host, name: str) -> None:
    with pytest.raises(InputError):
        keygen.generate(modem, 42, name)
    assert host.commands == []
