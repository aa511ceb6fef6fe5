"""The chain of trust: each CA that the lab knows of, below the one that signed it, and the devices below theirs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Device
from thingmint.lab.page import papers
from thingmint.lab.page.papers import Paper

_MOST_BELOW_ONE = 8

Standing = Literal["verified", "not verified", "expired", "not uploaded"]


@dataclass(frozen=True)
class Upload:
    service: str
    name: str
    verified: bool


@dataclass(frozen=True)
class Node:
    """A CA. `until` is empty where only its name is known, out of what it signed."""

    key: str
    name: str
    kind: Literal["root CA", "intermediate CA", "CA, known by its name alone"]
    standing: Standing
    uploads: tuple[Upload, ...]
    until: str
    devices: tuple[str, ...]
    more_devices: int
    below: tuple["Node", ...]


def tree(hub: Hub, devices: Sequence[Device]) -> tuple[Node, ...]:
    """Of what was uploaded to either service, and what the given devices showed when they were let in."""
    uploads = _uploads(hub)
    known, below = dict.fromkeys(uploads), dict[bytes, list[str]]()
    for device in devices:
        shown = hub.feed.shown.get(device.device_id)
        if shown is None or not shown.certificates:
            continue
        above = papers.path(shown.certificates[0], [*uploads, *shown.certificates[1:]])
        known |= dict.fromkeys(above)
        if above:
            below.setdefault(above[0], []).append(device.device_id)
    return _Tree(uploads, list(known), below).roots()


def _uploads(hub: Hub) -> dict[bytes, list[Upload]]:
    found: dict[bytes, list[Upload]] = {}
    services = (
        ("hub", hub.store.hub_certificates),
        ("provisioning service", hub.store.provisioning_certificates),
    )
    for service, kept in services:
        for one in kept.all():
            found.setdefault(one.der, []).append(Upload(service, one.name, one.verified))
    return found


class _Tree:
    def __init__(self, uploads: dict[bytes, list[Upload]], known: list[bytes], devices: dict[bytes, list[str]]) -> None:
        self._uploads = uploads
        self._devices = devices
        self._children: dict[bytes | str, list[bytes]] = {}
        for der in known:
            certificate = papers.load(der)
            if certificate is None:
                continue
            above: bytes | str | None = papers.issuer_in(der, known)
            if above is None and certificate.issuer != certificate.subject:
                above = papers.name(certificate.issuer)
            self._children.setdefault(above or "", []).append(der)

    def roots(self) -> tuple[Node, ...]:
        by_name = [one for one in self._children if isinstance(one, str) and one]
        return (*self._below(""), *(self._named(one) for one in sorted(by_name)))

    def _below(self, above: bytes | str) -> tuple[Node, ...]:
        nodes = [self._node(der) for der in self._children.get(above, ())]
        return tuple(sorted(nodes, key=lambda node: (node.name, node.key)))

    def _named(self, name: str) -> Node:
        return Node(
            f"name {name}", name, "CA, known by its name alone", "not uploaded", (), "", (), 0, self._below(name)
        )

    def _node(self, der: bytes) -> Node:
        certificate = papers.load(der)
        assert certificate is not None  # noqa: S101 - the others were left out
        paper = Paper.of(certificate)
        uploads, devices = self._uploads.get(der, []), self._devices.get(der, [])
        return Node(
            hashlib.sha256(der).hexdigest()[:16],
            paper.name,
            "root CA" if certificate.issuer == certificate.subject else "intermediate CA",
            _standing(paper, uploads),
            tuple(uploads),
            paper.until,
            tuple(sorted(devices)[:_MOST_BELOW_ONE]),
            max(0, len(devices) - _MOST_BELOW_ONE),
            self._below(der),
        )


def _standing(paper: Paper, uploads: list[Upload]) -> Standing:
    if paper.expired:
        return "expired"
    if any(one.verified for one in uploads):
        return "verified"
    return "not verified" if uploads else "not uploaded"
