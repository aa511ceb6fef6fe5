"""`invoke lab-env` as a user has it: what goes where, and other programs in the shell that it sets up."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine

SDK = """
import os
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.mgmt.iothub import IotHubClient
for credential in (DefaultAzureCredential(), ClientSecretCredential(os.environ["AZURE_TENANT_ID"], "any", "any")):
    with IotHubClient(credential, os.environ["AZURE_SUBSCRIPTION_ID"]) as client:
        print([hub.properties.host_name for hub in client.iot_hub_resource.list_by_subscription()])
"""


@pytest.fixture
def spaced(tmp_path: Path) -> Iterator[CommandLine]:
    """A workspace whose name a shell would take apart, and a credential in its user's environment."""
    line = CommandLine(tmp_path / "my team's $(ws)")
    line.environment |= {"AZURE_CLIENT_CERTIFICATE_PATH": "/home/me/real.pem", "ARM_CLIENT_SECRET": "real-secret"}
    line.environment |= {"AZURE_CLIENT_SECRET": "real-secret", "AZURE_CORE_OUTPUT": "table"}
    yield line
    line.end()


def in_lab_shell(line: CommandLine, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script in a shell that was set up as the documentation says."""
    return subprocess.run(
        ["/bin/sh", "-c", f'eval "$({shlex.quote(str(INVOKE))} lab-env)"; {script}'],
        cwd=ROOT,
        env={**line.environment, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )


def test_stdout_is_for_the_shell_and_stderr_for_people(spaced: CommandLine) -> None:
    done = spaced.ok("lab-env")
    assert all(re.match(r"(export|unset|if \[) \"?[$A-Za-z_]", line) for line in done.stdout.splitlines())
    lost = ["ARM_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_SECRET"]
    assert f"kept nowhere: {', '.join(lost)}\n" in done.stderr
    assert 'eval "$(invoke lab-env --undo)"' in done.stderr
    assert "real" not in done.stdout
    assert "az login --service-principal" in done.stderr
    if os.name != "nt":
        assert (spaced.workspace / "lab/azure").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name == "nt", reason="the script is for a POSIX shell")
def test_sdks_without_any_option_reach_the_lab_and_nothing_else_is_reached(spaced: CommandLine) -> None:
    done = in_lab_shell(spaced, f"{sys.executable} -c {shlex.quote(SDK)}")
    assert done.stdout == "['iot-hub001-0xacc5-dev.azure-devices.net']\n" * 2, done.stderr
    elsewhere = "import urllib.request; urllib.request.urlopen('https://example.org', timeout=10)"
    assert "403" in in_lab_shell(spaced, f"{sys.executable} -c {shlex.quote(elsewhere)}").stderr
    assert "CONNECT example.org:443" in (spaced.workspace / "lab/lab.log").read_text()


@pytest.mark.skipif(os.name == "nt" or not shutil.which("curl"), reason="needs curl and a POSIX shell")
def test_a_program_that_is_no_sdk_gets_a_token_and_uses_it(spaced: CommandLine) -> None:
    form = "grant_type=client_credentials&client_id=any&client_secret=any&scope=https://management.azure.com/.default"
    script = f"""
        token=$(curl -sSf -d '{form}' "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token" |
            sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
        curl -sSf -H "Authorization: Bearer $token" 'https://management.azure.com/tenants?api-version=2022-12-01'
    """
    done = in_lab_shell(spaced, script)
    assert json.loads(done.stdout)["value"], done.stderr


@pytest.mark.skipif(os.name == "nt", reason="the script is for a POSIX shell")
def test_our_own_tasks_work_in_that_shell_and_afterwards_it_is_as_it_was(spaced: CommandLine) -> None:
    invoke = shlex.quote(str(INVOKE))
    report = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    tasks = f"{invoke} rootca subca verify device --imei {IMEI} connect --imei {IMEI}"
    done = in_lab_shell(spaced, f'{tasks} >&2 && eval "$({invoke} lab-env --undo)" && {report}')
    assert done.returncode == 0, done.stderr
    outside = json.loads(done.stdout)
    assert outside["HTTPS_PROXY"] == spaced.environment["HTTPS_PROXY"]
    assert [name for name in outside if name.startswith(("LAB_ENV", "AZURE_", "ARM_"))] == ["AZURE_CORE_OUTPUT"]
    assert spaced.ok("lab-env", "--undo").stdout == ""


def test_with_azure_as_the_target_it_is_refused_and_in_its_shell_azure_is(bare: CommandLine) -> None:
    refused = bare("lab-env", THINGMINT_TARGET="azure")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "target is azure" in refused.stderr
    inside = bare("cas", THINGMINT_TARGET="azure", LAB_ENV="/somewhere/lab")
    assert inside.returncode == 2
    assert "set up for the lab in /somewhere/lab: nothing in it reaches Azure" in inside.stderr
    windows = {"LAB_ENV": "/somewhere/lab", "LAB_ENV_SHELL": "powershell"}
    inside = bare("cas", THINGMINT_TARGET="azure", **windows)
    assert "invoke lab-env --shell powershell --undo | Out-String | Invoke-Expression" in inside.stderr
    assert "Env:HTTPS_PROXY" in bare.ok("lab-env", "--undo", **windows).stdout
    assert "unchanged:" in bare.ok("lab-env", "--undo", LAB_ENV="").stderr


def test_what_az_was_signed_in_with_goes_with_the_shell_and_its_tokens_with_the_lab(spaced: CommandLine) -> None:
    spaced.ok("lab-env")
    folder = spaced.workspace / "lab/azure"
    kept = {"config", "clouds.config"}
    secret = {"service_principal_entries.json", "azureProfile.json"}
    for name in {*kept, *secret, "msal_token_cache.json", "msal_http_cache.bin"}:
        (folder / name).touch()
    spaced.ok("lab-down")
    assert {path.name for path in folder.iterdir()} == kept | secret
    spaced.ok("--dry", "lab-env", "--undo", LAB_ENV=str(spaced.workspace / "lab"))
    assert (folder / "azureProfile.json").exists()
    spaced.ok("lab-env", "--undo", LAB_ENV=str(spaced.workspace / "lab"))
    assert {path.name for path in folder.iterdir()} == kept


def test_an_unknown_shell_is_refused_and_dry_starts_nothing(bare: CommandLine) -> None:
    for shell in ("fish", ""):
        unknown = bare("lab-env", "--shell", shell)
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert "powershell" in unknown.stderr
    dry = bare.ok("--dry", "lab-env")
    assert dry.stdout == ""
    assert not (bare.workspace / "lab").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only there a folder's name need not be text")
def test_a_folder_whose_name_is_no_text_is_refused_and_not_written_wrongly(tmp_path: Path) -> None:
    line = CommandLine(Path(os.fsdecode(bytes(tmp_path) + b"/w\xff")))
    done = line("lab-env")
    line.end()
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written in this shell's encoding" in done.stderr
