"""Named authorities over the command line: longer chains, and what a device presents to each anchor of the hub."""

import pytest

from tests.commands.conftest import IMEI, CommandLine


@pytest.fixture
def chained(bare: CommandLine) -> CommandLine:
    """Root, policy, factory-a, and a device below it; nothing is verified on the hub."""
    bare.ok(
        "rootca", "subca", "--name", "policy", "--pathlen", "1", "subca", "--name", "factory-a", "--parent", "policy"
    )
    bare.ok("device", "--imei", IMEI, "--ca", "factory-a")
    return bare


def test_a_device_presents_what_the_hubs_anchor_needs(chained: CommandLine) -> None:
    refused = chained("connect", "--imei", IMEI)
    assert refused.returncode == 2
    assert "verify one: invoke verify --ca factory-a" in refused.stderr
    for anchor, presented in (("rootca", "chain.pem"), ("policy", "chain.pem"), ("factory-a", "pem")):
        chained.ok("verify", "--ca", anchor)
        done = chained.ok("connect", "--imei", IMEI)
        assert f"with {IMEI}.{presented}" in done.stderr
        chained.ok("ca-delete", "--name", f"cert-0xacc5-{anchor}", "--yes")


def test_what_exists_is_agreed_with_and_contradictions_are_named(chained: CommandLine) -> None:
    chained.ok("subca", "--name", "factory-a")  # its parent is known by its certificate
    chained.ok("device", "--imei", IMEI)
    chained.ok("device", "--imei", IMEI, "--renew", "--no-register")
    for words, said in (
        (("subca", "--name", "factory-a", "--parent", "rootca"), "was signed by policy, and --parent rootca"),
        (("subca", "--name", "policy", "--pathlen", "2"), "exists with --pathlen 1, and --pathlen 2"),
        (("subca", "--name", "deeper", "--parent", "factory-a"), "may sign devices only"),
        (("subca", "--name", "deeper", "--parent", "policy", "--pathlen", "1"), "is more than policy can give: 0"),
        (("subca", "--name", "deeper", "--pathlen", "9"), "--pathlen '9'"),
        (("subca", "--name", "deeper", "--parent", "deeper"), "cannot be its own parent"),
        (("subca", "--name", "rootca"), "its own parent"),
        (("subca", "--name", "Factory A"), "cannot be called 'Factory A'"),
        (("subca", "--name", "twin", "--cn", "Development Intermediate CA policy"), "policy is called"),
        (("device", "--imei", IMEI, "--ca", "policy"), "was issued by factory-a, and --ca policy"),
        (("device", "--imei", "other"), "use another: --ca factory-a"),
        (("verify", "--ca", "nobody"), "invoke subca --name nobody"),
    ):
        done = chained(*words)
        assert done.returncode == 2, words
        assert said in done.stderr, done.stderr
    chained.ok("ca-check", "crl", "--ca", "factory-a", "expiring", "--within", "1d", "show", "--ca", "policy")
