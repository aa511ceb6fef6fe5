"""Tokens and shared access signatures: whatever is not exactly right is 401."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.clients import Lab
from tests.strength import wild
from tests.strength.test_http import ARM, PROVISIONING, REGISTRY, ask

WILDLY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLACES = (
    "/subscriptions?api-version=2020-01-01",
    "/devices?api-version=2021-04-12",
    "/twins/good?api-version=2021-04-12",
    "/enrollments/x?api-version=2021-10-01",
    "/registrations/x?api-version=2021-10-01",
    "/lab/telemetry",
    "/lab/health",
)


def status(lab: Lab, place: str, authorization: str) -> int:
    return ask(lab, "GET", place, b"", {"Authorization": authorization})[0]


@pytest.fixture(scope="module")
def key(lab: Lab) -> Callable[[str], str]:
    """A policy's key: not in any argument that a failure would tell."""
    secrets = json.loads((lab.running.folder / "secrets.json").read_text())
    policies = secrets["policy_keys"] | secrets["provisioning_keys"]
    return lambda policy: str(policies[policy][0])


def signed(secret: str, resource: str, expiry: str) -> str:
    digest = hmac.digest(base64.b64decode(secret), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    return quote(base64.b64encode(digest), safe="")


def latin(text: str) -> str:
    """As a header may have it: h11 itself refuses control characters."""
    return "".join(c if c.isprintable() else " " for c in text.encode("latin-1", "replace").decode("latin-1")).strip()


_FIELDS = st.sampled_from(["sr", "sig", "se", "skn", "", "%73r", "SR"])
_VALUES = (
    st.sampled_from(["iothubowner", "device", "9999999999", "-1", "9" * 5000, "1e9", "nan", "AAAA", "=", "\xb2"])
    | wild.names
)
_SAS = st.lists(st.tuples(_FIELDS, _VALUES), max_size=8).map(lambda pairs: "&".join(f"{a}={b}" for a, b in pairs))
_JWT = st.lists(wild.bodies | st.just(b'{"alg":"none"}'), min_size=1, max_size=4).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(part[:4000]).decode().rstrip("=") for part in parts)
)


@given(
    place=st.sampled_from(PLACES),
    scheme=st.sampled_from(["SharedAccessSignature", "Bearer", "bearer", "Basic", ""]),
    credential=_SAS | _JWT | wild.names | st.just("x" * 20_000),
)
@WILDLY
def test_whatever_is_no_token(lab: Lab, place: str, scheme: str, credential: str) -> None:
    assert status(lab, place, latin(f"{scheme} {credential}")) == 401


def test_a_signature_that_is_nearly_right(lab: Lab, key: Callable[[str], str]) -> None:
    host, later, past = f"localhost:{lab.running.https_port}", str(int(time.time()) + 60), str(int(time.time()) - 1)
    sr, owner = quote(host, safe=""), key("iothubowner")
    sig = signed(owner, sr, later)
    device = signed(key("device"), sr, later)
    elsewhere = signed(owner, "evil.azure-devices.net", later)
    wrong = [
        f"sr={sr}&sig={signed(owner, sr, past)}&se={past}&skn=iothubowner",
        f"sr={sr}&sig={sig}&se={later}0&skn=iothubowner",
        f"sr={sr}&sig={sig}&se={past}&se={later}&se={past}&skn=iothubowner",
        f"sr={sr}&sig={device}&se={later}&skn=iothubowner",
        f"sr={sr}&sig={device}&se={later}&skn=device",
        f"sr=evil.azure-devices.net&sig={elsewhere}&se={later}&skn=iothubowner",
        f"sr=evil.azure-devices.net&sr={sr}&sig={elsewhere}&se={later}&skn=iothubowner",
        f"sr={sr}&sig=&se={later}&skn=iothubowner",
        f"sr={sr}&sig={sig[:-6]}&se={later}&skn=iothubowner",
        f"sr={sr}&se={later}&skn=iothubowner",
        f"sr={sr}&sig={sig}&se={later}&skn=provisioningserviceowner",
    ]
    place = "/devices?api-version=2021-04-12"
    assert status(lab, place, f"SharedAccessSignature sr={sr}&sig={sig}&se={later}&skn=iothubowner") == 200
    assert [status(lab, place, f"SharedAccessSignature {one}") for one in wrong] == [401] * len(wrong)


def test_a_token_that_is_nearly_right(lab: Lab) -> None:
    """Issued for another service; expired; of another key, algorithm or issuer; without a signature."""
    right = {name: lab.bearer(name)["Authorization"].removeprefix("Bearer ") for name in (ARM, REGISTRY, PROVISIONING)}
    head, body, signature = right[REGISTRY].split(".")
    claims: dict[str, Any] = jwt.decode(right[REGISTRY], options={"verify_signature": False})
    own = ec.generate_private_key(ec.SECP256R1())
    kid = jwt.get_unverified_header(right[REGISTRY])
    public = base64.b64encode(b"public").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    longer = base64.urlsafe_b64encode(json.dumps({**claims, "exp": 9_999_999_999}).encode()).decode().rstrip("=")
    wrong = [
        right[ARM],
        right[PROVISIONING],
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{longer}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.{signature}.{signature}",
        jwt.encode(claims, own, algorithm="ES256", headers={"kid": kid["kid"]}),
        jwt.encode(claims, own, algorithm="ES256", headers={"jwk": {"kty": "EC"}, "x5u": "https://evil.example"}),
        jwt.encode(claims, public * 8, algorithm="HS256", headers={"kid": kid["kid"]}),
    ]
    place = "/devices?api-version=2021-04-12"
    assert status(lab, place, f"Bearer {right[REGISTRY]}") == 200
    assert [status(lab, place, f"Bearer {one}") for one in wrong] == [401] * len(wrong)
