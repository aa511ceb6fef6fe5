"""The names of a device's topics, and the property bag that some of them end in. Pure."""

from urllib.parse import quote, unquote

from thingmint.lab.cloud.records import Command

TWIN_ANSWERS = "$iothub/twin/res/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"
CALLS = "$iothub/methods/POST/#"


def events(device_id: str) -> str:
    return f"devices/{device_id}/messages/events"


def inbox(device_id: str) -> str:
    """The filter of messages to the device."""
    return f"devices/{device_id}/messages/devicebound/#"


def properties_of(topic: str, base: str) -> dict[str, str] | None:
    """The property bag behind `base`: URL-encoded names and values, `$.mid` and the like among them. None for another topic."""
    if topic == base:
        return {}
    if not topic.startswith(base) or topic[len(base)] != "/":
        return None
    pairs = (part.partition("=") for part in topic[len(base) + 1 :].rstrip("/").split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}  # "+" is a plus here: no form encoding


def command(message: Command) -> str:
    """Where a message to a device is published: its properties are in the topic."""
    own = {"$.mid": message.message_id, "$.to": f"/devices/{message.device_id}/messages/deviceBound"}
    if message.ack != "none":
        own["iothub-ack"] = message.ack
    pairs = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in {**own, **message.properties}.items())
    return f"devices/{message.device_id}/messages/devicebound/{'&'.join(pairs)}"
