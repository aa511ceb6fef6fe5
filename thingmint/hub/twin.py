"""A device's twin, and what a device returned from a call, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """Desired or reported properties, without what only the hub writes."""

    values: dict[str, Any]
    version: int


@dataclass(frozen=True)
class Twin:
    device_id: str
    desired: Section
    reported: Section
    connected: bool

    @property
    def pending(self) -> tuple[str, ...]:
        """The desired properties that the device has not reported as they are desired."""
        reported = self.reported.values
        return tuple(name for name, value in self.desired.values.items() if not _same(value, reported.get(name)))


@dataclass(frozen=True)
class Returned:
    """The status is the device's own; by habit it is one of HTTP's."""

    status: int
    payload: Any


def _same(one: Any, other: Any) -> bool:
    """As JSON has it, where true is no number; for Python it is 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(below, other[name]) for name, below in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def twin_of(twin: Mapping[str, Any]) -> Twin:
    """From a twin's JSON."""
    properties = twin.get("properties") or {}
    return Twin(
        device_id=str(twin["deviceId"]),
        desired=section_of(properties.get("desired")),
        reported=section_of(properties.get("reported")),
        connected=twin.get("connectionState") == "Connected",
    )


def section_of(section: Mapping[str, Any] | None) -> Section:
    found = section or {}
    values = {name: value for name, value in found.items() if name not in ("$metadata", "$version")}
    return Section(values, int(found.get("$version") or 0))
