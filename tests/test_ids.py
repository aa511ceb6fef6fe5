"""Device ids: what passes is safe as file name, CN, -subj, hub identity; what does not is refused by name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmint import openssl
from thingmint.errors import InputError
from thingmint.ids import DeviceId

GOOD = ["350457791791735879", "352656100367872", "a", "A-", "dev_1.2", "x" * 64]
BAD = [
    "", "x" * 65, "../x", "a/O=Evil", "a+O=Evil", "a'b", 'a"b', "a\nb", "a\n", "$(reboot)", "{{7*7}}", ".hidden", "-e",
    "a.", "a.chain", "A.CHAIN", "con", "NUL", "com1", "lpt9.txt", "aux.1", "ä", "٣٥", "a b", "a\\b", "a\x00b", "_a",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_good(text: str) -> None:
    assert str(DeviceId.parse(text)) == text


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    with pytest.raises(InputError) as caught:
        DeviceId.parse(text)
    assert caught.value.exit_code == 2
    assert "Things to try" in caught.value.render()


@given(st.text(max_size=70))
def test_whatever_passes_needs_no_escaping_anywhere(text: str) -> None:
    try:
        DeviceId.parse(text)
    except InputError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text)
    assert openssl.escape(text) == text
    # https://learn.microsoft.com/azure/iot-dps/concepts-service#registration-id
    assert re.fullmatch(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]", text)


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9-])?", fullmatch=True))
def test_the_rule_is_the_rule(text: str) -> None:
    try:
        DeviceId.parse(text)
    except InputError as error:
        assert "Windows" in error.message or ".chain" in error.message


def test_missing_id_says_which_option() -> None:
    with pytest.raises(InputError, match="no device id") as caught:
        DeviceId.parse(None)
    assert "--imei" in caught.value.render()


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("490154203237518", None),
        ("350457791791735879", "15 digits"),
        ("355025930000000", "Luhn"),
        ("dev1", "15 digits"),
    ],
)
def test_doubts_about_an_imei(text: str, doubt: str | None) -> None:
    found = DeviceId.parse(text).imei_doubt()
    assert found is None if doubt is None else doubt in (found or "")


def test_case_alone_is_no_difference() -> None:
    DeviceId.parse("dev1").require_unique(["dev1", "dev2"])
    with pytest.raises(InputError, match="by case alone"):
        DeviceId.parse("dev1").require_unique(["DEV1"])
