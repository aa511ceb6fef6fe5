"""Why a port cannot be opened, or is not left alone: what is named wrong, who has it, who may not."""

import errno
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from thingmint.errors import InputError, ModemError, ThingmintError

_STATIONS = ("socket", "rfc2217")
_FORMS = "a port is /dev/ttyACM0, COM5, socket://HOST:PORT, rfc2217://HOST:PORT, or auto"
_LIST = "see which ports there are: python -m serial.tools.list_ports -v"
_RULE = 'ATTRS{idVendor}=="1915", ENV{ID_MM_DEVICE_IGNORE}="1"'
_GROUP_RULE = 'SUBSYSTEM=="tty", ATTRS{idVendor}=="1915", GROUP="dialout", MODE="0660"'
_RULE_FILE = "/etc/udev/rules.d/77-nordic.rules"


def require_port(port: str) -> None:
    """Raises InputError for what is no port, and for the ways through pyserial that show what passes."""
    if not port.isprintable():
        raise InputError(f"{port!r} is no port.", things_to_try=[_FORMS])
    if not port.strip():
        raise InputError("no port was given.", things_to_try=[_FORMS])
    if "://" not in port:
        return
    try:
        parts = urlsplit(port)
        complete = bool(parts.hostname) and parts.port is not None
    except ValueError:
        complete = False
        parts = urlsplit("")
    if port.lower().startswith("spy://"):
        raise InputError(
            "spy:// is refused: it writes all that passes into a log, private keys too.",
            things_to_try=["name the port itself; a transcript without secrets is shown with -e", _FORMS],
        )
    if "logging" in parse_qs(parts.query):
        raise InputError(
            "an option logging= in a port is refused: a log of the line would show private keys.",
            things_to_try=["leave it out"],
        )
    if parts.scheme not in _STATIONS or not complete:
        raise InputError(f"{port} is no port that can be opened.", things_to_try=[_FORMS])


def explain(port: str, error: Exception) -> ThingmintError:
    """What pyserial says of a port that it could not open, in words that help. Linux's, macOS's and Windows' texts."""
    words = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if "://" in port:
        return ModemError(
            f"the station {port} cannot be reached.",
            detail=words,
            things_to_try=[
                "is the program that serves the port running there? One client at a time",
                "socket:// is a plain line, rfc2217:// one with telnet's options: try the other",
                "check host, port and firewall",
            ],
        )
    denied_here = number in {errno.EACCES, errno.EPERM}
    if number == errno.ENOENT or "FileNotFoundError" in words:
        return ModemError(
            f"there is no port {port}.",
            things_to_try=["plug the board in, and switch it on", _LIST, "or let it be found: --port auto"],
        )
    if number in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in words or "PermissionError" in words:
        return _busy(port)
    if denied_here:
        return _denied(port)
    return ModemError(f"{port} cannot be opened as a serial port.", detail=words, things_to_try=[_LIST, _FORMS])


@dataclass(frozen=True)
class Process:
    pid: int
    name: str


def holders(port: str) -> tuple[Process, ...]:
    """Who has the port open, this process aside, as far as /proc tells this user (Linux)."""
    wanted = os.path.realpath(port)
    found = []
    for process in _processes():
        if process.pid == os.getpid():
            continue
        try:
            links = [os.readlink(one) for one in Path(f"/proc/{process.pid}/fd").iterdir()]  # noqa: PTH115 - of one that may vanish
        except OSError:  # another user's, or ended meanwhile
            continue
        if wanted in links:
            found.append(process)
    return tuple(found)


def modem_manager_hint() -> list[str]:
    """What to try where ModemManager runs: it probes every new port with AT commands, in the midst of ours."""
    if not any(process.name == "ModemManager" for process in _processes()):
        return []
    return [f"ModemManager runs here and probes such ports: {_rule()}"]


def _rule() -> str:
    line = shlex.quote(_RULE)
    return (
        f"keep it away, then plug the board in anew:\n    echo {line} | sudo tee {_RULE_FILE}"
        "\n    sudo udevadm control --reload"
    )


def _processes() -> list[Process]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):  # elsewhere than on Linux there is none
        try:
            found.append(Process(int(folder.name), (folder / "comm").read_text(encoding="utf-8").strip()))
        except OSError:
            continue
    return found


def _busy(port: str) -> ModemError:
    who = holders(port)
    things = [f"end it: {process.name} (process {process.pid})" for process in who if process.name != "ModemManager"]
    if any(process.name == "ModemManager" for process in who):
        things.append(_rule())
    elif not who:
        things += ["close the terminal program that has it open (LTE Link Monitor, minicom, screen, PuTTY)"]
        things += modem_manager_hint() or [f"see who has it: sudo fuser -v {shlex.quote(port)}"] * (os.name == "posix")
    names = ", ".join(f"{process.name} (process {process.pid})" for process in who) or "another program"
    return ModemError(f"{port} is busy: {names} has it open.", things_to_try=things)


def _denied(port: str) -> ModemError:
    if sys.platform == "win32":
        return _busy(port)
    found = Path(port).stat()
    me, group = _user(), _group(found.st_gid)
    said = f"{port} may not be opened by {me}: it belongs to group {group} (mode {found.st_mode & 0o777:o})."
    if found.st_gid == 0 or found.st_mode & 0o060 != 0o060:
        things = [
            f"let a udev rule give it to a group of yours:\n    echo {shlex.quote(_GROUP_RULE)} | sudo tee {_RULE_FILE}"
        ]
    else:
        things = [f"join the group: sudo usermod -aG {group} $USER", "then log in again: until then nothing changes"]
    return ModemError(said, things_to_try=things)


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in containers
        return "this user"
