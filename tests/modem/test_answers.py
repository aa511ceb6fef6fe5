"""What is an answer, among all that comes over the line."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.modem.host import Host, Nrf
from thingmint.errors import InputError, ModemError
from thingmint.modem import commands, refusals
from thingmint.modem.at import Modem, open_modem

LISTED = tuple(f'%CMNG: {tag},0,"{digit * 64}"' for tag, digit in ((42, "A"), (16842753, "0"), (4294967293, "F")))
INTRUDERS = st.sampled_from(
    [
        "[00:00:28.460,540] <inf> lte_monitor: OK",
        "\x1b[1;31m[00:00:28.460,540] <err> at: ERROR\x1b[0m",
        "+CEREG: 0",
        '+CEREG: 2,"76C1","0102DA04",7',
        "+CSCON: 1",
        '%XTIME: "80","42116151230280","00"',
        "+CGEV: ME PDN ACT 0",
    ]
)
NOISE = st.one_of(
    INTRUDERS,
    st.sampled_from(["", "hello", "\x00\xff", "OK?", "NOT OK", " +CME ERRORS", "%CMNGS: 1", "> OK", "352656"]),
)


@st.composite
def disturbed(draw: st.DrawFn) -> bytes:
    """The listing, with lines between its lines and intruders inside them."""
    text = ""
    for line in (*LISTED, "OK"):
        for noise in draw(st.lists(NOISE, max_size=2)):
            text += f"{noise}\r\n"
        rest = line
        for at in sorted(draw(st.lists(st.integers(0, len(line)), max_size=2)), reverse=True):
            rest = f"{rest[:at]}{draw(INTRUDERS)}\r\n{rest[at:]}"
        text += f"{rest}\r\n"
    return text.encode("latin-1")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(disturbed(), st.lists(st.integers(0, 900), max_size=3))
def test_no_noise_is_taken_for_an_answer(modem: Modem, host: Host, nrf: Nrf, answer: bytes, cuts: list[int]) -> None:
    def in_pieces() -> None:
        at = 0
        for cut in (*sorted(cuts), len(answer)):
            host.say(answer[at:cut])
            at = max(at, cut)
            time.sleep(0.0005)

    host.answer = lambda command: in_pieces() or b"" if command == "AT%CMNG=1" else nrf(command)  # type: ignore[func-returns-value]
    assert modem.ask("AT%CMNG=1", seconds=5) == LISTED


@pytest.mark.parametrize("echo", [None, b"\r", b"\r\n"])
@pytest.mark.parametrize("leading", [b"", b"\r\n"])
def test_an_echoing_host_and_leading_line_ends_are_understood(
    host: Host, nrf: Nrf, echo: bytes | None, leading: bytes
) -> None:
    host.echo = echo
    host.answer = lambda command: leading + nrf(command).replace(b"\r\nOK", b"\r\n" + leading + b"OK")
    with open_modem(host.port) as modem:
        assert commands.identify(modem).imei == "352656100367872"
        assert commands.functional_mode(modem) == 1


def test_a_board_that_is_still_starting_is_waited_for(host: Host, nrf: Nrf) -> None:
    def starting(command: str) -> bytes:
        host.answer = nrf
        return b"*** Booting nRF Connect SDK v2.5.0 ***\r\nThe AT host sample started\r\nReady\r\n"

    host.answer = starting
    with open_modem(host.port) as modem:
        assert modem.ask("AT+CFUN?") == ("+CFUN: 1",)
    assert host.commands[:3] == ["AT", "AT", "AT+CMEE?"]


def test_a_late_answer_is_nobodys(modem: Modem, host: Host, nrf: Nrf) -> None:
    def slow(command: str) -> bytes:
        if command == "AT+CFUN?":
            time.sleep(0.8)  # what is sent meanwhile waits in the pty
        return nrf(command)

    host.answer = slow
    with pytest.raises(ModemError, match=r"did not answer AT\+CFUN\? within 0.1 s"):
        modem.ask("AT+CFUN?", seconds=0.1)
    host.answer = nrf
    assert modem.ask("AT%HWVERSION") == ("%HWVERSION: nRF9160 SICA B0A",)
    assert modem.ask("AT+CGDCONT?") == ('+CGDCONT: 0,"IP","internet","10.0.1.1",0,0',)


def test_a_host_that_is_deaf_while_it_works_is_found_again(modem: Modem, host: Host, nrf: Nrf) -> None:
    def deaf(command: str) -> bytes:
        if command == "AT+CGMR":
            host.deaf_for(0.6)
        return nrf(command)

    host.answer = deaf
    with pytest.raises(refusals.SilenceError):
        modem.ask("AT+CGMR", seconds=0.1)
    assert modem.ask("AT+CFUN?") == ("+CFUN: 1",)


@pytest.mark.parametrize("full", [False, True])
def test_a_host_in_a_quote_is_brought_out_of_it(host: Host, full: bool) -> None:
    host.stuck_in_a_quote(full=full)
    with open_modem(host.port) as modem:
        assert commands.functional_mode(modem) == 1


def test_a_restart_is_told_and_the_next_command_asks_for_codes_again(modem: Modem, host: Host, nrf: Nrf) -> None:
    def restart(command: str) -> bytes:
        host.answer, nrf.cmee = nrf, 0
        return b"\x00*** Booting nRF Connect SDK v2.5.0 ***\r\nThe AT host sample started\r\nReady\r\n"

    host.answer = restart
    with pytest.raises(refusals.RestartedError, match="restarted while it was asked AT%CMNG=1"):
        modem.ask("AT%CMNG=1")
    assert modem.ask("AT%CMNG=1") == ()
    assert nrf.cmee == 1


def test_a_restart_between_two_commands_is_told_as_well(modem: Modem, host: Host) -> None:
    host.say(b"Ready\r\n")
    with pytest.raises(refusals.RestartedError):
        modem.ask("AT+CFUN?")
    assert modem.ask("AT+CFUN?") == ("+CFUN: 1",)


def test_a_plain_error_has_no_code(modem: Modem, host: Host, nrf: Nrf) -> None:
    with pytest.raises(ModemError, match="refused AT%NONSENSE: ERROR, without a reason") as caught:
        modem.ask("AT%NONSENSE")
    assert caught.value.code is None
    assert modem.ask("AT+CFUN?") == ("+CFUN: 1",)


@pytest.mark.parametrize("code", [3, 10, 50, 513, 514, 515, 518, 519, 523, 527, 528, 4711])
def test_a_code_is_a_named_error_with_things_to_try(modem: Modem, nrf: Nrf, code: int) -> None:
    nrf.replies["AT%X"] = f"+CME ERROR: {code}\r\n".encode()
    with pytest.raises(ModemError, match="refused AT%X: ") as caught:
        modem.ask("AT%X")
    assert caught.value.code == code
    assert caught.value.exit_code == 6
    assert caught.value.things_to_try


@pytest.mark.parametrize("command", ['AT+CGDCONT=0,"IP', "AT\rAT", "AT+X=é", 'AT+X="' + "a" * 5000 + '"', "AT\nAT"])
def test_what_would_upset_the_host_is_not_sent(modem: Modem, host: Host, command: str) -> None:
    with pytest.raises(InputError, match="is not sent"):
        modem.ask(command)
    assert host.commands == []


def test_a_host_that_never_rests_is_not_listened_to_for_ever(modem: Modem, host: Host, nrf: Nrf) -> None:
    stop = threading.Event()

    def babble(command: str) -> bytes:
        if command == "AT+CGMR":
            while not stop.wait(0.0005):
                host.say(b"+CSCON: 1\r\n" * 10)
        return b""

    host.answer = babble
    started = time.monotonic()
    with pytest.raises(refusals.SilenceError):
        modem.ask("AT+CGMR", seconds=0.3)
    stop.set()
    assert time.monotonic() - started < 5
