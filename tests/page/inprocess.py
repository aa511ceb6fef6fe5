"""The page's server inside the tests' own process: to stop, starve and start it at will."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from thingmint import files
from thingmint.lab.cloud import tls
from thingmint.lab.cloud.advising.watch import Watch
from thingmint.lab.cloud.faults.faults import Faults
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.cloud.web import Web
from thingmint.lab.page.routes import make_page
from thingmint.lab.state import LabFolder, LabSecrets, Role

ROLE = Role("acc5", "tenant", "rg", "hub-dev", "provs", 60.0)


@contextlib.contextmanager
def hub_in(folder: Path) -> Iterator[Hub]:
    files.make_private_directory(folder)
    lab = LabFolder(folder)
    tls.keep_or_make(lab, ROLE)
    with contextlib.closing(Journal(lab)) as journal, contextlib.closing(Store(lab.database)) as store:
        faults = Faults(journal)
        watch = Watch(faults)
        yield Hub(lab, ROLE, LabSecrets.random(), store, journal, faults, watch, 1, lambda: None, lambda: None)


@contextlib.asynccontextmanager
async def serving(hub: Hub, listener: socket.socket) -> AsyncIterator[Web]:
    """At its end each connection is cut, as when a process is killed."""
    port = int(listener.getsockname()[1])
    listener.setblocking(False)
    web = Web(hub, make_page(hub, port))
    tasks = [asyncio.create_task(web.serve(sockets=[])), asyncio.create_task(web.admit_plain(listener, most=64))]
    while not web.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield web
    finally:
        web.cut()
        web.should_exit = web.force_exit = True
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()
