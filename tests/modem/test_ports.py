"""--port auto: the boards that USB names, grouped, and asked. What stands behind their ports is real ptys."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tests.modem.host import Host, Nrf, hosting
from thingmint.errors import InputError, ModemError
from thingmint.modem import attention, ports
from thingmint.modem.at import open_modem

Plug = Callable[..., Host]


@pytest.fixture(autouse=True)
def less_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_TRIES", (0.5,))
    monkeypatch.setattr(attention, "_POKE", 0.3)


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """A USB port with something behind it. Only the bus itself is not there."""
    bus: list[ListPortInfo] = []
    monkeypatch.setattr(list_ports, "comports", lambda: bus)
    with ExitStack() as stack:

        def plug_in(
            serial_number: str | None,
            answer: Callable[[str], bytes],
            vid: int = 0x1915,
            pid: int = 0x9100,
            at: str = "",
        ) -> Host:
            host = stack.enter_context(hosting(answer))
            port = ListPortInfo(host.port)
            port.vid, port.pid, port.serial_number, port.location = vid, pid, serial_number, at
            bus.append(port)
            return host

        yield plug_in


def silent(_: str) -> bytes:
    return b""


@pytest.mark.parametrize("asked", ["/dev/ttyACM0", "COM5", "socket://station:7000", "rfc2217://station:7000"])
def test_a_port_that_is_named_is_taken(asked: str) -> None:
    assert ports.choose(asked) == asked


def test_what_is_no_port_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(InputError, match="spy://"):
        ports.choose("spy://COM5")


def test_the_port_that_answers_of_the_one_board_is_found(plug: Plug) -> None:
    plug("TA91", silent)
    right = plug("TA91", Nrf())
    other = plug("FTDI7", Nrf(), vid=0x0403)
    told: list[str] = []
    assert ports.choose("auto", tell=told.append) == right.port
    assert other.commands == []
    assert "-> AT" in told


def test_two_ports_of_one_board_that_both_answer_are_one_device(plug: Plug) -> None:
    found = {plug("TA91", Nrf()).port, plug("TA91", Nrf()).port}
    assert ports.choose("auto") in found


@pytest.mark.parametrize(("first", "second"), [("TA91", "TB92"), (None, None)])
def test_between_two_devices_nothing_is_chosen(plug: Plug, first: str | None, second: str | None) -> None:
    one, two = plug(first, Nrf(), at="1-2:1.0"), plug(second, Nrf(), at="1-3:1.0")
    with pytest.raises(InputError, match="more than one device answers") as caught:
        ports.choose("auto")
    for word in (one.port, two.port, first or "1-2", second or "1-3"):
        assert word in caught.value.message


def test_a_board_that_hangs_in_a_quote_is_found_all_the_same(plug: Plug) -> None:
    plug("TA91", Nrf()).stuck_in_a_quote(full=True)
    plug("TA91", silent)
    assert ports.choose("auto")


def test_a_board_that_does_not_answer_is_named_with_what_was_tried(plug: Plug) -> None:
    host = plug("TA91", silent)
    with pytest.raises(ModemError, match=rf"no port answers AT: TA91 \({host.port}\) was tried") as caught:
        ports.choose("auto")
    assert any("AT host" in thing for thing in caught.value.things_to_try)


def test_a_board_that_somebody_has_open_is_said_to_be_busy(plug: Plug) -> None:
    host = plug("TA91", Nrf())
    with open_modem(host.port), pytest.raises(ModemError) as caught:
        ports.choose("auto")
    assert f"{host.port} is busy" in caught.value.detail


def test_no_board_at_all(plug: Plug) -> None:
    with pytest.raises(ModemError, match="no Nordic board is plugged in") as caught:
        ports.choose("auto")
    assert any("invoke modem" in thing for thing in caught.value.things_to_try)


def test_a_bridge_in_its_bootloader_is_told(plug: Plug) -> None:
    plug("TA91", silent, pid=0x520F)
    with pytest.raises(ModemError, match="bootloader"):
        ports.choose("auto")
