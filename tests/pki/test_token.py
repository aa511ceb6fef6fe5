"""PKCS#11 URIs as values: one key, one spelling; and never a place for a PIN."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmint.errors import InputError
from thingmint.pki.token import TokenKey

VALUES = st.from_regex(r"([A-Za-z0-9._~:\[\]@!$'()*+,-]|%[0-9A-F]{2}){1,12}", fullmatch=True)


def test_order_and_the_type_make_no_other_key() -> None:
    one = TokenKey.parse("pkcs11:object=root;token=our%20safe", "--key")
    assert one == TokenKey.parse("pkcs11:type=private;token=our%20safe;object=root", "--key")
    assert str(one) == "pkcs11:token=our%20safe;object=root;type=private"
    assert one.token == "our safe"
    assert TokenKey.parse("pkcs11:serial=%1B%5B2J;id=%01", "--key").token == "%1B%5B2J"  # nothing that moves a cursor


@given(st.permutations(["token", "object", "id", "serial"]), st.lists(VALUES, min_size=4, max_size=4))
def test_what_is_written_reads_the_same(names: list[str], values: list[str]) -> None:
    uri = "pkcs11:" + ";".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
    one = TokenKey.parse(uri, "--key")
    assert TokenKey.parse(str(one), "--key") == one
    assert dict(one.attributes) == dict(zip(names, values, strict=True))


@given(st.text("pkcs1:;=?&%-2Dtokenbjcivalur PIN"), st.sampled_from("?;&"), st.sampled_from(["value", "source"]))
def test_a_pin_is_refused_wherever_it_stands_and_not_repeated(noise: str, sign: str, kind: str) -> None:
    with pytest.raises(InputError, match="holds a PIN") as caught:
        TokenKey.parse(f"pkcs11:token=a;object=b{noise}{sign}pin-{kind}=736251", "--key")
    assert "736251" not in caught.value.render()
