"""Identity, functional mode and contexts, and the mode that is restored whatever happens."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.modem.host import Host, Nrf
from thingmint.errors import CheckError, ModemError
from thingmint.modem import commands
from thingmint.modem.at import Modem


def test_the_modem_says_who_it_is(modem: Modem) -> None:
    found = commands.identify(modem)
    assert found == commands.ModemIdentity(
        "352656100367872", "mfw_nrf9160_1.3.5", "nRF9160 SICA B0A", "Nordic Semiconductor ASA"
    )
    assert not found.simulated


def test_a_simulated_modem_says_so(modem: Modem, nrf: Nrf) -> None:
    nrf.replies |= {
        "AT+CGMI": b"thingmint, simulated\r\nOK\r\n",
        "AT+CGSN": b"350457791791735879\r\nOK\r\n",  # the article's id, which is no IMEI
    }
    assert commands.identify(modem).simulated
    assert commands.identify(modem).imei == "350457791791735879"


@pytest.mark.parametrize("answer", [b"OK\r\n", b"+CFUN: x\r\nOK\r\n", b"+CFUN: 1\r\n+CFUN: 4\r\nOK\r\n"])
def test_an_answer_that_makes_no_sense_is_an_error(modem: Modem, nrf: Nrf, answer: bytes) -> None:
    nrf.replies["AT+CFUN?"] = answer
    with pytest.raises(ModemError, match=re.escape("answer to AT+CFUN? makes no sense")):
        commands.functional_mode(modem)


def test_contexts_are_read(modem: Modem) -> None:
    assert commands.pdn_contexts(modem) == (commands.PdnContext(0, "IP", "internet", "10.0.1.1"),)


def test_the_mode_of_a_conversation_that_was_cut_off_is_restored(modem: Modem, nrf: Nrf) -> None:
    nrf.cfun = 4
    with commands.offline(modem, back_to=1) as mode:
        assert (mode, nrf.cfun) == (1, 4)
    assert nrf.cfun == 1


@pytest.mark.parametrize("before", [0, 1, 21])
@pytest.mark.parametrize("error", [None, CheckError("inside"), ModemError("inside"), KeyboardInterrupt(), ValueError()])
def test_the_mode_is_restored_whatever_happens(
    modem: Modem, nrf: Nrf, before: int, error: BaseException | None
) -> None:
    nrf.cfun = before
    if error is None:
        with commands.offline(modem):
            assert nrf.cfun == 4
    else:
        with pytest.raises(type(error)), commands.offline(modem):
            raise error
    assert nrf.cfun == before


def test_a_modem_that_is_offline_stays_so_unasked(modem: Modem, host: Host, nrf: Nrf) -> None:
    nrf.cfun = 4
    with commands.offline(modem):
        pass
    assert host.commands == ["AT+CFUN?"]


@contextmanager
def _in_a_quote(host: Host) -> Iterator[None]:
    host.stuck_in_a_quote(full=False)
    yield


def test_the_mode_is_restored_after_a_command_that_never_ended(modem: Modem, host: Host, nrf: Nrf) -> None:
    """The host hangs in a quote when the restoring begins."""
    host.answer = lambda command: b"" if command == "AT%CMNG=1" else nrf(command)
    with pytest.raises(ModemError, match="did not answer"), commands.offline(modem), _in_a_quote(host):
        modem.ask("AT%CMNG=1", seconds=0.1)
    assert nrf.cfun == 1


def test_a_modem_that_refuses_to_go_offline_is_an_error(modem: Modem, nrf: Nrf) -> None:
    nrf.replies["AT+CFUN=4"] = b"+CME ERROR: 3\r\n"
    with pytest.raises(ModemError, match="does not go offline") as caught, commands.offline(modem):
        pytest.fail("inside")
    assert "operation not allowed" in caught.value.message
    assert caught.value.code == 3


def test_a_modem_that_stays_active_is_an_error(modem: Modem, nrf: Nrf) -> None:
    nrf.replies["AT+CFUN=4"] = b"OK\r\n"
    with pytest.raises(ModemError, match="answered OK, and is in mode 1"), commands.offline(modem):
        pytest.fail("inside")


def test_a_modem_that_does_not_come_back_is_an_error_after_success(modem: Modem, nrf: Nrf) -> None:
    nrf.replies["AT+CFUN=1"] = b"+CME ERROR: 528\r\n"
    with pytest.raises(ModemError, match="was not put back into mode 1: ") as caught, commands.offline(modem):
        pass
    assert "supply is about to fail" in caught.value.message
    assert caught.value.things_to_try[0].startswith("put it back by hand: AT+CFUN=1")


def test_a_modem_that_does_not_come_back_never_hides_the_first_error(modem: Modem, nrf: Nrf) -> None:
    nrf.replies["AT+CFUN=1"] = b"ERROR\r\n"
    with pytest.raises(CheckError, match="the first") as caught, commands.offline(modem):
        raise CheckError("the first", things_to_try=["its cure"])
    assert caught.value.things_to_try[0] == "its cure"
    assert "was not put back into mode 1" in caught.value.things_to_try[1]
    nrf.cfun = 1
    with pytest.raises(KeyboardInterrupt) as stopped, commands.offline(modem):
        raise KeyboardInterrupt
    assert "AT+CFUN=1" in stopped.value.__notes__[0]
