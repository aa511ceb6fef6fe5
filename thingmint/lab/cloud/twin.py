"""How a patch changes a twin.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins: metadata, versions.
"""

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from thingmint.lab.cloud.records import Section, Twin
from thingmint.lab.cloud.wire import moment
from thingmint.twinform import LARGEST_SECTION, LARGEST_TAGS, TwinProblem, require_form, require_size

_READ_ONLY = ("$metadata", "$version")


def etag(twin: Twin) -> str:
    """It counts the service's changes: the documentation's new twins have AAAAAAAAAAE=, which is 1."""
    return base64.b64encode(twin.changes.to_bytes(8, "big")).decode()


def written(values: Any, what: str) -> dict[str, Any]:
    """What a client sent as tags or properties, without what only the hub writes. Raises TwinProblem."""
    if not isinstance(values, dict):
        raise TwinProblem(f"{what} is no JSON object")
    kept = {key: value for key, value in values.items() if key not in _READ_ONLY}
    require_form(kept, what)
    return kept


def changed(
    twin: Twin, now: dt.datetime, *, tags: Mapping[str, Any] | None, desired: Mapping[str, Any] | None, whole: bool
) -> Twin:
    """The twin after a change by the service: patched, or with `whole` replaced. Raises TwinProblem."""
    new_tags, section = dict(twin.tags), twin.desired
    if tags is not None:
        new_tags = _without_nulls(tags) if whole else _merged(new_tags, tags)
        require_size(new_tags, LARGEST_TAGS, "tags")
    if desired is not None:
        section = _section_changed(section, desired, now, whole=whole)
        require_size(section.values, LARGEST_SECTION, "properties.desired")
    return replace(twin, version=twin.version + 1, changes=twin.changes + 1, tags=new_tags, desired=section)


def reported(twin: Twin, now: dt.datetime, patch: Mapping[str, Any]) -> Twin:
    """The twin after a report of its device. Raises TwinProblem."""
    section = _section_changed(twin.reported, patch, now, whole=False, versions=False)
    require_size(section.values, LARGEST_SECTION, "properties.reported")
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
