"""What may stand in a twin, and how a patch changes it.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins: formats, sizes, metadata, versions.
"""

import base64
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from thingmint.lab.cloud.records import Section, Twin
from thingmint.lab.cloud.wire import moment

LARGEST_TAGS = 8 * 1024
LARGEST_SECTION = 32 * 1024
LONGEST_KEY = 1024
LONGEST_VALUE = 4096
DEEPEST = 10
LEAST_INTEGER, GREATEST_INTEGER = -4503599627370496, 4503599627370495
_READ_ONLY = ("$metadata", "$version")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f.$ ]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class TwinProblem(Exception):  # noqa: N818 - the field's word
    """Why tags or properties are not accepted, as a sentence without its full stop."""


def etag(twin: Twin) -> str:
    """It counts the service's changes: the documentation's new twins have AAAAAAAAAAE=, which is 1."""
    return base64.b64encode(twin.changes.to_bytes(8, "big")).decode()


def written(values: Any, what: str) -> dict[str, Any]:
    """What a client sent as tags or properties, without what only the hub writes. Raises TwinProblem."""
    if not isinstance(values, dict):
        raise TwinProblem(f"{what} is no JSON object")
    kept = {key: value for key, value in values.items() if key not in _READ_ONLY}
    _require_form(kept, what, depth=0)
    return kept


def changed(
    twin: Twin, now: dt.datetime, *, tags: Mapping[str, Any] | None, desired: Mapping[str, Any] | None, whole: bool
) -> Twin:
    """The twin after a change by the service: patched, or with `whole` replaced. Raises TwinProblem."""
    new_tags, section = dict(twin.tags), twin.desired
    if tags is not None:
        new_tags = _without_nulls(tags) if whole else _merged(new_tags, tags)
        _require_size(new_tags, LARGEST_TAGS, "tags")
    if desired is not None:
        section = _section_changed(section, desired, now, whole=whole)
        _require_size(section.values, LARGEST_SECTION, "properties.desired")
    return replace(twin, version=twin.version + 1, changes=twin.changes + 1, tags=new_tags, desired=section)


def reported(twin: Twin, now: dt.datetime, patch: Mapping[str, Any]) -> Twin:
    """The twin after a report of its device. Raises TwinProblem."""
    section = _section_changed(twin.reported, patch, now, whole=False, versions=False)
    _require_size(section.values, LARGEST_SECTION, "properties.reported")
    return replace(twin, version=twin.version + 1, reported=section)


def _section_changed(
    section: Section, patch: Mapping[str, Any], now: dt.datetime, *, whole: bool, versions: bool = True
) -> Section:
    version = section.version + 1
    stamp: dict[str, Any] = {"$lastUpdated": moment(now)}
    if versions:  # of desired properties alone
        stamp["$lastUpdatedVersion"] = version
    before, metadata = ({}, {}) if whole else (section.values, section.metadata)
    values = _without_nulls(patch) if whole else _merged(before, patch)
    return Section(values, _stamped(metadata, values, patch, stamp), version)


def section_json(section: Section) -> dict[str, Any]:
    return {**section.values, "$metadata": section.metadata, "$version": section.version}


def _merged(values: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """null removes, an object is merged, anything else replaces (as RFC 7396 has it)."""
    result = dict(values)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            old = result.get(key)
            result[key] = _merged(old if isinstance(old, dict) else {}, value)
        else:
            result[key] = value
    return result


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return _merged({}, values)


def _stamped(
    metadata: Mapping[str, Any], values: Mapping[str, Any], patch: Mapping[str, Any], stamp: Mapping[str, Any]
) -> dict[str, Any]:
    """Each level that the patch touched is stamped, down to its values; what is gone has no metadata."""
    kept = {key: old for key, old in metadata.items() if key in values}
    for key, value in patch.items():
        if key not in values:
            continue
        old = kept.get(key, {})
        below = values[key]
        kept[key] = _stamped(old, below, value, stamp) if isinstance(below, dict) else dict(stamp)
    return {**stamp, **kept}


def _require_form(value: Any, where: str, *, depth: int) -> None:
    if isinstance(value, dict | list) and depth > DEEPEST:
        raise TwinProblem(f"{where[:200]} lies deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        for key, below in value.items():
            if _FORBIDDEN.search(key) or not 0 < len(key.encode()) <= LONGEST_KEY:
                raise TwinProblem(
                    f"a name in {where[:200]} is empty, longer than {LONGEST_KEY} bytes, "
                    f"or has a control character, '.', '$' or a space: {key[:40]!r}"
                )
            _require_form(below, f"{where}.{key}", depth=depth + 1)
    elif isinstance(value, list):
        for below in value:
            _require_form(below, where, depth=depth + 1)
    elif isinstance(value, str) and len(value.encode()) > LONGEST_VALUE:
        # The service's words: https://github.com/Azure/iotedge/issues/5921
        told = f"Property or Tag value should be maximum {LONGEST_VALUE} bytes. Error in Property/Tag {where[:200]}"
        raise TwinProblem(told)
    elif type(value) is int and not LEAST_INTEGER <= value <= GREATEST_INTEGER:
        raise TwinProblem(f"{where[:200]} is not between {LEAST_INTEGER} and {GREATEST_INTEGER}")


def _require_size(values: Mapping[str, Any], largest: int, what: str) -> None:
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
