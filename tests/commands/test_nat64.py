"""invoke nat64: one address a line on stdout, who vouches for it and what is doubtful on stderr."""

import json

import pytest

from tests.commands.conftest import CommandLine
from tests.network.nameserver import Zone, serving

ARTICLE = "2001:8004:11d0:4e2a::d46:4ac3"
TELSTRA = ("2001:8004:11d0:4e2a::c000:aa", "2001:8004:11d0:4e2a::c000:ab")


def test_the_articles_address_both_ways(bare: CommandLine) -> None:
    read = bare.ok("nat64", "--address", ARTICLE)
    assert read.stdout == "13.70.74.195\n"
    assert read.stderr == "2001:8004:11d0:4e2a::/96 is known from the profile telstra-iot\n"
    for words in (("--prefix", "2001:8004:11d0:4e2a::/96"), ("--network", "telstra-iot")):
        made = bare.ok("nat64", "--ipv4", "13.70.74.195", *words)
        assert (made.stdout, made.stderr) == (f"{ARTICLE}\n", "")
    assert not bare.workspace.exists()


def test_where_nobody_knows_the_prefix_all_that_fits_is_shown_96_first(bare: CommandLine) -> None:
    done = bare.ok("nat64", "--address", "2001:db8::d46:4ac3")
    assert done.stdout == "13.70.74.195\n"
    assert "/96 is the one length that fits" in done.stderr
    several = bare.ok("nat64", "--address", "2001:db8:c000:221::")
    assert several.stdout.splitlines() == ["192.0.2.33", "2.33.0.0", "33.0.0.0"]
    assert "lengths that fit: /32, /48, /56" in several.stderr
    told = bare.ok("nat64", "--address", "2001:db8:c000:221::", "--prefix", "2001:db8::/32")
    assert told.stdout == "192.0.2.33\n"


def test_json_has_prefix_and_source(bare: CommandLine) -> None:
    read = json.loads(bare.ok("nat64", "--address", ARTICLE, "--json").stdout)
    assert read["readings"] == [
        {"ipv4": "13.70.74.195", "prefix": "2001:8004:11d0:4e2a::/96", "knownFrom": "the profile telstra-iot"}
    ]
    made = json.loads(bare.ok("nat64", "--ipv4", "13.70.74.195", "--network", "generic", "--json").stdout)
    assert made["addresses"] == [{"address": "64:ff9b::d46:4ac3", "prefix": "64:ff9b::/96"}]


def test_discovery_and_what_it_is_good_for(bare: CommandLine) -> None:
    with serving(Zone(aaaa=TELSTRA)) as resolver:
        asked = ("--discover", "--resolver", str(resolver))
        alone = bare.ok("nat64", *asked)
        assert alone.stdout == "2001:8004:11d0:4e2a::/96\n"
        assert alone.stderr.splitlines() == [
            f"target: resolver {resolver}", "found: 2001:8004:11d0:4e2a::/96 (the profile telstra-iot)"
        ]  # fmt: skip
        assert json.loads(bare.ok("nat64", *asked, "--json").stdout) == {"prefixes": ["2001:8004:11d0:4e2a::/96"]}
        assert bare.ok("nat64", *asked, "--ipv4", "13.70.74.195").stdout == f"{ARTICLE}\n"
        assert "known from discovery" in bare.ok("nat64", *asked, "--address", ARTICLE).stderr
        outside = bare.ok("nat64", *asked, "--address", "64:ff9b::d46:4ac3")
        assert "warning: 64:ff9b::d46:4ac3 is behind none of the prefixes discovered here" in outside.stderr


def test_what_is_found_wins_over_a_profile_with_a_warning(bare: CommandLine) -> None:
    with serving(Zone(aaaa=TELSTRA)) as resolver:
        words = ("nat64", "--discover", "--resolver", str(resolver), "--ipv4", "13.70.74.195")
        as_expected = bare.ok(*words, "--network", "telstra-iot")
        assert "warning" not in as_expected.stderr
        other = bare.ok(*words, "--network", "generic")
    assert other.stdout == as_expected.stdout == f"{ARTICLE}\n"
    assert "warning: the profile generic expects the NAT64 prefix 64:ff9b::/96; what was found is used." in other.stderr


def test_a_network_without_nat64_is_exit_code_4_and_dry_asks_nobody(bare: CommandLine) -> None:
    zone = Zone()
    with serving(zone) as resolver:
        words = ("nat64", "--discover", "--resolver", str(resolver))
        dry = bare.ok("--dry", *words)
        assert dry.stderr == f"would ask {resolver} for the IPv6 addresses of ipv4only.arpa\n"
        assert not zone.asked
        done = bare(*words)
    assert (done.returncode, done.stdout) == (4, "")
    assert "it does no DNS64" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--address", "64:ff9b::10.0.0.1"), "10.0.0.1 is no global address, and translators drop those"),
        (("--address", "64:ff9b:1::d46:4ac3"), "RFC 8215"),
        (("--ipv4", "192.168.0.1", "--prefix", "2001:db8::/96"), "only a translator inside the same network"),
        (("--address", ARTICLE, "--network", "generic"), "behind none of the prefixes expected: 64:ff9b::/96"),
    ],
)
def test_what_is_doubtful_is_done_with_a_warning(bare: CommandLine, words: tuple[str, ...], said: str) -> None:
    done = bare.ok("nat64", *words)
    assert "warning: " in done.stderr
    assert said in done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--discover"),
        (("--address", ARTICLE, "--ipv4", "1.2.3.4"), 2, "exclude each other"),
        (("--address", "13.70.74.195"), 2, "--ipv4 13.70.74.195"),
        (("--address", "fe80::1%eth0"), 2, "zone"),
        (("--address", ARTICLE, "--prefix", "64:ff9b::/96"), 2, "does not begin with 64:ff9b::/96"),
        (("--address", "2001:db8::211:22ff:fe33:4455"), 4, "bits 64 to 71"),
        (("--address", "::ffff:13.70.74.195"), 4, "never leaves a machine"),
        (("--ipv4", "13.70.74.195"), 2, "none was named"),
        (("--ipv4", "13.70.74.195", "--prefix", "64:ff9b::1/96"), 2, "that prefix is 64:ff9b::/96"),
        (("--ipv4", "1.2.3.4", "--prefix", "64:ff9b::/96", "--network", "generic"), 2, "both say which prefix"),
        (("--prefix", "64:ff9b::/96"), 2, "invoke nat64 --ipv4"),
        (("--ipv4", "13.70.74.195", "--network", "telstra"), 2, "did you mean --network telstra-iot?"),
        (("--address", ARTICLE, "--resolver", "192.0.2.53"), 2, "belongs to --discover"),
        (("--discover", "--resolver", "dns.example"), 2, "its number, not its name"),
    ],
)
def test_wrong_input_is_one_clear_error(bare: CommandLine, words: tuple[str, ...], code: int, said: str) -> None:
    done = bare("nat64", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
