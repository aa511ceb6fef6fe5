"""Every refusal, by a real server, for the management client and both registries: what is said, and what to try."""

import dataclasses
import datetime as dt
import time
from typing import Any

import pytest

from tests.hub.clients import CLIENTS, SCOPE, SUBSCRIPTION, body, refused
from tests.hub.faults import FaultServer, Plan
from thingmint.errors import HubError
from thingmint.hub.evidence import scrub
from thingmint.hub.refusals import ThrottledError, refusals
from thingmint.target import ServicePrincipal, Target


@pytest.mark.parametrize("client", CLIENTS)
def test_403_gives_the_exact_role_assignment(client: str, server: FaultServer, azure: Target) -> None:
    who = "89abcdef-1111-2222-3333-444444444444"
    words = f"The client 'a@b.c' with object id '{who}' does not have authorization to perform action 'x' over scope."
    server.plan = Plan(403, body(client, "AuthorizationFailed", 403000, words))
    error = refused(client, azure)
    role = "Contributor" if client == "management" else '"IoT Hub Data Contributor"'
    assert error.status == 403
    assert error.code == "AuthorizationFailed"
    assert f"az role assignment create --role {role} --assignee {who} --scope {SCOPE}" in error.render()
    assert "does not have authorization" in error.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_401_of_a_principal_without_a_role(client: str, server: FaultServer, azure: Target) -> None:
    words = "Principal 89abcdef-1111-2222-3333-444444444444 is not authorized for PUT on /devices/dev-1"
    server.plan = Plan(401, body(client, "IotHubUnauthorizedAccess", 401002, words))
    error = refused(client, azure)
    assert error.status == 401
    assert "--assignee 89abcdef-1111-2222-3333-444444444444" in error.render()
    assert "az login --tenant" in error.render()
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_named_leaves_a_placeholder(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(403, b"")
    assert '--assignee "<you: az ad signed-in-user show --query id -o tsv>"' in refused(client, azure).render()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("SubscriptionNotFound", f"the subscription {SUBSCRIPTION} is not known"),
        ("ResourceGroupNotFound", "there is no resource group 'rg-iotcore-dev-001'"),
        ("ResourceNotFound", "there is no hub 'iot-hub001-0x0123-dev'"),
        ("404123", "the hub has no certificate of that name"),
    ],
)
def test_404_says_what_is_missing(code: str, says: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(404, body("management", code, 404000, "not found"))
    error = refused("management", azure)
    assert says in error.message
    assert error.status == 404


@pytest.mark.parametrize("client", CLIENTS)
def test_412_says_run_again(client: str, server: FaultServer, azure: Target) -> None:
    # The hub's resource provider does not use Azure Resource Manager's envelope for this one.
    server.plan = Plan(
        412,
        {
            "code": 412001,
            "httpStatusCode": "PreconditionFailed",
            "message": "Invalid ETag supplied. errorcode: IH412001.",
        },
    )
    error = refused(client, azure)
    assert "somebody changed it meanwhile" in error.message
    assert (error.status, error.code) == (412, "412001")
    assert "Invalid ETag supplied" in error.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_429_is_waited_out(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(429, headers={"Retry-After": "1"}, times=1, then=Plan(409, body(client, "Conflict", 1, "over")))
    started = time.monotonic()
    assert refused(client, azure).status == 409
    assert 0.9 < time.monotonic() - started < 3
    assert len(server.requests) == 2


@pytest.mark.parametrize("client", CLIENTS)
def test_429_for_long_is_told_at_once(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(429, body(client, "ThrottlingException", 429001, "slow down"), headers={"Retry-After": "3600"})
    started = time.monotonic()
    error = refused(client, azure)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 3600
    assert "throttling" in error.message
    assert "run the same command again in 3600 s" in error.things_to_try
    assert time.monotonic() - started < 3


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("client", CLIENTS)
def test_500_is_asked_again_and_told_with_the_services_words(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(500, body(client, "ServerError", 500001, "it is us, not you"))
    error = refused(client, azure)
    assert error.status == 500
    assert "it is us, not you" in error.detail
    assert len(server.requests) == 4


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("manner", ["whole", "drop"])
def test_a_passing_fault_is_not_told(manner: Any, client: str, server: FaultServer, azure: Target) -> None:
    broken = body(client, "ServiceUnavailable", 503001, "try again")
    over = Plan(409, body(client, "Conflict", 1, "over"))
    server.plan = Plan(503, broken, manner=manner, times=2, then=over)
    assert refused(client, azure).status == 409
    assert len(server.requests) == 3


@pytest.mark.parametrize("client", CLIENTS)
def test_503_is_waited_out_as_long_as_it_says(client: str, server: FaultServer, azure: Target) -> None:
    over = Plan(409, body(client, "Conflict", 1, "over"))
    server.plan = Plan(503, body(client, "Busy", 503001, ""), headers={"Retry-After": "1"}, times=1, then=over)
    started = time.monotonic()
    assert refused(client, azure).status == 409
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("hours", "says"), [(1, "60 minutes behind"), (-1, "60 minutes ahead of")])
def test_a_clock_that_is_off_is_measured(
    hours: int, says: str, client: str, server: FaultServer, azure: Target
) -> None:
    server.plan = Plan(401, body(client, "Unauthorized", 401003, "expired"), clock=dt.timedelta(hours=hours))
    error = refused(client, azure)
    assert f"This machine's clock is {says} the service's." in error.message
    assert error.things_to_try[0].startswith("set this machine's clock")


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("client", CLIENTS)
def test_the_lab_s_refusals_send_nobody_to_azure(client: str, server: FaultServer, azure: Target) -> None:
    login = ServicePrincipal(azure.arm_url, "tenant", "client", "a-secret-of-the-lab")
    lab = dataclasses.replace(azure, kind="lab", login=login)
    for status in (401, 403, 500):
        server.plan = Plan(status, body(client, "Nope", status, "said a-secret-of-the-lab"))
        error = refused(client, lab)
        assert "az " not in error.render()
        assert "a-secret-of-the-lab" not in error.render()


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: SharedAccessSignature sr=h&sig=SECRETSECRET%3D&se=1&skn=o",
        "HostName=h;SharedAccessKeyName=o;SharedAccessKey=SECRETSECRET=;x",
        "Bearer SECRETSECRETSECRETSECRET",
        "token eyJhbGciOiJSUzI1NiJ9.eyJTRUNSRVRTRUNSRVQ.SECRETSECRET was refused",
        "client_secret=SECRETSECRET&scope=x",
    ],
)
def test_secrets_in_foreign_words_are_blotted_out(text: str) -> None:
    assert "SECRET" not in scrub(text, None)
    assert "***" in scrub(text, None)


@pytest.mark.parametrize("fault", [KeyError("x"), ValueError("y"), ZeroDivisionError()])
def test_a_bug_stays_a_bug(fault: Exception, azure: Target) -> None:
    with pytest.raises(type(fault)), refusals(azure, "testing"):
        raise fault


def test_an_older_error_under_treatment_does_not_colour_a_new_one(azure: Target) -> None:
    from azure.core.exceptions import AzureError

    def fails_while_another_is_handled() -> None:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            raise AzureError("something else")  # noqa: B904 - on purpose without `from`

    with pytest.raises(HubError) as caught, refusals(azure, "testing"):
        fails_while_another_is_handled()
    assert caught.value.message == "testing failed."
    assert caught.value.detail == "something else"
