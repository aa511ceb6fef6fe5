"""An authority into the provisioning service, and what becomes of its devices: made, left alone, rolled, deleted, blocked."""

import json
from collections.abc import Iterator

import pytest
from azure.mgmt.iothub import IotHubClient
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.iothubprovisioningservices.models import IotHubDefinitionDescription

from tests.commands.conftest import IMEI, CommandLine
from thingmint import config
from thingmint.console import Console
from thingmint.device.registration import register
from thingmint.errors import HubError
from thingmint.hub.credentials import open_credential
from thingmint.hub.enrollments import Enrollments
from thingmint.hub.transport import client_options
from thingmint.ids import DeviceId
from thingmint.lab import control
from thingmint.lab.thing.sectags import SecTags
from thingmint.session import Session, make_session
from thingmint.target import Target
from thingmint.workflows.lab import simulated
from thingmint.workflows.modem import provisioning

SERVICE, HUB = "provs-iotcore-0xacc5-dev", "iot-hub001-0xacc5-dev.azure-devices.net"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A CA that is enrolled; its lab runs until the module ends."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "enroll")
    yield line
    line.end()


def listed(line: CommandLine) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads(line.ok("enrollments", "--json").stdout)
    return found


def group(line: CommandLine, name: str = "subca") -> dict[str, str]:
    return next(one for one in listed(line)["enrollmentGroups"] if one["enrollmentGroupId"] == name)


def test_enrolling_says_the_id_scope_and_is_done_once(made: CommandLine) -> None:
    again = made.ok("enroll")
    assert again.stderr.count("unchanged:") == 2
    assert again.stdout.startswith("0ne")
    assert "next: invoke device --imei ID --no-register connect --imei ID --dps" in again.stderr
    assert group(made) == {
        "enrollmentGroupId": "subca",
        "provisioningStatus": "enabled",
        "attestation": "x509",
        "certificate": "cert-0xacc5-subca",
        "iotHubs": [HUB],
    }
    assert "group\tsubca\tenabled\tcert-0xacc5-subca" in made.ok("enrollments").stdout
    assert "isVerified" not in made.ok("cas", "--json").stdout  # the hub's own are others


def test_dry_changes_nothing(bare: CommandLine) -> None:
    shown = bare.ok("--dry", "rootca", "subca", "enroll", "enrollments", "enrollment-delete", "--group", "subca")
    assert f"would upload {bare.workspace}" in shown.stderr
    assert f"to {SERVICE} as cert-0xacc5-subca" in shown.stderr
    assert "would make the enrollment group subca" in shown.stderr
    assert f"would delete the enrollment group subca on {SERVICE}" in shown.stderr
    assert not bare.workspace.exists()


def test_what_a_colleague_enrolled_is_not_overwritten(made: CommandLine) -> None:
    made.ok("subca", "--name", "mine")
    refused = made("enroll", "--ca", "mine", "--name", "cert-0xacc5-subca")
    assert refused.returncode == 2
    assert "on the provisioning service:" in refused.stderr
    assert "invoke enroll --ca mine --name cert-0xacc5-subca --replace\n" in refused.stderr
    assert "invoke enroll --ca mine --name cert-0xacc5-subca-<user>\n" in refused.stderr
    refused = made("enroll", "--ca", "mine", "--group", "subca")
    assert refused.returncode == 2
    assert "there:     cert-0xacc5-subca, assigned to" in refused.stderr
    assert "invoke enroll --ca mine --group subca --replace\n" in refused.stderr
    assert "cert-0xacc5-mine" not in made.ok("enrollments").stdout
    rolled = made.ok("enroll", "--ca", "mine", "--group", "subca", "--replace")
    assert f"rolled: the group subca, which was cert-0xacc5-subca, assigned to {HUB}" in rolled.stderr
    assert group(made)["certificate"] == "cert-0xacc5-mine"
    made.ok("enroll", "--ca", "mine", "enroll", "--replace")
    assert group(made)["certificate"] == "cert-0xacc5-subca"
    assert group(made, "mine")["certificate"] == "cert-0xacc5-mine"
    replaced = made.ok("enroll", "--ca", "mine", "--name", "cert-0xacc5-subca", "--group", "mine", "--replace")
    assert f"replaced: cert-0xacc5-subca on {SERVICE}, which was " in replaced.stderr
    assert "the enrollment group subca goes by cert-0xacc5-subca: from now on" in replaced.stderr
    made.ok("enroll", "--replace", "enroll", "--ca", "mine", "--replace")


def test_deleting_a_group_asks_and_says_what_stays(made: CommandLine) -> None:
    made.ok("enroll", "--group", "passing")
    refused = made("enrollment-delete", "--group", "passing")
    assert refused.returncode == 2
    assert "nothing was changed" in refused.stderr
    assert "what stays:" in made.ok("enrollment-delete", "--group", "passing", "--yes").stderr
    assert "unchanged:" in made.ok("enrollment-delete", "--group", "passing", "--yes").stderr
    typed = made("enrollment-delete", "--group", "subca", "--yes", THINGMINT_AZURE_PRODUCTION="true")
    assert typed.returncode == 2
    assert "Type the hub's name" in typed.stderr
    assert group(made)


def test_a_device_that_nobody_registered_comes_in_and_is_heard(made: CommandLine) -> None:
    one = ("--imei", "352656100367872")
    refused = made("device", *one, "--no-register", "connect", *one)
    assert refused.returncode == 2
    assert f"invoke connect --imei {one[1]} --dps" in refused.stderr
    done = made.ok("connect", *one, "--dps")
    assert "temperature" in json.loads(done.stdout)
    for said in (f"assigned: {one[1]} to {HUB}", f"heard: iot-hub001-0xacc5-dev last saw {one[1]}"):
        assert said in done.stderr
    (state,) = listed(made)["registrations"]
    assert (state["registrationId"], state["status"], state["assignedHub"]) == (one[1], "assigned", HUB)
    made.ok("connect", *one)  # by its thumbprint: the hub itself knows no CA
    assert "registered on" in made.ok("show", *one).stderr
    refused = made("device", *one)
    assert "by its certificate's thumbprint" in refused.stderr
    made.ok("device", *one, "--no-register", "--renew")
    assert made("connect", *one).returncode == 5  # the hub knows the old one
    made.ok("connect", *one, "--dps", "connect", *one)


def test_a_simulated_device_whose_firmware_was_built_so_comes_in_as_well(made: CommandLine) -> None:
    made.ok("device", "--imei", "dev-sim", "--no-register")
    session = session_of(made)
    chosen = DeviceId.parse("dev-sim")
    with simulated.plugged_in(session, chosen) as port:
        provisioning.provision(session, imei=chosen.text, port=port)
    memory = SecTags.open(session.workspace.lab / "modems", chosen)
    scope = made.ok("enroll").stdout.strip().encode()
    memory.image.write_bytes(b"Azure IoT Hub sample started\0global.azure-devices-provisioning.net\0" + scope)
    log: list[str] = []
    body = simulated.boot(session, chosen, log.append)
    assert "temperature" in body
    assert any(f"Device ID dev-sim is now registered to {HUB}" in line for line in log)
    assert {one["registrationId"]: one["status"] for one in listed(made)["registrations"]}["dev-sim"] == "assigned"


def test_a_device_that_came_in_is_back_after_its_deletion_and_not_after_its_revocation(made: CommandLine) -> None:
    one = ("--imei", "dev-back")
    made.ok("device", *one, "--no-register", "connect", *one, "--dps")
    assert "is back at its next registration" in made.ok("device-delete", *one, "--yes").stderr
    made.ok("connect", *one, "--dps")
    revoked = made.ok("device-revoke", *one, "--yes")
    assert "was revoked" in made("connect", *one, "--dps").stderr
    (device,) = [found for found in json.loads(made.ok("devices", "--json").stdout) if found["deviceId"] == one[1]]
    assert (device["status"], device["authenticationType"]) == ("disabled", "selfSigned")
    chain, key = (made.workspace / "devices" / f"{one[1]}{end}" for end in (".chain.pem", ".key"))
    with pytest.raises(HubError, match="did not let it in"):  # whoever holds a copy of its files
        register(target_of(made), made.ok("enroll").stdout.strip(), one[1], certificate_chain=chain, key=key)
    line = revoked.stderr.split("to let it in again: invoke ")[1].split()
    assert line[-1] == "--dps"
    made.ok(*line)


@pytest.mark.parametrize("case", ["blocked", "no group", "group disabled", "id scope", "hub not linked"])
def test_who_is_refused_is_told_why(case: str, made: CommandLine) -> None:
    one = ("--imei", "dev-why")
    made.ok("device", *one, "--no-register", "enroll")
    target = target_of(made)
    enrollments = Enrollments(target, open_credential(target))
    environment = {"THINGMINT_AZURE_ID_SCOPE": "0ne00000000"} if case == "id scope" else {}
    says = {
        "blocked": f"let it in again: invoke enrollment-delete --imei {one[1]}",
        "no group": f"No enrollment group of {SERVICE} has its CA",
        "group disabled": "invoke enrollment-delete --group subca enroll --group subca",
        "id scope": f"The id scope of {SERVICE} is 0ne",
        "hub not linked": f"not linked to {SERVICE}",
    }[case]
    if case == "blocked":
        enrollments.block(one[1], (made.workspace / f"devices/{one[1]}.pem").read_bytes())
    elif case == "no group":
        made.ok("enrollment-delete", "--group", "subca", "--yes")
    elif case == "group disabled":
        path = "/enrollmentGroups/subca"
        enrollments._put("", path, lambda found: {**(found or {}), "provisioningStatus": "disabled"})
        assert "invoke enrollment-delete --group subca enroll" in made.ok("enroll").stderr
    elif case == "hub not linked":
        link(target, [])
    refused = made("connect", *one, "--dps", **environment)
    assert refused.returncode == 5
    assert says in refused.stderr
    if case == "hub not linked":
        link(target, [HUB])
    made.ok("enrollment-delete", *one, "--yes", "enrollment-delete", "--group", "subca", "--yes", "enroll")
    made.ok("connect", *one, "--dps")
    enrollments.close()


def test_a_device_that_is_revoked_is_blocked_and_one_that_is_deleted_comes_back(made: CommandLine) -> None:
    made.ok("device", "--imei", IMEI)
    deleted = made.ok("device-delete", "--imei", IMEI, "--yes")
    assert f"is back at its next registration. To keep it out: invoke device-revoke --imei {IMEI}" in deleted.stderr
    revoked = made.ok("device-revoke", "--imei", IMEI, "--yes")
    assert f"blocked: {IMEI} on {SERVICE}" in revoked.stderr
    assert revoked.stderr.index("blocked:") < revoked.stderr.index("no identity") < revoked.stderr.index("revoked:")
    own = {"registrationId": IMEI, "provisioningStatus": "disabled", "attestation": "x509"}
    assert own in listed(made)["enrollments"]
    assert made.ok("device-revoke", "--imei", IMEI, "--yes").stderr.count("unchanged:") == 3
    assert "what stays: its files\n" in revoked.stderr
    again = f"device --imei {IMEI} --renew --no-register connect --imei {IMEI} --dps"
    assert f"to let it in again: invoke enrollment-delete --imei {IMEI} --yes {again}\n" in revoked.stderr
    freed = made.ok("enrollment-delete", "--imei", IMEI, "--yes")
    assert "it is blocked no more" in freed.stderr
    assert "what stays: its identity" not in freed.stderr
    assert f"next: invoke {again} lets it in again" in freed.stderr
    assert "unchanged: the enrollment of" in made.ok("enrollment-delete", "--imei", IMEI, "--yes").stderr
    assert own not in listed(made)["enrollments"]


def test_a_revoked_device_stays_out_of_a_group_that_is_made_later(made: CommandLine) -> None:
    one = ("--imei", "490154203237518")
    made.ok("subca", "--name", "apart", "device", *one, "--ca", "apart", "--no-register")
    assert "blocked: " in made.ok("device-revoke", *one, "--yes").stderr
    made.ok("enroll", "--ca", "apart")
    assert "revoked" in made("connect", *one, "--dps").stderr
    freed = made.ok("enrollment-delete", *one, "--yes").stderr
    assert "blocks" not in freed
    assert "blocked: 490154203237518" in made.ok("enroll", "--ca", "apart").stderr  # what is revoked stays out


def test_what_stands_in_the_way_is_named(made: CommandLine) -> None:
    for words, said in (
        (("enroll", "--group", "a group"), "cannot name an enrollment group"),
        (("enroll", "--group", ""), "--group '' cannot name an enrollment group"),
        (("enrollment-delete", "--group", ""), "--group '' cannot name an enrollment group"),
        (("enroll", "--ca", "nobody"), "invoke subca --name nobody"),
        (("enroll", "--name", "cert subca"), "--name 'cert subca'"),
        (("enrollment-delete",), "needs one of --group NAME and --imei ID"),
        (("enrollment-delete", "--group", "subca", "--imei", IMEI), "cannot be used together"),
        (("connect", "--imei", "a:b", "--dps"), "the device id 'a:b' cannot be used"),
    ):
        done = made(*words)
        assert done.returncode == 2, words
        assert said in done.stderr, done.stderr


def test_a_hub_that_is_not_linked_is_named(bare: CommandLine) -> None:
    bare.ok("rootca", "subca", "lab-up")
    link(target_of(bare), [])
    refused = bare("enroll")
    assert refused.returncode == 2
    assert f"iot-hub001-0xacc5-dev is not linked to {SERVICE}" in refused.stderr
    assert "invoke hub-create" in refused.stderr
    assert listed(bare) == {"enrollmentGroups": [], "enrollments": [], "registrations": []}


def session_of(line: CommandLine) -> Session:
    return make_session(line.workspace, config.load({}), Console(quiet=True, results=False))


def target_of(line: CommandLine) -> Target:
    session = session_of(line)
    return control.start(session).target(session.settings)


def link(target: Target, hubs: list[str]) -> None:
    """To these of the lab, of those that it was linked to before."""
    client = IotDpsClient(
        open_credential(target), target.subscription_id, base_url=target.arm_url, **client_options(target)
    )
    found = client.iot_dps_resource.get(target.provisioning_service, target.resource_group)
    keys = f"HostName={HUB};SharedAccessKeyName=iothubowner;SharedAccessKey={_key(target)}"
    found.properties.iot_hubs = [
        IotHubDefinitionDescription(location="westeurope", connection_string=keys) for _ in hubs
    ]
    client.iot_dps_resource.begin_create_or_update(
        target.resource_group, target.provisioning_service, found, polling_interval=0
    ).result()
    client.close()


def _key(target: Target) -> str:
    client = IotHubClient(
        open_credential(target), target.subscription_id, base_url=target.arm_url, **client_options(target)
    )
    key = client.iot_hub_resource.get_keys_for_key_name(target.resource_group, target.hub, "iothubowner").primary_key
    client.close()  # type: ignore[no-untyped-call]
    return str(key)
