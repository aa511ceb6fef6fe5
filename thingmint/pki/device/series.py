"""A series of devices: keys, CSRs and checks on all cores, `openssl ca -infiles` in batches, published as they come.

While openssl signs one batch, workers publish the one before and prepare the one after. Each batch is a transaction of
its own; a run that is cut off anywhere goes on where it was, since each step finds what exists.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass

from thingmint import files
from thingmint.errors import CheckError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.bench import Bench, explained
from thingmint.pki.device import identity, piecework, workforce
from thingmint.pki.device.piecework import Issued, Job, Prepared
from thingmint.pki.device.record import DeviceFiles
from thingmint.pki.device.workforce import WORKERS, collect, shares
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access
from thingmint.pki.profile import DEVICE
from thingmint.pki.signer import Signer
from thingmint.pki.signing import issuing
from thingmint.pki.signing.order import Keys, Terms
from thingmint.pki.signing.transaction import recover, transaction
from thingmint.pki.wish import Wish
from thingmint.session import Session

BATCH = {"rsa": max(50, 25 * WORKERS), "ec": 300 if os.name == "nt" else 500}
"""Devices a batch: openssl's cost a certificate is flat from 100 on, and Windows limits a command line to 32,767
characters; RSA keys take so long that a smaller one is told of sooner."""
SHIFT_SECONDS = 10.0
"""How long the authority is kept locked at a stretch: then others get their turn."""
_TURN_SECONDS = 0.1
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Refusal:
    """A device of the series that was not done, and why; the others are."""

    device: DeviceId
    problem: str


@dataclass(frozen=True)
class Outcome:
    """What became of one batch: certificates made, devices found complete, and those that were refused."""

    made: int
    unchanged: int
    refused: tuple[Refusal, ...]


def require_possible(session: Session, signer: Signer, devices: Sequence[DeviceId]) -> None:
    """What would stop all of them, asked before the hub is told of any: a locked key's secret is asked for here."""
    if any(not DeviceFiles.of(session.workspace, one).certificate.exists() for one in devices):
        signer.able_to_sign()
        access.unlock(session, signer)


def batch_size(session: Session, wish: Wish) -> int:
    return BATCH[(wish.key or session.settings.pki.key).partition(":")[0]]


def make(
    session: Session,
    signer: Signer,
    batches: Iterable[Sequence[DeviceId]],
    wish: Wish,
    *,
    asked_signer: AuthorityName | None = None,
    registered_on: str | None = None,
    done: Callable[[Outcome], None],
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Make the devices of each batch; `done` is told of each one, from another thread. Batches are taken meanwhile.

    `stopping` is told where it ends early, by Ctrl-C or by what the supply raised: what is begun is finished first.

    Raises ToolError or CheckError where the authority itself fails: that batch is put back, the earlier ones stand.
    """
    job = Job(
        session.workspace.root,
        signer,
        asked_signer.text if asked_signer else None,
        wish,
        session.settings.pki.key,
        Terms(DEVICE, wish.days),
        session.settings.pki.profile == "hardened",
        session.settings.pki.openssl,
    )
    with workforce.workers() as workers, ThreadPoolExecutor(1) as thread:
        line = _Line(job, workers, registered_on, done)
        running = thread.submit(line.run, session)
        try:
            for batch in batches:
                if not line.offer(batch, running):
                    break
            line.close()
            running.result()
        except BaseException:
            if not running.done():
                stopping()
                line.stop()
            raise
        finally:
            line.close()
            wait([running])


def rehearse(locked: Bench, signer: Signer, devices: Sequence[DeviceId], wish: Wish) -> None:
    """With --dry: the openssl lines of the series; keys and CSRs are made in process, without one."""
    size = batch_size(locked.session, wish)
    for first in range(0, len(devices), size):
        requests = [piecework.request_of(locked.workspace, one) for one in devices[first : first + size]]
        issuing.sign_dry(locked, signer, requests, Terms(DEVICE, wish.days))


class _Line:
    """The production line, in a thread of its own: at most one batch is prepared, one signed and one published at a time.

    Batches come from the thread that speaks to the hub, which may take its time; nobody is locked out meanwhile.
    """

    def __init__(
        self, job: Job, workers: ProcessPoolExecutor, registered_on: str | None, done: Callable[[Outcome], None]
    ) -> None:
        self._job = job
        self._workers = workers
        self._registered_on = registered_on
        self._done = done
        self._offered: queue.Queue[Sequence[DeviceId]] = queue.Queue(1)
        self._closed = threading.Event()
        self._stopped = threading.Event()
        self._ahead: list[Future[list[Prepared]]] = []
        self._publishing: list[Future[None]] = []
        self._outcome: Outcome | None = None

    # --- the side of the supply --------------------------------------------------------------------------------

    def offer(self, batch: Sequence[DeviceId], running: Future[None]) -> bool:
        """Hand over a batch as soon as there is room. False where the line has come to an end by itself."""
        while not running.done():
            with contextlib.suppress(queue.Full):
                self._offered.put(batch, timeout=_POLL_SECONDS)
                return True
        return False

    def stop(self) -> None:
        """Sign no further batch: what is being signed is finished and published, and keys that were made stay."""
        self._stopped.set()

    def close(self) -> None:
        """There are no more."""
        self._closed.set()

    # --- the side of the authority -----------------------------------------------------------------------------

    def run(self, session: Session) -> None:
        """Shift after shift, until the supply is closed and empty."""
        batch = self._next()
        while (batch is not None or self._ahead) and not self._stopped.is_set():
            with bench.locked(session) as locked:
                self._shift(locked, batch)
            batch = None if self._ahead else self._next()
            if batch is not None or self._ahead:
                time.sleep(_TURN_SECONDS)  # the lock is polled for: whoever waits has it now

    def _next(self) -> Sequence[DeviceId] | None:
        """Wait for a batch; None where no more will come."""
        while True:
            closed = self._closed.is_set()  # asked first: a batch may still be handed over before that
            with contextlib.suppress(queue.Empty):
                return self._offered.get(timeout=0 if closed else _POLL_SECONDS)
            if closed:
                return None

    def _shift(self, locked: Bench, batch: Sequence[DeviceId] | None) -> None:
        """Batch after batch for SHIFT_SECONDS, or until none is there; nothing is in flight afterwards."""
        recover(locked, self._job.signer)
        issuer = inspect.read_certificate(self._job.signer.certificate)
        chain = (issuer, *family.above(locked.workspace, issuer))
        above = b"".join(one.pem for one in chain if not one.issued_by(one))
        ends = time.monotonic() + SHIFT_SECONDS
        self._prepare(batch)
        try:
            while self._ahead and time.monotonic() < ends:
                prepared, self._ahead = collect(self._ahead), []
                if self._stopped.is_set():
                    break
                self._prepare_next()
                issued, outcome = _sign(locked, self._job, issuer, prepared, self._workers)
                self._published()
                self._publishing = [
                    self._workers.submit(piecework.publish, self._job, share, above, self._registered_on)
                    for share in shares(issued)
                ]
                self._outcome = outcome
                if not self._ahead:
                    self._prepare_next()
        finally:
            # Nobody may be writing when the lock is given back.
            wait(self._ahead)
            wait(self._publishing)
        self._published()

    def _prepare(self, batch: Sequence[DeviceId] | None) -> None:
        for share in shares(batch or ()):
            self._ahead.append(self._workers.submit(piecework.prepare, self._job, share))

    def _prepare_next(self) -> None:
        """The next batch, where one has been handed over."""
        with contextlib.suppress(queue.Empty):
            self._prepare(self._offered.get_nowait())

    def _published(self) -> None:
        """Wait for it, then tell of the batch: what is not published counts for nothing. Raises what went wrong."""
        for one in self._publishing:
            one.result()
        if self._outcome:
            self._done(self._outcome)
        self._publishing, self._outcome = [], None


def _sign(
    locked: Bench, job: Job, issuer: Certificate, prepared: Sequence[Prepared], workers: ProcessPoolExecutor
) -> tuple[list[Issued], Outcome]:
    """One batch through openssl: what came out, read back, and what became of each device."""
    signer = job.signer
    refused = {one.device.text: Refusal(one.device, one.problem) for one in prepared if one.problem}
    wanted = {
        piecework.request_of(locked.workspace, one.device): one.public_key
        for one in prepared
        if not one.done and not one.problem
    }
    found = issuing.already_issued(locked, signer, wanted, job.terms, issuer)
    missing = {request: key for request, key in wanted.items() if request not in found}
    for request, error in issuing.refusals(signer, missing).items():
        refused[request.common_name] = Refusal(DeviceId(request.common_name), error.message)
    clashes = identity.clashes(locked.workspace, [request.common_name for request in missing])
    for name, other in clashes.items():
        refused[name] = Refusal(DeviceId(name), f"it differs from the existing {other!r} by case alone")
    missing = {request: key for request, key in missing.items() if request.common_name not in refused}
    issued = [Issued.of(certificate) for certificate in found.values()]
    if missing:
        issued += _sign_missing(locked, job, issuer, missing, workers)
    unchanged = sum(one.done for one in prepared)
    return issued, Outcome(len(issued), unchanged, tuple(refused.values()))


def _sign_missing(
    locked: Bench, job: Job, issuer: Certificate, missing: Keys, workers: ProcessPoolExecutor
) -> list[Issued]:
    job.signer.able_to_sign()
    with transaction(locked, job.signer) as known:
        issuing.free_expired(locked, job.signer, missing)
        rows, finished = issuing.sign(locked, job.signer, list(missing), job.terms, issuer, batch=True)
        by_name = {request.common_name: (request, key) for request, key in missing.items()}
        if strangers := [row.subject for row in rows if row.common_name not in by_name]:
            raise explained(
                CheckError, f"openssl issued a certificate for {strangers[0]}, which nobody asked for", finished
            )
        wanted = [(share, dict(by_name[row.common_name] for row in share)) for share in shares(rows)]
        files.sync_all([job.signer.certificate_of(row.serial) for row in rows])
        checks = [workers.submit(piecework.check, job, *part) for part in wanted]
        try:
            issued = collect(checks)
        except CheckError as error:
            raise explained(CheckError, error.message.rstrip("."), finished) from None
        known.update((one.serial, one.public_key) for one in issued)
    return issued
