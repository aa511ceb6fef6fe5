"""What goes wrong in a build, told as one error: by unmodified west and stand-ins that print an SDK's own texts."""

from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.firmware.conftest import MakeSdk
from tests.firmware.test_build import own_application
from thingmint.errors import CheckError, InputError, ThingmintError, ToolError
from thingmint.firmware import failures
from thingmint.firmware.sdk import Sdk
from thingmint.session import Session
from thingmint.workflows.firmware.firmware import firmware


@pytest.mark.parametrize(
    ("fault", "kind", "said", "cure"),
    [
        ("toolchain", ToolError, "no toolchain for SDK 2.4.0", "toolchain launch --ncs-version v2.4.0 --shell"),
        ("space", ToolError, "the disk is full", "free some space"),
        ("module", ToolError, "Python package 'elftools'", "scripts/requirements.txt"),
        ("novel", ToolError, "west build failed with exit code 1", "west-build.log"),
        ("no-image", CheckError, "the build left no image", "ends in ns"),
    ],
)
def test_a_failing_build_is_one_error_with_a_cure(
    session: Session,
    sdk_of: MakeSdk,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    kind: type[ThingmintError],
    said: str,
    cure: str,
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", fault)
    with pytest.raises(kind) as caught:
        firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))
    shown = caught.value.render()
    assert said in shown
    assert cure in shown
    assert len(shown.splitlines()) < 30
    assert "\x1b" not in shown
    if fault == "novel":
        assert "main.c:7:2: error: 'x' undeclared" in caught.value.detail


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("No board named 'x' found.", "knows no board 'x'"),
        ("BOARD is not being defined on the CMake command-line", "told no board"),
        ("ERROR: source directory /a/b does not exist", "no folder /a/b."),
        ('The source directory "/x" does not contain a CMakeLists.txt', "no CMakeLists.txt"),
        ('Could not find a package configuration file provided by "Zephyr-sdk"', "the compiler is missing"),
        ("Nothing found at GNUARMEMB_TOOLCHAIN_PATH: '/opt/gcc'", "the compiler is missing"),
        ("attempt to assign the value 'y' to the undefined symbol NO_SUCH", "no option CONFIG_NO_SUCH,"),
        ("File not found: /x.conf", "/x.conf is not there"),
        ('west: unknown command "build"; do you need to run this inside a workspace?', "west update"),
        ("FATAL ERROR: CMake is not installed or cannot be found; cannot build.", "needs cmake"),
        ('CMake was unable to find a build program corresponding to "Ninja".', "needs ninja"),
        ("region `FLASH' overflowed by 1234 bytes", "FLASH overflowed by 1234 bytes"),
    ],
)
def test_each_text_that_is_known_is_told_in_words(sdk_of: MakeSdk, text: str, said: str) -> None:
    sdk = Sdk.read(sdk_of("2.4.0"), named_by="the test's")
    noise = ["-- Found Python3", "\tline"] * 50
    error = failures.explain([*noise, text, *noise], code=1, sdk=sdk, board="x", log=Path("the.log"))
    assert said in error.render()
    assert "the.log" in error.things_to_try[-1]


def test_an_unknown_board_is_told_in_a_line_and_not_in_hundreds(session: Session, sdk_of: MakeSdk) -> None:
    with pytest.raises(InputError, match=r"SDK 3\.2\.0 knows no board 'thingy91_nrf9160_ns'") as caught:
        firmware(session, app="at_client", board="thingy91_nrf9160_ns", sdk=str(sdk_of("3.2.0")))
    assert "--board thingy91/nrf9160/ns" in caught.value.render()
    assert len(caught.value.render().splitlines()) < 8


def test_an_option_that_this_sdk_does_not_have(session: Session, sdk_of: MakeSdk, tmp_path: Path) -> None:
    app = own_application(tmp_path / "mine", conf="CONFIG_NO_SUCH=y\nCONFIG_NOR_THIS=y\n")
    with pytest.raises(InputError, match=r"SDK 2\.4\.0 has no option CONFIG_NO_SUCH, CONFIG_NOR_THIS,"):
        firmware(session, app=str(app), sdk=str(sdk_of("2.4.0")))
    (app / "prj.conf").write_text("CONFIG_AZURE_IOT_HUB_DEVICE_ID=abc\n")
    with pytest.raises(InputError, match="lacks its quotes") as caught:
        firmware(session, app=str(app), sdk=str(sdk_of("2.4.0")))
    assert "prj.conf:1" in caught.value.detail


def test_a_workspace_whose_zephyr_is_not_there(session: Session, sdk_of: MakeSdk, tmp_path: Path) -> None:
    """west init without west update, so to say: its manifest names no commands."""
    import shutil

    root = tmp_path / "half"
    shutil.copytree(sdk_of("2.4.0"), root)
    (root / "nrf/west.yml").write_text("manifest:\n  self:\n    path: nrf\n")
    with pytest.raises(InputError, match="west finds no `build`") as caught:
        firmware(session, app="at_client", sdk=str(root))
    assert "west update" in caught.value.render()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no application was named"),
        ({"app": "blinky"}, "neither a sample that is known here nor a folder"),
        ({"app": "."}, "is no Zephyr application"),
        ({"app": "at_client", "dps": True}, "it speaks to no hub"),
        ({"app": "at_client", "network": "generic"}, "it speaks to no hub"),
        ({"app": "azure_iot_hub", "imei": 'x"y'}, "the device id"),
        ({"app": "azure_iot_hub", "imei": "x\ny"}, "the device id"),
        ({"app": "azure_iot_hub", "imei": "../x"}, "the device id"),
        ({"app": "azure_iot_hub", "imei": "x$HOME"}, "the device id"),
        ({"app": "azure_iot_hub", "imei": "1", "network": "nowhere"}, "is no network that"),
        ({"app": "at_client", "board": "-p"}, "is no board's name"),
        ({"app": "at_client", "board": "a b"}, "is no board's name"),
    ],
)
def test_wrong_input_is_told_before_anything_is_made(
    tmp_path: Path,
    make_session_in: MakeSession,
    sdk_of: MakeSdk,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, object],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    session = make_session_in(tmp_path / "ws")
    with pytest.raises(InputError, match=said):
        firmware(session, **{"app": None, "sdk": str(sdk_of("2.4.0")), **options})  # type: ignore[arg-type]
    assert not (tmp_path / "ws").exists()
