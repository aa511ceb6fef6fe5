"""Operators' networks: the released file is valid, each slip is named, and a profile is an expectation."""

import dataclasses
from ipaddress import IPv6Network
from pathlib import Path

import pytest

from thingmint.errors import ConfigError, InputError
from thingmint.network import profiles


def test_the_released_networks() -> None:
    found = profiles.profiles()
    assert list(found) == ["telstra-iot", "tmobile-us", "generic"]
    telstra = profiles.profile("telstra-iot")
    assert (telstra.apn, telstra.family) == ("telstra.iot", "IPV6")  # the article's
    assert telstra.nat64 == (IPv6Network("2001:8004:11d0:4e2a::/96"),)
    assert found["tmobile-us"].unverified == {"apn"}
    assert found["generic"].apn is None


def slip(folder: Path, old: str, new: str) -> ConfigError:
    """The released file with one thing typed otherwise."""
    text = profiles.FILE.read_text(encoding="utf-8")
    assert old in text
    (folder / "mine.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        profiles.profiles(folder / "mine.yaml")
    assert "mine.yaml" in caught.value.message
    assert caught.value.things_to_try
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ('"telstra.iot"', "NO", "telstra-iot.apn", "quote it, as in  apn:"),
        ('"telstra.iot"', "350457791791735879", "telstra-iot.apn", "quote it"),
        ('"telstra.iot"', '"a b\\"c"', "telstra-iot.apn", "an access point name"),
        ('"telstra.iot"', '""', "telstra-iot.apn", "an access point name"),
        ("family: IPV6", "family: IPv6", "telstra-iot.family", "'IPV6'"),
        ("4e2a::/96", "4e2a::/80", "telstra-iot.nat64.0", "one of /32"),
        ("4e2a::/96", "4e2a::1/96", "telstra-iot.nat64.0", "that prefix is 2001:8004:11d0:4e2a::/96"),
        ('["64:ff9b::/96"]', '"64:ff9b::/96"', "generic.nat64", "list"),
        ("[apn]", "[APN]", "tmobile-us.unverified.0", "'apn'"),
        ("apn: null", "apm: null", "generic.apn", "is missing"),
        ("generic:", "Generic Network:", "Generic Network", "a network's name"),
        ("generic:", "2026:", "2026", 'quote it, as in  "2026":'),
    ],
)
def test_a_slip_is_named_with_file_key_and_cure(tmp_path: Path, old: str, new: str, path: str, said: str) -> None:
    error = slip(tmp_path, old, new)
    assert f"{path}: " in error.detail
    assert said in error.render()


def test_a_network_or_key_that_stands_twice_and_an_unknown_key(tmp_path: Path) -> None:
    assert "stands twice" in slip(tmp_path, "generic:", "telstra-iot:").render()
    assert "stands twice" in slip(tmp_path, "  apn: null", "  apn: null\n  apn: null").render()
    assert "generic.mtu: is no known key" in slip(tmp_path, "  apn: null", "  apn: null\n  mtu: 1280").detail


def test_a_file_that_is_gone_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        profiles.profiles(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="`generic:`"):
        profiles.profiles(tmp_path / "empty.yaml")


@pytest.mark.parametrize(
    ("name", "near"), [("telstra", "telstra-iot"), ("Telstra-IoT", "telstra-iot"), ("t-mobile-us", "tmobile-us")]
)
def test_a_wrong_name_is_answered_with_the_near_one(name: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        profiles.profile(name)
    assert caught.value.things_to_try[0] == f"did you mean --network {near}?"


def test_a_name_that_is_near_to_none_is_answered_with_all() -> None:
    with pytest.raises(InputError) as caught:
        profiles.profile("xyz")
    assert "one of telstra-iot, tmobile-us, generic" in caught.value.things_to_try


def test_only_a_prefix_that_nobody_expected_is_a_surprise() -> None:
    telstra = profiles.profile("telstra-iot")
    other = IPv6Network("64:ff9b::/96")
    assert telstra.surprise(frozenset({other, *telstra.nat64})) is None
    assert "expects the NAT64 prefix 2001:8004:11d0:4e2a::/96;" in (telstra.surprise(frozenset({other})) or "")
    without = dataclasses.replace(telstra, nat64=())
    assert "expects no NAT64;" in (without.surprise(frozenset({other})) or "")
