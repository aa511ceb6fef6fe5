"""What may stand in a twin: names, depth, sizes. The lab refuses the rest as the service does, and nobody sends it there.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#tags-and-properties-format
"""

import re
from collections.abc import Mapping
from typing import Any

LARGEST_TAGS = 8 * 1024
LARGEST_SECTION = 32 * 1024
LONGEST_KEY = 1024
LONGEST_VALUE = 4096
DEEPEST = 10
LEAST_INTEGER, GREATEST_INTEGER = -4503599627370496, 4503599627370495
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f.$ ]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class TwinProblem(Exception):  # noqa: N818 - the field's word
    """Why tags or properties are not accepted, as a sentence without its full stop. `cure`: what `twin --set` takes instead."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


def require_form(value: Any, where: str = "", *, depth: int = 0) -> None:
    """`where`: what the value is a part of, named in front of its own name; nothing if not given."""
    if isinstance(value, dict | list) and depth > DEEPEST:
        raise TwinProblem(f"{where[:200]} lies deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        for key, below in value.items():
            if fault := _fault(key):
                inside = f" in {where[:200]}" if where else ""
                nested = "a name inside of another: --set 'outer={\"inner\": 5}'" if "." in key else ""
                raise TwinProblem(f"the name {key[:40]!r}{inside} {fault}", nested)
            require_form(below, f"{where}.{key}" if where else key, depth=depth + 1)
    elif isinstance(value, list):
        for below in value:
            require_form(below, where, depth=depth + 1)
    elif isinstance(value, str) and len(value.encode()) > LONGEST_VALUE:
        # The service's words: https://github.com/Azure/iotedge/issues/5921
        told = f"Property or Tag value should be maximum {LONGEST_VALUE} bytes. Error in Property/Tag {where[:200]}"
        raise TwinProblem(told)
    elif type(value) is int and not LEAST_INTEGER <= value <= GREATEST_INTEGER:
        raise TwinProblem(
            f"{where[:200]} is not between {LEAST_INTEGER} and {GREATEST_INTEGER}",
            f"a larger number goes as a text: --set 'NAME=\"{GREATEST_INTEGER + 1}\"'",
        )


def _fault(name: str) -> str:
    if not name:
        return "is empty"
    if len(name.encode()) > LONGEST_KEY:
        return f"is longer than {LONGEST_KEY} bytes"
    found = _FORBIDDEN.search(name)
    return f"has {found[0]!r}: no name may have a dot, a dollar sign, a space or a control character" if found else ""


def require_size(values: Mapping[str, Any], largest: int, what: str) -> None:
    if (size := _size(values)) > largest:
        raise TwinProblem(f"{what} has a size of {size} bytes, and {largest} are the limit")


def _size(value: Any) -> int:
    """Names and strings count without control characters, numbers 8, booleans 4."""
    if isinstance(value, Mapping):
        return sum(_size(key) + _size(below) for key, below in value.items())
    if isinstance(value, list):
        return sum(_size(below) for below in value)
    if isinstance(value, str):
        return len(_CONTROL.sub("", value).encode())
    return 4 if isinstance(value, bool) or value is None else 8
