"""A port that cannot be opened, and what answers there that is no AT host."""

import base64
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import traceback
from pathlib import Path

import pytest

from tests.modem.host import Host, hosting
from thingmint.errors import InputError, ModemError
from thingmint.modem import obstacles
from thingmint.modem.at import open_modem


def refusal_of(port: str, told: list[str] | None = None) -> ModemError:
    with pytest.raises(ModemError) as caught, open_modem(port, tell=told.append if told is not None else None):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("", "no port was given"),
        ("spy:///dev/ttyACM0", "spy:// is refused: it writes all that passes into a log"),
        ("SPY://COM5?file=log.txt", "spy:// is refused"),
        ("socket://127.0.0.1:7000?logging=debug", "logging= in a port is refused"),
        ("socket://127.0.0.1", "is no port"),
        ("rfc2217://host:99999", "is no port"),
        ("loop://", "is no port"),
        ("hwgrep://ACM", "is no port"),
    ],
)
def test_what_is_no_port_is_invalid_input(port: str, words: str) -> None:
    with pytest.raises(InputError, match=words), open_modem(port):
        pass


def test_no_such_port(tmp_path: Path) -> None:
    error = refusal_of(str(tmp_path / "ttyACM7"))
    assert "there is no port" in error.message
    assert any("plug the board in" in thing for thing in error.things_to_try)


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "ttyACM7").touch()
    assert "cannot be opened as a serial port" in refusal_of(str(tmp_path / "ttyACM7")).message


def test_a_second_opener_is_told_that_the_port_is_busy(host: Host) -> None:
    with open_modem(host.port) as modem:
        assert f"{host.port} is busy" in refusal_of(host.port).message
        assert modem.ask("AT+CFUN?") == ("+CFUN: 1",)


@pytest.mark.parametrize("name", ["minicom", "ModemManager"])
def test_who_has_the_port_is_named(host: Host, tmp_path: Path, name: str) -> None:
    """By a process of that name, which holds the lock as such programs do."""
    program = tmp_path / name
    shutil.copy(shutil.which("flock") or "", program)
    with subprocess.Popen([str(program), host.port, "sleep", "30"], start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 10
            while not obstacles.holders(host.port) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.1)
            words = refusal_of(host.port).render()
            assert f"process {process.pid}" in words
            assert ("ENV{ID_MM_DEVICE_IGNORE}" in words) == (name == "ModemManager")
            assert bool(obstacles.modem_manager_hint()) == (name == "ModemManager")
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")
def test_permission_denied_names_the_group_to_join(host: Host) -> None:
    os.chown(host.port, 0, 20)
    Path(host.port).chmod(0o660)
    assert grp, pwd  # loaded before: this Python may be nobody's to read
    os.seteuid(65534)
    try:
        error = refusal_of(host.port)
    finally:
        os.seteuid(0)
    assert "belongs to group dialout (mode 660)" in error.message
    assert error.things_to_try == (
        "join the group: sudo usermod -aG dialout $USER",
        "then log in again: until then nothing changes",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("could not open port 'COM9': FileNotFoundError(2, 'The system cannot find the file specified.', None, 2)", "there is no port COM9"),
        ("could not open port 'COM9': PermissionError(13, 'Access is denied.', None, 5)", "COM9 is busy: another program"),
        ("could not open port 'COM9': OSError(22, 'The semaphore timeout period has expired.', None, 121)", "cannot be opened as a serial port"),
    ],
)  # fmt: skip
def test_the_words_of_windows_are_understood(text: str, words: str) -> None:
    assert words in obstacles.explain("COM9", OSError(text)).message


def test_a_station_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    assert "cannot be reached" in refusal_of(f"socket://127.0.0.1:{number}").message


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answer", "words", "detail"),
    [
        (b"", "does not answer", ""),
        (bytes(range(128, 250)), "only garbage comes back", "\\x80"),
        (b"\r\nAT: command not found\r\nuart:~$ ", "a shell answers there", "uart:~$"),
        (b"$GPGGA,081836,3751.65,S,14507.36,E*70\r\n", "what is there answers something else", "$GPGGA"),
        (b"ERROR\r\n", "it answers, but not what it is asked", "ERROR"),
    ],
)
def test_what_is_no_at_host_is_told_by_what_it_answers(answer: bytes, words: str, detail: str) -> None:
    with hosting(lambda _: answer) as host:
        error = refusal_of(host.port)
    assert words in error.message
    assert detail in error.detail
    assert "\x1b" not in error.render()


@pytest.mark.usefixtures("impatient")
def test_what_a_port_echoes_of_somebodys_key_is_not_shown() -> None:
    line = base64.b64encode(bytes(range(48)))
    told: list[str] = []
    with hosting(lambda _: line + b"\r\n" + line[:40]) as host:
        error = refusal_of(host.port, told)
    words = "".join((*told, *traceback.format_exception(error), error.render()))
    assert line[8:16].decode() not in words
    assert "<64 characters>" in words
