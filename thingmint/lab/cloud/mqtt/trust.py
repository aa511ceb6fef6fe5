"""Whom the hub lets in over TLS, judged for each connection by the CAs verified at that moment, and why not."""

import contextlib
import ssl
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from cryptography import x509

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.wire import now
from thingmint.target import PROVISIONING_DEVICES

_MOST_CERTIFICATES = 10
_MOST_CONTEXTS = 4
_CERTIFICATE_MESSAGE = 11  # RFC 5246, 7.4

# X509_V_ERR_…, from OpenSSL's x509_vfy.h; the rest is told in OpenSSL's own words.
_IN_WORDS = {
    9: "is not valid yet",
    10: "has expired",
    26: "is not for client authentication (its extendedKeyUsage lacks clientAuth)",
}
_UNKNOWN_ISSUER = {2, 18, 19, 20, 21, 7}


class Contexts:
    """TLS contexts, shared by the connections that are judged by the same CAs: one weighs as much as a whole connection."""

    def __init__(self, hub: Hub, *, certificate: ssl.VerifyMode = ssl.CERT_REQUIRED) -> None:
        self._hub = hub
        self._certificate = certificate
        self._kept: dict[tuple[Path, int, frozenset[bytes]], ssl.SSLContext] = {}
        self.quiet = self._plain()
        """For connections whose handshake is over."""

    def fresh(self) -> ssl.SSLContext:
        """What one connection begins with, until the client has said whom it wants.

        OpenSSL keeps sessions in the context that a connection began with, and looks for them there alone. So none is
        ever found again: a session would outlive the CA that vouched for it, and Python's ssl cannot turn the cache off.
        """
        context = self._plain()
        context.sslobject_class = _Connection
        # By the name that the client asks for: hub and provisioning service have CA certificates of their own.
        context.sni_callback = _on_name
        return context

    def trusting(self, anchors: frozenset[bytes], server: Path) -> ssl.SSLContext:
        """With the server's certificate as it is now: it is renewed while the lab runs."""
        key = (server, server.stat().st_mtime_ns, anchors)
        if key not in self._kept:
            if len(self._kept) >= _MOST_CONTEXTS:
                self._kept.clear()
            self._kept[key] = self.made(anchors, server)
        return self._kept[key]

    def made(self, anchors: frozenset[bytes], server: Path) -> ssl.SSLContext:
        context = self._plain()
        context.load_cert_chain(server)
        if anchors:
            context.load_verify_locations(cadata=b"".join(anchors))
        # The one view of a refused client's certificate that Python's ssl gives (since 3.8, not in its reference).
        context._msg_callback = _on_message  # type: ignore[attr-defined] # noqa: SLF001
        return context

    def _plain(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # 1.2 alone: what the modem and the Azure device SDK speak; and under 1.3 a client learns of its refusal late.
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = self._certificate  # a server's context checks the purpose clientAuth by itself
        # An uploaded intermediate is an anchor by itself. Set whole: the default differs between 3.11 and 3.13.
        context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
        # A ticket would be a session that the client keeps. A second handshake costs the server more than the client.
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        return context


class _Connection(ssl.SSLObject):
    greeting: "weakref.ref[Handshake]"
    first: ssl.SSLContext  # OpenSSL goes on asking it for its callback, and does not keep it

    def getpeercert(self, binary_form: bool = False) -> None:
        """None: asyncio asks once, and keeps what it is told, decoded, for as long as the connection lives."""


def _on_name(connection: Any, name: str | None, _context: ssl.SSLContext) -> None:
    if handshake := _handshake_of(connection):
        handshake.on_name(connection, name)


@contextlib.contextmanager
def odd_names_refused() -> Iterator[None]:
    """Python's ssl cannot hand over a name that is no ASCII. Its handshake fails, and whoever shakes hands tells of it;
    in this block no traceback of Python's own stands beside that."""
    before = sys.unraisablehook

    def passed_on(met: "sys.UnraisableHookArgs") -> None:
        if not (isinstance(met.exc_value, UnicodeDecodeError) and isinstance(met.object, bytes)):
            before(met)

    sys.unraisablehook = passed_on
    try:
        yield
    finally:
        sys.unraisablehook = before


def _on_message(  # the signature is the ssl module's
    connection: Any, direction: str, _version: Any, _content: Any, message: Any, data: bytes
) -> None:
    if direction == "read" and message == _CERTIFICATE_MESSAGE and (handshake := _handshake_of(connection)):
        handshake.on_certificates(connection, data)


def _handshake_of(connection: Any) -> "Handshake | None":
    found: Handshake | None = connection.greeting()
    return found


class Handshake:
    """One connection's TLS: the certificates that the device showed, and the verdict in plain words.

    CAs that come and go count from the next connection on: which ones are trusted is decided in each handshake.
    """

    def __init__(self, hub: Hub, contexts: Contexts, server: Path) -> None:
        """`server` is the file of the certificate that the device is shown, and of its key."""
        self._hub = hub
        self._contexts = contexts
        self._server = server
        self.shown: list[bytes] = []
        self._was_asked = False  # for a name, or for none
        self._judged: dict[frozenset[bytes], list[str]] = {}
        self._certificates = hub.store.hub_certificates

    @property
    def context(self) -> ssl.SSLContext:
        """What asyncio asks for the connection's TLS object, and nothing else."""
        return cast("ssl.SSLContext", self)

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        first = self._contexts.fresh()
        connection = first.wrap_bio(*arguments, **options)
        assert isinstance(connection, _Connection)  # noqa: S101 - its class, set above
        connection.greeting, connection.first = weakref.ref(self), first
        return connection

    def over(self, connection: ssl.SSLObject) -> None:
        """The handshake was good: nobody has to look at the messages that follow."""
        connection.context = self._contexts.quiet

    def on_name(self, connection: ssl.SSLObject, name: str | None) -> None:
        """OpenSSL has read the client's first message; without a name in it (`None`) the hub is meant."""
        self._was_asked = True
        if name in (PROVISIONING_DEVICES, self._hub.role.provisioning_host):
            self._certificates = self._hub.store.provisioning_certificates
        connection.context = self._contexts.trusting(frozenset(self._certificates.verified()), self._server)

    def on_certificates(self, connection: ssl.SSLObject, message: bytes) -> None:
        """OpenSSL has read the client's certificates, and not judged them yet."""
        if self.shown:
            return
        self.shown = _certificates(message)
        leaf = self.leaf
        # A self-signed certificate registered by its thumbprint is its own anchor. The provisioning service lets each
        # certificate in that is in date, and answers in words to what the device then registers as.
        if leaf is not None and (self.for_provisioning or self._registered(leaf)):
            anchors = frozenset({*self._certificates.verified(), self.shown[0]})
            connection.context = self._contexts.made(anchors, self._server)

    @property
    def for_provisioning(self) -> bool:
        """Whether the client asked for the provisioning service, and not for the hub."""
        return self._certificates is self._hub.store.provisioning_certificates

    def _registered(self, leaf: x509.Certificate) -> bool:
        return self._hub.store.devices.have_thumbprint(chain.thumbprints(leaf))

    @property
    def leaf(self) -> x509.Certificate | None:
        return chain.load(self.shown[0]) if self.shown else None

    @property
    def name(self) -> str:
        """The common name that the device showed; empty without one."""
        leaf = self.leaf
        return chain.common_name(leaf.subject) if leaf else ""

    @property
    def who(self) -> str:
        leaf = self.leaf
        return f"certificate CN {chain.common_name(leaf.subject)!r}" if leaf else "no readable certificate"

    def vouchers(self) -> list[str]:
        """The names of the verified CAs, at this moment, that stand above the device's certificate."""
        leaf = self.leaf
        if leaf is None:
            return []
        verified = self._certificates.verified()
        known = self._judged.get(frozenset(verified))
        if known is not None:
            return known  # signatures cost time, and every change of a device asks again
        pool = [cert for der in dict.fromkeys([*self.shown[1:], *verified]) if (cert := chain.load(der))]
        # OpenSSL has not looked above a certificate that is registered by its thumbprint: it was its own anchor.
        above = map(chain.der, chain.standing_above(leaf, pool, now()))
        names = [verified[der] for der in above if der in verified]
        self._judged = {frozenset(verified): names}
        return names

    def refuse(self, why: str, *, door: str) -> None:
        self._hub.refused(self.who, why, door=door, device=True)
        leaf = self.leaf
        if leaf and not self.for_provisioning:
            self._hub.feed.showed(chain.common_name(leaf.subject), self.shown, vouchers=self.vouchers(), why=why)

    def explain(self, error: Exception) -> str:
        """Why the handshake failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            if error.verify_code in _IN_WORDS:
                return f"a certificate of the device's chain {_IN_WORDS[error.verify_code]}"
            if error.verify_code in _UNKNOWN_ISSUER:
                return self._unknown_issuer()
            return f"the device's certificate was not accepted: {error.verify_message}"
        if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return "the device sent no certificate"
        if isinstance(error, ssl.SSLError) and error.reason == "CALLBACK_FAILED" and not self._was_asked:
            return "it asked for a server name that is no ASCII"
        return broken("the device", error)

    def _unknown_issuer(self) -> str:
        if absence := self._hub.absence():  # without a hub, no certificate can be good
            return absence
        leaf = self.leaf
        if leaf is None:
            return "the device's certificate cannot be read"
        uploaded = {one.der: one for one in self._certificates.all()}
        pool = [cert for der in {*self.shown[1:], *uploaded} if (cert := chain.load(der))]
        for issuer in chain.issuers(leaf, pool):
            found = uploaded.get(chain.der(issuer))
            if found and not found.verified:
                return f"its CA is uploaded as {found.name!r} but not verified: prove possession of its key first"
        issuer_name = leaf.issuer.rfc4514_string()
        namesake = next(
            (one.name for der, one in uploaded.items() if (c := chain.load(der)) and c.subject == leaf.issuer), None
        )
        if namesake:
            return f"its issuer calls itself {issuer_name!r} as {namesake!r} does, but has another key"
        return f"unknown issuer: no verified CA certificate there stands above {issuer_name!r}"


def broken(client: str, error: Exception) -> str:
    """Why a handshake failed that no certificate of the client's is to blame for."""
    if not isinstance(error, ssl.SSLError):
        return f"the connection ended during the TLS handshake ({type(error).__name__})"
    words = (error.reason or "unknown error").replace("_", " ").lower()
    return f"{client} broke off: {words} (does it trust lab/ca.pem?)" if "alert" in words else f"TLS failed: {words}"


def _certificates(message: bytes) -> list[bytes]:
    """The DER certificates of a TLS 1.2 Certificate message: lengths of three bytes (RFC 5246, 7.4.2)."""
    found: list[bytes] = []
    at = 4 + 3  # the handshake header and the length of the whole list
    while at + 3 <= len(message) and len(found) < _MOST_CERTIFICATES:
        length = int.from_bytes(message[at : at + 3], "big")
        found.append(bytes(message[at + 3 : at + 3 + length]))
        at += 3 + length
    return found
