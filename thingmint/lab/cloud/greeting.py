"""What a door and its observers need to know of a connection's TLS handshake."""

import ssl
from collections.abc import Sequence
from typing import Protocol


class Greeting(Protocol):
    """One connection's TLS, and words for the log where it fails. mqtt.trust.Handshake is one."""

    @property
    def context(self) -> ssl.SSLContext: ...

    def explain(self, error: Exception) -> str: ...

    def refuse(self, why: str, *, door: str) -> None: ...


class DeviceGreeting(Greeting, Protocol):
    """One in which a device shows a certificate."""

    @property
    def name(self) -> str:
        """The common name that it showed; empty without one."""

    @property
    def shown(self) -> Sequence[bytes]:
        """Its certificates, DER, its own first."""

    @property
    def for_provisioning(self) -> bool:
        """Whether the provisioning service was asked for, and not the hub."""

    def vouchers(self) -> Sequence[str]:
        """The verified CAs above its certificate; none for one that is known by its thumbprint."""
