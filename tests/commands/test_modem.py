"""The device half as a user types it: a simulated modem in one terminal, the tasks in another."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine


@contextmanager
def modem(line: CommandLine, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`invoke modem …` in front, in a terminal of its own; its port, and its process."""
    process = subprocess.Popen(
        [INVOKE, "modem", "--imei", IMEI, *words],
        cwd=ROOT,
        env=line.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process.stdout.readline().rstrip("\n"), process
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert "PRIVATE KEY" not in out + err
        assert "Traceback" not in err


def typed(line: CommandLine, *words: str) -> "pexpect.spawn[str]":
    return pexpect.spawn(str(INVOKE), list(words), cwd=str(ROOT), encoding="utf-8", timeout=30, env=line.environment)


@pytest.fixture
def desk(made: CommandLine) -> CommandLine:
    """Authorities, a verified hub, a device; nothing in its modem."""
    (made.workspace / f"lab/modems/{IMEI}.json").unlink(missing_ok=True)
    return made


def held(line: CommandLine, port: str) -> list[tuple[int, int]]:
    listed = json.loads(line.ok("creds", "--port", port, "--json").stdout)
    return [(one["secTag"], one["type"]) for one in listed if one["secTag"] < 2**31]


def test_load_list_boot_and_delete(desk: CommandLine) -> None:
    with modem(desk) as (port, process):
        done = desk.ok("provision", "--imei", IMEI, "--port", port)
        assert done.stderr.startswith("target: lab (")
        assert done.stderr.count("loaded: sec tag") == 4
        assert f"invoke modem --imei {IMEI} --app azure_iot_hub" in done.stderr.splitlines()[-1]
        again = desk.ok("-e", "provision", "--imei", IMEI, "--port", "auto")
        assert again.stderr.count("unchanged: sec tag") == 4
        assert "AT%CMNG=1" in again.stderr
        assert held(desk, port) == [(10, 0), (10, 1), (10, 2), (11, 0)]
        named = {one["secTag"]: one["name"] for one in json.loads(desk.ok("creds", "--port", port, "--json").stdout)}
        assert named[11] == "thingmint lab CA 2"
        assert desk("creds-delete", "--port", port, "--sec-tag", "4294967294").returncode == 2
        desk.ok("creds-delete", "--port", port, "--sec-tag", "11", "--yes")
        assert (11, 0) not in held(desk, port)
    assert process.returncode == 0
    with modem(desk, "--app", "azure_iot_hub") as (_, booted):
        assert booted.stderr
        log = ""
        while "Event was successfully sent" not in log:
            log += booted.stderr.readline()
    assert "AZURE_IOT_HUB_EVT_CONNECTED" in log


def test_an_application_with_nothing_in_its_modem_says_so_and_fails(desk: CommandLine) -> None:
    done = desk("modem", "--imei", IMEI, "--app", "azure_iot_hub")
    assert done.returncode == 4
    assert "holds no server root, no client certificate, no private key" in done.stderr
    assert "mqtt_connect, error: -22" in done.stderr


def test_ctrl_c_in_the_middle_is_gone_on_with(desk: CommandLine) -> None:
    with modem(desk, "--fault", "slow=0.1") as (port, _):
        child = typed(desk, "-e", "provision", "--imei", IMEI, "--port", port)
        child.expect("AT%CMNG=0,10,1")
        child.sendintr()
        said = child.read()
        child.wait()
        assert child.exitstatus == 130, said
        assert "Traceback" not in said
        desk.ok("provision", "--imei", IMEI, "--port", port)
        assert held(desk, port) == [(10, 0), (10, 1), (10, 2), (11, 0)]


@pytest.mark.parametrize("moment", ["AT%CMNG=0,10,0", "AT%CMNG=0,10,2"])
def test_a_kill_in_the_middle_is_gone_on_with(desk: CommandLine, moment: str) -> None:
    with modem(desk) as (port, _):
        child = typed(desk, "-e", "provision", "--imei", IMEI, "--port", port)
        child.expect(moment)
        time.sleep(0.02)  # some of it is on the line
        child.kill(signal.SIGKILL)
        child.wait()
        desk.ok("provision", "--imei", IMEI, "--port", port)
        assert held(desk, port) == [(10, 0), (10, 1), (10, 2), (11, 0)]


def test_of_two_at_once_one_is_told_who_has_the_port(desk: CommandLine) -> None:
    with modem(desk, "--fault", "slow=0.1") as (port, _):
        first = typed(desk, "-e", "provision", "--imei", IMEI, "--port", port)
        first.expect("AT")
        second = desk("creds", "--port", port)
        assert second.returncode == 6
        assert "is busy" in second.stderr
        first.read()
        first.wait()
        assert first.exitstatus == 0


def test_wrong_input_is_told_before_any_port_is_opened(desk: CommandLine, tmp_path: Path) -> None:
    quick = CommandLine(desk.workspace)
    root = tmp_path / "leaf.pem"
    root.write_bytes((desk.workspace / f"devices/{IMEI}.pem").read_bytes())
    for words, text in (
        (["provision", "--imei", IMEI], "no port was named"),
        (["provision", "--port", "P"], "no device id was given"),
        (["provision", "--imei", "never-made", "--port", "P"], "has no certificate here"),
        (["provision", "--imei", IMEI, "--port", "P", "--sec-tag", "ten"], "is no sec tag"),
        (["provision", "--imei", IMEI, "--port", "P", "--sec-tag", "16842753"], "nRF Cloud"),
        (
            ["provision", "--imei", IMEI, "--port", "P", "--sec-tag", "11", "--secondary-tag", "11"],
            "--secondary-tag 12",
        ),
        (["provision", "--imei", IMEI, "--port", "P", "--server-root", str(root)], "no CA"),
        (["creds"], "no port was named"),
        (["creds-delete", "--port", "P"], "no sec tag was named"),
        (["device", "--imei", IMEI, "--port", "P"], "--port belongs to --keygen"),
        (["device", "--imei", IMEI, "--keygen"], "no port was named"),
        (["device", "--imei", IMEI, "--keygen", "--port", "P"], "its private key is here"),
        (["device", "--imei", "new-1", "--keygen", "--port", "P", "--key", "rsa:2048"], "ec:P-256"),
        (["modem", "--imei", IMEI, "--fault", "drup"], "--fault drop"),
        (["modem", "--imei", IMEI, "--app", "blinky"], "azure_iot_hub"),
        (["modem", "--imei", IMEI, "--fault", "hammer"], "invoke advise --imei ID --fault hammer"),
    ):
        done = quick(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert text in done.stderr, (words, done.stderr)
    assert quick("creds", "--port", "/dev/ttyNONE").returncode == 6


def test_azures_root_stays_out_of_a_simulated_modem(desk: CommandLine, tmp_path: Path) -> None:
    subscription = {"THINGMINT_TARGET": "azure", "THINGMINT_AZURE_AUTH": "connection-string"}
    with modem(desk) as (port, _):
        done = desk(
            "provision", "--imei", IMEI, "--port", port,
            IOTHUB_CONNECTION_STRING="HostName=iot-hub001-0xacc5-dev.azure-devices.net;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0",
            **subscription,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "this is a simulated modem" in done.stderr


def test_dry_changes_nothing(desk: CommandLine) -> None:
    done = desk.ok(
        "--dry", "provision", "--imei", IMEI, "--port", "P", "creds-delete", "--port", "P", "--sec-tag", "10"
    )
    assert "would load the credentials" in done.stderr
    assert "would delete sec tag 10" in done.stderr
    planned = desk.ok("--dry", "device", "--imei", "new-2", "--keygen", "--port", "P")
    assert "would have the modem on P make a key in sec tag 10" in planned.stderr
    assert not (desk.workspace / "devices/new-2.json").exists()
