"""device --imei-file: many devices from a list, registered by bulk calls, made in batches; what is bad is named."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint import idlist
from thingmint.errors import CheckError, InputError, ToolError
from thingmint.idlist import IdList
from thingmint.ids import DeviceId
from thingmint.pki import bench
from thingmint.pki.authority import family
from thingmint.pki.device import series
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.pki.device.series import Outcome, Refusal
from thingmint.session import Session
from thingmint.workflows import options, targets
from thingmint.workflows.hub import registration

if TYPE_CHECKING:
    from thingmint.workflows.targets import Hub

_MOST_NAMED = 20
"""Bad lines and refused devices that are told one by one; the others are counted."""


def devices(
    session: Session,
    *,
    file: str,
    ca: str | None = None,
    key: str | None = None,
    days: str | None = None,
    register: bool = True,
) -> None:
    """Make every device of the list. Raises CheckError (exit 4) if any could not be done; the others are."""
    wish = options.wish(key=key, days=days)
    asked = options.device_authority(ca)
    found = idlist.read_ids(Path(file))
    signer = family.require(session.workspace, asked or family.DEFAULT)
    hub = None
    if not register:
        targets.announce(session)
    elif not targets.dry(session, f"register as {registration.X509_CA}: {len(found.ids)} device(s)"):
        hub = targets.open_hub(session)
    _tell_list(session, found)
    if session.dry:
        with bench.locked(session) as locked:
            series.rehearse(locked, signer, found.ids, wish)
        return
    series.require_possible(session, signer, found.ids)
    run = _Run(session, hub, len(found.ids))
    began = time.monotonic()
    with session.console.progress("devices", len(found.ids)) as run.tell:
        batches = run.registered(found.ids, series.batch_size(session, wish))
        host = hub.target.hub_host if hub else None
        try:
            series.make(
                session, signer, batches, wish,
                asked_signer=asked, registered_on=host, done=run.note, stopping=run.stopping,
            )  # fmt: skip
        finally:
            run.sum_up(time.monotonic() - began)
    undone = len(found.bad) + len(run.refused)
    if undone:
        raise CheckError(
            f"{undone} of {len(found.ids) + len(found.bad)} were not done; the others are.",
            detail=_list([*(f"line {one.number}: {one.text}: {one.problem}" for one in found.bad), *run.problems()]),
            things_to_try=["mend what is named above, then run the same line again: what is done is left alone"],
        )
    session.console.next_step(
        "invoke connect --imei ID" if register else f"invoke device --imei-file {file} registers them"
    )


class _Run:
    """What has become of the series so far."""

    def __init__(self, session: Session, hub: "Hub | None", total: int) -> None:
        self._session = session
        self._hub = hub
        self._total = total
        self._noting = threading.Lock()
        self.made = self.unchanged = 0
        self.refused: list[Refusal] = []
        self.tell: Callable[[int], None] = lambda _done: None

    def note(self, outcome: Outcome) -> None:
        with self._noting:  # the hub's thread and the authority's
            self.made += outcome.made
            self.unchanged += outcome.unchanged
            self.refused += outcome.refused
            self.tell(self.made + self.unchanged + len(self.refused))

    def registered(self, ids: Sequence[DeviceId], size: int) -> Iterator[Sequence[DeviceId]]:
        """Batches whose devices the hub knows; the next one is asked for while openssl signs."""
        for first in range(0, len(ids), size):
            batch = ids[first : first + size]
            yield self._register(self._hub, batch) if self._hub else batch

    def _register(self, hub: "Hub", batch: Sequence[DeviceId]) -> list[DeviceId]:
        host = hub.target.hub_host
        unknown = [one for one in batch if self._registered_on(one) != host]
        answers = hub.registry.create_many([one.text for one in unknown], on_wait=self._wait) if unknown else ()
        refused = {answer.device_id: answer for answer in answers}
        left = []
        for one in batch:
            answer = refused.get(one.text)
            problem = self._judge(hub, one, answer.code, answer.message) if answer else ""
            if problem:
                self.note(Outcome(0, 0, (Refusal(one, problem),)))
            else:
                left.append(one)
        files = [DeviceFiles.of(self._session.workspace, one) for one in set(unknown) & set(left)]
        if late := [own for own in files if own.certificate.exists()]:  # made earlier, without the hub
            with bench.locked(self._session):
                for own in late:
                    registration.record(self._session, own, host)
        return left

    def _registered_on(self, one: DeviceId) -> str | None:
        try:
            record = Record.read(DeviceFiles.of(self._session.workspace, one).record)
        except ToolError:  # damaged: the check of this device says so, and the others go on
            return None
        return record.registered_on if record else None

    def _judge(self, hub: "Hub", one: DeviceId, code: str, message: str) -> str:
        """Why the hub's refusal stands; nothing where the identity is there and fits."""
        from thingmint.hub.identity import ALREADY_EXISTS
        from thingmint.hub.transport import seen

        found = seen(lambda: hub.registry.get(one.text)) if code == ALREADY_EXISTS else None
        if found is None:
            return f"the hub refused to register it: {code} {message}".rstrip()
        try:
            registration.require_x509_ca(hub, found)
        except InputError as error:
            return error.message
        return "" if found.status == "enabled" else f"it is {found.status} on {hub.target.hub}"

    def stopping(self) -> None:
        self._session.console.say("finishing what is under way; the same line goes on with the rest")

    def _wait(self, seconds: float) -> None:
        self._session.console.say(f"the hub asks for patience: going on in {seconds:.0f} s")

    def problems(self) -> list[str]:
        return [f"{one.device}: {one.problem}" for one in self.refused]

    def sum_up(self, seconds: float) -> None:
        rate = f", {self.made / seconds:.0f} a second" if self.made and seconds > 1 else ""
        self._session.console.say(
            f"made: {self.made} · unchanged: {self.unchanged} · refused: {len(self.refused)} · "
            f"of {self._total}, in {seconds:.1f} s{rate}"
        )


def _tell_list(session: Session, found: IdList) -> None:
    column = f", column {found.heading!r}" if found.heading else ""
    session.console.say(f"devices to make: {len(found.ids)}{column}")
    if found.repeated:
        session.console.say(f"  {found.repeated} line(s) repeat an id: it is made once")
    doubts = [(one, doubt) for one in found.ids if (doubt := one.imei_doubt())]
    if doubts:
        session.console.warn(
            f"ids that are no IMEI: {len(doubts)}, the first one {doubts[0][0]} ({doubts[0][1]}); used as they are."
        )
    if found.bad:
        session.console.warn(
            f"{len(found.bad)} line(s) hold no id; they are named at the end, and the others are done."
        )


def _list(lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - _MOST_NAMED} more"] if len(lines) > _MOST_NAMED else []
    return "\n".join([*lines[:_MOST_NAMED], *more])
