"""Workspaces of an unmodified west, each with two applications that stand in for Nordic's samples; see standin.py."""

import shutil
import sys
from pathlib import Path

from thingmint.errors import ToolError
from thingmint.shell import Shell

STANDIN = Path(__file__).with_name("standin.py")

_MANIFEST = "manifest:\n  self:\n    path: nrf\n    west-commands: scripts/west-commands.yml\n"
_COMMANDS = """west-commands:
  - file: scripts/standin.py
    commands:
      - name: build
        class: Build
        help: stand-in
"""
# As far as the patch looks at it: what stands where the device is on the network, and has not spoken to the hub.
_MAIN = """#include <zephyr/kernel.h>

void main(void)
{
#if IS_ENABLED(CONFIG_LTE_LINK_CONTROL)
\tLOG_INF("Connecting to LTE network");
\tmodem_configure();
\tk_sem_take(&network_connected_sem, K_FOREVER);
\tLOG_INF("Connected to LTE network");
#endif

\tazure_iot_hub_init(azure_event_handler);
}
"""
_NEWER_MAIN = "int main(void)\n{\n\tconn_mgr_all_if_up(true);\n\treturn 0;\n}\n"


def make(root: Path, version: str, shell: Shell) -> Path:
    """The workspace `root`, called a version of the nRF Connect SDK. Raises ToolError where west will not take it."""
    major, minor = map(int, version.split(".")[:2])
    newer = (major, minor) >= (2, 5)
    nrf = root / "nrf"
    _write(nrf / "VERSION", f"{version}\n")
    _write(nrf / "west.yml", _MANIFEST)
    _write(nrf / "scripts/west-commands.yml", _COMMANDS)
    shutil.copy(STANDIN, nrf / "scripts/standin.py")
    (root / "zephyr").mkdir()
    at_client = nrf / f"samples/{'cellular' if newer else 'nrf9160'}/at_client"
    _application(at_client, "CONFIG_SERIAL=y\n", "int main(void)\n{\n}\n")
    azure = nrf / f"samples/{'net' if newer else 'nrf9160'}/azure_iot_hub"
    _application(azure, "CONFIG_AZURE_IOT_HUB=y\nCONFIG_MQTT_HELPER_SEC_TAG=10\n", _NEWER_MAIN if newer else _MAIN)
    _write(azure / ("dps.conf" if newer else "overlay-dps.conf"), "CONFIG_SETTINGS=y\n")
    if newer:
        _write(azure / "boards/nrf9160dk_nrf9160_ns.conf", "CONFIG_NRF_MODEM_LIB_NET_IF=y\n")
        _write(azure / "Kconfig", 'config AZURE_IOT_HUB_SAMPLE_DEVICE_ID_USE_HW_ID\n\tbool "Use HW ID as device ID"\n')
    _write(azure / "build/zephyr/.config", "")  # what a sample's folder holds after a build in it
    _write(azure / ".git/HEAD", "ref: refs/heads/main\n")
    done = shell.read([sys.executable, "-m", "west", "init", "-l", "nrf"], cwd=root)
    if done.exit_code:
        raise ToolError(f"west makes no workspace of {root}.", detail=done.stderr)
    return root


def _application(folder: Path, conf: str, main: str) -> None:
    _write(folder / "CMakeLists.txt", "cmake_minimum_required(VERSION 3.20)\n")
    _write(folder / "prj.conf", conf)
    _write(folder / "src/main.c", main)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
