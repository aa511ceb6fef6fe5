"""`invoke monitor` as a user types it: on files, on standard input, on a terminal, on the simulated device's port."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine
from tests.commands.test_modem import modem
from tests.monitor.logs import ARTICLE, BOOT, CONNECTED, REGISTERED, SENT, TRYING, UNRESOLVED, log

GOOD = log(BOOT, REGISTERED, TRYING, CONNECTED, SENT)


def test_a_device_boots_and_its_port_proves_that_it_reached_the_hub(made: CommandLine) -> None:
    with modem(made) as (port, _):
        made.ok("provision", "--imei", IMEI, "--port", port)
    with modem(made, "--app", "azure_iot_hub") as (port, _):
        done = made.ok("monitor", "--port", port, "--until", "connected", "--timeout", "60")
    assert "azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTED" in done.stdout
    assert done.stdout.endswith("Connected to the hub.\n")
    assert "listening" in done.stderr


def test_a_file_is_shown_then_told(bare: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "device.log"
    file.write_bytes(b"\x1b[1;31m" + GOOD)
    done = bare.ok("monitor", "--file", str(file))
    assert done.stdout.startswith(f"{BOOT}\n[00:00:01.460,540] <inf>")
    assert done.stdout.endswith("\n\nRegistered in the home network.\nConnected to the hub.\n1 event sent.\n")
    assert "\x1b" not in done.stdout
    early = bare.ok("monitor", "--file", str(file), "--until", "connected")
    assert "successfully sent" not in early.stdout


def test_json_is_one_object(bare: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "device.log"
    file.write_text(ARTICLE)
    done = bare("monitor", "--file", str(file), "--json")
    assert done.returncode == 4
    told = json.loads(done.stdout)
    assert told["reached"] is False
    assert told["nat64"] == {"prefix": "2001:8004:11d0:4e2a::/96", "ipv4": "13.70.74.195"}
    assert "nothing was concluded" in done.stderr


def test_every_kind_of_file_is_told_without_a_traceback(bare: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "device.log"
    for content, code, said in (
        (b"", 4, "the log is empty"),
        (bytes(range(256)) * 999, 4, "no line of this is one of Zephyr's log"),
        (log(TRYING, UNRESOLVED), 4, "NONAME"),
        (b"\xff\xfe" + GOOD + b"\xc3", 0, ""),
        (GOOD.replace(b"\r\n", b"\n").rstrip(), 0, ""),
        (b"x" * 300_000 + b"\n" + GOOD, 0, ""),
    ):
        file.write_bytes(content)
        done = bare("monitor", "--file", str(file))
        assert done.returncode == code, done.stderr
        assert said in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there is no such pipe")
def test_standard_input_is_read_as_it_comes(bare: CommandLine) -> None:
    """As of `tail -f`: the end of what is proven is the end, and Ctrl-C is one, too, whatever is proven by then."""
    for words, ends, content, code in (
        (["--until", "connected"], False, GOOD, 0),
        ([], True, GOOD, 0),
        ([], True, b"nothing of the kind\n", 4),
    ):
        with subprocess.Popen(
            [INVOKE, "monitor", "--file", "-", *words], cwd=ROOT, env=bare.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin
            assert process.stdout
            process.stdin.write(content)
            process.stdin.flush()
            shown = process.stdout.readline()
            if ends:
                process.send_signal(signal.SIGINT)
            shown += process.stdout.read()
            assert process.wait(timeout=30) == code
        assert (b"Connected to the hub." in shown) is (code == 0)


@pytest.mark.skipif(os.name == "nt", reason="there is no pty")
def test_a_terminal_gets_colours_unless_it_says_no(bare: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "device.log"
    file.write_bytes(log(REGISTERED, UNRESOLVED))
    words = ["monitor", "--file", str(file)]
    environment = {**bare.environment, "TERM": "xterm-256color"}
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        child = pexpect.spawn(
            str(INVOKE), words, cwd=str(ROOT), env={**environment, **more}, encoding="utf-8", timeout=30
        )
        shown = child.read()
        child.wait()
        assert child.exitstatus == 4
        assert ("\x1b[31m" in shown) is coloured
        assert "getaddrinfo() failed" in shown


def test_wrong_words_are_refused(bare: CommandLine, tmp_path: Path) -> None:
    for words, said in (
        ([], "nothing to read was named"),
        (["--port", "P", "--file", "F"], "cannot be used together"),
        (["--file", str(tmp_path / "none")], "cannot be read: No such file"),
        (["--file", str(tmp_path)], "cannot be read"),
        (["--file", "-", "--timeout", "3"], "--timeout belongs to --port"),
        (["--port", "P", "--timeout", "soon"], "is no number of seconds"),
        (["--port", "P", "--timeout", "-1"], "is no number of seconds"),
        (["--port", "P", "--until", "noon"], "--until connected"),
        (["--port", "auto"], "name the port"),
        (["--port", "spy://P"], "spy:// is refused"),
    ):
        done = bare("monitor", *words)
        assert done.returncode == 2, (words, done.stderr)
        assert said in done.stderr, (words, done.stderr)
    assert bare("monitor", "--port", "/dev/ttyNONE").returncode == 6
    assert "would read the log on P" in bare.ok("--dry", "monitor", "--port", "P").stderr


def test_a_log_as_powershell_writes_it_is_named(bare: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "device.log"
    path.write_bytes("*** Booting Zephyr OS build v3.2.99-ncs2 ***\r\n".encode("utf-16"))
    done = bare("monitor", "--file", str(path))
    assert done.returncode == 2
    assert "is UTF-16" in done.stderr
