"""Credentials: what may be loaded, and that nothing counts as stored but what the modem's digest proves."""

import hashlib
import traceback
from collections.abc import Callable

import pytest

from tests.modem.host import Host, Nrf, certificate
from thingmint.errors import InputError, ModemError
from thingmint.modem import credentials, refusals
from thingmint.modem.at import Modem, open_modem
from thingmint.modem.credentials import Kind, Stored

PEM = credentials.require_loadable(certificate(900), "it")
DIGEST = hashlib.sha256(PEM).hexdigest().upper()


@pytest.fixture(autouse=True)
def offline(nrf: Nrf) -> None:
    nrf.cfun = 4


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_WRITE_SECONDS", 0.2)


def test_a_listing_takes_what_real_modems_list(modem: Modem, nrf: Nrf) -> None:
    nrf.replies["AT%CMNG=1"] = (
        f'%CMNG: 42,0,"{DIGEST.lower()}"\r\n%CMNG: 4294967293,10,"{DIGEST}"\r\n%CMNG: 7,3\r\nOK\r\n'.encode()
    )
    assert credentials.listing(modem) == (Stored(42, 0, DIGEST), Stored(4294967293, 10, DIGEST), Stored(7, 3, ""))
    assert credentials.listing(modem, 5) == ()


def test_a_listing_that_lost_a_byte_is_no_listing(modem: Modem, nrf: Nrf) -> None:
    nrf.replies["AT%CMNG=1"] = f'%CMNG: 42,0,"{DIGEST[1:]}"\r\nOK\r\n'.encode()
    with pytest.raises(ModemError, match="makes no sense"):
        credentials.listing(modem)


@pytest.mark.parametrize("overwrites", [True, False])
def test_what_is_stored_replaces_what_was_there(modem: Modem, nrf: Nrf, overwrites: bool) -> None:
    nrf.overwrites, nrf.stored[10, 2] = overwrites, b"old"
    credentials.store(modem, 10, Kind.PRIVATE_KEY, PEM)
    assert nrf.stored == {(10, 2): PEM}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.replace(b"\n", b"\r\n"), "it holds CRLF line ends"),
        (lambda content: content[:-1], "the last newline is missing"),
        (lambda content: content.replace(b"\n", b"\r\n")[:-2], "it holds CRLF line ends, the last one missing"),
        (lambda content: content[:512], f"it is truncated at 512 of {len(PEM)} bytes"),
        (lambda content: content[:300] + content[310:], "bytes were lost or changed on the way"),
    ],
)
def test_what_arrives_otherwise_is_named_and_removed(
    modem: Modem, host: Host, nrf: Nrf, change: Callable[[bytes], bytes], words: str
) -> None:
    nrf.changes = change
    with pytest.raises(ModemError, match="client certificate for tag 10 did not arrive whole") as caught:
        credentials.store(modem, 10, Kind.CLIENT_CERTIFICATE, PEM)
    assert f"twice: {words}." in caught.value.message
    assert DIGEST in caught.value.detail
    assert caught.value.things_to_try
    assert sum(command.startswith("AT%CMNG=0") for command in host.commands) == 2
    assert nrf.stored == {}


def test_bytes_that_are_dropped_once_are_made_good(modem: Modem, host: Host, nrf: Nrf) -> None:
    start = host.count
    host.drops = lambda count: count - start in range(200, 210)
    credentials.store(modem, 10, 0, PEM)
    assert nrf.stored == {(10, 0): PEM}


@pytest.mark.usefixtures("hasty")
def test_a_closing_quote_that_is_lost_is_made_good(modem: Modem, host: Host, nrf: Nrf) -> None:
    """The host waits for it for ever; getting out of the quote stores what it has."""
    quote = host.count + len('AT%CMNG=0,10,2,"') + len(PEM) + 1
    host.drops = lambda count: count == quote
    credentials.store(modem, 10, 2, PEM)
    assert nrf.stored == {(10, 2): PEM}


def test_a_next_session_finishes_what_a_killed_one_began(host: Host, nrf: Nrf) -> None:
    with open_modem(host.port) as modem:
        modem._talk.link.transmit(b'AT%CMNG=0,10,2,"' + PEM[:500])
    with open_modem(host.port) as modem:
        credentials.store(modem, 10, 2, PEM)
    assert nrf.stored == {(10, 2): PEM}


def test_an_interrupted_write_leaves_nothing_that_looks_whole(modem: Modem, host: Host, nrf: Nrf) -> None:
    transmit = modem._talk.link.transmit

    def interrupted(data: bytes) -> None:
        modem._talk.link.transmit = transmit  # type: ignore[method-assign]
        transmit(data[:600])
        raise KeyboardInterrupt

    nrf.stored[10, 2] = PEM
    modem._talk.link.transmit = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        credentials.store(modem, 10, 2, PEM)
    assert nrf.stored == {}


def test_a_modem_that_goes_in_a_write_is_said_to_hold_a_part(modem: Modem, host: Host) -> None:
    start = host.count
    host.drops = lambda count: count > start + 600 and (host.hang_up() or False)  # type: ignore[func-returns-value]
    with pytest.raises(refusals.GoneError) as caught:
        credentials.store(modem, 10, 2, PEM)
    assert caught.value.things_to_try[0].startswith("the private key of tag 10 may be in the modem incomplete")


def test_a_restart_in_a_write_is_told_and_its_remainder_removed(modem: Modem, host: Host, nrf: Nrf) -> None:
    def restart(command: str) -> bytes:
        host.answer, nrf.stored[10, 0] = nrf, PEM[:100]
        return b"*** Booting nRF Connect SDK v2.5.0 ***\r\n"

    host.answer = restart
    with pytest.raises(refusals.RestartedError):
        credentials.store(modem, 10, 0, PEM)
    assert nrf.stored == {}


@pytest.mark.parametrize(("code", "times"), [(515, 1), (518, 1), (514, 1), (527, 2)])
def test_a_refusal_keeps_its_code_and_what_was_stored_before(
    modem: Modem, host: Host, nrf: Nrf, code: int, times: int
) -> None:
    nrf.stored[10, 0] = b"old"
    refusal = f"+CME ERROR: {code}\r\n".encode()
    host.answer = lambda command: refusal if command.startswith("AT%CMNG=0") else nrf(command)
    with pytest.raises(ModemError) as caught:
        credentials.store(modem, 10, 0, PEM)
    assert caught.value.code == code
    assert sum(command.startswith("AT%CMNG=0") for command in host.commands) == times
    assert nrf.stored == {(10, 0): b"old"}


def test_deleting_says_whether_it_was_there(modem: Modem, nrf: Nrf) -> None:
    nrf.stored[10, 1] = PEM
    assert credentials.delete(modem, 10, 1)
    assert not credentials.delete(modem, 10, 1)
    nrf.cfun = 1
    with pytest.raises(ModemError, match="not allowed while the modem is active"):
        credentials.delete(modem, 10, 1)


@pytest.mark.parametrize("tag", [16842753, 2**31, 4294967294, -1])
def test_a_tag_that_is_not_the_users_is_neither_written_nor_deleted(modem: Modem, host: Host, tag: int) -> None:
    with pytest.raises(InputError, match=f"security tag {tag} is"):
        credentials.store(modem, tag, 0, PEM)
    with pytest.raises(InputError, match=f"security tag {tag} is"):
        credentials.delete(modem, tag, 0)
    assert host.commands == []


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("echo", [None, b"\r", b"\r\n"])
@pytest.mark.parametrize("fault", ["none", "silent", "refused", "lost"])
def test_no_secret_is_in_transcript_or_error(
    modem: Modem, host: Host, nrf: Nrf, told: list[str], echo: bytes | None, fault: str
) -> None:
    host.echo = echo
    faults = {"silent": b"", "refused": b"+CME ERROR: 527\r\n"}
    if fault in faults:
        host.answer = lambda command: faults[fault] if command.startswith("AT%CMNG=0") else nrf(command)
    elif fault == "lost":
        nrf.changes = lambda content: content[:-30]
    words = ""
    try:
        credentials.store(modem, 10, Kind.PRIVATE_KEY, PEM)
    except ModemError as error:
        words = "".join((*traceback.format_exception(error), error.render(), repr(error)))
    assert bool(words) == (fault != "none")
    words += "".join(told)
    assert f"AT%CMNG=0,10,2,<{len(PEM)} bytes, SHA-256 {DIGEST}>" in words
    secret = PEM.decode().splitlines()[1:-1]
    assert not any(line[start : start + 8] in words for line in secret for start in range(0, len(line) - 8, 4))


@pytest.mark.parametrize(
    "content",
    [PEM, PEM.replace(b"\n", b"\r\n"), PEM.rstrip(b"\n"), b"\n" + PEM + b"\n\n", PEM.replace(b"\n", b" \n")],
)
def test_every_form_of_line_ends_becomes_the_one_that_the_modem_gets(content: bytes) -> None:
    assert credentials.require_loadable(content, "it") == PEM
    assert credentials.require_loadable(content + b"\n" + content, "a chain") == PEM + PEM


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"HONKHONK", "is no PEM"),
        (b"", "is no PEM"),
        (b"\x30\x82\x01\x0a\xff", "byte 1 is not ASCII"),
        (b"Certificate:\n    Data:\n" + PEM, "has text beside its PEM"),
        (PEM[:-20], "not all of it"),
        (PEM.replace(b"A", b'"', 1), "contains a quote"),
        (PEM.replace(b"CERTIFICATE", b"ENCRYPTED PRIVATE KEY"), "is an encrypted key"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB=A\n-----END CERTIFICATE-----\n", "is not base64"),
        (certificate(5000), "and the AT host takes 4078 at once"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_its_name(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match="devices/it.pem") as caught:
        credentials.require_loadable(content, "devices/it.pem")
    assert words in caught.value.message
    assert caught.value.things_to_try


def test_the_longest_content_fits_exactly(modem: Modem, nrf: Nrf) -> None:
    body = "A" * 2020 + "\n" + "A" * 2020
    content = credentials.require_loadable(f"-----BEGIN XX-----\n{body}\n-----END XX-----\n".encode(), "it")
    assert len(content) == 4078
    credentials.store(modem, 10, 0, content)
    assert nrf.stored[10, 0] == content
    with pytest.raises(InputError, match="takes 4077 at once"):
        credentials.store(modem, 100, 0, content)
