"""A lab within the tests' own process: its limits can be made small, and its memory looked at."""

import threading
from collections.abc import Callable

from thingmint.lab import requests, state
from thingmint.lab.cloud import server
from thingmint.lab.listen import Listen
from thingmint.lab.state import LabFolder, LabRecord, Role


def role(listen: Listen | None = None) -> Role:
    return Role("acc5", "tenant", "rg", "hub", "provs", idle_seconds=60.0, listen=listen)


def in_process(folder: LabFolder, watch: Callable[[LabRecord], None], plays: Role | None = None) -> None:
    """A lab in this process while another thread watches it; what that meets is raised here."""
    problems: list[BaseException] = []

    def watching(record: LabRecord) -> None:
        try:
            watch(record)
        except BaseException as problem:  # noqa: BLE001 - of a thread
            problems.append(problem)
        finally:
            asked(folder, record, "POST", "/lab/stop")

    threads: list[threading.Thread] = []

    def ready(record: LabRecord) -> None:
        threads.append(threading.Thread(target=watching, args=(record,)))
        threads[0].start()

    server.run(folder, plays or role(), ready=ready)
    threads[0].join()
    if problems:
        raise problems[0]


def asked(folder: LabFolder, record: LabRecord, method: str, path: str) -> object:
    secrets = state.read_secrets(folder)
    assert secrets
    return requests.request(folder, record.https_port, secrets, method, path)
