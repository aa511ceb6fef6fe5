"""Runs the lab: every listener in one asyncio loop, in one process, until it is stopped or idle."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable

from thingmint import files
from thingmint.errors import ToolError
from thingmint.lab import state
from thingmint.lab.cloud import account, tls
from thingmint.lab.cloud.advising.watch import Watch
from thingmint.lab.cloud.app import make_app
from thingmint.lab.cloud.faults.faults import Faults
from thingmint.lab.cloud.faults.seeded import Seeded
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.cloud.mqtt import trust
from thingmint.lab.cloud.mqtt.endpoint import MqttEndpoint
from thingmint.lab.cloud.proxy import Proxy
from thingmint.lab.cloud.signin.tokens import Signer
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.cloud.web import Web
from thingmint.lab.listen import Listen
from thingmint.lab.page.routes import make_page
from thingmint.lab.state import LabFolder, LabRecord, LabSecrets, Role
from thingmint.target import PROVISIONING_DEVICES

_HOUSEKEEPING_SECONDS = 0.5
_FAREWELL_SECONDS = 0.4
_MOST_LOOK = 64  # connections to the page
_DEVICES_PORT = 8883  # MQTT over TLS; what azure-iot-device connects to, whatever it is told


def run(
    folder: LabFolder,
    role: Role,
    *,
    ready: Callable[[LabRecord], None] = lambda _record: None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Be the lab until the end. Raises ToolError if this workspace's lab is running already."""
    try:
        # The lock ends with the process, however it ends: nobody else then serves from this folder.
        with (
            files.lock(folder.life_lock, wait_seconds=0, on_wait=lambda: None),
            contextlib.suppress(KeyboardInterrupt),
        ):
            asyncio.run(_Lab(folder, role, ready, tell).serve())
    except ToolError as error:
        if error.message.startswith(str(folder.life_lock)):
            raise ToolError(
                f"a lab runs in {folder.path} already.", things_to_try=["use it", "end it: invoke lab-down"]
            ) from None
        raise


class _Lab:
    _expires: dt.datetime  # of the server's certificate

    def __init__(
        self, folder: LabFolder, role: Role, ready: Callable[[LabRecord], None], tell: Callable[[str], None] | None
    ) -> None:
        self._folder = folder
        self._role = role
        self._ready = ready
        self._tell = tell
        self._last_event = time.monotonic()
        self._stop = asyncio.Event()
        self._files: tuple[int, int] | None = None  # the database, once everything stands

    def _touch(self) -> None:
        self._last_event = time.monotonic()

    async def serve(self) -> None:
        folder, role = self._folder, self._role
        folder.record.unlink(missing_ok=True)
        with contextlib.ExitStack() as held:
            journal = Journal(folder, self._tell)
            held.callback(journal.close)
            held.enter_context(trust.odd_names_refused())
            secrets = state.read_secrets(folder)
            if secrets is None:
                secrets = LabSecrets.random()
                state.write(folder.secrets, secrets)
            self._expires = tls.keep_or_make(folder, role)
            faults = Faults(journal, Seeded(role.chaos) if role.chaos else None)
            store = Store(folder.database)
            held.callback(store.close)
            https, devices, mqtt, proxy, page = (held.enter_context(_listen()) for _ in range(5))
            port = _port(https)
            hub = Hub(folder, role, secrets, store, journal, faults, Watch(faults), port, self._touch, self._stop.set)
            account.open_account(hub, empty=role.empty)
            endpoint = MqttEndpoint(hub)
            outside = held.enter_context(_listen_outside(role.listen)) if role.listen else None
            context = tls.https_context(folder)
            web = Web(hub, make_app(hub, Signer.fresh(role, port), endpoint), context)
            shown = Web(hub, make_page(hub, _port(page)))
            tunnel = Proxy(hub, _doors(role, port, _port(devices), _port(mqtt)))
            for number in (signal.SIGINT, signal.SIGTERM):
                self._on_signal(number)
            tasks = [
                asyncio.create_task(web.serve(sockets=[])),
                asyncio.create_task(shown.serve(sockets=[])),
                asyncio.create_task(web.admit(https)),
                asyncio.create_task(web.admit_devices(devices)),
                asyncio.create_task(shown.admit_plain(page, most=_MOST_LOOK)),
                asyncio.create_task(endpoint.serve(mqtt)),
                asyncio.create_task(tunnel.serve(proxy)),
                asyncio.create_task(self._housekeeping(hub, context)),
                *([asyncio.create_task(endpoint.serve(outside, outside=True))] if outside else []),
            ]
            try:
                while not (web.started and shown.started) and not any(task.done() for task in tasks[:2]):  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.005)
                started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                reached = _port(outside) if outside else 0
                record = LabRecord(
                    os.getpid(), port, _port(mqtt), _port(proxy), _port(page), started, role, outside_port=reached
                )
                journal.write(
                    f"ready: process {record.pid}; {role}; https {record.https_port}, mqtt {record.mqtt_port}, "
                    f"proxy {record.proxy_port}, page {record.page_port}"
                )
                state.write(folder.record, record)  # last: the sign that everything else stands
                self._files = _identity(folder)
                self._ready(record)
                stopping = asyncio.create_task(self._stop.wait())
                await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
            finally:
                if self._files in (None, _identity(folder)):  # else it is another lab's by now
                    folder.record.unlink(missing_ok=True)
                web.should_exit = shown.should_exit = True
                hub.watch.end()  # what a trial changed is put back while there is a store
                hub.feed.close()
                await endpoint.close()
                for task in tasks[2:]:
                    task.cancel()
                # uvicorn waits for each idle client to say goodbye; this long is enough for the last answer.
                await asyncio.wait(tasks[:2], timeout=_FAREWELL_SECONDS)
                for one in (web, shown):
                    one.force_exit = True
                    one.cut()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                for result in results:
                    if isinstance(result, Exception):
                        journal.write(f"failed: {type(result).__name__}: {result}")
                journal.write("ended")

    def _on_signal(self, number: signal.Signals) -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(number, self._stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._stop.set))

    async def _housekeeping(self, hub: Hub, context: ssl.SSLContext) -> None:
        """Whatever one of its jobs fails with, the others are done; the log tells of it once as long as it stays the same."""
        failing: dict[str, str] = {}
        while not self._stop.is_set():
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            for job in (self._end_lone_trial, self._end_when_idle, self._end_without_files, self._renew_certificate):
                name = job.__name__.strip("_").replace("_", " ")
                try:
                    job(hub, context)
                    failing.pop(name, None)
                except Exception as error:  # noqa: BLE001 - the rest of the house is kept all the same
                    why = f"{type(error).__name__}: {error}"
                    if failing.get(name) != why:
                        failing[name] = why
                        hub.journal.write(f"housekeeping: {name}: {why}")

    def _end_lone_trial(self, hub: Hub, _context: ssl.SSLContext) -> None:
        if hub.watch.expire():
            hub.journal.write("advise: ended, since nobody asks about it any more")

    def _end_when_idle(self, hub: Hub, _context: ssl.SSLContext) -> None:
        if time.monotonic() - self._last_event > self._role.idle_seconds:
            hub.journal.write(f"stopping: nothing happened for {self._role.idle_seconds / 60:g} minutes")
            self._stop.set()

    def _end_without_files(self, hub: Hub, _context: ssl.SSLContext) -> None:
        if self._files and (self._files != _identity(self._folder) or not self._folder.record.exists()):
            hub.journal.write(f"stopping: {self._folder.path} was removed, or its lab.json or database")
            self._stop.set()

    def _renew_certificate(self, hub: Hub, context: ssl.SSLContext) -> None:
        """Before it expires."""
        if dt.datetime.now(dt.UTC) > self._expires - tls.RENEW_BEFORE and not self._stop.is_set():
            self._expires = tls.make_certificates(self._folder, self._role)
            context.load_cert_chain(self._folder.server_key)
            hub.journal.write("renewed the server certificate and its CA")


def _identity(folder: LabFolder) -> tuple[int, int] | None:
    """Which file the database is: one that was put in its place is another."""
    try:
        found = folder.database.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _doors(role: Role, https_port: int, devices_port: int, mqtt_port: int) -> dict[str, int]:
    """What the proxy leads to: each name that the lab answers to, where the service of that name answers on Azure."""
    web = {f"{host}:443": https_port for host in tls.hosts(role)[1:]}
    for host in (role.hub_host, PROVISIONING_DEVICES):
        web |= {f"{host}:443": devices_port, f"{host}:{_DEVICES_PORT}": mqtt_port}
    return web


def _listen_outside(listen: Listen) -> socket.socket:
    """On the port that devices use, or on another where that is taken."""
    try:
        return _listen(listen.address, _DEVICES_PORT)
    except OSError:
        return _listen(listen.address)


def _listen(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=256)
    listener.setblocking(False)
    # Accepted sockets inherit it. asyncio sets it only where the socket names its protocol, which create_server's do
    # not: then each answer, sent in two pieces, waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
