"""An application of one's own, begun as a copy of a sample; with the article's changes for IPv6 where they fit."""

import difflib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError, ToolError
from thingmint.firmware.editions import AZURE_IOT_HUB, IPV6_SINCE
from thingmint.firmware.sdk import Sdk

_NOT_COPIED = shutil.ignore_patterns(".git", "build", "build_*", "__pycache__", ".vscode")
_MAIN, _CONF = Path("src/main.c"), Path("prj.conf")

# Where the sample is on the network, and has not spoken to the hub yet.
_CONNECTED = re.compile(
    r'^\t(?:LOG_INF|printk)\("Connected to LTE network(?:\\n)?"\);\n#endif[^\n]*\n', re.MULTILINE
)  # fmt: skip
_WAIT = (
    "\n\t/* Wait for IPv6: its prefix comes by a message of its own, after the registration.\n"
    "\t * A full application waits for the PDN event (or the modem's +CGEV: IPV6) instead, with a time-out.\n"
    "\t */\n\tk_msleep(1000);\n"
)
_PROOF = "k_msleep(1000);"


@dataclass(frozen=True)
class Change:
    """One file of the copy, before and after."""

    path: Path  # in the application
    before: str
    after: str

    @property
    def patch(self) -> str:
        """As `diff -u` shows it."""
        names = (f"a/{self.path.as_posix()}", f"b/{self.path.as_posix()}")
        return "".join(difflib.unified_diff(self.before.splitlines(True), self.after.splitlines(True), *names))


def ipv6_changes(sdk: Sdk, name: str) -> tuple[Change, ...]:
    """The article's: wait before connecting, and IPv6 alone. Raises InputError where the sample is not as it was then."""
    if name != AZURE_IOT_HUB:
        raise InputError(
            f"--ipv6 changes {AZURE_IOT_HUB}, and {name} speaks to no hub.", things_to_try=["leave --ipv6 out"]
        )
    if not sdk.edition.ipv6:
        raise InputError(
            f"the SDK in {sdk.root} is {sdk.version}: its mqtt_helper speaks IPv4 alone.",
            things_to_try=[f"use SDK {'.'.join(map(str, IPV6_SINCE))} or newer: --sdk PATH", "leave --ipv6 out"],
        )
    source = sdk.sample(name)
    main, conf = (_read(source / path) for path in (_MAIN, _CONF))
    places = list(_CONNECTED.finditer(main))
    if len(places) != 1 or _PROOF in main:
        raise InputError(
            f"{source / _MAIN} is not as the article found it: its patch has no place there.",
            things_to_try=[
                "leave --ipv6 out: since SDK 2.5 the sample waits until the network gave it an address",
                "and have --network NAME ask for IPv6 when you build",
            ],
        )
    end = places[0].end()
    prefix = sdk.edition.pdn
    options = (
        f"\n# IPv6 alone. The access point comes with `invoke firmware --network NAME`.\n{sdk.edition.pdn_module}=y\n"
        f"{prefix}_DEFAULTS_OVERRIDE=y\n{prefix}_DEFAULT_FAM_IPV6=y\nCONFIG_MQTT_HELPER_LOG_LEVEL_DBG=y\n"
    )
    return (
        Change(_MAIN, main, main[:end] + _WAIT + main[end:]),
        Change(_CONF, conf, conf.rstrip("\n") + "\n" + options),
    )


def copy(sdk: Sdk, name: str, target: Path, changes: tuple[Change, ...]) -> None:
    """All of it, or nothing: it gets its name when it is whole. Raises FileExistsError rather than touch what is there."""
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        shutil.copytree(sdk.sample(name), staged, ignore=_NOT_COPIED, dirs_exist_ok=True)
        staged.chmod(0o755)
        for change in changes:
            (staged / change.path).write_text(change.after, encoding="utf-8", newline="\n")
        if target.exists() or target.is_symlink():
            raise FileExistsError(17, "exists", str(target))
        staged.rename(target)
    except shutil.Error as error:
        first = error.args[0][0]
        raise ToolError(
            f"{first[0]} could not be copied: {first[2]}.",
            things_to_try=["free some space, or mend the file's mode, then run this again: nothing was left"],
        ) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", things_to_try=["west update"]) from None
