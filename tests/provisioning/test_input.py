"""What is wrong before the modem is touched: files that do not hold together, roots that will not do, sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.paper import DAY, make
from tests.provisioning.desk import CERTIFICATE, KEY, ROOT, Desk
from thingmint.errors import InputError, ThingmintError


@dataclass(frozen=True)
class Files:
    """The device's, and those of a stranger of the same authority."""

    certificate: Path
    key: Path
    other_certificate: Path
    other_key: Path


def swapped_key(files: Files) -> None:
    files.key.write_bytes(files.other_key.read_bytes())


def of_another_device(files: Files) -> None:
    files.certificate.write_bytes(files.other_certificate.read_bytes())
    files.key.write_bytes(files.other_key.read_bytes())


def of_another_authority(files: Files) -> None:
    stranger = make("Strange Root").issue(files.certificate.stem)
    files.certificate.write_bytes(stranger.pem)
    files.key.write_bytes(stranger.key_pem)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (swapped_key, "does not belong to"),
        (of_another_device, "not for"),
        (of_another_authority, "was not issued by"),
        (lambda files: files.key.chmod(0o644), "may be read by others"),
        (lambda files: files.key.unlink(), "has no private key here"),
        (lambda files: files.certificate.write_bytes(b"half"), "holds no readable certificate"),
        (lambda files: files.key.write_bytes(b"half"), "holds no readable private key"),
    ],
)
def test_files_that_do_not_hold_together_stop_it_before_the_modem_is_touched(
    desk: Desk, damage: Callable[[Files], None], words: str
) -> None:
    imei, other = desk.device(), desk.device()
    folder = desk.session.workspace.devices
    pair = [folder / f"{one}{end}" for one in (imei, other) for end in (".pem", ".key")]
    damage(Files(pair[0], pair[1], pair[2], pair[3]))
    with desk.plugged_in(imei, "instant") as thing, pytest.raises(ThingmintError, match=words):
        desk.provision(imei, thing)
    assert not desk.held(imei)


def test_line_ends_and_a_text_dump_of_other_tools_never_reach_the_modem(desk: Desk) -> None:
    imei = desk.device()
    path = desk.session.workspace.devices / f"{imei}.pem"
    clean = path.read_bytes()
    path.write_bytes(clean.replace(b"\n", b"\r\n"))
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing)
        assert desk.held(imei)[10, CERTIFICATE] == clean
        path.write_bytes(b"Certificate:\n    Data:\n" + clean)
        with pytest.raises(InputError, match="text beside its PEM"):
            desk.provision(imei, thing)


def test_what_the_at_host_cannot_take_is_refused_with_its_size(desk: Desk) -> None:
    imei = desk.device()
    path = desk.session.workspace.devices / f"{imei}.pem"
    path.write_bytes(path.read_bytes() * 8)
    with desk.plugged_in(imei, "instant") as thing, pytest.raises(InputError, match=r"[0-9]{4} bytes, and .* 4078"):
        desk.provision(imei, thing)
    assert not desk.held(imei)


def test_a_root_of_the_users_own_takes_the_place_of_the_labs(desk: Desk, tmp_path: Path) -> None:
    imei, root, path = desk.device(), make("Gateway Root"), tmp_path / "gateway.pem"
    path.write_bytes(root.pem)
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing, root=str(path))
    assert desk.held(imei)[10, ROOT] == root.pem


def test_an_issuing_authority_as_server_root_is_warned_of(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imei = desk.device()
    path = tmp_path / "issuing.pem"
    path.write_bytes(make("Global Root").issue("DigiCert Global G2 TLS RSA SHA256 2020 CA1", ca=True).pem)
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing, root=str(path))
    assert "warning: " in capsys.readouterr().err
    assert desk.held(imei)[10, KEY]


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (make("Baltimore CyberTrust Root").pem, "Baltimore"),
        (make("Old Root", start=-3 * DAY, end=-DAY).pem, "expired"),
        (make("leaf").key_pem, "private key"),
        (b"nothing", "no"),
    ],
    ids=["Baltimore", "expired", "a key", "nothing"],
)
def test_what_cannot_be_a_server_root_is_refused(desk: Desk, tmp_path: Path, pem: bytes, words: str) -> None:
    imei, path = desk.device(), tmp_path / "root.pem"
    path.write_bytes(pem)
    with desk.plugged_in(imei, "instant") as thing, pytest.raises(InputError, match=words) as caught:
        desk.provision(imei, thing, root=str(path))
    assert "BEGIN" not in caught.value.render()
    assert not desk.held(imei)
