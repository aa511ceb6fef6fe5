"""Which SDK is taken, and what its version means."""

from pathlib import Path

import pytest

from tests.firmware import sdks
from thingmint.errors import InputError
from thingmint.firmware import editions, sdk
from thingmint.firmware.editions import Version
from thingmint.firmware.sdk import Sdk


def workspace(root: Path, version: str = "2.4.0") -> Path:
    (root / "nrf").mkdir(parents=True)
    (root / "zephyr").mkdir()
    (root / "nrf/VERSION").write_text(f"{version}\n")
    return root


def find(
    cwd: Path,
    *,
    named: str | None = None,
    configured: str | None = None,
    zephyr: Path | None = None,
    home: Path | None = None,
) -> Sdk:
    environment = {"ZEPHYR_BASE": str(zephyr or ""), "HOME": str(home or cwd), "USERPROFILE": str(home or cwd)}
    return sdk.find(named=named, configured=configured, environment=environment, cwd=cwd)


def test_the_nearest_word_counts(tmp_path: Path) -> None:
    flag, setting, variable, above = (workspace(tmp_path / name) for name in ("flag", "setting", "variable", "above"))
    inside = above / "nrf/samples/app"
    inside.mkdir(parents=True)
    base = variable / "zephyr"
    assert find(inside, named=str(flag), configured=str(setting), zephyr=base).root == flag
    assert find(inside, configured=str(setting), zephyr=base).root == setting
    assert find(inside, zephyr=variable / "zephyr").root == variable
    assert find(inside).root == above


def test_of_several_in_the_usual_place_one_is_asked_for(tmp_path: Path) -> None:
    workspace(tmp_path / "ncs/v2.3.0", "2.3.0")
    (tmp_path / "ncs/toolchains").mkdir()
    workspace(tmp_path / "ncs/v1.9.1", "1.9.1")
    assert find(tmp_path).root == tmp_path / "ncs/v2.3.0"
    workspace(tmp_path / "ncs/v2.4.0")
    with pytest.raises(InputError, match="there are 2 nRF Connect SDKs here") as caught:
        find(tmp_path)
    assert caught.value.detail.splitlines()[1] == f"2.4.0  {tmp_path / 'ncs/v2.4.0'}"
    assert f"--sdk {tmp_path / 'ncs/v2.4.0'}" in caught.value.render()


def test_without_one_it_is_told_how_to_get_it(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    for named, configured, said in (
        (None, None, "there is no nRF Connect SDK here"),
        (nowhere, None, f"--sdk {nowhere} holds no nRF Connect SDK"),
        (None, nowhere, f"firmware.sdk {nowhere} holds no nRF Connect SDK"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            find(tmp_path, named=named, configured=configured)
        assert "west init -m" in caught.value.render()
    with pytest.raises(InputError, match="ZEPHYR_BASE .* holds no nRF Connect SDK"):
        find(tmp_path, zephyr=tmp_path / "elsewhere")


def test_a_folder_that_is_no_workspace_is_told_from_one(tmp_path: Path) -> None:
    found = Sdk.read(workspace(tmp_path / "ws"), named_by="--sdk")
    with pytest.raises(InputError, match=r"is no west workspace: it has no \.west/config"):
        found.require_workspace()
    Sdk.read(sdks.make(tmp_path / "whole", "2.4.0"), named_by="--sdk").require_workspace()


@pytest.mark.parametrize(
    ("text", "said"), [("2.2.0", "2.3 is the oldest"), ("hello", "holds no version"), ("", "holds no version")]
)
def test_a_version_that_is_too_old_or_none(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find(tmp_path, named=str(workspace(tmp_path / "ws", text)))


@pytest.mark.parametrize(
    ("version", "since"),
    [
        ("2.3.0", (2, 3)), ("2.3.99", (2, 4)), ("2.4.4", (2, 4)), ("2.6.1", (2, 5)), ("2.7.0", (2, 7)), ("3.1.0", (2, 7)),
        ("3.1.99-dev1", (3, 2)), ("3.2.99", (3, 2)), ("4.0.0", (3, 2)),
    ],
)  # fmt: skip
def test_a_version_is_built_as_the_newest_row_that_is_not_newer(version: str, since: tuple[int, int]) -> None:
    parsed = Version.parse(version)
    assert parsed
    edition = editions.of(parsed)
    assert edition
    assert edition.since == since


def test_the_table_ascends() -> None:
    rows = [row.since for row in editions.EDITIONS]
    assert rows == sorted(set(rows))
