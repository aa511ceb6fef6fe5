"""Firmware as a user types it, with stand-ins of SDKs: what is said, where, and with which exit code."""

import json
import re
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine
from tests.firmware import sdks
from tests.firmware.test_endings import alive, soon


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sdk")
    if " " in str(folder):
        pytest.skip("no Zephyr build stands on the path of this run's temporary folder")
    return str(sdks.make(folder / "v2.4.0", "2.4.0"))


def test_a_device_and_its_firmware_in_one_line(bare: CommandLine, sdk: str) -> None:
    done = bare.ok(
        "rootca", "subca", "device", "--imei", IMEI, "--no-register",
        "firmware", "--app", "azure_iot_hub", "--imei", IMEI, "--network", "telstra-iot", "--debug", "--sdk", sdk,
    )  # fmt: skip
    assert done.stderr.startswith("target: lab (")
    built = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", done.stdout, re.MULTILINE))
    images = json.loads((bare.workspace / f"devices/{IMEI}.json").read_text())["firmware"]["images"]
    assert list(built) == [one["sha256"] for one in images]
    assert all(Path(path).is_file() for path in built.values())
    assert 'CONFIG_PDN_DEFAULT_APN="telstra.iot"' in done.stderr
    assert done.stderr.splitlines()[-1] == "next: invoke flash --app azure_iot_hub --port auto"
    assert bare.ok("ca-check")


def test_exit_codes(bare: CommandLine, sdk: str, tmp_path: Path) -> None:
    key = tmp_path / "app/secret.pem"
    bare.ok("rootca")
    key.parent.mkdir()
    (key.parent / "CMakeLists.txt").touch()
    key.write_bytes((bare.workspace / "ca/rootca/rootca.key").read_bytes())
    for code, words, environment in (
        (2, ["firmware", "--app", "at_client", "--sdk", str(tmp_path)], {}),
        (2, ["firmware", "--app", "at_client", "--board", "no_such", "--sdk", sdk], {}),
        (2, ["firmware", "--app", str(key.parent), "--sdk", sdk], {}),
        (2, ["app-create", "--from", "azure_iot_hub", "--dest", str(key.parent), "--sdk", sdk], {}),
        (3, ["firmware", "--app", "at_client", "--sdk", sdk], {"STANDIN_FAULT": "toolchain"}),
        (4, ["firmware", "--app", "at_client", "--sdk", sdk], {"STANDIN_FAULT": "no-image"}),
        (0, ["firmware", "--app", "at_client"], {"THINGMINT_FIRMWARE_SDK": sdk}),
        (0, ["firmware", "--app", "at_client"], {"ZEPHYR_BASE": f"{sdk}/zephyr"}),
        (0, ["app-create", "--from", "at_client", "--dest", str(tmp_path / "mine"), "--sdk", sdk], {}),
    ):
        done = bare(*words, **environment)
        assert done.returncode == code, (words, done.stderr)


def test_progress_is_a_bar_on_a_terminal_and_ctrl_c_ends_all_of_it(bare: CommandLine, sdk: str) -> None:
    environment = {**bare.environment, "STANDIN_FAULT": "hang"}
    words = ["firmware", "--app", "at_client", "--sdk", sdk]
    child = pexpect.spawn(str(INVOKE), words, cwd=str(ROOT), encoding="utf-8", timeout=30, env=environment)
    child.expect("building.*━.*20/20")
    child.sendintr()
    said = child.read()
    child.wait()
    assert child.exitstatus == 130, said
    assert "Traceback" not in said
    assert soon(lambda: not alive(str(bare.workspace / "firmware/build")), 10)
    assert bare.ok(*words).stderr.count("[20/20]") == 0
