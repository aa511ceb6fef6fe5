"""Each switch does what its line says; what strikes once lets the second try succeed."""

import hashlib
import re
import time

import pytest
import serial

from tests.thing.conftest import IMEI, PlugIn
from tests.thing.terminal import ENDS, Terminal, write
from thingmint.errors import InputError
from thingmint.lab.thing.faults import HARMLESS, Faults, described, parse

PEM = "-----BEGIN CERTIFICATE-----\n" + 20 * ("QUJD" * 16 + "\n") + "-----END CERTIFICATE-----\n"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest().upper()


def stored(terminal: Terminal, tag: int = 10) -> str:
    """The digest that the modem lists."""
    return terminal.say(f"AT%CMNG=1,{tag},0")[0].split('"')[1]


def test_switches_are_read_from_the_command_line() -> None:
    assert parse([]) == HARMLESS
    wanted = Faults(echo=True, terminator="crlf", drop=7, slow=2.5, unplug=400, write_error=527)
    assert parse(["echo", "terminator=crlf", "drop=7", "slow=2.5", "unplug", "write-error"]) == wanted
    assert parse(["drop=1", "drop=2"]).drop == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echi", "--fault echo"),
        ("xyz", "one of tcp, instant"),
        ("echo=1", "takes no value"),
        ("baud", "baud=N"),
        ("drop=many", "a whole number"),
        ("drop=-1", "a whole number"),
        ("slow=x", "seconds"),
        ("terminator=tab", "cr, null, lf, crlf"),
        ("imei=12x", "digits"),
        ("", "one of tcp"),
    ],
)
def test_a_switch_that_cannot_be_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse([text])
    assert said in caught.value.render()


def test_every_switch_is_described() -> None:
    names = [re.split(r"[=\[]", name)[0] for name, _ in described()]
    assert [name.replace("-", "_") for name in names] == list(Faults.__dataclass_fields__)
    assert all(len(text) > 10 for _, text in described())


@pytest.mark.parametrize(
    ("fault", "command", "code"),
    [
        ("cfun-refused", "AT+CFUN=4", 514),
        ("write-error=527", write(10, 0, PEM), 527),
        ("write-error=528", write(10, 0, PEM), 528),
        ("memory-full", write(10, 0, PEM), 515),
        ("keygen-fails", "AT%KEYGEN=10,2,0", 523),
        ("delete-error", "AT%CMNG=3,9,0", 514),
    ],
)
def test_a_refusal_lasts_or_strikes_once(plug_in: PlugIn, fault: str, command: str, code: int) -> None:
    for once, imei in (((), "1"), (("once",), "2")):
        thing, terminal = plug_in(fault, *once, imei=imei)
        terminal.say("AT+CMEE=1")
        thing.memory.write(9, 0, b"x")
        assert terminal.say(command) == [f"+CME ERROR: {code}"]
        again = terminal.say(command)
        assert again[-1:] == (["OK"] if once else [f"+CME ERROR: {code}"])


def test_a_modem_can_refuse_to_overwrite(plug_in: PlugIn) -> None:
    _, terminal = plug_in("overwrite=refuse")
    terminal.say("AT+CMEE=1")
    assert terminal.say(write(10, 0, PEM)) == ["OK"]
    assert terminal.say(write(10, 0, "other")) == ["+CME ERROR: 519"]
    assert stored(terminal) == sha(PEM)
    assert terminal.say("AT%CMNG=3,10,0") == ["OK"]
    assert terminal.say(write(10, 0, "other")) == ["OK"]
    _, other = plug_in(imei="2")
    assert [other.say(write(10, 0, text)) for text in ("one", "two")] == [["OK"], ["OK"]]
    assert stored(other) == sha("two")


def test_error_codes_can_be_refused(plug_in: PlugIn) -> None:
    _, terminal = plug_in("cmee-refused")
    assert terminal.say("AT+CMEE=1") == ["ERROR"]
    assert terminal.say("AT%CMNG=3,10,0") == ["ERROR"]


@pytest.mark.parametrize(
    ("variant", "text"),
    [("crlf", PEM.replace("\n", "\r\n")), ("no-newline", PEM.rstrip()), ("half", PEM[: len(PEM) // 2])],
)
def test_a_modem_can_store_something_else(plug_in: PlugIn, variant: str, text: str) -> None:
    _, terminal = plug_in(f"stores={variant}", "once")
    assert terminal.say(write(10, 0, PEM)) == ["OK"]
    assert stored(terminal) == sha(text) != sha(PEM)
    terminal.say(write(10, 0, PEM))
    assert stored(terminal) == sha(PEM)


def test_another_device_and_another_firmware_can_answer(plug_in: PlugIn) -> None:
    _, terminal = plug_in("imei=111111111111111", "firmware=mfw_nrf9160_1.3.0")
    assert terminal.say("AT+CGSN") == ["111111111111111", "OK"]
    assert terminal.say("AT+CGMR") == ["mfw_nrf9160_1.3.0", "OK"]


def test_bytes_get_lost_in_the_write_that_is_named_and_in_no_other(plug_in: PlugIn) -> None:
    _, terminal = plug_in("drop=30", "at-write=2")
    digests = []
    for _ in range(3):
        assert terminal.say(write(10, 0, PEM)) == ["OK"]
        digests.append(stored(terminal) == sha(PEM))
    assert digests == [True, False, True]


def test_a_reboot_in_mid_write_forgets_it(plug_in: PlugIn) -> None:
    thing, terminal = plug_in("reboot=300", real=True)
    terminal.say("AT+CFUN=1")
    terminal.say("AT+CFUN=0")
    terminal.say("AT+CMEE=1")
    terminal.write(write(10, 0, PEM).encode() + b"\r")  # fits the ring
    assert b"The AT host sample started\r\nReady\r\n" in terminal.until(re.compile(rb"Ready\r\n"))
    assert thing.memory.read(10, 0) is None
    assert terminal.say("AT+CFUN?") == ["+CFUN: 4", "OK"]
    assert terminal.say("AT+CMEE?") == ["+CMEE: 0", "OK"]
    assert terminal.say(write(10, 0, PEM)) == ["OK"]
    assert stored(terminal) == sha(PEM)


def gone(terminal: Terminal) -> bool:
    """Whether the port is dead: an error, or the end."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            terminal.write(b"\x00")
            terminal.read(0.05)
        except (serial.SerialException, OSError):
            return True
    return False


@pytest.mark.parametrize("port", [("tcp",), ()])
def test_a_link_that_drops_in_mid_write_comes_back_under_its_name(plug_in: PlugIn, port: tuple[str, ...]) -> None:
    thing, terminal = plug_in("unplug=300", *port)
    with pytest.raises((serial.SerialException, OSError)):  # noqa: PT012 - the write itself may be what fails
        terminal.write(write(10, 0, PEM).encode() + b"\r")
        assert gone(terminal)
        raise OSError
    time.sleep(0.6)
    with Terminal(thing.port) as again:
        again.write(b'"\r')  # the host still waits for the end of its quotation
        again.until(ENDS)
        assert thing.memory.read(10, 0) != PEM.encode()
        again.say(write(10, 0, PEM))
        assert thing.memory.read(10, 0) == PEM.encode()


def test_an_answer_can_never_come_though_it_is_done(plug_in: PlugIn) -> None:
    thing, terminal = plug_in("no-answer")
    terminal.write(write(10, 0, PEM).encode() + b"\r")
    assert terminal.read(0.25) == b""
    assert thing.memory.read(10, 0) == PEM.encode()
    assert terminal.say(write(10, 0, PEM)) == ["OK"]


def test_a_silent_one_says_nothing(plug_in: PlugIn) -> None:
    _, terminal = plug_in("silent")
    terminal.write(b"AT\rAT+CGSN\r")
    assert terminal.read(0.25) == b""


def test_another_firmware_has_a_shell_and_no_host(plug_in: PlugIn) -> None:
    _, terminal = plug_in("no-host")
    terminal.write(b"AT\r")
    answer = terminal.until(re.compile(rb"uart:~\$ "))
    assert b"AT: command not found" in answer
    assert not ENDS.search(answer)


@pytest.mark.parametrize("terminator", ["null", "lf", "crlf"])
def test_another_terminator_must_be_found_out(plug_in: PlugIn, terminator: str) -> None:
    _, terminal = plug_in(f"terminator={terminator}")
    terminal.write(b"AT\r")
    assert terminal.read(0.15) == b""
    end = {"null": "\0", "lf": "\n", "crlf": "\r\n"}[terminator]
    terminal.write(end.encode())
    terminal.read(0.2)
    assert terminal.say("AT+CGMM", end=end) == ["nRF9160-SICA", "OK"]


def test_noise_and_echo_reach_the_port(plug_in: PlugIn) -> None:
    _, terminal = plug_in("urc", "log", "echo")
    lines = terminal.say("AT+CGSN")
    assert lines[0].startswith("AT+CGSN\r+CSCON")
    assert [line for line in lines[1:] if line[:1] not in {"+", "["}] == [IMEI, "OK"]
    assert len([line for line in lines[: lines.index("OK")] if "<inf>" in line]) == 2


def test_a_client_at_another_rate_reads_garbage(plug_in: PlugIn) -> None:
    thing, terminal = plug_in("baud=57600")
    terminal.write(b"AT\rAT\r")
    assert not ENDS.search(terminal.read(0.25))
    with Terminal(thing.port, speed=57600) as right:
        right.write(b"\r")
        right.read(0.1)
        assert right.say("AT") == ["OK"]


def test_there_is_a_port_without_ptys(plug_in: PlugIn) -> None:
    thing, terminal = plug_in("tcp")
    assert thing.port.startswith("socket://127.0.0.1:")
    assert terminal.say(write(10, 0, PEM)) == ["OK"]
