"""Nordic's own tools, unmodified, against the simulated modem on its real line."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.thing.conftest import IMEI
from thingmint.ids import DeviceId
from thingmint.lab.thing.port import Thing, plugged_in

SCRIPTS = Path(sys.executable).parent
Run = Callable[..., str]

pytestmark = pytest.mark.skipif(not (SCRIPTS / "nrfcredstore").exists(), reason="run `make peers`")


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[Thing]:
    with plugged_in(tmp_path / "modems", DeviceId(IMEI)) as thing:
        yield thing


@pytest.fixture
def run(plugged: Thing, tmp_path: Path) -> Run:
    """Runs a tool by its name, in a folder of the test's; what it printed."""

    def runs(tool: str, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [SCRIPTS / tool, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).with_name("ports")), "SIMULATED_PORT": plugged.port},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return runs


@pytest.fixture
def ca(tmp_path: Path) -> list[str]:
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=CA",
    ]
    subprocess.run([*argv, "-keyout", "ca.key", "-out", "ca.pem"], cwd=tmp_path, check=True, capture_output=True)
    return ["--ca", "ca.pem", "--ca-key", "ca.key"]


def test_nrfcredstore_writes_lists_and_deletes(run: Run, plugged: Thing, tmp_path: Path, ca: list[str]) -> None:
    pem = (tmp_path / "ca.pem").read_text()
    run("nrfcredstore", plugged.port, "write", "51", "ROOT_CA_CERT", "ca.pem")
    assert plugged.memory.read(51, 0) == pem.rstrip().encode()
    listing = run("nrfcredstore", plugged.port, "list")
    [digest] = [entry.digest for entry in plugged.memory.listing(51)]
    assert re.search(rf"^51 +ROOT_CA_CERT +{digest}", listing, re.MULTILINE)
    assert re.search(r"^4294967294 +DEV_ID_PUB_KEY +[0-9A-F]{64}", listing, re.MULTILINE)
    run("nrfcredstore", plugged.port, "delete", "51", "ROOT_CA_CERT")
    assert plugged.memory.listing(51) == []


def test_nrfcredstore_reads_the_imei_and_generates_a_key(run: Run, plugged: Thing, tmp_path: Path) -> None:
    assert f"IMEI: {IMEI}" in run("nrfcredstore", plugged.port, "imei")
    run("nrfcredstore", plugged.port, "generate", "52", "it.csr", "--attributes", f"CN={IMEI}")
    argv = ["openssl", "req", "-inform", "DER", "-in", "it.csr", "-noout", "-verify", "-subject"]
    told = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert IMEI in told.stdout
    assert plugged.memory.read(52, 2) is not None


def test_nordics_parser_reads_key_and_attestation(run: Run, plugged: Thing) -> None:
    token = run("nrfcredstore", plugged.port, "attoken").split("token: ")[1].split()[0]
    told = run("modem_credentials_parser", "-P", "-a", token)
    assert f"Dev UUID:    {plugged.memory.uuid}" in told
    assert "Dev Type:    nRF9160 SIBA" in told


@pytest.mark.parametrize("made", [(), ("--local-cert",)])
def test_nordics_installer_installs_and_verifies(
    run: Run, plugged: Thing, ca: list[str], made: tuple[str, ...], tmp_path: Path
) -> None:
    """With a key that the modem makes, whose CSR it parses and signs, and with one of its own."""
    told = run(
        "device_credentials_installer", "-P", "--port", plugged.port, "-s", "-d", "--id-imei", "--verify", *made, *ca
    )
    assert "Credential verification: PASS" in told
    assert ("COSE digest matches payload" in told) == (not made)
    certificate = plugged.memory.read(16842753, 1) or b""
    assert certificate.replace(b"\r\n", b"\n") == (tmp_path / f"{IMEI}_crt.pem").read_bytes()
    assert (b"\r\n" in (plugged.memory.read(16842753, 2) or b"")) == bool(made)  # what it writes has CRLF
