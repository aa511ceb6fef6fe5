"""The configuration: one YAML file, environment variables over it, typed and frozen. Errors name file, key and cure."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from thingmint import yamlfile
from thingmint.errors import ConfigError
from thingmint.yamlfile import Section, fits

DEFAULT_FILE = yamlfile.FOLDER / "lab.yaml"
_PREFIX = "THINGMINT_"
_NOT_SETTINGS = {"THINGMINT_CONFIG", "THINGMINT_WORKSPACE"}
_INSTEAD = ("set THINGMINT_CONFIG to a file that does", "unset it to use config/lab.yaml")


_UUID = fits(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "an id like 01234567-89ab-cdef-0123-456789abcdef (`az account show` prints yours)",
)
_COMMON_NAME = fits(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", "a name of 1 to 64 letters, digits, spaces and . _ -")
_HUB_NAME = fits(r"[A-Za-z0-9][A-Za-z0-9-]{1,48}[A-Za-z0-9]", "a hub name: 3 to 50 letters, digits and -")
_GROUP_NAME = fits(r"[A-Za-z0-9._()-]{0,89}[A-Za-z0-9_()-]", "a resource group name: 1 to 90 of A-Z a-z 0-9 . _ ( ) -")
_ID_SCOPE = fits(r"0ne[0-9A-Fa-f]{8}", "an id scope like 0ne00123456 (`az iot dps show` prints yours)")
_LOCATION = fits(r"[a-z0-9]{3,40}", "a location like australiaeast (`az account list-locations` prints them)")
_CERTIFICATE_NAME = fits(r"[A-Za-z0-9._-]{1,64}", "a certificate name: 1 to 64 letters, digits and . _ -")
_VARIABLE = fits(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")
# Where somebody may put the passphrase itself by mistake: what stands there is never repeated.
_NEVER_QUOTED = {"pki.passphrase"}


def _passphrase_source(value: str) -> str:
    # Variables of ours are settings, and unknown ones are refused; descriptors 1 and 2 are outputs.
    source = r"prompt|env:(?!(?i:THINGMINT_))[A-Za-z_][A-Za-z0-9_]*|fd:(0|[3-9]|[1-9][0-9]{1,3})"
    if not re.fullmatch(source, value, re.ASCII):
        raise ValueError(
            "must say where passphrases come from, not what they are: prompt, env:NAME (NAME not beginning with "
            "THINGMINT_) or fd:N (0, or 3 and above)"
        )
    return value


class AzureSettings(Section):
    """The hub and who signs in. `{4}` in a name stands for the first four characters of the subscription id."""

    subscription_id: Annotated[str, _UUID]
    tenant_id: Annotated[str, _UUID] | None
    resource_group: Annotated[str, _GROUP_NAME]
    location: Annotated[str, _LOCATION] = "australiaeast"
    hub: Annotated[str, _HUB_NAME]
    provisioning_service: Annotated[str, _HUB_NAME]
    id_scope: Annotated[str, _ID_SCOPE] | None = None
    certificate: Annotated[str, _CERTIFICATE_NAME]
    auth: Literal["identity", "connection-string"]
    connection_string_variable: Annotated[str, _VARIABLE]
    production: bool


class PkiSettings(Section):
    """How certificates are made. `days` is the default validity, clipped to the issuer's."""

    openssl: Annotated[str, Field(min_length=1)]
    profile: Literal["hardened", "article"]
    root_cn: Annotated[str, _COMMON_NAME]
    subca_cn: Annotated[str, _COMMON_NAME]
    key: Literal["rsa:2048", "ec:P-256"]
    days: Annotated[int, Field(ge=1, le=36500)]
    passphrase: Annotated[str, AfterValidator(_passphrase_source)]


class LabSettings(Section):
    """The local hub: whether tasks start it by themselves, after how many idle minutes it ends, and whether it has a real hub's limits."""

    autostart: bool
    idle_minutes: Annotated[int, Field(ge=1, le=1440)]
    throttle: bool = False


class FirmwareSettings(Section):
    """How firmware is built. `sdk` is the nRF Connect SDK's folder; without it, it is looked for."""

    sdk: Annotated[str, Field(min_length=1)] | None = None


class Settings(Section):
    """The values in force. `target` says whether the hub is the lab's or Azure's."""

    target: Literal["lab", "azure"]
    azure: AzureSettings
    pki: PkiSettings
    lab: LabSettings
    firmware: FirmwareSettings = FirmwareSettings()

    @property
    def hub_host(self) -> str:
        return f"{self.azure.hub}.azure-devices.net"

    @property
    def guarded(self) -> bool:
        """Whether a deletion wants the hub's name typed: a production hub, or one not called a development hub."""
        return self.azure.production or not self.azure.hub.endswith("-dev")


@dataclass(frozen=True)
class Loaded:
    """Settings, the file they are from, and for each key that an environment variable set, that variable."""

    settings: Settings
    file: Path
    overrides: Mapping[str, str]


def load(environment: Mapping[str, str] = os.environ) -> Loaded:
    """The file in force, with the environment over it. Raises ConfigError; nothing is started or written."""
    named = environment.get("THINGMINT_CONFIG")
    file = Path(named).absolute() if named else DEFAULT_FILE
    values = yamlfile.read(file, "azure", instead=_INSTEAD)
    overrides = _override(values, environment, file)
    _expand_names(values)
    try:
        return Loaded(Settings.model_validate(values), file, overrides)
    except ValidationError as error:
        released = "azure.yaml" if values.get("target") == "azure" else DEFAULT_FILE.name
        raise yamlfile.explain(error, file, overrides, released=released, never_quoted=_NEVER_QUOTED) from None


def _override(values: dict[str, Any], environment: Mapping[str, str], file: Path) -> dict[str, str]:
    """Apply THINGMINT_<SECTION>_<KEY> to `values` in place; returns key path → variable."""
    known: dict[str, tuple[str, ...]] = {_PREFIX + "TARGET": ("target",)}
    for section, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key in field.annotation.model_fields:
                known[f"{_PREFIX}{section}_{key}".upper()] = (section, key)
    applied: dict[str, str] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(_PREFIX) or variable in _NOT_SETTINGS:
            continue
        path = known.get(variable)
        if path is None:
            import difflib

            names = [name.removeprefix(_PREFIX) for name in (*known, *_NOT_SETTINGS)]
            near = difflib.get_close_matches(variable.removeprefix(_PREFIX), names, n=1, cutoff=0.75)
            raise ConfigError(
                f"the environment variable {variable} names no setting.",
                things_to_try=[*(f"did you mean {_PREFIX}{name}?" for name in near), f"unset {variable}"],
            )
        parent = values
        for key in path[:-1]:
            parent = parent.setdefault(key, {})
            if not isinstance(parent, dict):
                raise ConfigError(f"{file}: {key} must be a section with keys of its own.")
        parent[path[-1]] = _from_environment(text, path)
        applied[".".join(path)] = variable
    return applied


def _from_environment(text: str, path: tuple[str, ...]) -> object:
    """An environment variable is always text: read it as what its key holds, and leave what fits nothing to pydantic."""
    annotation: object = Settings.model_fields[path[0]].annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        annotation = annotation.model_fields[path[1]].annotation
    if annotation is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if annotation is int and re.fullmatch(r"-?[0-9]{1,9}", text, re.ASCII):
        return int(text)
    return text


def _expand_names(values: dict[str, Any]) -> None:
    azure = values.get("azure")
    if isinstance(azure, dict):
        # An id that is none (a placeholder, a number, nothing) is one mistake: its names are not reported as four more.
        begins = re.match(r"[0-9a-fA-F]{4}", str(azure.get("subscription_id")))
        first_four = begins[0] if begins else "0000"
        for key in ("resource_group", "hub", "provisioning_service", "certificate"):
            if isinstance(azure.get(key), str):
                azure[key] = azure[key].replace("{4}", first_four)
