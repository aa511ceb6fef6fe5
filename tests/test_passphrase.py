"""Passphrases: typed on a real terminal, from a variable, from a descriptor; refused where they would break or show."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MakeSession
from thingmint import config
from thingmint.console import Console
from thingmint.errors import ConfigError, InputError
from thingmint.passphrase import Passphrases

ROOT = Path(__file__).resolve().parent.parent
TYPED = """pässwörd 'mit' "Zeichen" $x \\ 🔑"""
PROGRAM = """
import sys
from thingmint.console import Console
from thingmint.errors import InputError
from thingmint.passphrase import Passphrases
passphrases = Passphrases(sys.argv[1], Console())
try:
    for verb in sys.argv[2:]:
        print("got", getattr(passphrases, verb)("rootca", "ca/rootca/rootca.key").encode().hex())
except InputError as error:
    print(error.render())
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(130)
print("rest", sys.stdin.readline())
"""


class Terminal:
    """The program above on a pty; what it showed is in `shown` once it ended."""

    def __init__(self, *verbs: str, piped: bool = False) -> None:
        argv = [sys.executable, "-c", PROGRAM, "prompt", *verbs]
        if piped:
            argv = ["/bin/sh", "-c", 'echo an id | "$@"', "sh", *argv]
        self.child = pexpect.spawn(argv[0], argv[1:], cwd=str(ROOT), encoding="utf-8", timeout=30)

    def type(self, prompt: str, text: str) -> None:
        self.child.expect_exact(prompt)
        self.child.waitnoecho(10)
        assert not self.child.getecho()
        self.child.send(text)

    def end(self) -> tuple[str, int | None]:
        self.child.expect_exact(pexpect.EOF)
        self.child.close()
        return self.child.before or "", self.child.exitstatus


def from_variable(value: str) -> Passphrases:
    return Passphrases("env:SECRET", Console(), {"SECRET": value})


def test_typed_once_is_asked_once_and_never_shown() -> None:
    terminal = Terminal("existing", "existing", piped=True)
    terminal.type("passphrase of ca/rootca/rootca.key: ", f"{TYPED}\n")
    shown, code = terminal.end()
    assert code == 0
    assert shown.count(f"got {TYPED.encode().hex()}") == 2
    assert "mit" not in shown
    assert "rest an id" in shown  # asked on the terminal although standard input is a pipe, and nothing taken from it


@pytest.mark.parametrize(
    ("second", "code", "said"), [("correct horse", 0, "got"), ("correct hors", 2, "differ"), ("", 2, "is empty")]
)
def test_a_new_one_is_typed_twice(second: str, code: int, said: str) -> None:
    terminal = Terminal("new", "existing", piped=True)
    terminal.type("new passphrase for ca/rootca/rootca.key: ", "correct horse\n")
    terminal.type("the same once more: ", f"{second}\n")
    shown, ended = terminal.end()
    assert ended == code
    assert said in shown
    assert "correct" not in shown


def test_a_short_new_one_is_refused_before_it_is_typed_again() -> None:
    terminal = Terminal("new")
    terminal.type(": ", "seven77\n")
    shown, code = terminal.end()
    assert code == 2
    assert "fewer than 8" in shown
    assert "once more" not in shown


@pytest.mark.parametrize(("key", "code", "said"), [("\x03", 130, ""), ("\x04", 2, "no passphrase was typed")])
def test_ctrl_c_interrupts_and_ctrl_d_is_no_passphrase(key: str, code: int, said: str) -> None:
    terminal = Terminal("existing")
    terminal.type(": ", key)
    shown, ended = terminal.end()
    assert ended == code
    assert said in shown


def test_without_a_terminal_the_alternatives_are_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "prompt", "existing"], cwd=ROOT, check=False, capture_output=True, text=True,
        input="a secret that must not be read\n", start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "got" not in done.stdout
    for said in ("pki.passphrase", "THINGMINT_PKI_PASSPHRASE", "env:NAME", "fd:3", "no terminal"):
        assert said in done.stdout


def test_the_roots_owner_may_have_another_variable() -> None:
    passphrases = Passphrases("env:CA_PASS", Console(), {"CA_PASS": "for all", "CA_PASS_FACTORY_A": "for one"})
    assert passphrases.existing("factory-a", "x") == "for one"
    assert passphrases.existing("rootca", "x") == "for all"
    with pytest.raises(InputError, match="neither OTHER_ROOTCA nor OTHER is set"):
        Passphrases("env:OTHER", Console(), {}).existing("rootca", "x")


def test_the_first_line_of_a_descriptor_serves_all_and_the_rest_stays() -> None:
    read, write = os.pipe()
    os.write(write, f"{TYPED}\r\nan id\n".encode())
    os.close(write)
    passphrases = Passphrases(f"fd:{read}", Console())
    assert passphrases.existing("rootca", "x") == TYPED
    assert passphrases.new("bundle", "x") == TYPED
    assert os.read(read, 100) == b"an id\n"
    os.close(read)
    assert passphrases.existing("subca", "x") == TYPED
    with pytest.raises(InputError, match=f"fd:{read}, and that descriptor cannot be read"):
        Passphrases(f"fd:{read}", Console()).existing("rootca", "x")


def test_a_terminal_as_descriptor_would_echo_and_is_refused() -> None:
    import pty

    controller, terminal = pty.openpty()
    try:
        with pytest.raises(InputError, match="a terminal, which would show"):
            Passphrases(f"fd:{terminal}", Console()).existing("rootca", "x")
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is empty"),
        ("sesame\nopen", "line break"),
        ("sesame\0open", "NUL"),
        ("sesame\udcff", "UTF-8"),
        ("sesame" * 200, "1024"),
    ],
)
def test_what_some_tool_would_cut_or_refuse_is_refused_and_not_shown(value: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        from_variable(value).existing("rootca", "x")
    assert "sesame" not in caught.value.render()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=8, max_size=200))
def test_every_other_text_arrives_unchanged(text: str) -> None:
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    try:
        assert Passphrases(f"fd:{read}", Console()).existing("rootca", "x") == text
    finally:
        os.close(read)
    assert from_variable(text).new("rootca", "x") == text


def test_a_wrong_one_is_forgotten_and_only_a_prompt_brings_another() -> None:
    environment = {"SECRET": "wrong one"}
    passphrases = Passphrases("env:SECRET", Console(), environment)
    passphrases.existing("rootca", "x")
    environment["SECRET"] = "right one"
    assert passphrases.existing("rootca", "x") == "wrong one"
    assert passphrases.forget("rootca") is False
    assert passphrases.existing("rootca", "x") == "right one"
    assert Passphrases("prompt", Console()).forget("rootca") is True


def test_a_proven_one_is_proven_once_and_a_refused_one_stays_refused() -> None:
    asked: list[str] = []

    def opens(secret: str) -> bool:
        asked.append(secret)
        return secret == "right one"

    right = from_variable("right one")
    assert [right.proven("rootca", "x", opens) for _ in range(2)] == ["right one"] * 2
    assert asked == ["right one"]
    environment = {"SECRET": "wrong one"}
    wrong = Passphrases("env:SECRET", Console(), environment)
    for _ in range(2):
        with pytest.raises(InputError, match="the PIN of x is wrong") as caught:
            wrong.proven("rootca", "x", opens, kind="PIN", tries=1)
        assert "the environment variable SECRET" in caught.value.render()
        environment["SECRET"] = "right one"
    assert asked == ["right one", "wrong one"]


def test_a_sessions_text_shows_no_passphrase(
    tmp_path: Path, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "open sesame")
    session = make_session_in(tmp_path, pki_passphrase="env:SECRET")
    assert session.passphrases.existing("rootca", "x") == "open sesame"
    assert "sesame" not in repr(session)


@pytest.mark.parametrize("source", ["prompt", "env:CA_PASS", "env:my_thingmint_pass", "fd:0", "fd:3", "fd:63"])
def test_sources_that_the_configuration_takes(source: str) -> None:
    assert config.load({"THINGMINT_PKI_PASSPHRASE": source}).settings.pki.passphrase == source


@pytest.mark.parametrize(
    "source",
    ["open sesame", "12345678", "", "env:", "env:THINGMINT_X", "env:thingmint_x", "env:a b", "fd:1", "fd:-3", "fd:03"],
)
def test_a_passphrase_in_the_configuration_is_refused_without_repeating_it(tmp_path: Path, source: str) -> None:
    text = config.DEFAULT_FILE.read_text(encoding="utf-8").replace("passphrase: prompt", f"passphrase: {source}")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    for environment in ({"THINGMINT_PKI_PASSPHRASE": source}, {"THINGMINT_CONFIG": str(tmp_path / "mine.yaml")}):
        with pytest.raises(ConfigError) as caught:
            config.load(environment)
        assert "PASSPHRASE" in caught.value.detail.upper()
        assert not source.strip() or source.startswith(("env:", "fd:")) or source not in caught.value.render()
