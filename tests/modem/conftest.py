"""A modem behind a pty, and one that is talked to."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.modem.host import Host, Nrf, hosting
from thingmint.modem import attention
from thingmint.modem.at import Modem, open_modem

Open = Callable[[], AbstractContextManager[Modem]]


@pytest.fixture
def nrf() -> Nrf:
    return Nrf()


@pytest.fixture
def host(nrf: Nrf) -> Iterator[Host]:
    with hosting(nrf) as one:
        yield one


@pytest.fixture
def told() -> list[str]:
    """The transcript."""
    return []


@pytest.fixture
def modem(host: Host, told: list[str]) -> Iterator[Modem]:
    with open_modem(host.port, tell=told.append) as one:
        host.commands.clear()
        yield one


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never answers is given up sooner."""
    monkeypatch.setattr(attention, "_TRIES", (0.1, 0.2))
    monkeypatch.setattr(attention, "_POKE", 0.1)
