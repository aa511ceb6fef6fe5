"""Raw bytes on a real port, against the transcripts of real modems and of Nordic's tools."""

import hashlib
import re

import pytest

from tests.thing.conftest import IMEI, PlugIn
from tests.thing.terminal import write
from thingmint.ids import DeviceId
from thingmint.lab.thing.sectags import imei_of

PEM = "-----BEGIN CERTIFICATE-----\nMIIBzTCCAXOgAwIBAgIU\n-----END CERTIFICATE-----\n"
SHA = hashlib.sha256(PEM.encode()).hexdigest().upper()
OWNED = ["%CMNG: 4294967293,10,", "%CMNG: 4294967294,6,", "%CMNG: 4294967292,11,"]


def test_the_transcript_of_nordics_credential_tool(plug_in: PlugIn) -> None:
    """What nrfcredstore sends, CRLF after each; what a real modem answers."""
    _, terminal = plug_in(real=True)
    terminal.write(b"\r\n")
    terminal.read(0.2)
    for _ in range(3):
        assert terminal.say("at AT+CGSN", end="\r\n") == ["ERROR"]
    assert terminal.say("AT+CGSN", end="\r\n") == [IMEI, "OK"]
    assert terminal.say("AT+CMEE=1", end="\r\n") == ["OK"]
    assert terminal.say("AT+CFUN=4", end="\r\n") == ["OK"]
    assert terminal.say(write(51, 1, PEM), end="\r\n") == ["OK"]
    assert terminal.say("AT%CMNG=1,51", end="\r\n") == [f'%CMNG: 51,1,"{SHA}"', "OK"]
    assert terminal.say("AT%CMNG=3,51,1", end="\r\n") == ["OK"]
    assert terminal.say("AT%CMNG=3,51,1", end="\r\n") == ["+CME ERROR: 513"]
    lines = terminal.say('AT%KEYGEN=52,2,0,"CN=352656100367872,O=Test"', end="\r\n")
    assert re.fullmatch(r'%KEYGEN: "[\w-]+\.[\w-]+"', lines[0])
    assert lines[1:] == ["OK"]


def test_what_it_says_about_itself(plug_in: PlugIn) -> None:
    thing, terminal = plug_in()
    for command, answer in {
        "AT": [],
        "ATE0": [],
        "AT+CGSN=1": [f'+CGSN: "{IMEI}"'],
        "AT+CGMR": ["mfw_nrf9160_1.3.5"],
        "AT+CGMM": ["nRF9160-SICA"],
        "AT+CGMI": ["thingmint, simulated"],
        "AT%HWVERSION": ["%HWVERSION: nRF9160 SICA B0A"],
        "AT+CFUN?": ["+CFUN: 4"],
        "AT%XSYSTEMMODE?": ["%XSYSTEMMODE: 0,1,1,0"],
        "AT+CGDCONT?": ['+CGDCONT: 0,"IP","internet","10.0.1.1",0,0'],
        "AT%XICCID": ["%XICCID: 8901234567012345678F"],
        "AT+CIMI": ["284011234567890"],
        "AT+CMEE?": ["+CMEE: 0"],
        "AT%DEVICEUUID": [f"%DEVICEUUID: {thing.memory.uuid}"],
        "at+cgmm": ["nRF9160-SICA"],
    }.items():
        assert terminal.say(command) == [*answer, "OK"], command
    for unknown in (
        "AT+NOSUCH",
        "AT%CMNG=9",
        "AT%CMNG=0,1,1,bare",
        "AT+CFUN=99",
        "hello",
        "AT%KEYGEN=1,1,0",
        "AT+CGSN=7",
    ):
        assert terminal.say(unknown) == ["ERROR"], unknown


def test_a_context_for_ipv6_is_kept_while_it_has_power(plug_in: PlugIn) -> None:
    _, terminal = plug_in()
    assert terminal.say('AT+CGDCONT=0,"IPV6","telstra.iot"') == ["OK"]
    assert terminal.say("AT+CGDCONT?")[0].startswith('+CGDCONT: 0,"IPV6","telstra.iot"')


def test_the_listing_has_the_modems_own_tags_and_they_are_nobodys(plug_in: PlugIn) -> None:
    _, terminal = plug_in()
    terminal.say("AT+CMEE=1")
    assert [line[: len(owned)] for line, owned in zip(terminal.say("AT%CMNG=1"), OWNED, strict=False)] == OWNED
    terminal.say(write(16842753, 0, PEM))
    terminal.say(write(42, 0, PEM))
    lines = terminal.say("AT%CMNG=1")
    assert lines[:2] == [f'%CMNG: 42,0,"{SHA}"', f'%CMNG: 16842753,0,"{SHA}"']
    assert len(lines) == 6
    assert terminal.say(write(4294967294, 6, PEM)) == ["+CME ERROR: 514"]
    assert terminal.say("AT%CMNG=3,4294967294,6") == ["+CME ERROR: 514"]
    assert terminal.say("AT%CMNG=1,7") == ["OK"]
    assert terminal.say("AT%CMNG=1,42,1") == ["OK"]


def test_certificates_can_be_read_and_keys_cannot(plug_in: PlugIn) -> None:
    thing, terminal = plug_in()
    terminal.say("AT+CMEE=1")
    for kind in (0, 1, 2):
        terminal.say(write(10, kind, PEM))
    assert "\r\n".join(terminal.say("AT%CMNG=2,10,1")) == f'%CMNG: 10,1,"{SHA}","{PEM}"\r\nOK'
    assert terminal.say("AT%CMNG=2,10,2") == ["+CME ERROR: 514"]
    assert terminal.say("AT%CMNG=2,11,1") == ["+CME ERROR: 513"]
    assert thing.memory.read(10, 2) == PEM.encode()


def test_an_active_modem_refuses_changes(plug_in: PlugIn) -> None:
    _, terminal = plug_in("cfun=1")
    assert terminal.say("AT+CFUN?") == ["+CFUN: 1", "OK"]
    assert terminal.say(write(10, 0, PEM)) == ["ERROR"]  # no codes without AT+CMEE=1
    terminal.say("AT+CMEE=1")
    for mode in (1, 2, 21):
        terminal.say(f"AT+CFUN={mode}")
        for command in (write(10, 0, PEM), "AT%CMNG=3,10,0", "AT%KEYGEN=10,2,0"):
            assert terminal.say(command) == ["+CME ERROR: 518"]
        assert terminal.say("AT%CMNG=1,10") == ["OK"]
    terminal.say("AT+CFUN=4")
    assert terminal.say(write(10, 0, PEM)) == ["OK"]


def test_a_stuck_host_swallows_commands_until_the_resync(plug_in: PlugIn) -> None:
    thing, terminal = plug_in()
    terminal.write(write(10, 1, "x" * 5000).encode() + b"\r")
    terminal.write(b"AT\r")
    assert terminal.read(0.3) == b""
    assert terminal.say('\x7f\x7f\x7f"') == ["OK"]  # the write that was cut off is done now: what it stored is no good
    assert 4070 < len(thing.memory.read(10, 1) or b"") < 4080
    assert terminal.say("AT") == ["OK"]


@pytest.mark.parametrize("text", ["thing-1", "350457791791735879x", "a.b_c"])
def test_an_id_that_is_no_number_gets_an_imei_of_its_own(text: str) -> None:
    imei = imei_of(DeviceId(text))
    assert DeviceId(imei).imei_doubt() is None
    assert imei_of(DeviceId(text)) == imei != imei_of(DeviceId(text + "2"))


def test_an_id_of_digits_is_the_imei() -> None:
    assert imei_of(DeviceId("350457791791735879")) == "350457791791735879"
