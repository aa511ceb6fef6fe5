"""The fragment's text: validated, escaped, read back. What a build makes of it is tested by builds."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmint.errors import CheckError, InputError
from thingmint.firmware import editions, kconfig
from thingmint.firmware.editions import EDITIONS, Version
from thingmint.firmware.kconfig import Identity, Network, Options
from thingmint.firmware.sdk import Sdk

HOST = "iot-hub001-0xacc5-dev.azure-devices.net"
IDENTITY = Identity(HOST, "350457791791735879", 10, 11)


def sdk(version: str) -> Sdk:
    parsed = Version.parse(version)
    assert parsed
    edition = editions.of(parsed)
    assert edition
    return Sdk(Path("/ncs"), parsed, edition)


def test_the_articles_fragment() -> None:
    wanted = Options(IDENTITY, Network("telstra-iot", "telstra.iot", "IPV6"), debug=True)
    assert kconfig.parse(kconfig.fragment(wanted, sdk("2.4.0"), app="azure_iot_hub")) == {
        "CONFIG_AZURE_IOT_HUB_DEVICE_ID": '"350457791791735879"',
        "CONFIG_AZURE_IOT_HUB_HOSTNAME": f'"{HOST}"',
        "CONFIG_MQTT_HELPER_SEC_TAG": "10",
        "CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG": "11",
        "CONFIG_PDN": "y",
        "CONFIG_PDN_DEFAULTS_OVERRIDE": "y",
        "CONFIG_PDN_DEFAULT_APN": '"telstra.iot"',
        "CONFIG_PDN_DEFAULT_FAM_IPV6": "y",
        "CONFIG_MQTT_HELPER_LOG_LEVEL_DBG": "y",
    }


def test_nothing_asked_is_nothing_set() -> None:
    assert kconfig.parse(kconfig.fragment(Options(), sdk("3.2.0"), app="at_client")) == {}


@pytest.mark.parametrize("bad", ["two\nlines", "a$HOME", "\x00", "ümlaut", "tab\t", "\x1b[0m", "del\x7f"])
def test_what_no_fragment_can_hold_is_refused(bad: str) -> None:
    for values in (
        Options(replace(IDENTITY, device_id=bad)),
        Options(replace(IDENTITY, host=bad)),
        Options(replace(IDENTITY, id_scope=bad)),
        Options(network=Network("n", bad, "IPV4V6")),
        Options(network=Network(bad, None, "IPV4V6")),
    ):
        with pytest.raises(InputError, match="cannot stand in a Kconfig fragment"):
            kconfig.fragment(values, sdk("2.4.0"), app="azure_iot_hub")


def test_quotes_and_backslashes_are_escaped() -> None:
    assert kconfig.quoted('a"b\\c', "it") == '"a\\"b\\\\c"'
    text = kconfig.fragment(Options(replace(IDENTITY, device_id='x"\\')), sdk("2.4.0"), app="a")
    assert 'CONFIG_AZURE_IOT_HUB_DEVICE_ID="x\\"\\\\"\n' in text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$")))
def test_a_quoted_text_stays_one_text_of_one_line(text: str) -> None:
    written = kconfig.quoted(text, "it")
    assert kconfig.parse(f"CONFIG_X={written}\n") == {"CONFIG_X": written}
    body, inside = written[1:-1], ""
    while body:
        step = 2 if body[0] == "\\" else 1
        inside, body = inside + body[step - 1], body[step:]
    assert inside == text


@pytest.mark.parametrize("digits", [1, 15, 18, 64])
def test_the_user_name_fits_its_buffer(digits: int) -> None:
    """Microsoft's library: HOST/ID/?api-version=…&DeviceClientType=…, here with a long version of itself."""
    one = replace(IDENTITY, device_id="9" * digits)
    user_name = f"{HOST}/{one.device_id}/?api-version=2020-09-30&DeviceClientType=azsdk-c%2F1.10.0-preview.12"
    for edition in EDITIONS:
        size = kconfig.larger_buffer(one, edition.user_name_buffer)
        assert (size or edition.user_name_buffer) > len(user_name)
        assert size is None or size > edition.user_name_buffer


def test_a_network_of_either_family_is_asked_for_by_name() -> None:
    for family in kconfig.FAMILIES:
        asked = kconfig.parse(
            kconfig.fragment(Options(network=Network("n", None, family)), sdk("3.2.0"), app="azure_iot_hub")
        )
        assert asked[f"CONFIG_LTE_LC_PDN_DEFAULT_FAM_{family}"] == "y"
        assert "CONFIG_LTE_LC_PDN_DEFAULT_APN" not in asked
    with pytest.raises(InputError, match="unknown family"):
        kconfig.fragment(Options(network=Network("n", None, "IPX")), sdk("3.2.0"), app="azure_iot_hub")


def test_what_is_asked_is_compared_with_what_is(tmp_path: Path) -> None:
    config = tmp_path / ".config"
    config.write_text('CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="x"\nCONFIG_D=12\n')
    kconfig.require_taken(
        'CONFIG_A=y\nCONFIG_B=n\nCONFIG_E=n\nCONFIG_C="x"\nCONFIG_D=12\n', config, sdk=sdk("2.4.0"), merged=True
    )
    for asked in ("CONFIG_A=n", "CONFIG_B=y", 'CONFIG_C="y"', "CONFIG_D=13", "CONFIG_E=y"):
        with pytest.raises(CheckError, match=r"took 0 of 1 options of the device's fragment\."):
            kconfig.require_taken(asked, config, sdk=sdk("2.4.0"), merged=True)
    with pytest.raises(CheckError, match="nothing proves"):
        kconfig.require_taken("CONFIG_A=y", tmp_path / "none", sdk=sdk("2.4.0"), merged=True)
