"""Who is let in over TLS and MQTT, and the reason in the log for whoever is not."""

import ssl
from pathlib import Path

import pytest

from tests.lab.clients import Lab, is_closed, mqtt_connect, tls, wait_until
from tests.paper import DAY, SERVER, Paper, make

Device = tuple[str, tuple[Path, Path]]
ACCEPTED, BAD_CLIENT_ID, NOT_AUTHORIZED = 0, 2, 5


def code(lab: Lab, device_id: str, files: tuple[Path, Path] | None) -> int:
    with tls(lab, files) as connection:
        return mqtt_connect(lab, connection, device_id)


def assert_refused_in_tls(lab: Lab, files: tuple[Path, Path] | None, reason: str) -> None:
    heard = lab.mark()
    # With TLS 1.2 the refusal is part of the handshake, so that a client cannot miss it.
    with pytest.raises((ssl.SSLError, ConnectionError)), tls(lab, files):
        pass
    wait_until(lambda: reason in heard())


def test_leaf_alone_and_leaf_with_its_chain(lab: Lab, root: Paper, trusted: Paper, tmp_path: Path) -> None:
    lab.register("chain")
    leaf = trusted.issue("chain")
    for files in (leaf.save(tmp_path, "a"), leaf.save(tmp_path, "b", trusted), leaf.save(tmp_path, "c", trusted, root)):
        assert code(lab, "chain", files) == ACCEPTED


def test_anchored_at_the_root(lab: Lab, root: Paper, subca: Paper, tmp_path: Path) -> None:
    lab.register("rooted")
    lab.upload("root", root)
    try:
        leaf = subca.issue("rooted")
        assert code(lab, "rooted", leaf.save(tmp_path, "chain", subca)) == ACCEPTED
        assert_refused_in_tls(lab, leaf.save(tmp_path, "alone"), "unknown issuer")
    finally:
        lab.delete_certificate("root")


def test_certificates_that_openssl_refuses(lab: Lab, trusted: Paper, tmp_path: Path) -> None:
    lab.register("bad")
    rogue_ca = make("Rogue CA")
    namesake = make("Test SubCA")
    cases = [
        (rogue_ca.issue("bad").save(tmp_path, "rogue", rogue_ca), "unknown issuer"),
        (namesake.issue("bad", key_ids=False).save(tmp_path, "namesake"), "but has another key"),
        (trusted.issue("bad", start=-3 * DAY, end=-DAY).save(tmp_path, "old"), "has expired"),
        (trusted.issue("bad", start=DAY).save(tmp_path, "early"), "is not valid yet"),
        (trusted.issue("bad", purpose=SERVER).save(tmp_path, "server"), "not for client authentication"),
        (None, "the device sent no certificate"),
    ]
    for files, reason in cases:
        assert_refused_in_tls(lab, files, reason)


def test_a_ca_that_is_not_verified_yet(lab: Lab, subca: Paper, tmp_path: Path) -> None:
    lab.register("early-bird")
    lab.upload("pending", subca, verified=False)
    try:
        files = subca.issue("early-bird").save(tmp_path, "device")
        assert_refused_in_tls(lab, files, "its CA is uploaded as 'pending' but not verified")
    finally:
        lab.delete_certificate("pending")


def test_refusals_of_the_hub(lab: Lab, trusted: Paper, device_files: Device, tmp_path: Path) -> None:
    device_id, files = device_files
    other = trusted.issue("somebody-else").save(tmp_path, "other")
    unknown = trusted.issue("never-registered").save(tmp_path, "unknown")
    lab.register("switched-off", status="disabled")
    disabled = trusted.issue("switched-off").save(tmp_path, "disabled")
    lab.registry.create_device_with_sas("keyed", "", "", "enabled")
    keyed = trusted.issue("keyed").save(tmp_path, "keyed")
    for who, with_files, expected, reason in (
        (device_id, other, NOT_AUTHORIZED, f"CN 'somebody-else' is not the device id '{device_id}'"),
        ("never-registered", unknown, NOT_AUTHORIZED, "the device 'never-registered' is not registered"),
        (device_id.upper(), files, NOT_AUTHORIZED, "is not registered"),
        ("switched-off", disabled, NOT_AUTHORIZED, "the device 'switched-off' is disabled"),
        ("keyed", keyed, NOT_AUTHORIZED, "is registered for sas"),
        ("a b", files, BAD_CLIENT_ID, "is no valid device id"),
    ):
        heard = lab.mark()
        assert code(lab, who, with_files) == expected
        wait_until(lambda reason=reason, heard=heard: reason in heard())  # type: ignore[misc]
    assert code(lab, device_id, files) == ACCEPTED


def test_a_certificate_registered_by_its_thumbprint(lab: Lab, tmp_path: Path) -> None:
    own = make("whatever", ca=False)
    files = own.save(tmp_path, "own")
    assert_refused_in_tls(lab, files, "unknown issuer")
    lab.registry.create_device_with_x509("pinned-thing", own.thumbprint, "F" * 40, "enabled")
    assert code(lab, "pinned-thing", files) == ACCEPTED
    # Being its own anchor lets it in as itself only, not as a device of the CA with the CN it chose.
    impostor = make("victim", ca=False)
    lab.registry.create_device_with_x509("another", impostor.thumbprint, "F" * 40, "enabled")
    lab.register("victim")
    assert code(lab, "victim", impostor.save(tmp_path, "impostor")) == NOT_AUTHORIZED


@pytest.mark.parametrize("change", ["device deleted", "device disabled", "CA deleted"])
def test_who_loses_the_right_loses_the_connection(lab: Lab, device_files: Device, change: str) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == ACCEPTED
        assert lab.registry.get_device(device_id).connection_state == "Connected"
        heard = lab.mark()
        if change == "device deleted":
            lab.registry.delete_device(device_id)
        elif change == "device disabled":
            etag = lab.registry.get_device(device_id).etag
            lab.registry.update_device_with_certificate_authority(device_id, etag, "disabled")
        else:
            lab.delete_certificate("subca")
        assert is_closed(connection)
    assert f"device '{device_id}': connection closed: " in heard()
    if change == "CA deleted":
        assert_refused_in_tls(lab, files, "unknown issuer")


def test_another_device_stays_when_one_is_deleted(
    lab: Lab, trusted: Paper, device_files: Device, tmp_path: Path
) -> None:
    device_id, files = device_files
    lab.register("bystander-leaver")
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == ACCEPTED
        lab.registry.delete_device("bystander-leaver")
        connection.sendall(b"\xc0\x00")
        assert connection.recv(2) == b"\xd0\x00"


def test_tls_1_2_alone(lab: Lab, device_files: Device) -> None:
    with tls(lab, device_files[1]) as connection:
        assert connection.version() == "TLSv1.2"
