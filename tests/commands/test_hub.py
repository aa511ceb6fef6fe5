"""hub-create and hub-show against an empty lab, as a user types them."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.commands.conftest import INVOKE, ROOT, CommandLine
from tests.commands.test_enrolling import target_of
from thingmint.errors import HubError
from thingmint.hub.credentials import open_credential
from thingmint.hub.resources import Resources

GROUP, HUB, SERVICE = "rg-iotcore-dev-001", "iot-hub001-0xacc5-dev", "provs-iotcore-0xacc5-dev"


def log(line: CommandLine) -> str:
    return (line.workspace / "lab/lab.log").read_text()


def test_from_nothing_to_a_linked_hub(bare: CommandLine) -> None:
    bare.ok("lab-up", "--empty")
    missing = bare("hub-show")
    assert missing.returncode == 5
    assert "hub\tmissing" in missing.stdout
    assert "make it: invoke hub-create" in missing.stderr
    for task in (("cas",), ("devices",)):
        refused = bare(*task)
        assert refused.returncode == 5
        assert "make it: invoke hub-create" in refused.stderr
    unasked = bare("hub-create")
    assert unasked.returncode == 2
    assert "make resource group, hub, provisioning service, link in Lab? [y/N]" in unasked.stderr
    assert f"{HUB}     australiaeast  F1, free  to be made" in unasked.stderr
    assert f"{SERVICE}  australiaeast  S1, charged  to be made" in unasked.stderr
    assert "created" not in log(bare)
    made = bare.ok("hub-create", "--yes")
    for done in (f"made: resource group {GROUP}", f"made: hub {HUB}", f"linked: {HUB} → {SERVICE}"):
        assert done in made.stderr
    for words, said in (
        (("--sku", "s1"), f"{HUB}: F1, not S1"),
        (("--location", "West Europe"), f"{SERVICE}: australiaeast, not westeurope"),
    ):
        refused = bare("hub-create", *words)
        assert refused.returncode == 2
        assert said in refused.stderr
    again = bare.ok("hub-create", "--sku", "f1", "--location", "Australia East")  # nobody is asked
    assert "unchanged: all of it is there" in again.stderr
    # What was not given contradicts nothing.
    assert "kept:" not in bare.ok("hub-create", THINGMINT_AZURE_LOCATION="westeurope").stderr
    assert log(bare).count(" created") == 3
    shown = json.loads(bare.ok("hub-show", "--json").stdout)
    assert shown["provisioningService"]["idScope"].startswith("0ne")
    assert shown["provisioningService"]["linkedHubs"] == [shown["hub"]["hostName"]]
    ready = bare.ok("rootca", "subca", "verify", "device", "--imei", "thing", "hub-show")
    assert "hub.verifiedCertificates\t1" in ready.stdout
    assert "hub.devices\t1" in ready.stdout


def test_a_lab_in_which_nothing_was_made_is_still_an_empty_one(bare: CommandLine) -> None:
    for words in (("--empty",), ("--empty",), ()):
        told = bare.ok("lab-up", *words).stderr
        assert f"on this machine, where {HUB}.azure-devices.net is not made yet:" in told
        assert "next: invoke hub-create\n" in told
    assert "unchanged: the lab is running already" in told
    assert "what stays" not in bare.ok("lab-down").stderr
    assert "next: invoke hub-create\n" in bare.ok("lab-up", "--empty").stderr
    bare.ok("hub-create", "--yes")
    told = bare.ok("lab-up").stderr
    assert f"{HUB}.azure-devices.net on this machine:" in told
    assert "next: invoke rootca" in told
    stops: tuple[tuple[str, ...], ...] = ((), ("lab-down",))
    for stop in stops:
        refused = bare(*stop, "lab-up", "--empty")
        assert refused.returncode == 2
        assert "remove lab.sqlite3* in that folder" in refused.stderr


def test_wrong_values_are_refused_before_anything_is_asked(bare: CommandLine) -> None:
    for words in (("--sku", "B1"), ("--sku", ""), ("--location", "the moon!"), ("--location", "")):
        refused = bare("hub-create", "--yes", *words)
        assert refused.returncode == 2
        assert f"{words[0]} {words[1]!r}" in refused.stderr
    assert "--query '[].name'" in refused.stderr
    bare.ok("--dry", "hub-create", "hub-show")
    assert not bare.workspace.exists()


def test_a_production_hub_wants_its_name_typed(bare: CommandLine) -> None:
    bare.ok("lab-up", "--empty")
    refused = bare("hub-create", "--yes", THINGMINT_AZURE_PRODUCTION="true")
    assert refused.returncode == 2
    assert "Type the hub's name" in refused.stderr
    assert "created" not in log(bare)


@pytest.mark.skipif(os.name == "nt", reason="its Ctrl-C reaches a whole console")
def test_cut_off_in_the_middle_and_gone_on_with_by_two_at_once(bare: CommandLine) -> None:
    bare.ok("lab-up", "--empty")

    def begin() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [INVOKE, "hub-create", "--yes"],
            cwd=ROOT,
            env=bare.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    cut = begin()
    deadline = time.monotonic() + 30
    while f"hub {HUB!r} created" not in log(bare) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(cut.pid, signal.SIGINT)
    _, talk = cut.communicate(timeout=30)
    assert cut.returncode == 130
    assert "run the same line again, and it is waited for" in talk
    both = [begin(), begin()]
    talks = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], talks
    assert all(f"there: hub {HUB}" in talk for talk in talks)
    assert log(bare).count(" created") == 3
    assert "unchanged: all of it is there" in bare.ok("hub-create").stderr


def test_a_hub_that_was_deleted_alone_is_made_again_with_its_link(bare: CommandLine) -> None:
    bare.ok("lab-up")
    target = target_of(bare)
    resources = Resources(target, open_credential(target))
    resources._hubs.iot_hub_resource.begin_delete(GROUP, HUB, polling_interval=0).result()
    assert resources.settle_service(lambda: None).is_linked(target.hub_host)
    resources.close()
    unasked = bare("hub-create")
    assert unasked.returncode == 2
    assert "to be made anew: the one that is there is of a hub that is gone" in unasked.stderr
    assert "make hub, link in Lab? [y/N]" in unasked.stderr
    made = bare.ok("hub-create", "--yes").stderr
    assert made.index(f"unlinked: {HUB}") < made.index(f"made: hub {HUB}") < made.index(f"\nlinked: {HUB}")
    assert "unchanged: all of it is there" in bare.ok("hub-create", "hub-show").stderr


def test_what_exists_in_another_location_is_told_so(bare: CommandLine) -> None:
    """As to the slower of two lines that name different locations."""
    bare.ok("lab-up")
    target = target_of(bare)
    resources = Resources(target, open_credential(target))
    with pytest.raises(HubError, match="it exists already, in australiaeast; what exists does not move") as refused:
        resources.make_hub("westeurope", "F1", {}, lambda: None)
    resources.close()
    assert any("that one is kept" in one for one in refused.value.things_to_try)


def test_a_connection_string_is_no_sign_in(bare: CommandLine) -> None:
    for words in (("hub-show",), ("hub-create",), ("enroll",), ("enrollments",)):
        made = () if words != ("enroll",) else ("rootca", "subca")
        refused = bare(*made, *words, THINGMINT_AZURE_AUTH="connection-string")
        assert refused.returncode == 2
        assert f"{words[0]} needs a sign-in: azure.auth is connection-string" in refused.stderr
