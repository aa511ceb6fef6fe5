"""The lines of `lab-env`: evaluated by real shells where there are some, held to the shell's quoting rules elsewhere."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from thingmint.errors import InputError
from thingmint.lab import environment
from thingmint.lab.environment import DIALECTS, MARK
from thingmint.lab.state import LabFolder, Role

ROLE = Role("acc50000-sub", "acc50000-tenant", "rg", "hub", "provs", 60.0)
ODD = 'it\'s "odd" $HOME `id` \\ %PATH% \u2018quoted\u2019 ü'
SHELLS = [shell for shell in ("/bin/sh", "bash", "dash", "zsh", "ksh") if shutil.which(shell)]
UNNAMEABLE = "ARM_ACCESS KEY; touch pwned"
BEFORE = {
    "HTTPS_PROXY": "http://me:pass word'$x@proxy.example:8080",
    "REQUESTS_CA_BUNDLE": "/etc/company.pem",
    "AZURE_CONFIG_DIR": "/home/me/.azure",
    "AZURE_CORE_OUTPUT": "table",
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us",
    "AZURE_CLIENT_ID": "real-client",
    "AZURE_CLIENT_SECRET": "real-secret",
    "AZURE_TENANT_ID": "real-tenant",
    "AZURE_FEDERATED_TOKEN_FILE": "/run/token",
    "ARM_CLIENT_SECRET": "real-secret",
    UNNAMEABLE: "no shell can name this",
    "PATH": "/usr/bin:/bin",
}
CREDENTIALS = [
    "ARM_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID",
]  # fmt: skip


def variables(folder: Path, before: dict[str, str]) -> dict[str, str]:
    return environment.variables(LabFolder(folder), ROLE, 8080, before)


def evaluate(shell: str, lines: list[str], before: dict[str, str]) -> dict[str, str]:
    """The environment of a shell that had `before` and evaluated the lines."""
    report = f"exec {sys.executable} -c 'import os, json; print(json.dumps(dict(os.environ)))'"
    script = f'set -eu; eval "$LINES"; unset LINES; {report}'
    done = subprocess.run(
        [shell, "-c", script],
        env={**before, "LINES": "\n".join(lines)},
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert not done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return {name: text for name, text in found.items() if name not in {"PWD", "SHLVL", "OLDPWD", "_", "LC_CTYPE"}}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_posix_shell_is_set_up_and_put_back(tmp_path: Path, shell: str) -> None:
    wanted = variables(tmp_path / ODD / "lab", BEFORE)
    lines = environment.set_up(DIALECTS["sh"], wanted, BEFORE)
    inside = evaluate(shell, lines, BEFORE)
    assert {name: inside[name] for name in wanted} == wanted
    assert "real-secret" not in inside.values()
    assert not {"ARM_CLIENT_SECRET", "AZURE_CORE_OUTPUT", "AZURE_AUTHORITY_HOST"} & inside.keys()
    outside = evaluate(shell, environment.undo(DIALECTS["sh"], wanted, inside), inside)
    outside.pop(UNNAMEABLE, None)  # bash hands it on, dash does not
    assert outside == {name: text for name, text in BEFORE.items() if name not in {*CREDENTIALS, UNNAMEABLE}}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_shell_had_without_exporting_it_comes_back_so(tmp_path: Path, shell: str) -> None:
    wanted = variables(tmp_path / "lab", {})
    up = environment.set_up(DIALECTS["sh"], wanted, {})
    down = environment.undo(DIALECTS["sh"], wanted, dict(wanted))
    odd = "http://me:pass word'$x@proxy.example"
    script = (
        'set -eu; HTTPS_PROXY=$ODD; eval "$UP"; unset ODD; eval "$DOWN"; '
        "printf '%s|' \"$HTTPS_PROXY\" \"${NO_PROXY-none}\"; env | grep -c '^HTTPS_PROXY=\\|^LAB_ENV' || true; set"
    )
    done = subprocess.run(
        [shell, "-c", script],
        env={"PATH": BEFORE["PATH"], "ODD": odd, "UP": "\n".join(up), "DOWN": "\n".join(down)},
        check=True,
        capture_output=True,
        text=True,
    )
    told, names = done.stdout.split("\n", 1)
    assert told == f"{odd}|none|0"
    assert not re.search(r"^LAB_ENV", names, re.MULTILINE)


def test_setting_up_twice_keeps_what_the_shell_had_before_the_first(tmp_path: Path) -> None:
    first = evaluate("/bin/sh", environment.set_up(DIALECTS["sh"], variables(tmp_path, BEFORE), BEFORE), BEFORE)
    wanted = variables(tmp_path / "other", first)
    second = evaluate("/bin/sh", environment.set_up(DIALECTS["sh"], wanted, first), first)
    assert second[MARK] == str(tmp_path / "other")
    outside = evaluate("/bin/sh", environment.undo(DIALECTS["sh"], wanted, second), second)
    assert outside["HTTPS_PROXY"] == BEFORE["HTTPS_PROXY"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_value_that_the_shell_had_is_ever_printed(tmp_path: Path, dialect: str) -> None:
    wanted = variables(tmp_path, {})
    lines = [
        *environment.set_up(DIALECTS[dialect], wanted, BEFORE),
        *environment.undo(DIALECTS[dialect], wanted, BEFORE),
    ]
    for text in BEFORE.values():
        assert not any(text in line for line in lines)


def test_credentials_are_removed_in_any_shell(tmp_path: Path) -> None:
    wanted = variables(tmp_path, BEFORE)
    assert environment.lost(BEFORE, wanted) == CREDENTIALS
    assert environment.lost(wanted, wanted) == []
    powershell = environment.set_up(DIALECTS["powershell"], wanted, BEFORE)
    assert "Remove-Item -ErrorAction SilentlyContinue Env:ARM_CLIENT_SECRET" in powershell
    assert '@set "ARM_CLIENT_SECRET="' in environment.set_up(DIALECTS["cmd"], wanted, BEFORE)


def test_extensions_of_az_are_those_that_its_user_has(tmp_path: Path) -> None:
    assert variables(tmp_path, BEFORE)["AZURE_EXTENSION_DIR"] == str(Path("/home/me/.azure/cliextensions"))
    named = {"AZURE_EXTENSION_DIR": "/opt/extensions"}
    assert variables(tmp_path, named)["AZURE_EXTENSION_DIR"] == "/opt/extensions"


def test_powershell_quotes_by_its_own_rules() -> None:
    """about_Quoting_Rules: in single quotes nothing is expanded, and a quote, a typographic one too, stands twice."""
    line = DIALECTS["powershell"].assign("NAME", ODD)
    found = re.fullmatch(r"\$env:NAME = '((?:[^'\u2018-\u201b]|(['\u2018-\u201b])\2)*)'", line)
    assert found
    assert re.sub(r"(['\u2018-\u201b])\1", r"\1", found[1]) == ODD


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="pwsh is not installed")
def test_powershell_itself_reads_the_lines(tmp_path: Path) -> None:
    wanted = variables(tmp_path / ODD, BEFORE)
    lines = environment.set_up(DIALECTS["powershell"], wanted, BEFORE)
    script = "\n".join([*lines, "[Environment]::GetEnvironmentVariables() | ConvertTo-Json"])
    done = subprocess.run(
        ["pwsh", "-NoProfile", "-Command", "-"], input=script, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert {name: found[name] for name in wanted} == wanted


def test_a_batch_file_writes_percent_twice_and_has_no_way_to_write_a_quote() -> None:
    assert DIALECTS["cmd"].assign("NAME", r"C:\a & b\100%") == r'@set "NAME=C:\a & b\100%%"'
    for text in ('say "hi"', "two\nlines"):
        with pytest.raises(InputError, match=r"cmd\.exe has no way"):
            DIALECTS["cmd"].assign("NAME", text)


def test_windows_takes_two_spellings_for_one_and_still_restores() -> None:
    """There HTTPS_PROXY and https_proxy are one variable, and so are the names under which they are kept."""
    lines = environment.undo(DIALECTS["cmd"], ["HTTPS_PROXY", "https_proxy"], {
        "LAB_ENV_BEFORE_HTTPS_PROXY": "x", "LAB_ENV_BEFORE_https_proxy": "x",
    })  # fmt: skip
    kinds = ["copy" if "%" in line else "remove" for line in lines]
    assert kinds == ["remove", "copy", "copy", "remove", "remove"]


def test_a_shell_is_known_by_its_own_name_however_it_is_written() -> None:
    for named, dialect in (("bash", "sh"), ("ZSH", "sh"), ("PowerShell", "powershell"), ("pwsh", "powershell")):
        assert environment.spoken(named) is DIALECTS[dialect]
    assert environment.spoken("fish") is None
    assert environment.spoken("") is None


def test_a_shell_is_told_in_its_own_language_how_it_is_put_back() -> None:
    for name, dialect in DIALECTS.items():
        assert environment.at_hand({MARK: "/ws/lab", environment.SHELL: name}) is dialect
        assert " --undo" in dialect.used(" --undo")
    assert environment.folder_of({MARK: ""}) is None
