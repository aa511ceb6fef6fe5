"""A build from end to end: an unmodified west in stand-ins of three SDKs; what they imitate stands in standin.py."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.firmware import sdks
from tests.firmware.conftest import MakeSdk
from thingmint.errors import CheckError, InputError
from thingmint.firmware import kconfig, sdk, west
from thingmint.firmware.flash import built as flashed
from thingmint.firmware.sdk import Sdk
from thingmint.firmware.stamp import folder_name
from thingmint.ids import DeviceId
from thingmint.lab import control
from thingmint.lab.state import Role
from thingmint.lab.thing import sample
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.session import Session
from thingmint.workflows.authority import authorities
from thingmint.workflows.device import devices
from thingmint.workflows.firmware.firmware import firmware

IMEI = "350457791791735879"
HOST = "iot-hub001-0xacc5-dev.azure-devices.net"


def config(session: Session, app: str = "azure_iot_hub") -> dict[str, str]:
    folder = next(one for one in (session.workspace.root / "firmware/build").glob(f"{app}-*") if one.is_dir())
    return kconfig.parse(kconfig.config_of(folder, app).read_text())


def test_each_sdk_builds_both_samples_its_own_way(session: Session, any_sdk: Sdk) -> None:
    for app in ("at_client", "azure_iot_hub"):
        built = firmware(session, app=app, imei=IMEI, sdk=str(any_sdk.root))
        assert built
        assert [one.kind for one in built.artefacts] == list(any_sdk.edition.outputs)
        for one in built.artefacts:
            assert one.sha256 == hashlib.sha256(one.path.read_bytes()).hexdigest()
        assert built.folder.name == f"{app}-thingy91_nrf9160_ns"
        assert flashed.newest(built.folder.parent, app)[0].name in {"app_update.bin", "zephyr.signed.bin"}
        assert "[20/20] Building" in (built.folder / west.LOG).read_text()
    made = config(session)
    assert made["CONFIG_AZURE_IOT_HUB_DEVICE_ID"] == f'"{IMEI}"'
    assert made["CONFIG_AZURE_IOT_HUB_HOSTNAME"] == f'"{HOST}"'
    assert made["CONFIG_MQTT_HELPER_SEC_TAG"] == "10"
    assert made["CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG"] == "11"
    assert "CONFIG_AZURE_IOT_HUB_DEVICE_ID" not in config(session, "at_client")
    assert not list((session.workspace.root / "firmware/build").glob("*.log"))


def test_the_line_is_the_articles(session: Session, any_sdk: Sdk, capfd: pytest.CaptureFixture[str]) -> None:
    session.shell.echoes = True
    firmware(session, app="azure_iot_hub", imei=IMEI, sdk=str(any_sdk.root))
    build = f"{session.workspace.root}/firmware/build/azure_iot_hub-thingy91_nrf9160_ns"
    said = capfd.readouterr().err.splitlines()
    line = next(one for one in said if " build -p " in one)
    assert said[said.index(line) - 1] == f"cd {any_sdk.root}"
    assert f"west build -p -c -b {any_sdk.edition.board} -d {build} {any_sdk.sample('azure_iot_hub')} -- " in line
    assert f"-D{any_sdk.edition.fragment}=" in line
    assert line.rstrip("'").endswith(f"{build}.conf")


def test_the_build_is_recorded_with_the_device_and_outlives_a_renewal(session: Session, sdk_of: MakeSdk) -> None:
    authorities.rootca(session)
    authorities.subca(session)
    devices.device(session, imei=IMEI, register=False)
    built = firmware(session, app="azure_iot_hub", imei=IMEI, sdk=str(sdk_of("2.4.0")))
    assert built
    devices.device(session, imei=IMEI, register=False, renew=True)
    record = Record.read(DeviceFiles.of(session.workspace, DeviceId(IMEI)).record)
    assert record
    assert record.firmware
    assert (record.firmware.app, record.firmware.sdk) == ("azure_iot_hub", "2.4.0")
    recorded = {one.name: one.sha256 for one in record.firmware.images}
    assert recorded == {one.path.relative_to(built.folder).as_posix(): one.sha256 for one in built.artefacts}


def test_a_device_is_built_for_the_sec_tags_that_it_was_provisioned_with(session: Session, sdk_of: MakeSdk) -> None:
    record = Record(IMEI, "subca", "", "", "", sec_tag=42, secondary_tag=43)
    session.workspace.prepare()
    session.workspace.write(DeviceFiles.of(session.workspace, DeviceId(IMEI)).record, record.to_json())
    firmware(session, app="azure_iot_hub", imei=IMEI, sdk=str(sdk_of("2.4.0")))
    assert config(session)["CONFIG_MQTT_HELPER_SEC_TAG"] == "42"
    assert config(session)["CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG"] == "43"


def test_a_network_is_asked_for_by_the_names_of_the_sdk(session: Session, sdk_of: MakeSdk) -> None:
    for version, prefix in (("2.4.0", "CONFIG_PDN"), ("3.2.0", "CONFIG_LTE_LC_PDN")):
        firmware(session, app="azure_iot_hub", imei=IMEI, network="telstra-iot", debug=True, sdk=str(sdk_of(version)))
        made = config(session)
        assert made[f"{prefix}_DEFAULT_APN"] == '"telstra.iot"'
        assert made[f"{prefix}_DEFAULT_FAM_IPV6"] == "y"
        assert made["CONFIG_MQTT_HELPER_LOG_LEVEL_DBG"] == "y"


def test_ipv6_alone_is_refused_before_2_4_by_name(session: Session, sdk_of: MakeSdk) -> None:
    with pytest.raises(InputError, match=r"is 2\.3\.0: its mqtt_helper speaks IPv4 alone"):
        firmware(session, app="azure_iot_hub", imei=IMEI, network="generic", sdk=str(sdk_of("2.3.0")))
    assert not session.workspace.root.exists()


def test_one_binary_for_many_devices_where_the_sample_asks_the_modem(session: Session, sdk_of: MakeSdk) -> None:
    firmware(session, app="azure_iot_hub", sdk=str(sdk_of("3.2.0")))
    made = config(session)
    assert made["CONFIG_AZURE_IOT_HUB_SAMPLE_DEVICE_ID_USE_HW_ID"] == "y"
    assert made["CONFIG_HW_ID_LIBRARY_SOURCE_IMEI"] == "y"
    assert made["CONFIG_NRF_MODEM_LIB_NET_IF"] == "y"  # the nRF9160 DK's, lent to the Thingy:91
    assert "CONFIG_AZURE_IOT_HUB_DEVICE_ID" not in made
    with pytest.raises(InputError, match="takes its id from the build alone"):
        firmware(session, app="azure_iot_hub", sdk=str(sdk_of("2.4.0")))


@pytest.mark.parametrize("version", ["2.4.0", "3.2.0"])
def test_dps_takes_the_samples_own_options_along(
    tmp_path: Path, make_session_in: MakeSession, sdk_of: MakeSdk, version: str
) -> None:
    session = make_session_in(tmp_path / "ws", azure_id_scope="0ne00123456")
    firmware(session, app="azure_iot_hub", imei=IMEI, dps=True, sdk=str(sdk_of(version)))
    made = config(session)
    assert made["CONFIG_SETTINGS"] == made["CONFIG_AZURE_IOT_HUB_DPS"] == "y"
    assert made["CONFIG_AZURE_IOT_HUB_DPS_ID_SCOPE"] == '"0ne00123456"'
    assert "CONFIG_AZURE_IOT_HUB_HOSTNAME" not in made


def test_an_id_scope_that_is_not_configured_is_asked_of_the_provisioning_service(
    tmp_path: Path, make_session_in: MakeSession, sdk_of: MakeSdk
) -> None:
    session = make_session_in(tmp_path / "ws")
    try:
        firmware(session, app="azure_iot_hub", imei=IMEI, dps=True, sdk=str(sdk_of("2.4.0")))
    finally:
        control.stop(session)
    scope = Role.of(session.settings).id_scope
    assert config(session)["CONFIG_AZURE_IOT_HUB_DPS_ID_SCOPE"] == f'"{scope}"'
    (image,) = (session.workspace.root / "firmware" / "build").rglob("app_update.bin")
    assert sample.id_scope_in(image.read_bytes()) == scope  # as the simulated device reads it
    dry = make_session_in(tmp_path / "dry", dry=True)
    with pytest.raises(InputError, match="azure.id_scope is not set"):
        firmware(dry, app="azure_iot_hub", imei=IMEI, dps=True, sdk=str(sdk_of("2.4.0")))


def own_application(folder: Path, *, conf: str = "CONFIG_AZURE_IOT_HUB=y\n") -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "CMakeLists.txt").write_text("")
    (folder / "prj.conf").write_text(conf)
    return folder


def test_an_option_that_the_build_drops_is_an_error(
    tmp_path: Path, make_session_in: MakeSession, sdk_of: MakeSdk
) -> None:
    """An application without Nordic's options for DPS: the build ends well, and without DPS."""
    session = make_session_in(tmp_path / "ws", azure_id_scope="0ne00123456")
    app = own_application(tmp_path / "mine")
    with pytest.raises(CheckError, match="took 6 of 7 options") as caught:
        firmware(session, app=str(app), imei=IMEI, dps=True, sdk=str(sdk_of("2.4.0")))
    assert caught.value.detail == "CONFIG_AZURE_IOT_HUB_DPS: asked for y, and it is n"


def test_a_fragment_that_is_ignored_is_an_error(
    session: Session, sdk_of: MakeSdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SDK that calls itself 2.4 and knows OVERLAY_CONFIG alone, as 2.3 does."""
    root = sdks.make(tmp_path / "lies", "2.3.0")
    standin = root / "nrf/scripts/standin.py"
    standin.write_text(standin.read_text().replace('Path(self.topdir or ".", "nrf/VERSION").read_text()', '"2.3.0"'))
    (root / "nrf/VERSION").write_text("2.4.0\n")
    with pytest.raises(CheckError, match="took 1 of 4 options .*, which it did not read at all") as caught:
        firmware(session, app="azure_iot_hub", imei=IMEI, sdk=str(root))
    assert "-DEXTRA_CONF_FILE=" in caught.value.render()


def test_a_folder_of_another_board_is_built_anew(session: Session, sdk_of: MakeSdk) -> None:
    built = firmware(session, app="at_client", board="nrf9160dk_nrf9160_ns", sdk=str(sdk_of("2.4.0")))
    assert built
    assert [one.path.name for one in built.artefacts] == ["merged.hex"]  # no bootloader, nothing for one
    there = built.folder.rename(built.folder.with_name("at_client-thingy91_nrf9160_ns"))
    (there / "zephyr/left.hex").write_text("of the other board")
    firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))
    assert not (there / "zephyr/left.hex").exists()
    assert b"thingy91_nrf9160_ns" in (there / "zephyr/app_signed.hex").read_bytes()


def test_a_private_key_stops_it_before_and_after(
    session: Session, sdk_of: MakeSdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorities.rootca(session)
    key = session.workspace.ca / "rootca/rootca.key"
    app = own_application(tmp_path / "mine", conf="CONFIG_SERIAL=y\n")
    root = str(sdk_of("2.4.0"))
    (app / "src/key.h").write_bytes(b"// one\n" + key.read_bytes())
    with pytest.raises(
        InputError, match=r"the application holds a secret, private key \(pem\): .*src/key\.h:2"
    ) as caught:
        firmware(session, app=str(app), sdk=root)
    folder = session.workspace.root / "firmware/build" / folder_name("mine", str(app), "thingy91_nrf9160_ns")
    generated = folder / "GENERATED_NON_SECURE_SIGN_KEY_PRIVATE.pem"
    generated.parent.mkdir(parents=True)
    generated.write_bytes(key.read_bytes())  # as the SDK makes one for its bootloader
    body = key.read_text().splitlines()[1]
    assert body not in caught.value.render()
    (app / "src/key.h").unlink()
    monkeypatch.setenv("STANDIN_FAULT", "key")
    monkeypatch.setenv("STANDIN_KEY", str(key))
    with pytest.raises(InputError, match="the build holds a secret"):
        firmware(session, app=str(app), sdk=root)
    with pytest.raises(InputError, match="no image of"):
        flashed.newest(folder.parent, str(app))  # what was refused is not flashed either
    monkeypatch.delenv("STANDIN_FAULT")
    built = firmware(session, app=str(app), sdk=root)
    assert built
    kept = built.folder / "350457791791735879.key"
    shutil.copy2(key, kept)  # which keeps its time, from before the build
    with pytest.raises(InputError, match="the build folder holds a secret"):
        firmware(session, app=str(app), sdk=root)
    assert kept.exists()


def test_paths_that_zephyr_would_split_are_refused(
    tmp_path: Path, make_session_in: MakeSession, sdk_of: MakeSdk
) -> None:
    session = make_session_in(tmp_path / "a b")
    with pytest.raises(InputError, match="the build folder .* has ' ' in its path"):
        firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))
    odd = own_application(tmp_path / "my;app")
    with pytest.raises(InputError, match="the application .* has ';' in its path"):
        firmware(make_session_in(tmp_path / "ws"), app=str(odd), sdk=str(sdk_of("2.4.0")))


def test_dry_shows_the_line_and_makes_nothing(
    tmp_path: Path, make_session_in: MakeSession, sdk_of: MakeSdk, capfd: pytest.CaptureFixture[str]
) -> None:
    session = make_session_in(tmp_path / "ws", dry=True)
    assert firmware(session, app="azure_iot_hub", imei=IMEI, sdk=str(sdk_of("2.4.0"))) is None
    assert " build -p -c -b thingy91_nrf9160_ns " in capfd.readouterr().err
    assert not (tmp_path / "ws").exists()


def test_the_west_of_the_sdks_terminal_goes_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(ours))
    assert west.program() == [sys.executable, "-m", "west"]
    theirs = tmp_path / ("west.exe" if os.name == "nt" else "west")
    theirs.touch(mode=0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(ours), str(tmp_path)]))
    assert west.program() == [str(theirs)]


@pytest.mark.sdk
@pytest.mark.timeout(900)
def test_a_real_sdk_builds_both_samples(session: Session) -> None:
    try:
        found = sdk.find(named=os.environ.get("NCS"), configured=None)
    except InputError as error:
        pytest.skip(f"{error.message} NCS names one, in a terminal that has its toolchain")
    network = "telstra-iot" if found.edition.ipv6 else None
    for app in ("at_client", "azure_iot_hub"):
        wanted = {"network": network, "debug": True} if app == "azure_iot_hub" else {}
        built = firmware(session, app=app, imei=IMEI, sdk=str(found.root), **wanted)  # type: ignore[arg-type]
        assert built
        assert [one.kind for one in built.artefacts] == list(found.edition.outputs)


def test_the_record_is_plain_json(session: Session, sdk_of: MakeSdk) -> None:
    session.workspace.prepare()
    own = DeviceFiles.of(session.workspace, DeviceId(IMEI)).record
    session.workspace.write(own, Record(IMEI, "subca", "", "", "").to_json())
    firmware(session, app="at_client", imei=IMEI, sdk=str(sdk_of("2.3.0")))
    written = json.loads(own.read_text())["firmware"]
    assert written["board"] == "thingy91_nrf9160_ns"
    assert written["images"][0]["name"] == "zephyr/app_signed.hex"


def test_an_application_beyond_ascii_and_a_home_of_nobody_are_told(
    session: Session, sdk_of: MakeSdk, tmp_path: Path
) -> None:
    app = own_application(tmp_path / "gerät", conf="CONFIG_AZURE_IOT_HUB=y\n")
    with pytest.raises(InputError, match="the application's name"):
        firmware(session, app=str(app), imei="350457791791735879", sdk=str(sdk_of("2.4.0")))
    with pytest.raises(InputError, match="holds no nRF Connect SDK"):
        firmware(session, app="at_client", sdk="~nobody-of-that-name/ncs")


def test_a_key_that_is_linked_into_the_sources_is_found(session: Session, sdk_of: MakeSdk, tmp_path: Path) -> None:
    authorities.rootca(session)
    app = own_application(tmp_path / "linked", conf="CONFIG_SERIAL=y\n")
    (app / "src/key.c").symlink_to(session.workspace.ca / "rootca/rootca.key")
    with pytest.raises(InputError, match="the application holds a secret"):
        firmware(session, app=str(app), sdk=str(sdk_of("2.4.0")))


def test_two_applications_of_one_name_have_two_builds(session: Session, sdk_of: MakeSdk, tmp_path: Path) -> None:
    root, images = str(sdk_of("2.4.0")), []
    for place in ("one", "two"):
        app = own_application(tmp_path / place / "app", conf=f"CONFIG_SERIAL={'y' if place == 'one' else 'n'}\n")
        firmware(session, app=str(app), sdk=root)
        images.append(app)
    builds = session.workspace.root / "firmware/build"
    assert len({flashed.newest(builds, str(app))[0].parents[1] for app in images}) == 2


def test_a_buffer_that_the_application_made_small_is_made_large_enough(
    session: Session, sdk_of: MakeSdk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    conf = "CONFIG_AZURE_IOT_HUB=y\nCONFIG_AZURE_IOT_HUB_USER_NAME_BUF_SIZE=64\n"
    app = own_application(tmp_path / "small", conf=conf)
    firmware(session, app=str(app), imei="350457791791735879", sdk=str(sdk_of("2.4.0")))
    assert re.search(r"USER_NAME_BUF_SIZE=1[0-9]{2}", capfd.readouterr().err)
