"""twin and method: the service's side of a device's conversation with its hub."""

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thingmint.errors import CheckError, HubError, InputError
from thingmint.ids import DeviceId
from thingmint.session import Session
from thingmint.twinform import LARGEST_SECTION, TwinProblem, require_form, require_size
from thingmint.workflows import targets

if TYPE_CHECKING:
    from thingmint.hub.twin import Section, Twin

USUAL_SECONDS = 30
_MOST_SHOWN = 200  # characters of a value in a message
_NO_ANSWER = 504  # GatewayTimeout, which here is the device's silence
# https://github.com/nrfconnect/sdk-nrf/blob/v2.3.0/samples/nrf9160/azure_iot_hub/src/main.c
_SAMPLE, _METHOD, _INTERVAL = "Nordic's azure_iot_hub", "led", "telemetryInterval"
_FORM = "https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#tags-and-properties-format says what it takes"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")  # RFC 8259, 6
_SHORTEST, _LONGEST = 5, 300  # https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods


def twin(session: Session, *, imei: str | None, changes: Sequence[str] = (), as_json: bool = False) -> None:
    """Desired and reported properties side by side, after the desired ones were changed where that is wanted."""
    chosen = DeviceId.parse(imei)
    wanted = dict(_change(text) for text in changes)
    _require_form(wanted)
    deed = f"set {', '.join(wanted)} in the twin of {chosen}" if wanted else f"read the twin of {chosen}"
    if targets.dry(session, deed):
        return
    session.console.require_output()
    hub = targets.open_hub(session)
    registry = hub.registry
    found = registry.desire(chosen.text, wanted) if wanted else registry.twin(chosen.text)
    if as_json:
        session.console.result_json(_as_json(found))
    elif rows := _rows(found):
        session.console.table(("property", "desired", "reported"), rows)
    versions = f"desired version {found.desired.version}, reported version {found.reported.version}"
    session.console.say(f"twin of {chosen} on {hub.target.hub}: {versions}")
    _say_how_far(session, chosen, found, changed=bool(wanted))


def _require_form(wanted: dict[str, Any]) -> None:
    """Raises InputError for what the hub would refuse."""
    try:
        require_form(wanted)
        kept = {name: value for name, value in wanted.items() if value is not None}
        require_size(kept, LARGEST_SECTION, "what is to be set")
    except TwinProblem as problem:
        cures = [problem.cure, _FORM] if problem.cure else [_FORM]
        raise InputError(f"the hub takes no such properties: {problem}.", things_to_try=cures) from None


def _say_how_far(session: Session, chosen: DeviceId, found: "Twin", *, changed: bool) -> None:
    interval = found.desired.values.get(_INTERVAL)
    strange = interval is not None and not (type(interval) is int and interval > 0)
    if strange:
        session.console.say(
            f"{_INTERVAL} is desired to be {_shown(found.desired, _INTERVAL)}: {_SAMPLE} takes a number of whole seconds, "
            "at least 1, and with another value may go on as before, or report another one; other firmware may take it"
        )
    if not found.desired.values:
        session.console.say("nothing is desired of it")
        session.console.next_step(f"invoke twin --imei {chosen} --set telemetryInterval=5")
    elif not found.pending:
        session.console.say("it has reported all that is desired")
    else:
        told = "is told at once" if changed else "was told, and its log says what it made of it"
        news = told if found.connected else "is not connected: it asks when it connects next"
        session.console.say(f"not reported as desired: {', '.join(found.pending)}; it {news}")
    if changed and found.pending and not strange:
        session.console.next_step(f"invoke twin --imei {chosen} shows whether it has")


def method(
    session: Session, *, imei: str | None, name: str | None, payload: str | None = None, timeout: str | None = None
) -> None:
    """Call a method of a connected device. Raises CheckError where the device's own answer is a failure."""
    chosen = DeviceId.parse(imei)
    if not name:
        raise InputError("no method was named.", things_to_try=["e.g. --name led, which Nordic's azure_iot_hub knows"])
    seconds = _seconds(timeout)
    sent = None if payload is None else _value(payload)
    if targets.dry(session, f"call {name} of {chosen}"):
        return
    session.console.require_output()
    hub = targets.open_hub(session)
    known = "" if name == _METHOD else f"{_SAMPLE} answers {_METHOD} alone"
    waits = "; ".join(filter(None, [f"waits up to {seconds} s", known]))
    session.console.say(f"calling {name} of {chosen} on {hub.target.hub} ({waits})")
    try:
        returned = hub.registry.call(chosen.text, name, sent, seconds=seconds)
    except KeyboardInterrupt:
        told = f"interrupted; the call of {name} was sent already: whether {chosen} carried it out is unknown"
        raise KeyboardInterrupt(told) from None
    except HubError as error:
        if error.status == _NO_ANSWER and known:
            error.things_to_try = (f"it may know no method {name}: {known}", *error.things_to_try)
        raise
    session.console.result_json({"status": returned.status, "payload": returned.payload})
    if not 200 <= returned.status < 300:
        raise CheckError(
            f"{chosen} answered {name} with {returned.status}, which is no success.",
            things_to_try=["its log says more: invoke monitor --port PORT"],
        )


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(
            f"--set {text!r} is no NAME=VALUE.",
            things_to_try=["--set telemetryInterval=5", "--set telemetryInterval=null removes it"],
        )
    return name, _value(value)


def _value(text: str) -> Any:
    """JSON, or else the text itself: `5` is a number, `on` a text. Raises InputError for what begins as JSON and is none."""

    def no_number(word: str) -> Any:  # NaN, Infinity: Python reads them, JSON has none
        raise ValueError(word)

    def number(word: str) -> float:
        return value if math.isfinite(value := float(word)) else no_number(word)

    try:
        value = json.loads(text, parse_constant=no_number, parse_float=number)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] in {"{", "[", '"'}:
            raise InputError(
                f"{_cut(text)} begins as JSON, and is none: {error}.",
                things_to_try=["check quotes and braces; in a shell, put the whole of it into single quotes"],
            ) from None
        if _NUMBER.fullmatch(text.strip()):
            raise InputError(
                f"{_cut(text)} is no JSON number that anybody could keep: it is too large, or too long.",
                things_to_try=["a smaller number", "as a text, in double quotes of its own: '\"1e400\"'"],
            ) from None
        value = text
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # halves of surrogate pairs, or bytes of the command line that were no text
        raise InputError(
            f"{_cut(text)} is no text: it has characters that no UTF-8 has.",
            things_to_try=["binary data goes as base64, which the device has to know"],
        ) from None
    return value


def _cut(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")


def _seconds(text: str | None) -> int:
    if text is None:
        return USUAL_SECONDS
    if not (text.isascii() and text.isdigit() and _SHORTEST <= int(text[:9]) <= _LONGEST):
        raise InputError(
            f"--timeout {text!r} is no number of seconds from {_SHORTEST} to {_LONGEST}, which the hub takes.",
            things_to_try=[f"--timeout {USUAL_SECONDS}, as without it"],
        )
    return int(text)


def _rows(found: "Twin") -> list[tuple[str, str, str]]:
    names = list(dict.fromkeys([*found.desired.values, *found.reported.values]))
    return [(name, _shown(found.desired, name), _shown(found.reported, name)) for name in names]


def _shown(section: "Section", name: str) -> str:
    return json.dumps(section.values[name], ensure_ascii=False) if name in section.values else "-"


def _as_json(found: "Twin") -> dict[str, Any]:
    """The hub's own names, and which desired properties are not reported."""
    sections = {"desired": found.desired, "reported": found.reported}
    return {
        "deviceId": found.device_id,
        "connectionState": "Connected" if found.connected else "Disconnected",
        "properties": {name: {**one.values, "$version": one.version} for name, one in sections.items()},
        "pending": list(found.pending),
    }
