"""The lab's certificates: kept from start to start while they are good, since devices are loaded with its CA."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from thingmint.lab.cloud import tls
from thingmint.lab.state import LabFolder, Role

ROLE = Role("acc50000", "tenant", "group", "hub-dev", "provs-dev", 60.0)


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    made = LabFolder(tmp_path)
    tls.make_certificates(made, ROLE)
    return made


def test_they_are_kept_while_they_are_good(folder: LabFolder) -> None:
    before = folder.ca.read_bytes(), folder.server_key.read_bytes()
    assert tls.keep_or_make(folder, ROLE) > dt.datetime.now(dt.UTC) + dt.timedelta(days=6)
    assert (folder.ca.read_bytes(), folder.server_key.read_bytes()) == before


def another_ca(folder: LabFolder) -> None:
    kept = folder.server_key.read_bytes()
    tls.make_certificates(folder, ROLE)
    folder.server_key.write_bytes(kept)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: folder.ca.unlink(),
        lambda folder: folder.server_key.write_bytes(b"half"),
        another_ca,
        lambda folder: tls.make_certificates(folder, dataclasses.replace(ROLE, hub="other-dev")),
    ],
    ids=["no CA", "half a key", "of another CA", "for another hub"],
)
def test_what_does_not_fit_is_made_anew(folder: LabFolder, damage: Callable[[LabFolder], None]) -> None:
    damage(folder)
    tls.keep_or_make(folder, ROLE)
    kept = folder.ca.read_bytes()
    tls.keep_or_make(folder, ROLE)
    assert folder.ca.read_bytes() == kept  # whole again


def test_they_are_made_anew_a_day_before_they_end(folder: LabFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tls, "LIFETIME", dt.timedelta(hours=24))
        tls.make_certificates(folder, ROLE)
    old = folder.ca.read_bytes()
    tls.keep_or_make(folder, ROLE)
    assert folder.ca.read_bytes() != old
