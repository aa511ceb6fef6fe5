"""Every refusal and every fault, by a real server, for the management client and both registries."""

import dataclasses
import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hub.clients import SUBSCRIPTION, TOKEN, Credential, at, open_kind
from tests.hub.faults import FaultServer, Plan, serving
from tests.paper import DAY, SERVER, Paper, make
from thingmint.errors import HubError
from thingmint.hub import transport
from thingmint.hub.certificates import HubCertificates
from thingmint.hub.evidence import scrub
from thingmint.hub.refusals import ThrottledError, refusals
from thingmint.target import ServicePrincipal, Target

SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-iotcore-dev-001"
    "/providers/Microsoft.Devices/IotHubs/iot-hub001-0x0123-dev"
)
CLIENTS = ["management", "sdk", "rest"]


def write(client: str, target: Target) -> None:
    """One changing request through this client."""
    if client == "management":
        certificates = HubCertificates(target, Credential())  # type: ignore[arg-type]
        try:
            certificates.upload("cert-x", make("CA").pem, etag=None)
        finally:
            certificates.close()
    else:
        devices = open_kind(client, target, Credential())
        try:
            devices.create("dev-1")
        finally:
            devices.close()


def refused(client: str, target: Target) -> HubError:
    with pytest.raises(HubError) as caught:
        write(client, target)
    error = caught.value
    assert error.message.startswith(
        "uploading cert-x failed: " if client == "management" else "registering dev-1 failed: "
    )
    assert TOKEN not in error.render()
    assert "Bearer" not in error.render()
    assert error.exit_code == 5
    return error


def body(client: str, code: str, number: int, words: str) -> dict[str, Any]:
    """An error body as this service writes them."""
    if client == "management":
        return {"error": {"code": code, "message": words}}
    return {"Message": f"ErrorCode:{code};{words}", "ExceptionMessage": f"Tracking ID:{number}"}


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


@pytest.mark.parametrize("client", CLIENTS)
def test_500_is_told_once_with_the_services_words(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(500, body(client, "ServerError", 500001, "it is us, not you"))
    error = refused(client, azure)
    assert error.status == 500
    assert "it is us, not you" in error.detail
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxys_html_page_is_shown_as_text(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(502, b"<html><body><h1>Bad gateway</h1></body></html>")
    error = refused(client, azure)
    assert error.status == 502
    assert "Bad gateway" in error.detail
    assert "<h1>" not in error.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_of_somebody_else(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(200, b"<html>Welcome to the guest network</html>")
    assert "something on the way speaks in its place" in refused(client, azure).message


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("manner", ["cut", "drop"])
def test_a_broken_connection_may_have_done_it(manner: Any, client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(200, {"deviceId": "dev-1", "filler": "x" * 400}, manner=manner)
    error = refused(client, azure)
    assert "broke before the answer was complete; the step may have been carried out" in error.message
    assert "run the same command again" in error.things_to_try[0]
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_silence_ends_in_time(client: str, server: FaultServer, azure: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.3)
    server.plan = Plan(manner="hang")
    started = time.monotonic()
    assert "did not answer in time; the step may have been carried out" in refused(client, azure).message
    assert time.monotonic() - started < 3
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("hours", "says"), [(1, "60 minutes behind"), (-1, "60 minutes ahead of")])
def test_a_clock_that_is_off_is_measured(
    hours: int, says: str, client: str, server: FaultServer, azure: Target
) -> None:
    server.plan = Plan(401, body(client, "Unauthorized", 401003, "expired"), clock=dt.timedelta(hours=hours))
    error = refused(client, azure)
    assert f"This machine's clock is {says} the service's." in error.message
    assert error.things_to_try[0].startswith("set this machine's clock")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_of_an_unknown_root(client: str, azure: Target, folder: Path) -> None:
    other = folder / "other.pem"
    other.write_bytes(make("Another root").pem)
    started = time.monotonic()
    error = refused(client, dataclasses.replace(azure, ca_file=other))
    assert "is not trusted" in error.message
    assert "unable to get local issuer certificate" in error.detail
    assert "REQUESTS_CA_BUNDLE" in error.render()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("client", CLIENTS)
def test_an_expired_server(client: str, root: Paper, tmp_path: Path, azure: Target) -> None:
    expired = root.issue("localhost", host="localhost", purpose=SERVER, start=-3 * DAY, end=-DAY)
    with serving(expired, tmp_path) as server:
        assert azure.ca_file
        error = refused(client, at(server.host, azure.ca_file))
    assert "is not trusted" in error.message
    assert "expired" in error.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_listens(client: str, azure: Target) -> None:
    gone = dataclasses.replace(azure, arm_url="https://localhost:1", registry_host="localhost:1")
    assert "cannot be reached" in refused(client, gone).message
    error = refused(client, dataclasses.replace(gone, kind="lab"))
    assert "the lab at localhost:1 is not running" in error.message
    assert error.things_to_try == ("start it: invoke lab-up",)


@pytest.mark.parametrize("client", CLIENTS)
def test_no_such_name(client: str, azure: Target) -> None:
    host = "no-such-hub.invalid"
    error = refused(client, dataclasses.replace(azure, arm_url=f"https://{host}", registry_host=host))
    assert "cannot be resolved" in error.message
    assert host in error.message


@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxy_that_does_not_answer(client: str, azure: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert "check HTTPS_PROXY and NO_PROXY" in refused(client, azure).things_to_try


@pytest.mark.parametrize("client", CLIENTS)
def test_loopback_never_goes_through_a_proxy(
    client: str, server: FaultServer, azure: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    server.plan = Plan(501)
    error = refused(client, dataclasses.replace(azure, kind="lab"))
    assert "the lab does not do this" in error.message


@pytest.mark.parametrize("client", CLIENTS)
def test_the_lab_s_refusals_send_nobody_to_azure(client: str, server: FaultServer, azure: Target) -> None:
    login = ServicePrincipal(azure.arm_url, "tenant", "client", "a-secret-of-the-lab")
    lab = dataclasses.replace(azure, kind="lab", login=login)
    for status in (401, 403, 500):
        server.plan = Plan(status, body(client, "Nope", status, "said a-secret-of-the-lab"))
        error = refused(client, lab)
        assert "az " not in error.render()
        assert "a-secret-of-the-lab" not in error.render()


@pytest.mark.parametrize("client", ["sdk", "rest"])
def test_pages_are_followed_to_the_end(client: str, server: FaultServer, azure: Target) -> None:
    twins = [{"deviceId": f"d{number}", "authenticationType": "certificateAuthority"} for number in range(3)]
    last = Plan(200, twins[2:], headers={"x-ms-item-type": "Twin"})
    server.plan = Plan(
        200, twins[:2], headers={"x-ms-item-type": "Twin", "x-ms-continuation": "next"}, times=1, then=last
    )
    devices = open_kind(client, azure, Credential())
    assert [one.device_id for one in devices.list()] == ["d0", "d1", "d2"]
    assert len(server.requests) == 2
    devices.close()


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
