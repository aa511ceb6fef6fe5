"""`west build` of the stand-in workspaces, run by an unmodified west: this file is copied into them.

What it imitates of the nRF Connect SDK: the words that `west build` takes, which boards, options and fragment variables
a version knows, how fragments become a .config, names and places of what a build leaves, and the texts of its errors.
What it does not: it compiles nothing. The images are whole by MCUboot's rules, hold the words that the application would
log and the options that went into it, and would run on no device but a simulated one.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from west.commands import WestCommand

AZURE = {
    "AZURE_IOT_HUB", "AZURE_IOT_HUB_DEVICE_ID", "AZURE_IOT_HUB_HOSTNAME", "AZURE_IOT_HUB_DPS", "AZURE_IOT_HUB_DPS_HOSTNAME",
    "AZURE_IOT_HUB_DPS_ID_SCOPE", "AZURE_IOT_HUB_DPS_REG_ID", "AZURE_IOT_HUB_USER_NAME_BUF_SIZE", "SETTINGS", "LTE_LINK_CONTROL",
    "MQTT_HELPER_SEC_TAG", "MQTT_HELPER_SECONDARY_SEC_TAG", "MQTT_HELPER_LOG_LEVEL_DBG", "NRF_MODEM_LIB_NET_IF", "SERIAL",
}  # fmt: skip
PDN = {
    "PDN",
    "PDN_DEFAULTS_OVERRIDE",
    "PDN_DEFAULT_APN",
    "PDN_DEFAULT_FAM_IPV4",
    "PDN_DEFAULT_FAM_IPV6",
    "PDN_DEFAULT_FAM_IPV4V6",
}
NEEDS = {"AZURE_IOT_HUB_DPS": "SETTINGS", "PDN_DEFAULT_APN": "PDN_DEFAULTS_OVERRIDE"}
"""What is dropped, with a warning and exit code 0, where the other is not set."""


BANNERS = (b"The AT host sample started", b"Azure IoT Hub sample started")


def mcuboot_image(words: bytes) -> bytes:
    """As imgtool makes one for an nRF9160, not signed: header, vector table, `words`, and the SHA-256 of all that."""
    body = struct.pack("<II", 0x20010000, 0xC401) + words.ljust(4096, b"\xa5")
    header = struct.pack("<IIHHIIBBHI4x", 0x96F3B83D, 0, 512, 0, len(body), 0, 1, 0, 0, 0).ljust(512, b"\0")
    digest = struct.pack("<HH", 0x10, 32) + hashlib.sha256(header + body).digest()
    return header + body + struct.pack("<HH", 0x6907, 4 + len(digest)) + digest


class Build(WestCommand):
    """Takes what is asked for out of its environment, too: STANDIN_FAULT names what goes wrong."""

    def __init__(self) -> None:
        super().__init__("build", "build an application (stand-in)", "", accepts_unknown_args=True)

    def do_add_parser(self, parser_adder: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = parser_adder.add_parser(self.name)
        parser.add_argument("-b", "--board")
        parser.add_argument("-d", "--build-dir", default="build")
        parser.add_argument("-p", "--pristine", choices=["auto", "always", "never"], nargs="?", const="always")
        parser.add_argument("-c", "--cmake", action="store_true")
        parser.add_argument("source", nargs="?", default=".")
        return parser

    def do_run(self, args: argparse.Namespace, unknown: list[str]) -> None:
        fault = os.environ.get("STANDIN_FAULT", "")
        self.version = tuple(map(int, Path(self.topdir or ".", "nrf/VERSION").read_text().split(".")))
        folder, source = Path(args.build_dir).absolute(), Path(args.source).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "CMakeCache.txt").exists() and args.pristine == "always":
            print(f"-- west build: making build dir {folder} pristine")
            for one in folder.iterdir():
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        if not source.is_dir():
            self.fail(f"ERROR: source directory {source} does not exist")
        if not (source / "CMakeLists.txt").is_file():
            self.fail(f'CMake Error: The source directory "{source}" does not contain a CMakeLists.txt file.')
        print("-- west build: generating a build system", flush=True)
        if fault == "toolchain":
            self.fail(
                'CMake Error at FindZephyr-sdk.cmake:60 (find_package):\n  Could not find a package configuration file provided by "Zephyr-sdk"'
            )
        if fault == "space":
            self.fail("fatal error: error writing to /tmp/ccXXXX.s: No space left on device")
        if fault == "module":
            self.fail("ModuleNotFoundError: No module named 'elftools'")
        if fault == "novel":
            self.fail(
                "\n".join(["noise"] * 500 + ["\x1b[91mmain.c:7:2: error: 'x' undeclared\x1b[0m"] + ["more noise"] * 50)
            )
        self.check_board(args.board)
        cache = {
            key: value for key, _, value in (word.removeprefix("-D").partition("=") for word in unknown if word != "--")
        }
        (folder / "CMakeCache.txt").write_text(f"BOARD:STRING={args.board}\n")
        values = self.configure(source, args.board, cache)
        sysbuild = self.version >= (2, 7, 0)
        image = folder / source.name / "zephyr" if sysbuild else folder / "zephyr"
        image.mkdir(parents=True, exist_ok=True)
        if sysbuild:
            (folder / "zephyr").mkdir()
            (folder / "zephyr/.config").write_text("SB_CONFIG_BOOTLOADER_MCUBOOT=y\n")
        (image / ".config").write_text(
            "".join(
                f"CONFIG_{name}={value}\n" if value != "n" else f"# CONFIG_{name} is not set\n"
                for name, value in sorted(values.items())
            )
        )
        self.compile(fault, folder)
        content = json.dumps([args.board, values], sort_keys=True).encode()
        names = (
            [
                "merged.hex",
                "dfu_application.zip",
                f"{source.name}/zephyr/zephyr.signed.hex",
                f"{source.name}/zephyr/zephyr.signed.bin",
            ]
            if sysbuild
            else [
                f"zephyr/{name}" for name in ("app_signed.hex", "app_update.bin", "merged.hex", "dfu_application.zip")
            ]
        )
        if args.board.startswith("nrf9160dk"):  # no bootloader, unless one is asked for
            names = [name for name in names if name.endswith("merged.hex")]
        for name in names if fault != "no-image" else ():
            words = BANNERS["AZURE_IOT_HUB" in values] + b"\0" + content
            (folder / name).write_bytes(mcuboot_image(words) if name.endswith(".bin") else name.encode() + content)
        if megabytes := int(os.environ.get("STANDIN_MEGABYTES", "0")):  # for the benchmark
            time.sleep(float(os.environ["STANDIN_SECONDS"]))
            listing = "  30:\t4b02      \tldr\tr3, [pc, #8] ; (3c <main+0x14>)\n" * (10000 * megabytes)
            (folder / "zephyr/zephyr.lst").write_text(listing)
            (folder / "zephyr/zephyr.elf").write_text(listing)
        if fault == "key":
            (folder / "zephyr/generated.h").write_text(Path(os.environ["STANDIN_KEY"]).read_text())

    def check_board(self, board: str | None) -> None:
        if not board:
            self.fail("CMake Error: BOARD is not being defined on the CMake command-line")
        known = {"thingy91/nrf9160/ns", "nrf9160dk/nrf9160/ns"}
        if self.version < (2, 7, 0):
            known = {one.replace("/", "_") for one in known}
        if board not in known:
            listed = "\n".join(
                [
                    "Please choose one of the following boards:",
                    *(f"board_{number}" for number in range(400)),
                    *sorted(known),
                ]
            )
            self.fail(f"No board named '{board}' found.\n\n{listed}")

    def configure(self, source: Path, board: str, cache: dict[str, str]) -> dict[str, str]:
        """Merge what the version merges, and say so; warn and abort as Kconfig does."""
        known = AZURE | PDN
        if self.version >= (2, 5, 0):
            known |= {"AZURE_IOT_HUB_SAMPLE_DEVICE_ID_USE_HW_ID", "HW_ID_LIBRARY_SOURCE_IMEI"}
        if self.version >= (3, 2, 0):
            known |= {f"LTE_LC_{name}" for name in PDN} - {"LTE_LC_PDN"} | {"LTE_LC_PDN_MODULE"}
        variables = ["OVERLAY_CONFIG"] if self.version < (2, 4, 0) else ["OVERLAY_CONFIG", "EXTRA_CONF_FILE"]
        extra = [one for name in variables for one in re.split(r"[; ]", cache.get(name, "")) if one]
        own = [source / "prj.conf", source / "boards" / f"{board.replace('/', '_')}.conf"]
        files = [str(one) for one in own if one.is_file()] + extra
        values: dict[str, str] = {}
        warnings = []
        for file in files:
            if not Path(file).is_file():
                self.fail(f"CMake Error at kconfig.cmake:296 (message):\n  File not found: {file}")
            print(f"{'Merged configuration' if values else 'Loaded configuration'} '{file}'")
            for number, line in enumerate(Path(file).read_text().splitlines(), 1):
                if found := re.match(r"CONFIG_(\w+)=(.*)", line):
                    if found[1] not in known:
                        warnings.append(
                            f"{file}:{number}: warning: attempt to assign the value '{found[2]}' to the undefined symbol {found[1]}"
                        )
                    if not re.fullmatch(r'y|n|-?\d+|"([^"\\]|\\.)*"', found[2]):
                        warnings.append(
                            f"{file}:{number}: warning: malformed string literal in assignment to {found[1]}"
                        )
                    values[found[1]] = found[2]
        if warnings:
            self.fail("\n".join([*warnings, "", "error: Aborting due to Kconfig warnings"]))
        for name, other in NEEDS.items():
            if values.get(name, "n") != "n" and values.get(other) != "y":
                print(f"warning: {name} was assigned the value '{values[name]}' but got the value 'n'")
                values[name] = "n"
        return values

    def compile(self, fault: str, folder: Path) -> None:
        """ninja's lines, those of an image within the image between them; for `hang` with processes that go on and on."""
        for number in range(1, 21):
            print(f"[{number}/20] Building C object CMakeFiles/app.dir/src/part{number}.c.obj")
            if number == 10:
                print("[1/3] Building C object mcuboot/main.c.obj\n[3/3] Linking C executable mcuboot.elf")
        sys.stdout.flush()
        if fault == "hang":
            program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
            children = [subprocess.Popen([sys.executable, "-c", program, str(folder)]) for _ in range(3)]
            time.sleep(300)
            children[0].wait()

    def fail(self, text: str) -> NoReturn:
        print(text, file=sys.stderr)
        print("\x1b[91mFATAL ERROR: command exited with status 1: /usr/bin/cmake -GNinja\x1b[0m", file=sys.stderr)
        raise SystemExit(1)
