"""The simulated modem: what the nRF9160's answers to AT commands, and the AT host that stands before it."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography import x509

from tests.lab.conformance.rows import done
from tests.paper import make
from thingmint.ids import DeviceId
from thingmint.lab.thing.faults import parse
from thingmint.lab.thing.host import BUFFER, AtHost
from thingmint.lab.thing.modem import Modem
from thingmint.lab.thing.sectags import SecTags

IMEI = "352656100367872"
NULL_PARAMETER = bytes.fromhex("300c06082a8648ce3d0403020500")


def switched_on(folder: Path) -> Modem:
    return Modem(SecTags.open(folder, DeviceId.parse(IMEI)), parse([]))


@done("modem-digests")
def digests(tmp_path: Path) -> None:
    modem, pem = switched_on(tmp_path), make("Root").pem.decode()
    for number, content in enumerate((pem, pem.replace("\n", "\r\n"), pem.rstrip("\n"))):
        assert modem.answer(f'AT%CMNG=0,{number},0,"{content}"') == ["OK"]
        digest = hashlib.sha256(content.encode()).hexdigest().upper()
        assert modem.answer(f"AT%CMNG=1,{number}") == [f'%CMNG: {number},0,"{digest}"', "OK"]


@done("modem-refusals")
def refusals(tmp_path: Path) -> None:
    modem = switched_on(tmp_path)
    assert modem.answer("AT%CMNG=3,1,0") == ["ERROR"]
    modem.answer("AT+CMEE=1")
    modem.answer('AT%CMNG=0,1,2,"a key"')
    for command, code in (
        ("AT%CMNG=3,1,0", 513),
        ("AT%CMNG=2,1,2", 514),
        ('AT%CMNG=0,2147483648,0,"x"', 514),
        ('AT%CMNG=0,1,0,""', 527),
    ):
        assert modem.answer(command) == [f"+CME ERROR: {code}"], command
    for mode in (1, 2, 21):
        assert modem.answer(f"AT+CFUN={mode}") == ["OK"]
        for command in ('AT%CMNG=0,1,0,"x"', "AT%CMNG=3,1,2", 'AT%KEYGEN=2,2,0,"CN=x"'):
            assert modem.answer(command) == ["+CME ERROR: 518"], command
    assert modem.answer("AT+CFUN=4") == ["OK"]
    assert modem.answer("AT%CMNG=3,1,2") == ["OK"]


@done("modem-own-tags")
def own_tags(tmp_path: Path) -> None:
    *own, last = switched_on(tmp_path).answer("AT%CMNG=1")
    assert [line.rpartition(",")[0] for line in own] == [
        "%CMNG: 4294967293,10",
        "%CMNG: 4294967294,6",
        "%CMNG: 4294967292,11",
    ]
    assert last == "OK"


@done("modem-keygen")
def keygen(tmp_path: Path) -> None:
    modem = switched_on(tmp_path)
    answer, ok = modem.answer(f'AT%KEYGEN=52,2,0,"CN={IMEI},O=Test"')
    request, _, attested = answer.removeprefix('%KEYGEN: "').removesuffix('"').partition(".")
    der, message = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (request, attested))
    assert (ok, "=" in answer.partition('"')[2]) == ("OK", False)
    assert der.count(NULL_PARAMETER) == 1
    with pytest.raises(ValueError, match="asn1"):
        x509.load_der_x509_csr(der)
    assert hashlib.sha256(der).digest() in message
    assert modem.answer("AT%CMNG=1,52")[0].startswith("%CMNG: 52,2,")


@done("modem-identity")
def identity(tmp_path: Path) -> None:
    modem = switched_on(tmp_path)
    for command, answer in (
        ("AT+CGSN", IMEI),
        ("AT+CGSN=1", f'+CGSN: "{IMEI}"'),
        ("AT+CGMM", "nRF9160-SICA"),
        ("AT+CGMR", "mfw_nrf9160_1.3.5"),
        ("AT+CGMI", "thingmint, simulated"),
        ("AT+CFUN?", "+CFUN: 4"),
    ):
        assert modem.answer(command) == [answer, "OK"]


def fed(host: AtHost, data: bytes) -> list[bytes]:
    return [command for byte in data if (command := host.feed(byte)) is not None]


@done("at-host-quotes")
def quotes() -> None:
    assert fed(AtHost("cr"), b'AT%CMNG=0,1,0,"a\r\nb"\r\nAT\r') == [b'AT%CMNG=0,1,0,"a\r\nb"', b"AT"]


@done("at-host-overflow")
def overflow() -> None:
    host = AtHost("cr")
    longest = b'AT%CMNG=0,1,0,"' + b"x" * (BUFFER - 1 - 16) + b'"'
    assert fed(host, longest + b"\r") == [longest]
    assert fed(host, longest[:-1] + b'x"\rAT\rAT\r') == []  # the quote is lost, and what comes after it
    assert len(fed(host, b'\x7f\x7f\x7f"\r')) == 1
    assert fed(host, b"AT\r") == [b"AT"]
