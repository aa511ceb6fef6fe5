"""What of an account stands in the way: a hub that is not made yet, limits, names that are taken; and how to get past."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from thingmint.hub.evidence import Answer
from thingmint.target import Target


@dataclass(frozen=True)
class Obstacle:
    why: str
    things_to_try: tuple[str, ...]


def obstacle_of(answer: Answer, target: Target) -> Obstacle | None:
    """None where the refusal is about something else."""
    words = f"{answer.code} {answer.message}"
    if "DeviceNotOnline" in words or "404103" in words:
        return Obstacle(
            "the device is not connected, or takes no calls.",
            (
                "is it connected? invoke devices",
                "watch it connect: invoke monitor --port PORT",
                "its firmware must subscribe to $iothub/methods/POST/#, as Nordic's azure_iot_hub does",
                *(["a simulated one: invoke modem --imei ID --app azure_iot_hub"] if target.local else []),
            ),
        )
    if "GatewayTimeout" in words or "504101" in words:
        return Obstacle(
            "the device did not answer in time; whether it did what it was asked for is unknown.",
            ("give it longer: --timeout SECONDS", "its log says what it made of it: invoke monitor --port PORT"),
        )
    subscription = target.subscription_id
    if answer.status == 404 and (missing := _missing(answer, target)):
        settings = "check azure.subscription_id, azure.resource_group and azure.hub: invoke config"
        things = [settings] if target.local else [*missing.things_to_try, settings]
        return Obstacle(missing.why, ("make it: invoke hub-create", *things))
    if "400019" in words:  # https://github.com/MicrosoftLearning/DP-900T00A-Azure-Data-Fundamentals/issues/6
        return Obstacle(
            "the subscription has its one free hub already.",
            (
                "which one: az iot hub list --query \"[?sku.name=='F1'].[name,resourcegroup]\" --output table",
                "use that one (azure.hub, azure.resource_group), or delete it first if nobody needs it",
                "make a hub that is charged: invoke hub-create --sku S1",
            ),
        )
    if "MissingSubscriptionRegistration" in words:
        # https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-register-resource-provider
        namespace = f"--namespace Microsoft.Devices --subscription {subscription}"
        return Obstacle(
            "the subscription is not registered for Microsoft.Devices, which hubs are of.",
            (
                f"register it, which is free: az provider register --wait {namespace}",
                f"see how far it is: az provider show {namespace} --query registrationState",
                "then run the same command again",
            ),
        )
    if "400307" in words or re.search(r"name '.*' is not available", answer.message):
        return name_taken(target.provisioning_service if "IotDps" in answer.message else target.hub)
    if answer.code in {"LocationNotAvailableForResourceType", "LocationRequired"}:
        kinds = "az provider show --namespace Microsoft.Devices --query"
        where = "resourceTypes[?resourceType=='ProvisioningServices'].locations"
        return Obstacle(
            "there is no hub, or no provisioning service, in that location.",
            (f'where there are: {kinds} "{where}"', "invoke hub-create --location LOCATION, or azure.location"),
        )
    if answer.code in {"InvalidResourceGroupLocation", "InvalidResourceLocation"}:
        there = re.search(r"already exists in location '([\w ]+)'", answer.message)
        place = there[1] if there else "LOCATION"
        return Obstacle(
            f"it exists already, in {there[1] if there else 'another location'}; what exists does not move.",
            (
                "run the same command again: that one is kept, and what else is missing is made",
                f"or have all of it in one place: invoke hub-create --location {place}",
            ),
        )
    if answer.code in {"QuotaExceeded", "SubscriptionQuotaExceeded"} or "Max number of" in answer.message:
        return Obstacle(
            "the subscription holds as many of these as it may.",
            (
                "the limits: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits",
                "delete one that nobody needs, or ask Microsoft's support for more",
            ),
        )
    if answer.code == "RequestDisallowedByPolicy":
        return Obstacle(
            "a policy of your organisation forbids it; its words above name the policy.",
            ("another location may be allowed: invoke hub-create --location LOCATION", "ask whoever set the policy"),
        )
    if answer.code in {"ReadOnlyDisabledSubscription", "SubscriptionNotRegistered"}:
        return Obstacle(
            f"the subscription {subscription} is disabled: it can be read, and nothing can be made in it.",
            ("see its state: az account show", "its owner can put it in force again in the portal"),
        )
    if answer.status == 403 and re.search(
        r"/(resourcegroups|IotHubs|provisioningServices)/[^/]+$", _path(answer), re.IGNORECASE
    ):
        scope = f"/subscriptions/{subscription}"
        person = re.search(r"object id '([0-9a-fA-F-]{36})'", answer.message)
        assignee = person[1] if person else '"<you: az ad signed-in-user show --query id -o tsv>"'
        grant = f"az role assignment create --role Contributor --assignee {assignee} --scope {scope}"
        return Obstacle(
            f"whoever is signed in may not do this: it takes the role 'Contributor' on {scope}, or on the resource group.",
            (
                f"ask an owner of the subscription for the role (it takes effect within minutes):\n    {grant}",
                "see who is signed in: az account show",
            ),
        )
    return None


def _missing(answer: Answer, target: Target) -> Obstacle | None:
    group = target.resource_group
    if answer.code == "ResourceGroupNotFound":
        why = f"there is no resource group {group!r} in the subscription."
        return Obstacle(why, ("your resource groups: az group list --output table",))
    whole = answer.code == "ResourceNotFound" and "/certificates/" not in answer.message
    if is_missing_hub(answer.code) or (whole and "/IotHubs/" in answer.message):
        why = f"there is no hub {target.hub!r} in resource group {group!r}."
        return Obstacle(why, (f"your hubs: az iot hub list --resource-group {group} --output table",))
    if whole and "/provisioningServices/" in answer.message:
        why = f"there is no provisioning service {target.provisioning_service!r} in resource group {group!r}."
        return Obstacle(why, (f"yours: az iot dps list --resource-group {group} --output table",))
    return None


def is_missing_hub(code: str) -> bool:
    """The registry's own code is the lab's: on Azure, the name of a hub that is not there cannot be resolved."""
    return code == "IotHubNotFound"


def name_taken(name: str) -> Obstacle:
    return Obstacle(
        f"the name {name!r} is taken: somebody in Azure has it, or had it until recently.",
        (
            "if it is yours, it is in another resource group or subscription: name that one (azure.resource_group, azure.subscription_id)",
            "else choose another: azure.hub, azure.provisioning_service",
        ),
    )


def _path(answer: Answer) -> str:
    return urlsplit(answer.url).path
