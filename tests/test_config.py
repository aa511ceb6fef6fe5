"""The configuration: released files are valid, and every slip is named with file, key and cure."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from thingmint import config
from thingmint.errors import ConfigError

LAB = config.DEFAULT_FILE
AZURE = LAB.with_name("azure.yaml")


def load_text(folder: Path, text: str, **environment: str) -> config.Loaded:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return config.load({"THINGMINT_CONFIG": str(file), **environment})


def changed(section: str, key: str, value: str) -> str:
    """lab.yaml's text with one value put in raw, as somebody would type it."""
    lines, inside = LAB.read_text(encoding="utf-8").splitlines(), False
    for number, line in enumerate(lines):
        if line and not line.startswith((" ", "#")):
            inside = line.startswith(f"{section}:")
        if inside and line.strip().startswith(f"{key}:"):
            lines[number] = f"  {key}: {value}"
    return "\n".join(lines)


def test_the_labs_names_are_the_articles() -> None:
    azure = config.load({}).settings.azure
    assert azure.hub == "iot-hub001-0xacc5-dev"
    assert azure.certificate == "cert-0xacc5-subca"
    assert azure.resource_group == "rg-iotcore-dev-001"
    assert azure.provisioning_service == "provs-iotcore-0xacc5-dev"


def test_azure_yaml_wants_the_subscription_id_and_nothing_else() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load({"THINGMINT_CONFIG": str(AZURE)})
    assert caught.value.detail.splitlines() == [
        line for line in caught.value.detail.splitlines() if line.startswith("azure.subscription_id:")
    ]
    subscription = "12345678-89ab-cdef-0123-456789abcdef"
    loaded = config.load({"THINGMINT_CONFIG": str(AZURE), "THINGMINT_AZURE_SUBSCRIPTION_ID": subscription})
    assert loaded.settings.target == "azure"
    assert loaded.settings.hub_host == "iot-hub001-0x1234-dev.azure-devices.net"


def test_both_files_have_the_same_keys() -> None:
    lab, azure = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (LAB, AZURE))
    assert {key: sorted(value) for key, value in lab.items() if isinstance(value, dict)} == {
        key: sorted(value) for key, value in azure.items() if isinstance(value, dict)
    }


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("pki", "root_cn", "NO", "quote it"),
        ("pki", "root_cn", "350457791791735879", "quote it"),
        ("pki", "root_cn", "1.10", "quote it"),
        ("pki", "root_cn", "2026-11-24", "quote it"),
        ("pki", "root_cn", '"a/O=Evil"', "pki.root_cn"),
        ("pki", "days", '"3650"', "pki.days"),
        ("pki", "days", "0", "pki.days"),
        ("pki", "key", '"rsa:512"', "pki.key"),
        ("pki", "profile", "soft", "pki.profile"),
        ("lab", "autostart", "sometimes", "lab.autostart"),
        ("azure", "hub", '"x"', "azure.hub"),
        ("azure", "hub", '"{{7*7}}"', "azure.hub"),
        ("azure", "resource_group", '"a b"', "azure.resource_group"),
        ("azure", "subscription_id", "1234", "quote it"),
        ("azure", "subscription_id", "null", "azure.subscription_id"),
    ],
)
def test_a_slip_is_named_with_file_key_and_cure(tmp_path: Path, section: str, key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, changed(section, key, value))
    text = caught.value.render()
    assert "mine.yaml" in text
    assert [line.split(":")[0] for line in caught.value.detail.splitlines()] == [f"{section}.{key}"]
    assert said in text
    assert "Things to try" in text


@pytest.mark.parametrize("released", [LAB, AZURE])
def test_a_missing_key_names_the_released_file_that_shows_it(tmp_path: Path, released: Path) -> None:
    text = released.read_text(encoding="utf-8").replace("  idle_minutes: 30", "")
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text, THINGMINT_AZURE_SUBSCRIPTION_ID="12345678-89ab-cdef-0123-456789abcdef")
    assert caught.value.detail == "lab.idle_minutes: is missing"
    assert f"config/{released.name} as released" in caught.value.render()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("target: lab\n  bad: [", "no valid YAML"),
        ("target: lab\ntarget: lab\n", "stands twice"),
        ("target: lab\nnonsense: 1\n", "nonsense: is no known key"),
        ("target: lab\nazure: 5\n", "azure"),
        ("target: !!python/object/apply:os.system [ls]\n", "no valid YAML"),
        ("\x00", "no valid YAML"),
        ("{[a]: 1}", "mine.yaml"),
    ],
)
def test_a_damaged_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    assert said in caught.value.render()


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        config.load({"THINGMINT_CONFIG": str(tmp_path / "none.yaml")})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load({"THINGMINT_CONFIG": str(tmp_path / "binary.yaml")})
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load({"THINGMINT_CONFIG": str(tmp_path)})


def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    text = LAB.read_text(encoding="utf-8").replace("\n", "\r\n")
    (tmp_path / "windows.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert config.load({"THINGMINT_CONFIG": str(tmp_path / "windows.yaml")}).settings == config.load({}).settings


def test_environment_variables_stand_over_the_file() -> None:
    loaded = config.load({"THINGMINT_PKI_DAYS": "7", "THINGMINT_LAB_AUTOSTART": "false", "PATH": "/bin"})
    assert (loaded.settings.pki.days, loaded.settings.lab.autostart) == (7, False)
    assert loaded.overrides == {"pki.days": "THINGMINT_PKI_DAYS", "lab.autostart": "THINGMINT_LAB_AUTOSTART"}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("THINGMINT_PKI_KEYS", "x", "did you mean THINGMINT_PKI_KEY?"),
        ("THINGMINT_PKI_DAYS", "many", "THINGMINT_PKI_DAYS"),
        ("THINGMINT_LAB_AUTOSTART", "maybe", "THINGMINT_LAB_AUTOSTART"),
        ("THINGMINT_TARGET", "aws", "THINGMINT_TARGET"),
    ],
)
def test_a_wrong_environment_variable_is_named(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load({variable: value})
    assert said in caught.value.render()


def test_only_a_near_name_is_suggested() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load({"THINGMINT_PKI_FOO": "x"})
    assert caught.value.things_to_try == ("unset THINGMINT_PKI_FOO",)


def test_the_file_is_not_blamed_for_a_variable() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load({"THINGMINT_PKI_DAYS": "many", "THINGMINT_TARGET": "aws"})
    assert caught.value.message == "the environment (THINGMINT_TARGET, THINGMINT_PKI_DAYS) is invalid."


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )
)
def test_no_yaml_makes_anything_but_settings_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    base = yaml.safe_load(LAB.read_text(encoding="utf-8"))
    text = yaml.safe_dump({**base, **value} if isinstance(value, dict) else value)
    try:
        load_text(tmp_path_factory.getbasetemp(), text)
    except ConfigError as error:
        assert "mine.yaml" in error.render()
