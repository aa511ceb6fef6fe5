"""What the lab keeps in <workspace>/lab: its paths, the record of a running lab, its secrets and what it plays."""

import dataclasses
import hashlib
import json
import os
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingmint import files, private
from thingmint.errors import ThingmintError, ToolError, cure
from thingmint.lab.chaos import Chaos
from thingmint.lab.listen import Listen
from thingmint.shell import Shell

if TYPE_CHECKING:
    from thingmint.config import Settings  # a lab has no configuration of its own, and need not import what reads one

_LOG_LIMIT = 1_000_000
_LOG_KEEP = 250_000


@dataclass(frozen=True)
class LabFolder:
    """The paths. Everything in here belongs to the lab alone and is for its owner's eyes."""

    path: Path

    @property
    def identity(self) -> str:
        """What tells labs apart, fit for JSON: a path on Linux need not be text."""
        return str(self.path.resolve()).encode("utf-8", "backslashreplace").decode()

    @property
    def record(self) -> Path:
        """Written last by a lab that is ready, removed by one that ends."""
        return self.path / "lab.json"

    @property
    def failure(self) -> Path:
        """Why a lab in the background could not start, for whoever started it."""
        return self.path / "failure.json"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets.json"

    @property
    def role(self) -> Path:
        return self.path / "role.json"

    @property
    def ca(self) -> Path:
        return self.path / "ca.pem"

    @property
    def second_ca(self) -> Path:
        """A second root, for a device's secondary sec tag: what the server's chain may change to."""
        return self.path / "ca-second.pem"

    @property
    def server_key(self) -> Path:
        """The server certificate with its key. The key of the CA that signed it was never on disk."""
        return self.path / "server.pem"

    def faulty_server(self, fault: str) -> Path:
        """What is shown in place of it where the lab misbehaves so."""
        return self.path / f"server-{fault.lower().replace('_', '-')}.pem"

    @property
    def database(self) -> Path:
        return self.path / "lab.sqlite3"

    @property
    def log(self) -> Path:
        return self.path / "lab.log"

    @property
    def modems(self) -> Path:
        """What the simulated modems hold, a file each."""
        return self.path / "modems"

    @property
    def azure_config(self) -> Path:
        """What `az` keeps while a shell is set up for the lab: sign-ins, its choices, its log."""
        return self.path / "azure"

    @property
    def start_lock(self) -> Path:
        """Held while a lab is started: two starts make one lab."""
        return self.path / ".start.lock"

    @property
    def life_lock(self) -> Path:
        """Held by the lab's process as long as it lives, so that "gone" can be waited for."""
        return self.path / ".life.lock"

    def make(self, shell: Shell) -> None:
        try:
            files.make_private_directory(self.path)
            private.require_private(self.path, shell)  # a checkout made the folder with everybody's rights
        except OSError as error:
            raise ToolError(
                f"the lab's folder {self.path} cannot be made: {error.strerror}.",
                things_to_try=[cure(error), "name another workspace in THINGMINT_WORKSPACE"],
            ) from None

    def log_tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return "(there is no log)"


@dataclass(frozen=True)
class Role:
    """The one hub and provisioning service that the lab plays, and when it ends by itself: what it is told at its start."""

    subscription_id: str
    tenant_id: str
    resource_group: str
    hub: str
    provisioning_service: str
    idle_seconds: float
    empty: bool = False  # nothing stands yet: it has to be made first
    throttle: bool = False
    chaos: Chaos | None = None  # it misbehaves on purpose
    listen: Listen | None = None  # devices of a network reach it

    @classmethod
    def of(cls, settings: "Settings") -> "Role":
        azure = settings.azure
        # A configuration without a tenant leaves it to the sign-in; the lab's sign-in needs one, and always the same.
        tenant = azure.tenant_id or str(uuid.uuid5(uuid.NAMESPACE_OID, azure.subscription_id.lower()))
        return cls(
            azure.subscription_id,
            tenant,
            azure.resource_group,
            azure.hub,
            azure.provisioning_service,
            settings.lab.idle_minutes * 60.0,
            throttle=settings.lab.throttle,
        )

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Role":
        chaos, listen = values.get("chaos"), values.get("listen")
        made = {"chaos": Chaos(**chaos) if chaos else None, "listen": Listen(**listen) if listen else None}
        return cls(**{**values, **made})

    @property
    def hub_host(self) -> str:
        return f"{self.hub}.azure-devices.net"

    @property
    def provisioning_host(self) -> str:
        return f"{self.provisioning_service}.azure-devices-provisioning.net"

    @property
    def id_scope(self) -> str:
        """Of the shape of Azure's, and the same at each start: it stands in the firmware of devices."""
        named = f"{self.subscription_id}/{self.provisioning_service}".casefold()
        return f"0ne{hashlib.sha256(named.encode()).hexdigest()[:8].upper()}"

    def same_hub(self, other: "Role") -> bool:
        def key(role: Role) -> tuple[str, ...]:
            names = (role.subscription_id, role.tenant_id, role.resource_group, role.hub, role.provisioning_service)
            return tuple(name.casefold() for name in names)  # ARM ignores case

        return key(self) == key(other)

    def __str__(self) -> str:
        return (
            f"hub {self.hub}, provisioning service {self.provisioning_service}, resource group {self.resource_group}, "
            f"subscription {self.subscription_id}, tenant {self.tenant_id}"
        )


@dataclass(frozen=True)
class LabRecord:
    """lab.json: where a running lab answers. The process id is for people: liveness is proven by a request."""

    pid: int
    https_port: int
    mqtt_port: int
    proxy_port: int
    page_port: int
    started: str
    role: Role
    outside_port: int = 0
    """Of the endpoint on the address that `role.listen` names; 0 without one."""


@dataclass(frozen=True)
class Failure:
    """failure.json: an error of the lab's own process, for the task that waits for it."""

    message: str
    detail: str
    things_to_try: tuple[str, ...]

    @classmethod
    def of(cls, error: ThingmintError) -> "Failure":
        return cls(error.message, error.detail, error.things_to_try)

    def as_error(self) -> ToolError:
        return ToolError(self.message, detail=self.detail, things_to_try=self.things_to_try)


@dataclass(frozen=True)
class LabSecrets:
    """Random for each lab, kept across restarts so that a copied connection string goes on working."""

    client_id: str
    client_secret: str = field(repr=False)
    control_token: str = field(repr=False)
    policy_keys: dict[str, tuple[str, str]] = field(
        repr=False
    )  # of the hub: policy → primary and secondary key, base64
    provisioning_keys: dict[str, tuple[str, str]] = field(repr=False)  # of the provisioning service, likewise

    @classmethod
    def random(cls) -> "LabSecrets":
        # The shared access policies that every new IoT Hub has.
        policies = ("iothubowner", "service", "device", "registryRead", "registryReadWrite")
        return cls(
            client_id=str(uuid.uuid4()),
            client_secret=secrets.token_urlsafe(32),
            control_token=secrets.token_urlsafe(32),
            policy_keys={name: (random_key(), random_key()) for name in policies},
            provisioning_keys={"provisioningserviceowner": (random_key(), random_key())},
        )


def random_key() -> str:
    """A symmetric key as IoT Hub makes them: 32 random bytes in base64."""
    import base64

    return base64.b64encode(secrets.token_bytes(32)).decode()


def read_record(folder: LabFolder) -> LabRecord | None:
    """None where there is none, or where it is damaged: a lab that runs writes a whole one."""
    try:
        values = json.loads(folder.record.read_bytes())
        return LabRecord(**{**values, "role": Role.read(values["role"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_failure(folder: LabFolder) -> Failure | None:
    try:
        return Failure(**json.loads(folder.failure.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def read_secrets(folder: LabFolder) -> LabSecrets | None:
    try:
        values = json.loads(folder.secrets.read_bytes())
        for kind in ("policy_keys", "provisioning_keys"):
            values[kind] = {name: (keys[0], keys[1]) for name, keys in values[kind].items()}
        return LabSecrets(**values)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def read_role(folder: LabFolder) -> Role:
    return Role.read(json.loads(folder.role.read_bytes()))


def write(path: Path, value: LabRecord | LabSecrets | Role | Failure) -> None:
    """Atomic and 0600 from its first moment."""
    content: dict[str, Any] = dataclasses.asdict(value)
    files.replace(path, json.dumps(content, indent=2).encode() + b"\n", mode=files.SECRET)


def open_log(folder: LabFolder) -> int:
    """A descriptor that appends, so that several writers never overwrite each other. Mode 0600."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    return os.open(folder.log, flags, files.SECRET)


def bound_log(folder: LabFolder) -> None:
    """Keep the log's tail once it is large. In place: whoever appends to it goes on doing so at its new end."""
    try:
        if folder.log.stat().st_size <= _LOG_LIMIT:
            return
        with folder.log.open("rb+") as file:
            file.seek(-_LOG_KEEP, os.SEEK_END)
            file.readline()
            kept = file.read()
            file.seek(0)
            file.truncate()
            file.write(b"(older lines were dropped)\n" + kept)
    except OSError:
        return
