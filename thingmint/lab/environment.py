"""A shell's environment in which every client of Azure speaks to the lab, and how each shell writes it.

Lines are all that a shell takes from another program, so nothing here changes anything. A value that a shell had is
kept by the shell itself, in a variable beside the new one, and is never printed: a proxy's address may hold a password.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.lab.state import LabFolder, Role

MARK = "LAB_ENV"
"""Set in such a shell, to the lab's folder. (Variables that begin with THINGMINT_ are settings.)"""
SHELL = f"{MARK}_SHELL"
"""Beside it: which dialect that shell speaks, so that it is told in its own how to be put back."""
_BEFORE = f"{MARK}_BEFORE_"
_LOCAL = f"{MARK}_LOCAL_"  # the same for a variable that was not exported, where a shell has such
NOBODY = "00000000-0000-0000-0000-000000000000"
"""An application that exists nowhere."""
# What is known to be no credential. Of all else that begins with AZURE_ or ARM_, nobody knows.
# https://learn.microsoft.com/cli/azure/azure-cli-configuration (a section's options: AZURE_{section}_{name})
_SETTING = re.compile(
    r"AZURE_(CORE|DEFAULTS|LOGGING|EXTENSION|CLIENTS)_\w+"
    r"|AZURE_(CONFIG_DIR|CLOUD_NAME|AUTHORITY_HOST|SUBSCRIPTION_ID|HTTP_USER_AGENT|LOG_LEVEL)"
    r"|ARM_(ENVIRONMENT|SUBSCRIPTION_ID)",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)  # others exist, but no shell can assign them, or reads them


@dataclass(frozen=True)
class Dialect:
    """How a shell assigns text, copies one variable to another, and removes one; and takes lines from `invoke lab-env`.

    Where variables may be there without being exported, no other program sees them: `hide` and `unhide` are lines that
    find out in the shell itself.
    """

    name: str
    assign: Callable[[str, str], str]
    copy: Callable[[str, str], str]
    remove: Callable[[str], str]
    use: str
    hide: Callable[[str, str], str] | None = None
    unhide: Callable[[str, str], str] | None = None

    def used(self, options: str = "") -> str:
        """What to type for these options, " --undo" for one."""
        return self.use.format(options)


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
        name="sh",
        assign=lambda name, text: f"export {name}={shlex.quote(text)}",
        copy=lambda name, source: f'export {name}="${{{source}-}}"',
        remove=lambda name: f"unset {name}",
        use='eval "$(invoke lab-env{})"',
        hide=lambda kept, name: f'if [ "${{{name}+x}}" ]; then {kept}=${name}; fi',
        unhide=lambda name, kept: f'if [ "${{{kept}+x}}" ]; then {name}=${kept}; unset {kept}; fi',
    ),
    "powershell": Dialect(
        name="powershell",
        assign=lambda name, text: f"$env:{name} = {_power_quote(text)}",
        copy=lambda name, source: f"$env:{name} = $env:{source}",
        remove=lambda name: f"Remove-Item -ErrorAction SilentlyContinue Env:{name}",
        use="invoke lab-env --shell powershell{} | Out-String | Invoke-Expression",
    ),
    "cmd": Dialect(
        name="cmd",
        assign=_batch_quote,
        copy=lambda name, source: f'@set "{name}=%{source}%"',
        remove=lambda name: f'@set "{name}="',
        use="invoke lab-env --shell cmd{} > lab-env.cmd, then: call lab-env.cmd",
    ),
}
_ALSO = {"bash": "sh", "dash": "sh", "ksh": "sh", "zsh": "sh", "pwsh": "powershell", "cmd.exe": "cmd"}


def spoken(named: str) -> Dialect | None:
    """By any name of a shell that speaks it; None for one that is not known."""
    name = named.casefold()
    return DIALECTS.get(_ALSO.get(name, name))


def at_hand(environment: Mapping[str, str]) -> Dialect:
    """What the shell speaks that has this environment, as far as that can be known."""
    named = environment.get(SHELL) if environment.get(MARK) else None
    return DIALECTS.get(named or "") or DIALECTS["powershell" if os.name == "nt" else "sh"]


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """The folder of the lab that a shell with this environment is set up for. One that cleared the mark is none."""
    return Path(environment[MARK]) if environment.get(MARK) else None


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


def lost(environment: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """What may be somebody's real credential, or a part of one: it is removed or overwritten, and kept nowhere."""
    return sorted(
        name
        for name, text in environment.items()
        if _may_be_secret(name) and _NAME.fullmatch(name) and text != wanted.get(name)
    )


def set_up(dialect: Dialect, wanted: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """The lines that set up a shell which has this `environment`.

    Of Azure's variables none stays but those that are wanted: another might lead to a real account. An empty value
    would not do: SDKs ask whether a variable is there.
    """
    foreign = sorted(name for name in environment if _is_azures(name) and name not in wanted and _NAME.fullmatch(name))
    kept = [name for name in foreign if not _may_be_secret(name)]
    lines = []
    if folder_of(environment) is None:  # else what is wanted there is a lab's, and the shell's own is kept already
        own = [name for name in wanted if not _may_be_secret(name) and name != MARK]
        kept += [name for name in own if name in environment]
        if dialect.hide:
            lines += [dialect.hide(_LOCAL + name, name) for name in own if name not in environment]
    lines += [dialect.copy(_BEFORE + name, name) for name in kept]
    lines += [dialect.remove(name) for name in foreign]
    return lines + [dialect.assign(name, text) for name, text in {**wanted, SHELL: dialect.name}.items()]


def undo(dialect: Dialect, names: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """The lines that put such a shell back: what was kept returns, all else that was set goes."""
    once = (name.removeprefix(_BEFORE) for name in environment if name.startswith(_BEFORE))
    known = {name: _BEFORE + name for name in (*names, *filter(_SETTING.fullmatch, once))}
    kept = {name: before for name, before in known.items() if before in environment}
    return [
        *(dialect.remove(name) for name in (SHELL, *known) if name not in kept),
        *(dialect.unhide(name, _LOCAL + name) for name in known if dialect.unhide and name not in kept),
        *(dialect.copy(name, before) for name, before in kept.items()),
        # Last: Windows takes https_proxy and HTTPS_PROXY for one.
        *(dialect.remove(before) for before in kept.values()),
    ]


def _is_azures(name: str) -> bool:
    return name.startswith(("AZURE_", "ARM_"))


def _may_be_secret(name: str) -> bool:
    return _is_azures(name) and not _SETTING.fullmatch(name)


def forget_tokens(lab: LabFolder) -> None:
    """What `az` cached of a lab that runs no more: the next one knows neither its tokens nor its answers."""
    _remove(lab, "msal_*")


def forget_sign_ins(lab: LabFolder) -> None:
    """What `az` was signed in with, the secret too, which it keeps in plain text; its settings stay.

    https://learn.microsoft.com/cli/azure/msal-based-azure-cli
    """
    forget_tokens(lab)
    _remove(lab, "service_principal_entries.*")
    _remove(lab, "azureProfile.json")


def _remove(lab: LabFolder, pattern: str) -> None:
    for path in lab.azure_config.glob(pattern):
        path.unlink(missing_ok=True)
