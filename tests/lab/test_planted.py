"""Who fails on a lab that misbehaves on purpose is told so, and nobody else."""

import datetime as dt
from collections.abc import Iterator

import pytest

from thingmint import config
from thingmint.console import Console
from thingmint.errors import CheckError, HubError, InputError, PassingError, ThingmintError, UntrustedError
from thingmint.lab import control, planted, trials
from thingmint.lab.chaos import Chaos
from thingmint.lab.control import RunningLab
from thingmint.lab.state import LabFolder
from thingmint.session import Session, make_session


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return make_session(tmp_path_factory.mktemp("ws"), config.load({}), Console())


@pytest.fixture(scope="module")
def lab(workspace: Session) -> Iterator[RunningLab]:
    """Its chaos hardly ever strikes."""
    yield control.start(workspace, chaos=Chaos(7, 0.0001))
    control.stop(workspace)


def hint(session: Session, error: ThingmintError) -> str:
    """What is said to whoever fails with it, in place of what it says as ever; empty where it does."""
    with pytest.raises(type(error)) as caught, planted.told(session):
        raise error
    (told,) = caught.value.things_to_try
    return "" if told == "as ever" else told


def refused(kind: type[ThingmintError] = HubError) -> ThingmintError:
    return kind("no", things_to_try=["as ever"])


def deserved(status: int) -> HubError:
    return HubError("no", things_to_try=["as ever"], status=status)


@pytest.mark.parametrize("error", [refused(PassingError), refused(UntrustedError)])
def test_a_connection_that_fails_during_a_trial_names_the_trial_and_no_cure_of_another(
    error: ThingmintError, workspace: Session, lab: RunningLab
) -> None:
    with trials.begun(lab, "dev-1"):
        assert "has the device dev-1 on trial, and misbehaves on purpose" in hint(workspace, error)
    with trials.begun(lab, ""):
        assert "has a device on trial" in hint(workspace, error)


@pytest.mark.parametrize("error", [refused(CheckError), refused(InputError), refused(), deserved(404), deserved(429)])
def test_what_no_trial_makes_is_left_as_it_is(error: ThingmintError, workspace: Session, lab: RunningLab) -> None:
    with trials.begun(lab, "dev-1"):
        assert not hint(workspace, error)


def test_so_does_one_of_a_task_in_whose_time_a_trial_ended(workspace: Session, lab: RunningLab) -> None:
    def fail() -> None:
        with trials.begun(lab, "dev-1"):
            pass
        raise refused(PassingError)

    with pytest.raises(HubError) as caught, planted.told(workspace):
        fail()
    assert "had the device dev-1 on trial (`invoke advise`) until 0 s ago" in caught.value.things_to_try[0]
    assert "trial" not in hint(workspace, refused(PassingError))


FAULT = "chaos: answered 500: GET /devices/x, seed=7, draw 3"


def plant(session: Session, text: str, ago: float = 0.0) -> None:
    """As the lab's log has it."""
    stamp = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with LabFolder(session.workspace.lab).log.open("a", encoding="utf-8") as log:
        log.write(f"{stamp} {text}\n")


@pytest.mark.parametrize(
    "error", [refused(PassingError), refused(UntrustedError), deserved(412), deserved(429), deserved(503)]
)
def test_an_error_after_a_planted_fault_names_that_and_no_cure_of_another(
    error: ThingmintError, workspace: Session, lab: RunningLab
) -> None:
    def fail() -> None:
        plant(workspace, FAULT)
        raise error

    with pytest.raises(HubError) as caught, planted.told(workspace):
        fail()
    (hint,) = caught.value.things_to_try
    assert "run this again: the lab misbehaves on purpose (--chaos seed=7,rate=0.0001)" in hint
    assert f"{FAULT.removeprefix('chaos: ')!r}; {lab.folder / 'lab.log'} names each fault" in hint


@pytest.mark.parametrize("error", [refused(CheckError), refused(), deserved(404), deserved(401), deserved(501)])
def test_what_no_planted_fault_makes_is_left_as_it_is(
    error: ThingmintError, workspace: Session, lab: RunningLab
) -> None:
    plant(workspace, FAULT)
    assert not hint(workspace, error)


def test_where_nothing_was_planted_meanwhile_chaos_is_not_to_blame(workspace: Session, lab: RunningLab) -> None:
    LabFolder(lab.folder).log.write_text("", encoding="utf-8")
    plant(workspace, FAULT, ago=5)
    assert not hint(workspace, refused(PassingError))


def test_without_a_lab_nothing_is_said(session: Session) -> None:
    assert not hint(session, refused(PassingError))
