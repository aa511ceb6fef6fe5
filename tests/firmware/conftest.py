"""SDKs to build with: stand-ins of the article's, of the first with IPv6, and of a current one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.firmware import sdks
from thingmint.firmware import application
from thingmint.firmware.sdk import Sdk

VERSIONS = ("2.3.0", "2.4.0", "3.2.0")
MakeSdk = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_sdk_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in {"ZEPHYR_BASE", "STANDIN_FAULT"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def sdk_of(tmp_path_factory: pytest.TempPathFactory) -> MakeSdk:
    """The workspace of a version, made once."""
    made: dict[str, Path] = {}
    if application._SPLIT.search(str(tmp_path_factory.getbasetemp())):
        pytest.skip("no Zephyr build stands on the path of this run's temporary folder")

    def make(version: str) -> Path:
        if version not in made:
            made[version] = sdks.make(tmp_path_factory.mktemp("sdk") / f"v{version}", version)
        return made[version]

    return make


@pytest.fixture(params=VERSIONS)
def any_sdk(request: pytest.FixtureRequest, sdk_of: MakeSdk) -> Sdk:
    return Sdk.read(sdk_of(request.param), named_by="the test's")
