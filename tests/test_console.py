"""What the user reads: only the last task tells what to type next; closed and narrow streams are no error."""

import io
import json
import sys

import pytest

from thingmint.console import Console


def test_only_the_last_task_of_a_line_tells_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for step in ("first", "second"):
        with console.one_task():
            console.next_step(step)
    console.tell_next_step()
    assert capsys.readouterr().err == "next: second\n"


def fail_at_the_very_end(console: Console, failure: type[BaseException]) -> None:
    console.next_step("its own")
    raise failure


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_task_that_fails_leaves_no_next_step(
    failure: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console()
    with console.one_task():
        console.next_step("of the task before")
    with pytest.raises(failure), console.one_task():
        fail_at_the_very_end(console, failure)
    console.tell_next_step()
    assert capsys.readouterr().err == ""


def test_talk_never_gets_into_the_results(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as Python has it after `2>&-`
    console = Console()
    console.say("talk")
    console.result("result")
    assert console.ask("sure?") == ""
    assert capsys.readouterr().out == "result\n"


@pytest.mark.parametrize(("typed", "answer"), [("yes \n", "yes"), ("", ""), ("yes", "yes")])
def test_an_answer_needs_no_stdout(monkeypatch: pytest.MonkeyPatch, typed: str, answer: str) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert Console().ask("sure?") == answer


def test_where_nobody_can_answer_the_answer_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it after `<&-`
    assert Console().ask("sure?") == ""


def test_what_a_stream_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    Console().result("└─ ü")
    assert stream.buffer.getvalue().rstrip() == rb"\u2514\u2500 " + "ü".encode("cp1252")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "utf8"])
@pytest.mark.parametrize("line", [False, True])
def test_json_stays_json_on_every_stream(encoding: str, line: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    value = {"body": "ü └─ \U0001f600 \ud800"}
    Console().result_json(value, line=line)
    written = stream.buffer.getvalue()
    assert json.loads(written.decode(encoding)) == value
    assert ("ü".encode() in written) == encoding.startswith("utf")
    assert len(written.splitlines()) == (1 if line else 3)


def test_what_takes_its_time_tells_how_long_on_lines_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmint.console._LINE_SECONDS", 0.0)
    with Console().waiting("the hub") as tick:
        tick()
        tick()
    assert capsys.readouterr().err == "the hub: 0:00\n" * 2
