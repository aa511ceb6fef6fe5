"""Devices whose key is in the modem, and the C header, as the other tasks of a command line see them."""

from pathlib import Path

import pytest

from tests.commands.conftest import IMEI, CommandLine
from tests.conftest import MakeSession
from tests.pki import modems
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.device import enclosed, renewal
from thingmint.pki.wish import Wish
from thingmint.session import Session

ID = DeviceId.parse(IMEI)


@pytest.fixture
def session(bare: CommandLine, make_session_in: MakeSession) -> Session:
    """The same workspace, where the modem's part is done by hand."""
    bare.ok("rootca", "subca")
    made = make_session_in(bare.workspace, pki_key="ec:P-256")
    with bench.locked(made) as locked:
        enclosed.issue(locked, family.signer(made.workspace), ID, modems.csr(IMEI), Wish())
    return made


def test_the_other_tasks_leave_it_alone_and_find_nothing_broken(
    bare: CommandLine, session: Session, tmp_path: Path
) -> None:
    said = bare.ok("device", "--imei", IMEI, "--no-register").stderr
    assert "unchanged: certificate of" in said
    assert "key: in its modem" in said
    bare.ok("ca-check", "expiring", "--within", "1d", "show", "--imei", IMEI)
    (tmp_path / "ids").write_text(f"{IMEI}\n")
    assert "made: 0 · unchanged: 1" in bare.ok("device", "--imei-file", str(tmp_path / "ids"), "--no-register").stderr
    assert not (session.workspace.devices / f"{IMEI}.key").exists()


def test_a_plain_renewal_and_connect_say_what_to_do_instead(bare: CommandLine, session: Session) -> None:
    before = (session.workspace.devices / f"{IMEI}.pem").read_bytes()
    refused = bare("device", "--imei", IMEI, "--renew", "--no-register")
    assert refused.returncode == 2
    assert f"invoke device --imei {IMEI} --renew --keygen --port" in refused.stderr
    refused = bare("connect", "--imei", IMEI)
    assert refused.returncode == 2
    assert "is in its modem: this machine cannot speak as it" in refused.stderr
    assert (session.workspace.devices / f"{IMEI}.pem").read_bytes() == before


def test_a_renewal_that_was_cut_off_is_finished_without_the_modem(bare: CommandLine, session: Session) -> None:
    before = (session.workspace.devices / f"{IMEI}.pem").read_bytes()
    staged = renewal.staging(session.workspace, ID)
    staged.csr.parent.mkdir()
    staged.csr.write_bytes(inspect.parse_request_der(modems.csr(IMEI), where="it").pem)
    assert "is finished now" in bare.ok("device", "--imei", IMEI, "--no-register").stderr
    assert (session.workspace.devices / f"{IMEI}.pem").read_bytes() != before
    bare.ok("ca-check")


def test_a_series_does_not_make_a_key_where_a_modems_csr_waits(
    bare: CommandLine, session: Session, tmp_path: Path
) -> None:
    (session.workspace.devices / f"{IMEI}.pem").unlink()
    (tmp_path / "ids").write_text(f"{IMEI}\n")
    refused = bare("device", "--imei-file", str(tmp_path / "ids"), "--no-register")
    assert refused.returncode == 4
    assert "is of a key in the modem" in refused.stderr


def test_the_header_alone_is_on_stdout(bare: CommandLine, session: Session) -> None:
    lab = bare.ok("show", "--imei", IMEI, "--header")
    assert lab.stdout.startswith(f"/* The certificates of {IMEI}.")
    assert lab.stdout.endswith("_H */\n")
    assert "SERVER_ROOT_CA" not in lab.stdout
    assert "invoke lab-up" in lab.stderr
    azure = bare.ok("show", "--imei", IMEI, "--header", THINGMINT_TARGET="azure").stdout
    assert "DigiCert Global Root G2" in azure
    assert "#define SERVER_ROOT_CA_SECONDARY" in azure
    certificate = session.workspace.devices / f"{IMEI}.pem"
    certificate.write_bytes(certificate.read_bytes() + (session.workspace.ca / "subca/subca.key").read_bytes())
    refused = bare("show", "--imei", IMEI, "--header")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "holds a private key" in refused.stderr
    assert bare("show", "--ca", "subca", "--header").returncode == 2


@pytest.mark.usefixtures("session")
def test_the_labs_root_is_in_its_header(bare: CommandLine) -> None:
    bare.ok("lab-up")
    said = bare.ok("show", "--imei", IMEI, "--header").stdout
    assert "Server root: thingmint lab CA; until" in said
