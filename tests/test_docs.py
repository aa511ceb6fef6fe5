"""The documentation against the program: every task has help, an entry and an example; the transcript is a real run."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import lines
from thingmint.config import Settings

ROOT = Path(__file__).resolve().parent.parent
INVOKE = Path(sys.executable).with_name("invoke")
MARKDOWN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


def invoke(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INVOKE, *words], cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )


@functools.cache
def task_names() -> list[str]:
    return re.findall(r"^  ([a-z0-9-]+)  ", invoke("--list").stdout, re.MULTILINE)


@functools.cache
def help_of(name: str) -> str:
    return lines.run(["--help", name], dict(os.environ)).stdout


def test_every_task_is_documented_with_an_example_and_nothing_else_is() -> None:
    reference = (ROOT / "docs/reference/tasks.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^## ([a-z0-9-]+)\n(.*?)(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL))
    assert sorted(entries) == sorted(task_names())
    for name, text in entries.items():
        assert "Example: `" in text, name
        assert re.search(rf"Example: `[^`]*invoke {name}\b", text), name


@pytest.mark.parametrize("name", task_names())
def test_every_option_has_help_and_stands_in_the_reference(name: str) -> None:
    shown = help_of(name)
    assert all(option.startswith("--") for option in re.findall(r"^  (-\S+)", shown, re.MULTILINE))  # -e stays free
    assert "none" not in shown.split("Docstring:")[1].split("Options:")[0]
    reference = (ROOT / "docs/reference/tasks.md").read_text(encoding="utf-8")
    entry = reference.split(f"## {name}\n")[1].split("\n## ")[0]
    for option, text in re.findall(r"^  (--[a-z0-9-]+)(?:=\w+)?(.*)$", shown, re.MULTILINE):
        assert len(text.strip()) > 5, f"{name} {option} has no help"
        assert option in entry, f"{name} {option} is not in the reference"


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    for section, field in Settings.model_fields.items():
        keys = getattr(field.annotation, "model_fields", {})
        for path in [f"{section}.{key}" for key in keys] or [section]:
            assert f"`{path}`" in text, path


def masked(text: str) -> list[str]:
    """A transcript without what differs from run to run: times, dates, the temperature, the place of the workspace."""
    text = re.sub(r"(?<= )/\S*lab/rehearsals/\S+", "REHEARSAL", text)
    text = re.sub(r"\{\"temperature\".*?\}", "TELEMETRY", text)
    text = re.sub(r" +\d+\.\d+ s", " SECONDS", text)
    text = re.sub(r"localhost:\d+", "localhost:PORT", text)
    text = re.sub(r"20\d\d-\d\d-\d\d", "DATE", text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def test_the_readmes_transcript_is_a_real_run(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    transcript = readme.split("$ make rehearsal\n")[1].split("```")[0]
    done = invoke("rehearse", "--imei", "350457791791735879", THINGMINT_WORKSPACE=str(tmp_path / "ws"))
    assert sorted(masked(done.stdout + done.stderr)) == sorted(masked(transcript))
    results = masked(done.stdout)
    assert [line for line in masked(transcript) if line in results] == results


def test_every_command_that_a_message_or_a_document_names_exists() -> None:
    known = {name: set(re.findall(r"^  (--[a-z0-9-]+)", help_of(name), re.MULTILINE)) for name in task_names()}
    for source in [*(ROOT / "thingmint").rglob("*.py"), ROOT / "tasks.py", *MARKDOWN]:
        text = source.read_text(encoding="utf-8")
        for name in re.findall(r"(?:`|: )invoke ([a-z][a-z0-9-]*)", text):
            assert name in known, f"{source}: there is no task {name}"
        for line in re.findall(r"\binvoke ([^`\"\n;·|(]+)", text):
            task = ""
            for word in re.findall(r"--[a-z0-9-]+|[a-z][a-z0-9]*(?:-[a-z0-9]+)*", line):
                if word in known:
                    task = word
                elif word.startswith("--") and task:
                    assert word in known[task], f"{source}: invoke {line}: {task} has no {word}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for document in MARKDOWN:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_makefiles_targets_are_phony_and_help_names_them() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    assert targets == phony
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(["make"], cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    assert {line.split()[0] for line in shown.splitlines()} == targets


def test_bootstrap_refuses_an_unsupported_python_by_name() -> None:
    program = (
        "import runpy, sys; sys.version_info = type('V', (tuple,), {'major': 3, 'minor': 10})((3, 10, 0));"
        "sys.argv = ['bootstrap.py']; runpy.run_path('bootstrap.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Python 3.10" in done.stderr
    assert "3.11, 3.12 and 3.13" in done.stderr


def test_bootstrap_explains_what_it_lacks(tmp_path: Path) -> None:
    shutil.copy(ROOT / "bootstrap.py", tmp_path)
    program = (
        "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = ['bootstrap.py'];"
        "runpy.run_path('bootstrap.py', run_name='__main__')"
    )
    for needed, said in (
        ((), "requirements.lock"),
        (("requirements.lock", "pyproject.toml"), "apt install python3-venv"),
    ):
        for name in needed:
            shutil.copy(ROOT / name, tmp_path)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_the_lock_files_name_no_index_and_agree() -> None:
    locked, peers, az = (
        (ROOT / f"requirements{name}.lock").read_text(encoding="ascii") for name in ("", "-peers", "-az")
    )
    assert "http" not in locked + peers + az
    versions = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locked, re.MULTILINE))
    assert not [
        (name, found)
        for name, found in re.findall(r"^([a-z0-9-]+)==(\S+)", peers, re.MULTILINE)
        if versions.get(name, found) != found
    ]
