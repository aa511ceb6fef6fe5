"""The part of a condition that the store answers by itself: fields of a device's own that equal a text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from thingmint.lab.cloud.registry.query.tree import Chain, Comparison, Constant, Expression, Path
from thingmint.lab.cloud.store.devices import Field

_FIELDS: dict[str, Field] = {"deviceid": "device_id", "status": "status", "connectionstate": "connected"}
_CONNECTED = {"Connected": 1, "Disconnected": 0}


@dataclass(frozen=True)
class Narrowing:
    """No twin that the condition selects has other values; `whole` where each twin that has them is selected."""

    fields: Mapping[Field, object]
    whole: bool


def narrowing(condition: Expression | None) -> Narrowing:
    fields: dict[Field, object] = {}
    whole = True
    for part in _conjuncts(condition):
        found = _equality(part)
        if found is None or found[0] in fields:
            whole = False
        else:
            fields[found[0]] = found[1]
    return Narrowing(fields, whole)


def _conjuncts(condition: Expression | None) -> Iterator[Expression]:
    if isinstance(condition, Chain) and all(operator == "and" for operator, _ in condition.rest):
        for operand in (condition.first, *(one for _, one in condition.rest)):
            yield from _conjuncts(operand)
    elif condition is not None:
        yield condition


def _equality(part: Expression) -> tuple[Field, object] | None:
    match part:
        case Comparison(operator="=", left=Path(names=(name,)), right=Constant(value=str(value))):
            pass
        case Comparison(operator="=", left=Constant(value=str(value)), right=Path(names=(name,))):
            pass
        case _:
            return None
    field = _FIELDS.get(name.lower())
    if field is None:
        return None
    return field, _CONNECTED.get(value, -1) if field == "connected" else value
