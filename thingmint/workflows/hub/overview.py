"""hub-show: what of subscription, group, hub and provisioning service is there, and what is missing."""

from typing import TYPE_CHECKING, Any

from thingmint.errors import HubError
from thingmint.session import Session
from thingmint.workflows import targets

if TYPE_CHECKING:
    from thingmint.hub.account import HubResource, ServiceResource

Facts = dict[str, Any]


def hub_show(session: Session, *, as_json: bool = False) -> None:
    """On stdout. Raises HubError where there is no hub, after what there is was shown."""
    targets.require_sign_in(session, "hub-show")
    if targets.dry(session, "look at the hub, its provisioning service and their link"):
        return
    from thingmint.hub.certificates import HubCertificates
    from thingmint.hub.resources import Resources

    target, credential, _lab = targets.sign_in(session)
    resources, certificates = Resources(target, credential), HubCertificates(target, credential)
    try:
        subscription, group = resources.subscription(), resources.group()
        hub = resources.hub() if group else None
        service = resources.service() if group else None
        facts: Facts = {
            "subscription": {"id": subscription.id, "name": subscription.name, "state": subscription.state},
            "resourceGroup": {"name": group.name, "location": group.location} if group else None,
            "hub": _of_hub(hub) if hub else None,
            "provisioningService": _of_service(service) if service else None,
        }
        if hub and hub.provisioning == "Succeeded":
            uploaded = certificates.list()
            facts["hub"] |= {
                "certificates": len(uploaded),
                "verifiedCertificates": sum(one.verified for one in uploaded),
                "devices": resources.device_count(),
            }
    finally:
        resources.close()
        certificates.close()
    if as_json:
        session.console.result_json(facts)
    else:
        session.console.table(("what", "value"), list(_rows(facts)))
    if hub is None:
        where = (
            f"in resource group {target.resource_group}" if group else f"nor a resource group {target.resource_group}"
        )
        raise HubError(f"there is no hub {target.hub} {where}.", things_to_try=["make it: invoke hub-create"])
    if service is None or not service.is_linked(target.hub_host):
        what = "is not linked to the hub" if service else "is missing"
        session.console.say(
            f"the provisioning service {target.provisioning_service} {what}: "
            "only devices that come in through it need it (`enroll`, `connect --dps`)"
        )
        session.console.next_step("invoke hub-create")
    elif hub.provisioning == "Succeeded" and not facts["hub"]["verifiedCertificates"]:
        session.console.next_step("invoke rootca subca verify")
    elif hub.provisioning == "Succeeded" and not facts["hub"]["devices"]:
        session.console.next_step("invoke device --imei ID")


def _of_hub(hub: "HubResource") -> Facts:
    return {
        "name": hub.name,
        "hostName": hub.host,
        "sku": hub.sku,
        "location": hub.location,
        "state": hub.state if hub.provisioning == "Succeeded" else hub.provisioning,
    }


def _of_service(service: "ServiceResource") -> Facts:
    return {
        "name": service.name,
        "idScope": service.id_scope,
        "serviceOperationsHostName": service.host,
        "deviceProvisioningHostName": service.devices_host,
        "sku": service.sku,
        "location": service.location,
        "state": service.state if service.provisioning == "Succeeded" else service.provisioning,
        "linkedHubs": list(service.hubs),
    }


def _rows(facts: Facts) -> "list[tuple[str, str]]":
    rows: list[tuple[str, str]] = []
    for what, values in facts.items():
        if values is None:
            rows.append((what, "missing"))
            continue
        for name, value in values.items():
            rows.append((f"{what}.{name}", ", ".join(value) if isinstance(value, list) else str(value)))
    return rows
