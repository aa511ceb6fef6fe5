"""Microsoft's own `az`, unmodified, against the lab: the article's commands with its arguments, in its order."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.commands.conftest import INVOKE, ROOT, CommandLine
from tests.conftest import MakeSession
from thingmint.pki import bench
from thingmint.pki.authority import family, proof

HERE = ROOT / (".az/Scripts/az.bat" if os.name == "nt" else ".az/bin/az")
AZ = str(HERE) if HERE.exists() else shutil.which("az")

pytestmark = [
    pytest.mark.az,
    pytest.mark.skipif(AZ is None, reason="az is not installed (make az)"),
    pytest.mark.skipif(os.name == "nt", reason="the shell that is set up here is a POSIX one"),
    pytest.mark.timeout(400),  # each of some twenty commands takes a second on an idle machine
]

Az = Callable[..., Any]


class Refused(Exception):  # noqa: N818
    """What az said."""


def enter(line: CommandLine) -> Az:
    """`az …` in a shell that `lab-env` set up: the JSON that it printed. Raises Refused."""
    report = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    done = subprocess.run(
        ["/bin/sh", "-c", f'eval "$({INVOKE} lab-env)"; {report}'],
        cwd=ROOT,
        env=line.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    environment = json.loads(done.stdout)

    def az(*words: str) -> Any:
        assert AZ
        done = subprocess.run(
            [AZ, *words], cwd=line.workspace / "ca", env=environment, check=False, capture_output=True, text=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise Refused(done.stderr)
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout.strip()

    return az


def test_the_articles_commands_pass_in_the_articles_order(bare: CommandLine, make_session_in: MakeSession) -> None:
    bare.ok("rootca", "subca")
    az = enter(bare)
    tenant = "22222222-3333-4444-5555-666666666666"
    az("login", "--service-principal", "--username", "me", "--password", "hush-secret", "--tenant", tenant)
    (subscription,) = [one["id"] for one in az("account", "list")]
    az("account", "set", "--subscription", subscription)
    first_four = az("account", "show", "--query", "id", "--output", "tsv")[:4]
    hub, name = f"iot-hub001-0x{first_four}-dev", f"cert-0x{first_four}-subca"
    assert az("iot", "hub", "show", "--name", hub)["properties"]["hostName"] == f"{hub}.azure-devices.net"
    service = az("iot", "dps", "show", "--name", f"provs-iotcore-0x{first_four}-dev")
    assert service["properties"]["idScope"].startswith("0ne")

    def certificate(verb: str, *words: str) -> Any:
        return az("iot", "hub", "certificate", verb, "--hub-name", hub, "--name", name, *words)

    created = certificate("create", "--path", "subca/subca.pem")
    with pytest.raises(Refused, match="already exists"):
        certificate("create", "--path", "subca/subca.pem")
    challenge = certificate("generate-verification-code", "--etag", created["etag"])
    with pytest.raises(Refused, match="412001"):  # each step made the etag of the one before it stale
        certificate("generate-verification-code", "--etag", created["etag"])
    session = make_session_in(bare.workspace, pki_key="ec:P-256")
    with bench.locked(session) as locked:
        signer = family.require(session.workspace, family.DEFAULT)
        proof.make(locked, signer, challenge["properties"]["verificationCode"])
    with pytest.raises(Refused, match="412001"):
        certificate("verify", "--etag", created["etag"], "--path", "subca/proof.pem")
    with pytest.raises(Refused, match="Proof-Of-Possession failed"):
        certificate("verify", "--etag", challenge["etag"], "--path", "subca/subca.pem")
    result = certificate("verify", "--etag", challenge["etag"], "--path", "subca/proof.pem")
    assert result["properties"]["isVerified"] is True
    assert result["etag"] not in {created["etag"], challenge["etag"]}
    assert f"unchanged: {name} is verified" in bare.ok("verify").stderr  # our own tasks see the same hub
    assert certificate("show")["etag"] == result["etag"]
    (listed,) = az("iot", "hub", "certificate", "list", "--hub-name", hub)["value"]
    with pytest.raises(Refused, match="412001"):
        certificate("delete", "--etag", challenge["etag"])
    certificate("delete", "--etag", listed["etag"])
    assert az("iot", "hub", "certificate", "list", "--hub-name", hub)["value"] == []

    folder = bare.workspace / "lab"
    assert (folder / "azure/azureProfile.json").exists()  # az kept its own in there, and nothing at home

    def holding_the_secret() -> list[str]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return [path.relative_to(folder).as_posix() for path in files if b"hush-secret" in path.read_bytes()]

    assert holding_the_secret() == ["azure/service_principal_entries.json"]  # az's own; the lab keeps it nowhere

    bare.ok("lab-down")
    assert not list((folder / "azure").glob("msal_*"))
    az = enter(bare)  # the sign-in outlives the lab that it was made at, its token does not
    assert az("iot", "hub", "list", "--query", "[0].name", "--output", "tsv") == hub
    bare.ok("lab-env", "--undo", LAB_ENV=str(folder))
    assert holding_the_secret() == []
    with pytest.raises(Refused, match="az login"):
        az("account", "show")


def test_the_account_is_filled_by_az_where_it_is_empty(bare: CommandLine) -> None:
    bare.ok("lab-up", "--empty")
    az = enter(bare)
    group, hub, service = "rg-iotcore-dev-001", "iot-hub001-0xacc5-dev", "provs-iotcore-0xacc5-dev"
    az("login", "--service-principal", "--username", "me", "--password", "any", "--tenant", "any.example")
    az("group", "create", "--name", group, "--location", "australiaeast")
    made = ("--resource-group", group, "--name")
    az("iot", "hub", "create", *made, hub, "--sku", "F1", "--partition-count", "2")
    with pytest.raises(Refused, match="Max number of Iot Hubs exceeded for sku = Free"):
        az("iot", "hub", "create", *made, f"{hub}-2", "--sku", "F1", "--partition-count", "2")
    az("iot", "dps", "create", *made, service)
    az("iot", "dps", "linked-hub", "create", "--resource-group", group, "--dps-name", service, "--hub-name", hub)
    assert "unchanged: all of it is there" in bare.ok("hub-create").stderr
    az("group", "delete", "--name", group, "--yes")
    assert az("group", "exists", "--name", group) == "false"
