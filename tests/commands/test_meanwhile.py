"""What a colleague does while a task asks, proves or waits: it is looked at again, and never overwritten unseen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.paper import make
from thingmint import config
from thingmint.console import Console
from thingmint.errors import HubError, InputError
from thingmint.hub.credentials import open_credential
from thingmint.hub.enrollments import EnrollmentGroup, Enrollments
from thingmint.hub.provisioning import ProvisioningCertificates
from thingmint.hub.resources import Resources
from thingmint.lab import control
from thingmint.session import Session, make_session
from thingmint.target import Target
from thingmint.workflows.authority import authorities
from thingmint.workflows.hub import creation, enrollment


@dataclass
class Watched(Console):
    """`meanwhile` happens once, as soon as `moment` is said or asked."""

    moment: str = ""
    meanwhile: Callable[[], object] | None = None
    answer: str = "y"
    said: str = ""

    def say(self, text: str = "") -> None:
        self.said += f"{text}\n"
        if self.meanwhile and self.moment in text:
            act, self.meanwhile = self.meanwhile, None
            act()

    def ask(self, question: str) -> str:
        self.say(question)
        return self.answer


def session_in(workspace: Path, console: Watched, **settings: str) -> Session:
    environment = {f"THINGMINT_{name.upper()}": value for name, value in {"pki_key": "ec:P-256", **settings}.items()}
    return make_session(workspace, config.load(environment), console)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two authorities that are enrolled, ours and a colleague's."""
    session = session_in(tmp_path_factory.mktemp("meanwhile") / "ws", Watched(results=False))
    authorities.rootca(session)
    for name in ("subca", "theirs"):
        authorities.subca(session, name=name)
        enrollment.enroll(session, ca=name)
    yield session.workspace.root
    control.stop(session)


@pytest.fixture
def target(workspace: Path) -> Target:
    session = session_in(workspace, Watched())
    return control.start(session).target(session.settings)


@pytest.fixture
def enrollments(target: Target) -> Iterator[Enrollments]:
    opened = Enrollments(target, open_credential(target))
    yield opened
    if left := opened.group("team"):
        opened.delete_group("team", etag=left.etag)
    opened.close()


PROVEN = "unchanged: cert-0xacc5-subca is verified"
"""Said between the look at the group and its change, which is where possession is proven."""


def test_a_group_that_a_colleague_makes_while_possession_is_proven_stays_theirs(
    workspace: Path, enrollments: Enrollments, target: Target
) -> None:
    theirs: list[EnrollmentGroup] = []

    def colleague() -> None:
        theirs.append(enrollments.put_group("team", certificate="cert-0xacc5-theirs", hub=target.hub_host, judged=None))

    console = Watched(results=False, moment=PROVEN, meanwhile=colleague)
    with pytest.raises(InputError, match="the enrollment group team on .* is another than is asked for"):
        enrollment.enroll(session_in(workspace, console), group="team")
    assert [enrollments.group("team")] == theirs


def test_a_group_that_changes_after_it_was_judged_is_judged_again(
    workspace: Path, enrollments: Enrollments, target: Target
) -> None:
    found = enrollments.put_group("team", certificate="cert-0xacc5-theirs", hub=target.hub_host, judged=None)

    def colleague() -> None:
        enrollments.put_group("team", certificate="cert-0xacc5-subca", hub=target.hub_host, judged=found)

    console = Watched(results=False, moment=PROVEN, meanwhile=colleague)
    enrollment.enroll(session_in(workspace, console), group="team", replace=True)
    assert "unchanged: the enrollment group team" in console.said  # the colleague rolled it to the same already


def test_a_group_that_is_deleted_after_it_was_judged_is_made(
    workspace: Path, enrollments: Enrollments, target: Target
) -> None:
    found = enrollments.put_group("team", certificate="cert-0xacc5-theirs", hub=target.hub_host, judged=None)
    console = Watched(results=False, moment=PROVEN, meanwhile=lambda: enrollments.delete_group("team", etag=found.etag))
    enrollment.enroll(session_in(workspace, console), group="team", replace=True)
    made = enrollments.group("team")
    assert made
    assert made.certificate == "cert-0xacc5-subca"


def test_a_certificate_that_changes_while_its_replacement_is_asked_for_stays(workspace: Path, target: Target) -> None:
    certificates = ProvisioningCertificates(target, open_credential(target))
    first = certificates.upload("shared", make("A colleague's").pem, etag=None)
    newer = make("A colleague's, renewed").pem
    console = Watched(
        results=False,
        moment="replace shared",
        answer=target.hub,
        meanwhile=lambda: certificates.upload("shared", newer, etag=first.etag),
    )
    session = session_in(workspace, console, azure_production="true")
    with pytest.raises(HubError, match="somebody changed it meanwhile"):
        enrollment.enroll(session, name="shared", group="shared", replace=True)
    found = certificates.get("shared")
    certificates.close()
    assert found
    assert found.subject == "A colleague's, renewed"


def test_a_resource_group_that_a_colleague_makes_while_its_own_is_asked_for_stays_theirs(tmp_path: Path) -> None:
    console = Watched(moment="make resource group, hub, provisioning service, link", results=False)
    session = session_in(tmp_path / "ws", console)
    target = control.start(session, empty=True).target(session.settings)
    resources = Resources(target, open_credential(target))
    theirs = {"cost-centre": "42", "owner": "a colleague"}
    console.meanwhile = lambda: resources.make_group("westeurope", theirs)
    try:
        creation.hub_create(session, sku=None, location=None)
        group = resources._groups.resource_groups.get(target.resource_group)
    finally:
        resources.close()
        control.stop(session)
    assert (group.location, group.tags) == ("westeurope", theirs)
    assert f"there: resource group {target.resource_group}" in console.said
    assert f"made: hub {target.hub}" in console.said
