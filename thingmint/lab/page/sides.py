"""Mutual TLS from both sides, for one device: why it trusts the hub, why the hub trusts it, and what was shown last."""

from dataclasses import dataclass
from typing import Literal

from cryptography import x509

from thingmint.errors import InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.lab.cloud import chain
from thingmint.lab.cloud.feed import Shown
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Device
from thingmint.lab.page import papers
from thingmint.lab.page.papers import Paper
from thingmint.lab.thing.sectags import CLIENT_CERTIFICATE, CLIENT_KEY, HIGHEST, ROOT_CA, Entry, SecTags

Holds = Literal["yes", "no", "unknown"]

# What a slot holds that is no certificate: named, and nothing of its content told.
_KINDS = {
    ROOT_CA: "server roots",
    CLIENT_CERTIFICATE: "its certificate",
    CLIENT_KEY: "its private key",
    3: "a pre-shared key",
    4: "the name of a pre-shared key",
    5: "a public key",
}


@dataclass(frozen=True)
class Fact:
    holds: Holds
    text: str


@dataclass(frozen=True)
class Slot:
    """One credential in a modem: where, what it is, and of certificates whose."""

    tag: int
    kind: str
    papers: tuple[Paper, ...]


@dataclass(frozen=True)
class Meeting:
    """The last handshake that this device's name took part in."""

    at: str
    refused: str
    shown: tuple[Paper, ...]


@dataclass(frozen=True)
class Sides:
    device: str
    server: tuple[Paper, ...]  # what the hub shows: its certificate and the CA that signed it
    device_trusts: tuple[Fact, ...]
    slots: tuple[Slot, ...] | None  # None: no simulated modem
    hub_trusts: tuple[Fact, ...]
    meeting: Meeting | None


def sides(hub: Hub, device_id: str) -> Sides:
    shown, turned_away = hub.feed.shown.get(device_id), hub.feed.turned_away.get(device_id)
    ca, server = _server(hub)
    entries = _modem(hub, device_id)
    last = max((one for one in (shown, turned_away) if one), key=lambda one: one.at, default=None)
    return Sides(
        device_id,
        (Paper.of(server), Paper.of(ca)),
        (_trusts(entries, ca, met=shown is not None),),
        None if entries is None else tuple(_slot(entry) for entry in entries),
        _trusted(hub, hub.store.devices.get(device_id), shown or turned_away),
        _meeting(last) if last else None,
    )


def _server(hub: Hub) -> tuple[x509.Certificate, x509.Certificate]:
    """Of the second file, where the key stands too, the certificate alone is read."""
    files = (hub.folder.ca, hub.folder.server_key)
    ca, server = (x509.load_pem_x509_certificate(file.read_bytes()) for file in files)
    return ca, server


def _modem(hub: Hub, device_id: str) -> list[Entry] | None:
    """What the simulated modem of this id holds; None where there is none that can be read."""
    try:
        memory = SecTags.known(hub.folder.modems, DeviceId.parse(device_id))
    except (InputError, ToolError, OSError):  # ids of the hub that no file has, and damaged files
        return None
    return [entry for entry in memory.listing() if entry.tag <= HIGHEST] if memory else None


def _slot(entry: Entry) -> Slot:
    certificates = _certificates(entry) if entry.kind in (ROOT_CA, CLIENT_CERTIFICATE) else []
    return Slot(entry.tag, _KINDS.get(entry.kind, f"type {entry.kind}"), tuple(map(Paper.of, certificates)))


def _certificates(entry: Entry) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(entry.content)
    except ValueError:
        return []


def _trusts(entries: list[Entry] | None, ca: x509.Certificate, *, met: bool) -> Fact:
    if entries is None:
        told = "Unknown: a device outside. What it holds is its own business"
        return Fact("unknown", f"{told}, but it finished a handshake." if met else f"{told}.")
    roots = [entry for entry in entries if entry.kind == ROOT_CA]
    for entry in roots:
        if ca in _certificates(entry):
            return Fact(
                "yes", f"Sec tag {entry.tag} holds {papers.name(ca.subject)}, which signed the hub's certificate."
            )
    held = ", ".join(papers.name(one.subject) for entry in roots for one in _certificates(entry))
    if held:
        return Fact("no", f"Its sec tags hold {held}: not the CA that signed the hub's certificate.")
    return Fact("no", "Its sec tags hold no server root.")


def _trusted(hub: Hub, device: Device | None, shown: Shown | None) -> tuple[Fact, ...]:
    if device is None:
        return (Fact("no", "It is not registered."),)
    registered = Fact(
        "yes" if device.status == "enabled" else "no",
        f"It is registered and {device.status}.",
    )
    return registered, _vouched(hub, device, shown)


def _vouched(hub: Hub, device: Device, shown: Shown | None) -> Fact:
    kind = device.authentication.type
    if kind == "sas":
        return Fact("no", "It is registered for a key, and the lab lets in by certificate alone.")
    leaf = papers.load(shown.certificates[0]) if shown and shown.certificates else None
    if shown is None or leaf is None:
        return Fact("unknown", "It has shown no certificate since this lab was started.")
    if kind == "selfSigned":
        if device.authentication.has_thumbprint(chain.thumbprints(leaf)):
            return Fact("yes", "Its certificate has a thumbprint that it is registered with.")
        return Fact("no", "Its certificate has none of the thumbprints that it is registered with.")
    verified = hub.store.hub_certificates.verified()
    above = papers.path(shown.certificates[0], [*shown.certificates[1:], *verified])
    vouchers = [verified[der] for der in above if der in verified]
    if vouchers:
        return Fact("yes", f"The verified CA {', '.join(vouchers)} stands above its certificate.")
    return Fact("no", "No verified CA stands above its certificate.")


def _meeting(shown: Shown) -> Meeting:
    certificates = [one for der in shown.certificates if (one := papers.load(der))]
    return Meeting(shown.at.isoformat(), shown.why, tuple(map(Paper.of, certificates)))
