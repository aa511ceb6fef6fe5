"""What `west build` says when it fails, hundreds of lines at times, as one error with things to try."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError, ThingmintError, ToolError
from thingmint.firmware.sdk import Sdk

_SHOWN = 12
_NOTABLE = re.compile(
    r"error:|FATAL ERROR|CMake Error|warning: .*undefined symbol|Aborting|FAILED:|ld: ", re.IGNORECASE
)


@dataclass(frozen=True)
class _Seen:
    """A failure: what matched, and what it happened to."""

    match: re.Match[str]
    text: str
    sdk: Sdk
    board: str

    @property
    def terminal(self) -> tuple[str, ...]:
        """How to get the toolchain's environment: by the newest of Nordic's tools, then the older one."""
        version = f"v{self.sdk.version}"
        return (
            f"nrfutil sdk-manager toolchain install --ncs-version {version}",
            f"run this again inside: nrfutil sdk-manager toolchain launch --ncs-version {version} --shell",
            f"with an older nrfutil: nrfutil toolchain-manager launch --ncs-version {version} --shell",
            "or open a terminal from VS Code's nRF Connect extension (or the Toolchain Manager), which has it all",
        )


def _no_space(_: _Seen) -> ThingmintError:
    return ToolError(
        "the disk is full: the build could not write its files.",
        things_to_try=["free some space (a build takes about 200 MB), then run this again"],
    )


def _unknown_board(seen: _Seen) -> ThingmintError:
    return InputError(
        f"SDK {seen.sdk.version} knows no board {seen.match[1]!r}.",
        things_to_try=[
            f"--board {seen.sdk.edition.board}, this SDK's name for the Thingy:91, or leave --board out",
            f"the names it knows: west boards (in {seen.sdk.root})",
        ],
    )


def _no_board(seen: _Seen) -> ThingmintError:
    return InputError("the build was told no board.", things_to_try=[f"--board {seen.sdk.edition.board}"])


def _no_source(seen: _Seen) -> ThingmintError:
    return InputError(f"there is no folder {seen.match[1].strip()}.", things_to_try=["mend --app"])


def _no_cmakelists(_: _Seen) -> ThingmintError:
    return InputError(
        "the folder is no Zephyr application: it has no CMakeLists.txt.",
        things_to_try=["name the application's own folder with --app"],
    )


def _no_toolchain(seen: _Seen) -> ThingmintError:
    return ToolError(
        f"the compiler is missing: no toolchain for SDK {seen.sdk.version} was found.", things_to_try=seen.terminal
    )


def _no_program(seen: _Seen) -> ThingmintError:
    name = "ninja" if "ninja" in seen.match[0].lower() else "cmake"
    return ToolError(
        f"the build needs {name}, which is not on PATH.",
        things_to_try=[*seen.terminal, "or: apt install cmake ninja-build · brew install cmake ninja"],
    )


def _no_module(seen: _Seen) -> ThingmintError:
    return ToolError(
        f"Zephyr's scripts need the Python package {seen.match[1]!r}, which this west's Python lacks.",
        things_to_try=[*seen.terminal, f"or: pip install -r {seen.sdk.zephyr / 'scripts/requirements.txt'}"],
    )


def _undefined(seen: _Seen) -> ThingmintError:
    names = list(dict.fromkeys(re.findall(r"to the undefined symbol (\w+)", seen.text)))
    listed = ", ".join(f"CONFIG_{name}" for name in names[:5]) + (" and others" if len(names) > 5 else "")
    return InputError(
        f"SDK {seen.sdk.version} has no option {listed}, which the application or its fragment sets.",
        things_to_try=[
            "mend the spelling in prj.conf; a newer or older SDK may call it otherwise",
            "an application that does not use the Azure IoT Hub library takes no --imei, --dps or --debug",
        ],
    )


def _malformed(seen: _Seen) -> ThingmintError:
    return InputError(
        "a text in a Kconfig file lacks its quotes.",
        detail="\n".join(line for line in seen.text.splitlines() if "malformed string literal" in line),
        things_to_try=['as in CONFIG_AZURE_IOT_HUB_DEVICE_ID="abc"'],
    )


def _no_fragment(seen: _Seen) -> ThingmintError:
    return InputError(
        f"the Kconfig file {seen.match[1].strip()} is not there.",
        things_to_try=["bring it back", "in the application: see what its CMakeLists.txt and prj.conf name"],
    )


def _no_workspace(seen: _Seen) -> ThingmintError:
    return InputError(
        f"west finds no `build` in {seen.sdk.root}: that command comes with zephyr/, and its workspace is not whole.",
        things_to_try=[f"in {seen.sdk.root}: west update", "choose another SDK: --sdk PATH"],
    )


def _overflow(seen: _Seen) -> ThingmintError:
    return ToolError(
        f"the application is too large: {seen.match[1]} overflowed by {seen.match[2]} bytes.",
        things_to_try=["leave --debug out", "switch options off in prj.conf"],
    )


# The first that fits is told. What makes others follow stands before them.
_KNOWN: tuple[tuple[str, Callable[[_Seen], ThingmintError]], ...] = (
    (r"(?:error writing|fatal error|OSError|IOError|ninja: error|write error).*(?:No space left on device|not enough space on the disk)", _no_space),
    (r"unknown command \"build\"|no west workspace found", _no_workspace),
    (r"No board named '([^'\n]*)' found", _unknown_board),
    (r"BOARD is not being defined", _no_board),
    (r"source directory (.+?) does not exist", _no_source),
    (r"(?:does not|doesn't) contain a CMakeLists\.txt", _no_cmakelists),
    (r"CMake is not installed|cmake: command not found|build program corresponding to \"Ninja\"|ninja: not found", _no_program),
    (r"provided by \"Zephyr-sdk\"|Nothing found at GNUARMEMB_TOOLCHAIN_PATH", _no_toolchain),
    (r"No module named '([\w.]+)'", _no_module),
    (r"malformed string literal", _malformed),
    (r"to the undefined symbol (\w+)", _undefined),
    (r"File not found: (.+)", _no_fragment),
    (r"region `?(\w+)'? overflowed by (\d+) bytes", _overflow),
)  # fmt: skip


def explain(lines: Sequence[str], *, code: int, sdk: Sdk, board: str, log: Path) -> ThingmintError:
    """The error to raise. What is not known here keeps the lines that look like the cause."""
    text = "\n".join(lines)
    where = f"the build's whole output: {log}"
    for pattern, make in _KNOWN:
        if match := re.search(pattern, text):
            error = make(_Seen(match, text, sdk, board))
            error.things_to_try = (*error.things_to_try, where)
            return error
    notable = [line for line in lines if _NOTABLE.search(line)]
    return ToolError(
        f"west build failed with exit code {code}.",
        detail="\n".join((notable or list(lines))[-_SHOWN:]),
        things_to_try=[where],
    )
