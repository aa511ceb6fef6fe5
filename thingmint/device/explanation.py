"""The exceptions of azure-iot-device as one HubError: what they wrap says more than their class."""

import datetime as dt
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import HubError, PassingError, UntrustedError

_PORT, _WEBSOCKETS_PORT = 8883, 443


@dataclass(frozen=True)
class Service:
    """Who is spoken to, and what to try where it refuses a device; `{id}` stands for the device's id."""

    name: str
    deed: str  # what was tried
    lost: str  # what may have happened where the answer is lost
    distrusts: tuple[str, ...]  # in the TLS handshake
    turns_away: tuple[str, ...]  # after it
    setting: str  # where its name comes from


HUB = Service(
    name="the hub",
    deed="connecting {id} to {host}",
    lost="the message may have arrived",
    distrusts=("the CA must be uploaded and verified: invoke cas, then invoke verify",),
    turns_away=(
        "the hub must have an identity {id!r}, enabled, authenticated by x509_ca: invoke devices",
        "the certificate's CN must be exactly {id!r}: invoke show --imei {id}",
    ),
    setting="check azure.hub: invoke config",
)
PROVISIONING = Service(
    name="the provisioning service",
    deed="registering {id} at {host}",
    lost="the device may be registered",
    distrusts=("the CA must be enrolled: invoke enroll",),
    turns_away=(
        "the id scope must be the provisioning service's: azure.id_scope, and what invoke enroll prints",
        "the device's CA must be enrolled and verified, and the device not blocked: invoke enrollments",
        "the certificate's CN must be {id!r}: invoke show --imei {id}",
    ),
    setting="the network must know Azure's public names",
)


@dataclass(frozen=True)
class Attempt:
    """Who spoke to whom, with which certificates. `local`: the lab is spoken to. `line`: the command that does so."""

    service: Service
    host: str
    device_id: str
    certificate_chain: Path
    local: bool
    websockets: bool
    line: str

    @property
    def port(self) -> int:
        return _WEBSOCKETS_PORT if self.websockets else _PORT

    @property
    def blocked(self) -> list[str]:
        """What to try where nothing comes back."""
        if self.websockets:
            return [f"is port {self.port} (MQTT over websockets) open in the firewall?"]
        return [
            f"is port {self.port} (MQTT) open in the firewall?",
            f"where a network blocks {self.port}: {self.line} --websockets",
        ]

    @property
    def failed(self) -> str:
        return f"{self.service.deed.format(id=self.device_id, host=self.host)} failed"

    def told(self, things: tuple[str, ...]) -> list[str]:
        return [one.format(id=self.device_id) for one in things]


def explain(error: Exception, attempt: Attempt) -> HubError:
    """A PassingError where a device that comes back may get through; a server that is not to be trusted is none of these."""
    chain = list(_causes(error))
    names = {base.__name__ for link in chain for base in type(link).__mro__}
    words = next((str(link) for link in reversed(chain) if str(link)), type(error).__name__)
    host, service = attempt.host, attempt.service
    lab = ["lab/lab.log says why the lab refused it"] if attempt.local else []
    reason = next((str(link.reason) for link in reversed(chain) if isinstance(link, ssl.SSLError)), "")
    if "SSLCertVerificationError" in names:
        return UntrustedError(
            f"{attempt.failed}: the server's certificate is not trusted, so nothing was sent.",
            detail=words,
            things_to_try=(
                ["the lab's own CA may have changed: invoke lab-down lab-up"]
                if attempt.local
                else ["a company proxy may open TLS: MQTT needs a way around it", "check this machine's clock"]
            ),
        )
    if "ALERT" in reason or names & {"SSLError", "ConnectionResetError", "BrokenPipeError"}:
        expired = _expired(attempt.certificate_chain)
        kind, why = HubError, f"{service.name} refused the device's certificate"
        if expired:
            why += f": {expired} has expired."
        elif "ALERT" in reason:
            why += " in the TLS handshake."
        else:  # many servers refuse so, too
            kind, why = PassingError, f"{why} in the TLS handshake, or the connection broke there."
        return kind(
            f"{attempt.failed}: {why}",
            detail=words,
            things_to_try=[
                *([f"renew it: invoke device --imei {attempt.device_id} --renew"] if expired else []),
                *attempt.told(service.distrusts),
                "certificate and chain must be of that CA, and not expired: invoke show --imei ID",
                *lab,
            ],
        )
    if "CredentialError" in names:
        return HubError(
            f"{attempt.failed}: the certificate is trusted, but this device is not let in.",
            detail=words,
            things_to_try=[*attempt.told(service.turns_away), *lab],
            status=401,
        )
    if names & {"ProxyError", "ProtocolProxyError"}:
        return HubError(
            f"{attempt.failed}: the proxy for MQTT does not answer, or refuses.",
            detail=words,
            things_to_try=["is the lab running? invoke lab-up"] if attempt.local else ["check the proxy's settings"],
        )
    if names & {"ServiceError", "NotAssignedError"} and "timed out" not in words:
        status = re.search(r"status code (?:of )?(\d{3})\b", words)
        return HubError(
            f"{attempt.failed}: {service.name} heard the device, and did not let it in.",
            detail=words,
            things_to_try=[*attempt.told(service.turns_away), *lab],
            status=int(status[1]) if status else None,
        )
    if (
        "broker unavailable" in words
    ):  # CONNACK 3; for an id scope: https://github.com/Azure/azure-iot-sdk-python/issues/670
        return PassingError(
            f"{attempt.failed}: {service.name} is not there under that name, or not for now.",
            detail=words,
            things_to_try=[*attempt.told(service.turns_away), *lab],
        )
    if names & {"TimeoutError", "OperationTimeout", "OperationCancelled", "ServiceError"}:
        return PassingError(
            f"{attempt.failed}: no answer in time; {service.lost}.",
            detail=words,
            things_to_try=[
                *attempt.blocked,
                f"does it answer? openssl s_client -connect {host}:{attempt.port}",
                "run the same command again",
                *lab,
            ],
        )
    if "gaierror" in names:
        things = [service.setting, "check the network: DNS, VPN"]
        return HubError(f"{attempt.failed}: the name cannot be resolved.", detail=words, things_to_try=things)
    if names & {"ConnectionDroppedError", "NoConnectionError"}:
        return PassingError(
            f"{attempt.failed}: the connection broke; {service.lost}.",
            detail=words,
            things_to_try=[
                f"another client with the same id makes {service.name} drop the first",
                "run it again",
                *lab,
            ],
        )
    if names & {"ConnectionFailedError", "OSError"}:
        things = [*attempt.blocked, *(["start the lab: invoke lab-up"] if lab else [])]
        return PassingError(f"{attempt.failed}: it cannot be reached.", detail=words, things_to_try=things)
    return HubError(f"{attempt.failed}.", detail=words, things_to_try=lab)


def _expired(certificate_chain: Path) -> str:
    """The first expired certificate of the file, by this machine's clock. Many servers hang up without a reason."""
    from cryptography.x509 import load_pem_x509_certificates

    for certificate in load_pem_x509_certificates(certificate_chain.read_bytes()):
        if certificate.not_valid_after_utc < dt.datetime.now(dt.UTC):
            return f"{certificate.subject.rfc4514_string()} ({certificate.not_valid_after_utc:%Y-%m-%d})"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        # PySocks keeps what it wraps in an attribute.
        error = error.__cause__ or getattr(error, "socket_err", None)
