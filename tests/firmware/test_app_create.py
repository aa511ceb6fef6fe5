"""An application of one's own out of a sample: copied without its repository, changed only where the patch fits."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.firmware.conftest import MakeSdk
from thingmint.errors import InputError
from thingmint.firmware.sdk import Sdk
from thingmint.session import Session
from thingmint.workflows.firmware.application import app_create
from thingmint.workflows.firmware.firmware import firmware


def test_a_copy_builds_and_has_no_repository_in_it(session: Session, any_sdk: Sdk, tmp_path: Path) -> None:
    dest = tmp_path / "mine"
    app_create(session, source="azure_iot_hub", dest=str(dest), sdk=str(any_sdk.root))
    assert (dest / "src/main.c").read_bytes() == (any_sdk.sample("azure_iot_hub") / "src/main.c").read_bytes()
    assert not (dest / ".git").exists()
    assert not (dest / "build").exists()
    assert [one.name for one in tmp_path.iterdir() if "mine" in one.name] == ["mine"]
    built = firmware(session, app=str(dest), imei="350457791791735879", sdk=str(any_sdk.root))
    assert built
    assert re.fullmatch("mine-[0-9a-f]{8}-thingy91_nrf9160_ns", built.folder.name)


def test_the_patch_for_ipv6_is_shown_and_is_what_was_done(
    session: Session, sdk_of: MakeSdk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, dest = sdk_of("2.4.0"), tmp_path / "mine"
    app_create(session, source="azure_iot_hub", dest=str(dest), ipv6=True, sdk=str(root))
    shown = capfd.readouterr().out
    main = (dest / "src/main.c").read_text()
    assert main.index("Connected to LTE network") < main.index("k_msleep(1000);") < main.index("azure_iot_hub_init(")
    assert "CONFIG_PDN_DEFAULT_FAM_IPV6=y\n" in (dest / "prj.conf").read_text()
    again = tmp_path / "again"
    shutil.copytree(Sdk.read(root, named_by="it").sample("azure_iot_hub"), again)
    subprocess.run(["patch", "-p1"], cwd=again, input=shown, text=True, check=True, capture_output=True)
    assert (again / "src/main.c").read_text() == main
    assert (again / "prj.conf").read_text() == (dest / "prj.conf").read_text()
    assert firmware(session, app=str(dest), imei="1", network="telstra-iot", sdk=str(root))


@pytest.mark.parametrize(
    ("version", "source", "said"),
    [
        ("2.3.0", "azure_iot_hub", r"is 2\.3\.0: its mqtt_helper speaks IPv4 alone"),
        ("3.2.0", "azure_iot_hub", "is not as the article found it"),
        ("2.4.0", "at_client", "at_client speaks to no hub"),
    ],
)
def test_the_patch_is_refused_where_it_has_no_place(
    session: Session, sdk_of: MakeSdk, tmp_path: Path, version: str, source: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        app_create(session, source=source, dest=str(tmp_path / "mine"), ipv6=True, sdk=str(sdk_of(version)))
    assert not list(tmp_path.glob("*mine*"))


def test_a_source_that_was_changed_since_is_not_patched(session: Session, sdk_of: MakeSdk, tmp_path: Path) -> None:
    root = tmp_path / "sdk"
    shutil.copytree(sdk_of("2.4.0"), root)
    main = Sdk.read(root, named_by="it").sample("azure_iot_hub") / "src/main.c"
    text = main.read_text()
    for other in (
        text + text,
        text.replace("Connected to LTE", "On LTE"),
        text.replace("#endif", "\tk_msleep(1000);\n#endif"),
    ):
        main.write_text(other)
        with pytest.raises(InputError, match="is not as the article found it"):
            app_create(session, source="azure_iot_hub", dest=str(tmp_path / "mine"), ipv6=True, sdk=str(root))


def test_nothing_is_overwritten_and_wrong_input_is_told(session: Session, sdk_of: MakeSdk, tmp_path: Path) -> None:
    sdk = str(sdk_of("2.4.0"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/kept").touch()
    for source, dest, said in (
        ("azure_iot_hub", str(tmp_path / "mine"), "exists, and is not overwritten"),
        ("azure_iot_hub", str(tmp_path / "no/mine"), "there is no folder"),
        ("azure_iot_hub", None, "no file was named"),
        ("blinky", str(tmp_path / "other"), "is no sample that is known here"),
        (None, str(tmp_path / "other"), "no sample was named"),
    ):
        with pytest.raises(InputError, match=said):
            app_create(session, source=source, dest=dest, sdk=sdk)
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["kept"]


def test_dry_shows_the_patch_and_makes_nothing(
    tmp_path: Path, make_session_in: MakeSession, sdk_of: MakeSdk, capfd: pytest.CaptureFixture[str]
) -> None:
    session = make_session_in(tmp_path / "ws", dry=True)
    app_create(session, source="azure_iot_hub", dest=str(tmp_path / "mine"), ipv6=True, sdk=str(sdk_of("2.4.0")))
    assert "+\tk_msleep(1000);" in capfd.readouterr().out
    assert not (tmp_path / "mine").exists()
