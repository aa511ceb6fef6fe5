"""A shell's environment in which every client of Azure speaks to the lab, and how each shell writes it.

Lines are all that a shell takes from another program, so nothing here changes anything. A value that a shell had is
kept by the shell itself, in a variable beside the new one, and is never printed: a proxy's address may hold a password.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.lab.state import LabFolder, Role

MARK = "LAB_ENV"
"""Set in such a shell, to the lab's folder. (Variables that begin with THINGMINT_ are settings.)"""
_BEFORE = f"{MARK}_BEFORE_"
NOBODY = "00000000-0000-0000-0000-000000000000"
"""An application that exists nowhere."""
_FOLDERS = ("AZURE_CONFIG_DIR", "AZURE_EXTENSION_DIR")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)  # others exist, but no shell can assign them, or reads them


@dataclass(frozen=True)
class Dialect:
    """How a shell assigns text, copies one variable to another, and removes one."""

    assign: Callable[[str, str], str]
    copy: Callable[[str, str], str]
    remove: Callable[[str], str]


def _power_quote(text: str) -> str:
    # PowerShell takes typographic quotes for quotes, too.
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"


def _batch_quote(name: str, text: str) -> str:
    """The line in a file that cmd.exe calls: there a percent sign is written twice."""
    if re.search(r'["\r\n]', text):
        raise InputError(
            f"cmd.exe has no way to write the value of {name}: {text!r}.",
            things_to_try=["use PowerShell: --shell powershell", "name another workspace in THINGMINT_WORKSPACE"],
        )
    return f'@set "{name}={text.replace("%", "%%")}"'


DIALECTS: Mapping[str, Dialect] = {
    "sh": Dialect(
        assign=lambda name, text: f"export {name}={shlex.quote(text)}",
        copy=lambda name, source: f'export {name}="${{{source}-}}"',
        remove=lambda name: f"unset {name}",
    ),
    "powershell": Dialect(
        assign=lambda name, text: f"$env:{name} = {_power_quote(text)}",
        copy=lambda name, source: f"$env:{name} = $env:{source}",
        remove=lambda name: f"Remove-Item -ErrorAction SilentlyContinue Env:{name}",
    ),
    "cmd": Dialect(
        assign=_batch_quote,
        copy=lambda name, source: f'@set "{name}=%{source}%"',
        remove=lambda name: f'@set "{name}="',
    ),
}


def variables(lab: LabFolder, role: Role, proxy_port: int, environment: Mapping[str, str]) -> dict[str, str]:
    """What leads Azure's clients to the lab, and nowhere else, in a shell that has this `environment`."""
    proxy, ca, direct = f"http://127.0.0.1:{proxy_port}", str(lab.ca), "localhost,127.0.0.1"
    own = Path(environment.get("AZURE_CONFIG_DIR") or Path.home() / ".azure")
    return {
        MARK: str(lab.path),
        # Both spellings: curl, Go and Python do not agree on one.
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": direct,
        "no_proxy": direct,
        # In place of all public roots; Node adds it to its own.
        "REQUESTS_CA_BUNDLE": ca,  # Python's requests: az and Microsoft's SDKs
        "CURL_CA_BUNDLE": ca,
        "SSL_CERT_FILE": ca,  # OpenSSL, Go, .NET
        "NODE_EXTRA_CA_CERTS": ca,
        # For DefaultAzureCredential. No secrets: by its real name the lab's sign-in takes any.
        "AZURE_TENANT_ID": role.tenant_id,
        "AZURE_CLIENT_ID": NOBODY,
        "AZURE_CLIENT_SECRET": "the-lab-takes-any",
        "AZURE_SUBSCRIPTION_ID": role.subscription_id,
        # az: sign-ins in a folder of their own, its user's extensions; it neither reports, nor asks, nor installs.
        "AZURE_CONFIG_DIR": str(lab.azure_config),
        "AZURE_EXTENSION_DIR": environment.get("AZURE_EXTENSION_DIR") or str(own / "cliextensions"),
        "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_SURVEY_MESSAGE": "no",
    }


def foreign(environment: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Variables that may hold somebody's real credentials, or lead to them, and that have no place in such a shell."""
    return sorted(name for name in environment if _may_be_secret(name) and name not in wanted and _NAME.fullmatch(name))


def set_up(dialect: Dialect, wanted: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """The lines that set up a shell which has this `environment`.

    What may be a real credential is removed, and kept nowhere. An empty value would not do: SDKs ask whether a variable
    is there.
    """
    lines = []
    if MARK not in environment:  # else what is there is a lab's, and the shell's own is kept already
        kept = [name for name in wanted if name in environment and not _may_be_secret(name)]
        lines = [dialect.copy(_BEFORE + name, name) for name in kept]
    lines += [dialect.remove(name) for name in foreign(environment, wanted)]
    return lines + [dialect.assign(name, text) for name, text in wanted.items()]


def undo(dialect: Dialect, names: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """The lines that put such a shell back: what was kept returns, all else that was set goes."""
    known = {name: _BEFORE + name for name in names}
    kept = {name: before for name, before in known.items() if before in environment}
    return [
        *(dialect.remove(name) for name in known if name not in kept),
        *(dialect.copy(name, before) for name, before in kept.items()),
        # Last: Windows takes https_proxy and HTTPS_PROXY for one.
        *(dialect.remove(before) for before in kept.values()),
    ]


def _may_be_secret(name: str) -> bool:
    return name.startswith(("AZURE_", "ARM_")) and name not in _FOLDERS
