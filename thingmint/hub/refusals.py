"""The one place that turns every SDK exception into one clear HubError with "Things to try"."""

import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from thingmint.errors import HubError, PassingError, ThingmintError
from thingmint.hub.evidence import Answer, Fault, answer_of, causes, class_names, fault_of, scrub
from thingmint.hub.obstacles import obstacle_of
from thingmint.hub.services import ROLES, Service, called, host_of, of_provisioning, quoted, scope_of
from thingmint.target import Target

_CLOCK_TOLERANCE = dt.timedelta(minutes=5)  # what Microsoft Entra ID and SAS tokens forgive


class ThrottledError(HubError):
    """The service asks for patience: `retry_after` seconds, None if it did not say how long."""

    retry_after: float | None = None


@contextlib.contextmanager
def refusals(target: Target | None, doing: str, *, service: Service = "management") -> Iterator[None]:
    """Whatever an SDK raises inside becomes a HubError whose message begins with `doing` ("uploading cert-x").

    What is no refusal and no fault of the network passes through: that is a bug, and its traceback is wanted.
    """
    try:
        yield
    except ThingmintError:
        raise
    except Exception as error:
        refusal = explain(error, target, doing, service=service)
        if refusal is None:
            raise
        # Not `from error`: the SDKs' exceptions hold the request, its Authorization header included.
        raise refusal from None


def explain(error: Exception, target: Target | None, doing: str, *, service: Service) -> HubError | None:
    """The HubError for one exception, or None if it comes neither from a service nor from the way there."""
    answer = answer_of(error)
    fault = fault_of(error)
    own_sign_in = target is not None and target.login is not None
    # DefaultAzureCredential tries a dozen ways and fails with the network errors of some of them: not the point.
    if _is_sign_in(error, answer) and not (own_sign_in and fault):
        return _sign_in(error, answer, target, doing)
    if answer is not None and answer.status >= 400:
        return _refused(answer, target, doing, service)
    if fault is not None:
        return _broken(fault, target, doing, service)
    if class_names(error) & {"AzureError", "ClientException"}:
        return HubError(f"{doing} failed.", detail=scrub(str(error), target))
    return None


def _is_sign_in(error: Exception, answer: Answer | None) -> bool:
    if answer is not None:
        return "/oauth2/" in urlsplit(answer.url).path
    return any("ClientAuthenticationError" in class_names(link) for link in causes(error))


def _sign_in(error: Exception, answer: Answer | None, target: Target | None, doing: str) -> HubError:
    detail = scrub((answer.message if answer else "") or str(getattr(error, "message", "")) or str(error), target)
    code = answer.code if answer else ""
    # azure-identity tells of the first answers in words alone.
    told = re.search(r"HTTP Error: (\d{3})", detail)
    status = answer.status if answer else int(told[1]) if told else 401
    if status == 429 or status >= 500:
        again = ["run the same command again", "https://azure.status.microsoft"]
        why = f"{doing} failed: the sign-in service is busy, or had a fault of its own."
        return PassingError(why, detail=detail, things_to_try=again, status=status, code=code)
    if target is not None and target.login is not None:
        return HubError(
            f"{doing} failed: the lab did not accept this workspace's sign-in.",
            detail=detail,
            things_to_try=["start it anew: invoke lab-down lab-up", "its log, lab/lab.log, tells why it refused"],
            status=status,
            code=code,
        )
    tenant = f" --tenant {target.tenant_id}" if target is not None and target.tenant_id else ""
    return HubError(
        f"{doing} failed: nobody is signed in to Azure here, or the sign-in was refused.",
        detail=detail,
        things_to_try=[
            f"sign in: az login{tenant}",
            "see who is signed in: az account show",
            "in a pipeline: set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or use a managed identity",
            "several tenants: name yours in the configuration, azure.tenant_id",
        ],
        status=status,
        code=code,
    )


def _refused(answer: Answer, target: Target | None, doing: str, service: Service) -> HubError:
    why, things, kind = _judge(answer, target, service)
    skew = _clock_skew(answer)
    if skew:
        why += f" {skew}"
        things = ["set this machine's clock: tokens and proofs depend on it", *things]
    words = f"HTTP {answer.status}" + (f" {answer.code}" if answer.code else "")
    if answer.message:
        words += f": {answer.message}"
    if answer.tracking:
        words += f"\n{answer.tracking}"
    refusal = kind(
        f"{doing} failed: {why}",
        detail=scrub(words, target),
        things_to_try=things,
        status=answer.status,
        code=answer.code,
    )
    if isinstance(refusal, ThrottledError):
        refusal.retry_after = answer.retry_after
    return refusal


def _judge(answer: Answer, target: Target | None, service: Service) -> tuple[str, list[str], type[HubError]]:
    where = called(target, service)
    lab = target is not None and target.local
    if target is not None and (obstacle := obstacle_of(answer, target)):
        return obstacle.why, list(obstacle.things_to_try), HubError
    match answer.status:
        case 400 if "400053" in f"{answer.code} {answer.message}":
            return (
                "the proof of possession was not accepted.",
                [
                    "the proof must be signed by the very CA that was uploaded: invoke show --ca subca",
                    "the code in the proof must be the newest one: run the same command again",
                ],
                HubError,
            )
        case 400:
            return f"{where} finds the request invalid.", ["the service's words above name the value"], HubError
        case 403 if "403002" in answer.code or "QuotaExceeded" in answer.code:
            return (
                "the hub's daily message quota is used up.",
                ["wait until 00:00 UTC", "add units to the hub, or choose a larger edition"],
                HubError,
            )
        case 401 | 403 if lab:
            return (
                f"{where} did not accept this workspace's sign-in.",
                ["start it anew: invoke lab-down lab-up", "its log, lab/lab.log, tells why it refused"],
                HubError,
            )
        case 401 | 403:
            return _not_allowed(answer, target, where, service)
        case 404:
            return _not_found(answer, target, where, service)
        case 409 if answer.code in {"DeviceAlreadyExists", "409001"}:
            return (
                "the hub has a device identity of that name already.",
                ["see it: invoke devices", "remove it first: invoke device-delete --imei ID"],
                HubError,
            )
        case 409:
            return (
                f"{where} is in the middle of another change.",
                ["wait a minute, then run the same command again"],
                HubError,
            )
        case 412:
            return (
                "somebody changed it meanwhile (its etag is no longer the one we read).",
                ["run the same command again: it reads the current state first"],
                HubError,
            )
        case 429:
            patience = f"in {answer.retry_after:.0f} s" if answer.retry_after is not None else "in a minute"
            return (
                f"{where} is throttling: too many requests for now.",
                [f"run the same command again {patience}", "many devices: spread the work, or add units to the hub"],
                ThrottledError,
            )
        case 501 if lab:
            return "the lab does not do this.", ["use a hub on Azure: THINGMINT_CONFIG"], HubError
        case status if status >= 500:
            again = "run the same command again: a step that was carried out already is recognised"
            kind: type[HubError] = ThrottledError if answer.retry_after is not None else PassingError
            look = "lab/lab.log tells why" if lab else "https://azure.status.microsoft"
            return f"{where} had a fault of its own.", [again, look], kind
        case status:
            return f"{where} refused it with HTTP {status}.", [], HubError


def _not_allowed(
    answer: Answer, target: Target | None, where: str, service: Service
) -> tuple[str, list[str], type[HubError]]:
    if target is not None and service == "registry" and target.connection_string:
        fetch = f"az iot hub connection-string show --hub-name {target.hub} --policy-name registryReadWrite"
        return (
            "the hub did not accept the shared access policy of the connection string.",
            [
                f"the policy needs RegistryWrite and ServiceConnect; its connection string: {fetch}",
                "keys that were regenerated make older connection strings invalid",
                "better: azure.auth: identity, and az login",
            ],
            HubError,
        )
    role = ROLES[service]
    person = re.search(r"object id '([0-9a-fA-F-]{36})'|Principal ([0-9a-fA-F-]{36})", answer.message)
    assignee = (person[1] or person[2]) if person else "<you: az ad signed-in-user show --query id -o tsv>"
    scope = scope_of(target, service, answer.url)
    verb = "may not do this" if answer.status == 403 else "is not let in"
    grant = f"az role assignment create --role {quoted(role)} --assignee {quoted(assignee)} --scope {quoted(scope)}"
    things = [
        f"ask an owner of the subscription for the role (it takes effect within minutes):\n    {grant}",
        "see who is signed in: az account show",
    ]
    if answer.status == 401:
        things.append("signed in at another tenant? name yours in azure.tenant_id and: az login --tenant …")
    if answer.status == 403 and service != "management":
        whose = "hub" if service == "registry" else "provisioning service"
        things.append(f"an IP filter or a private endpoint of the {whose} answers the same: see its Networking page")
    return f"whoever is signed in {verb} at {where}: it takes the role {role!r} on {scope}.", things, HubError


def _not_found(
    answer: Answer, target: Target | None, where: str, service: Service
) -> tuple[str, list[str], type[HubError]]:
    settings = "check azure.subscription_id, azure.resource_group and azure.hub: invoke config"
    if answer.code in {"SubscriptionNotFound", "InvalidSubscriptionId"} and target is not None:
        things = ["your subscriptions: az account list --output table", settings]
        return f"the subscription {target.subscription_id} is not known, or not to you.", things, HubError
    if service == "provisioning":
        return "the provisioning service has no enrollment of that name.", ["see them: invoke enrollments"], HubError
    if is_missing_service(answer.code, answer.message) and target is not None:
        things = [f"your hubs: az iot hub list --resource-group {target.resource_group} --output table", settings]
        return f"there is no hub {target.hub!r} in resource group {target.resource_group!r}.", things, HubError
    if service == "registry":
        return "the hub has no device identity of that name.", ["see them: invoke devices"], HubError
    if "/certificates/" in answer.url:
        whose = "provisioning service" if of_provisioning(answer.url) else "hub"
        return f"the {whose} has no certificate of that name.", ["see them: invoke cas"], HubError
    return f"{where} does not know it.", [settings], HubError


def is_missing_service(code: str, message: str) -> bool:
    """Whether a 404 of Azure Resource Manager is about hub or provisioning service (or what stands above), not about
    something in it."""
    if code in {"SubscriptionNotFound", "InvalidSubscriptionId", "ResourceGroupNotFound", "ParentResourceNotFound"}:
        return True
    return code == "ResourceNotFound" and "/certificates/" not in message


def _broken(fault: Fault, target: Target | None, doing: str, service: Service) -> HubError:
    where = called(target, service)
    lab = target is not None and target.local
    again = "run the same command again: a step that was carried out already is recognised"
    if fault.kind == "tls":
        if lab:
            things = ["the lab's own CA may have changed: invoke lab-down lab-up"]
        else:
            things = [
                "behind a company proxy that opens TLS: name its root certificate in REQUESTS_CA_BUNDLE",
                "SSL_CERT_FILE has no effect here; REQUESTS_CA_BUNDLE has, and a stale one does harm",
                f"look at the chain: openssl s_client -connect {host_of(target, service)}",
                "'expired' or 'not yet valid': check this machine's clock",
            ]
        why = f"the certificate of {where} is not trusted."
    elif fault.kind == "proxy":
        why = f"the proxy on the way to {where} does not answer, or refuses."
        things = ["check HTTPS_PROXY and NO_PROXY", "is the VPN connected?"]
    elif fault.kind == "garbled":
        why = f"the answer is not the one of {where}: something on the way speaks in its place."
        things = ["a login page of a guest network? open a web page first", "check HTTPS_PROXY and REQUESTS_CA_BUNDLE"]
    elif fault.kind == "dropped":
        why = f"the connection to {where} broke before the answer was complete; the step may have been carried out."
        things = [again]
    elif fault.kind in {"timeout", "connect-timeout"}:
        waited = "the step may have been carried out" if fault.kind == "timeout" else "no connection was made"
        why = f"{where} did not answer in time; {waited}."
        things = [again, "check the network: VPN, proxy (HTTPS_PROXY), firewall"]
    elif lab:
        why = f"{where} is not running, or not there."
        things = ["start it: invoke lab-up"]
    elif fault.kind == "name":
        what, key = ("provisioning service", "provisioning_service") if service == "provisioning" else ("hub", "hub")
        why = f"the name of {where} cannot be resolved: no such {what}, or no network."
        things = [f"check azure.{key}: invoke config", "check the network: DNS, VPN, proxy (HTTPS_PROXY)"]
    else:
        why = f"{where} cannot be reached."
        things = ["check the network: VPN, proxy (HTTPS_PROXY), firewall for port 443"]
    kind = PassingError if fault.kind == "dropped" else HubError
    return kind(f"{doing} failed: {why}", detail=scrub(fault.words, target), things_to_try=things)


def _clock_skew(answer: Answer) -> str:
    if answer.date is None:
        return ""
    ahead = dt.datetime.now(dt.UTC) - answer.date
    if abs(ahead) <= _CLOCK_TOLERANCE:
        return ""
    minutes = round(abs(ahead).total_seconds() / 60)
    return (
        f"This machine's clock is {minutes} minutes {'ahead of' if ahead > dt.timedelta() else 'behind'} the service's."
    )
