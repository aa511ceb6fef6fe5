"""A lab in which everything goes wrong, by a seed: what a client sees is what the seed says, and stands in the log."""

import asyncio
import http.client
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.lab.clients import connack, connect_clients, connect_packet, is_closed, packet, publish_packet, text, tls
from tests.page.looking import look
from tests.paper import make
from thingmint import config
from thingmint.console import Console
from thingmint.hub.identity import SharedAccess
from thingmint.hub.registry_rest import shared_access_signature
from thingmint.lab import control, state
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.faults.faults import Faults
from thingmint.lab.cloud.faults.kinds import Fault, Kind, Point
from thingmint.lab.cloud.faults.seeded import Seeded
from thingmint.lab.cloud.faults.streams import Unreliable
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.cloud.mqtt import packets
from thingmint.lab.control import RunningLab
from thingmint.lab.state import LabFolder
from thingmint.session import Session, make_session
from thingmint.target import PROVISIONING_DEVICES

ALWAYS = Chaos(11, 1.0)
_STATUS = {
    (429, True): Kind.THROTTLED, (429, False): Kind.THROTTLED_UNNAMED, (500, False): Kind.FAILED,
    (503, True): Kind.UNAVAILABLE, (503, False): Kind.UNAVAILABLE_UNNAMED, (412, False): Kind.STALE,
}  # fmt: skip
DONE = {Kind.LOST, Kind.CUT_SHORT, Kind.SLOW, Kind.HIDDEN}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return make_session(tmp_path_factory.mktemp("ws"), config.load({}), Console(), echo=False, dry=False)


@pytest.fixture(scope="module")
def lab(session: Session) -> Iterator[RunningLab]:
    yield control.start(session, chaos=ALWAYS)
    control.stop(session)


def ask(session: Session, lab: RunningLab, method: str, path: str, **headers: str) -> Kind | str | int:
    """What went wrong, as far as a client can tell; else the status. By the address: nobody is reset who asks for no name."""
    secrets = state.read_secrets(LabFolder(session.workspace.lab))
    assert secrets
    place = f"localhost:{lab.https_port}"
    token = shared_access_signature(
        SharedAccess(place, "iothubowner", secrets.policy_keys["iothubowner"][0]), time.time() + 60
    )
    context = ssl.create_default_context(cafile=lab.folder / "ca.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", lab.https_port, context=context, timeout=10)
    try:
        connection.request(
            method, f"{path}?api-version=2021-04-12", b"{}", {"Authorization": token, "Host": place, **headers}
        )
        answer = connection.getresponse()
        answer.read()
    except http.client.IncompleteRead:
        return Kind.CUT_SHORT
    except OSError:
        return "broken"
    finally:
        connection.close()
    return _STATUS.get((answer.status, "Retry-After" in answer.headers), answer.status)


def expected(fault: Fault | None, otherwise: int) -> Kind | str | int:
    assert fault
    if fault.kind in {Kind.CUT, Kind.LOST, Kind.HALF_CLOSED}:
        return "broken"
    return otherwise if fault.kind in {Kind.SLOW, Kind.HIDDEN} else fault.kind


def test_what_a_client_sees_is_what_the_seed_says(session: Session, lab: RunningLab) -> None:
    plan = Seeded(ALWAYS)
    for number in range(40):
        # An answer without a body cannot be cut short: these have one.
        found = ask(session, lab, "PUT", "/devices/one", **{"If-Match": '"x"'})
        fault = plan.draw(Point.MATCH, "PUT /devices/one")
        assert found == expected(fault, 404), f"{number}: {fault}"
        assert fault
        assert f"chaos: {fault.kind.value}: PUT /devices/one, seed=11, draw {number + 1}\n" in log(session)


def log(session: Session) -> str:
    return LabFolder(session.workspace.lab).log.read_text()


def test_what_was_carried_out_and_what_was_not(session: Session, lab: RunningLab) -> None:
    plan, wanted = Seeded(ALWAYS), {}
    for number in range(30):
        path = f"/devices/new-{number}"
        ask(session, lab, "PUT", path)
        fault = plan.draw(Point.CREATE, f"PUT {path}")
        assert fault
        wanted[f"new-{number}"] = fault.kind in DONE
    control.stop(session)
    calm = control.start(session)
    try:
        assert {name: ask(session, calm, "GET", f"/devices/{name}") == 200 for name in wanted} == wanted
    finally:
        control.stop(session)
        control.start(session, chaos=ALWAYS)


def test_a_service_by_name_is_reset_and_the_labs_own_endpoints_never_are(session: Session, lab: RunningLab) -> None:
    running = control.running(session)
    assert running
    assert running.chaos == ALWAYS
    for _ in range(20):
        assert running.telemetry("one") == []
    with pytest.raises(OSError, match="reset|EOF"):
        shake(running.https_port, "localhost", lab.folder / "ca.pem")


def shake(port: int, name: str, ca: Path) -> None:
    context = ssl.create_default_context(cafile=ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    import socket

    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        context.wrap_socket(plain, server_hostname=name).close()


def test_a_device_meets_the_server_certificates_that_the_seed_says(session: Session, lab: RunningLab) -> None:
    running, plan = control.running(session), Seeded(ALWAYS)
    assert running
    host = "iot-hub001-0xacc5-dev.azure-devices.net"
    # X509_V_ERR_…: has expired, unable to get local issuer, host name mismatch
    codes = {Kind.EXPIRED: 10, Kind.OTHER_CA: 20, Kind.WRONG_HOST: 62}
    met = set()
    for _ in range(20):
        fault = plan.draw(Point.DEVICE_HANDSHAKE, host)
        assert fault
        met.add(fault.kind)
        with pytest.raises(OSError) as refused:
            shake(running.mqtt_port, host, lab.folder / "ca.pem")
        assert getattr(refused.value, "verify_code", None) == codes.get(fault.kind), fault
    assert met == {*codes, Kind.RESET}


# --- MQTT --------------------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """A Stream that keeps what was sent."""

    sent: bytes = b""
    over: bool = False

    async def read(self) -> bytes:
        return b""

    async def send(self, data: bytes) -> None:
        self.sent += data

    def abort(self) -> None:
        self.over = True


@dataclass
class Once:
    """The plan: this fault, the first time at this point."""

    point: Point
    fault: Fault
    asked: list[tuple[Point, str]] = field(default_factory=list)

    def draw(self, point: Point, who: str) -> Fault | None:
        self.asked.append((point, who))
        return self.fault if point is self.point and self.asked.count((point, who)) == 1 else None


YES, ACK, PING = packets.connack(packets.ACCEPTED), packets.puback(7), packets.PINGRESP


@pytest.mark.parametrize(
    ("point", "fault", "sent", "over"),
    [
        (Point.CONNACK, Fault(Kind.REFUSED), packets.connack(packets.UNAVAILABLE), False),
        (Point.CONNACK, Fault(Kind.BROKEN), b"", False),
        (Point.CONNACK, Fault(Kind.DROPPED, 0.01), YES + ACK + PING, True),
        (Point.PUBACK, Fault(Kind.SILENT), YES + PING, False),
        (Point.PUBACK, Fault(Kind.SILENT, 0.01), YES + PING, True),
        (Point.PUBACK, Fault(Kind.BROKEN), YES, False),
        (Point.PINGRESP, Fault(Kind.SILENT), YES + ACK, False),
        (Point.PINGRESP, Fault(Kind.SLOW, 0.01), YES + ACK + PING, False),
        (Point.SUBACK, Fault(Kind.SILENT), YES + ACK + PING, False),
    ],
)
def test_an_answer_of_mqtt_goes_wrong(
    point: Point, fault: Fault, sent: bytes, over: bool, session: Session, lab: RunningLab
) -> None:
    async def converse() -> Wire:
        wire, plan = Wire(), Once(point, fault)
        journal = Journal(LabFolder(lab.folder))
        faults = Faults(journal, plan)
        stream = Unreliable(wire, lambda at: faults.draw(at, "thing"))
        try:
            await stream.send(YES)
            await stream.send(ACK + PING)  # two at once, as a busy hub would
        except ConnectionResetError:
            assert fault.kind in {Kind.REFUSED, Kind.BROKEN}
        finally:
            journal.close()
        await asyncio.sleep(0.05)
        return wire

    wire = asyncio.run(converse())
    assert (wire.sent, wire.over) == (sent, over)


def test_a_no_of_the_hubs_own_stays_as_it_is(lab: RunningLab) -> None:
    wire, plan = Wire(), Once(Point.CONNACK, Fault(Kind.REFUSED))
    journal = Journal(LabFolder(lab.folder))
    refusal = packets.connack(packets.NOT_AUTHORIZED)
    faults = Faults(journal, plan)
    asyncio.run(Unreliable(wire, lambda at: faults.draw(at, "thing")).send(refusal))
    journal.close()
    assert wire.sent == refusal
    assert plan.asked == []


def breaks_an_answer(chaos: Chaos, who: str) -> bool:
    """To its first SUBSCRIBE, while all before that goes well, twice."""
    plan = Seeded(chaos)
    broken = plan.draw(Point.SUBACK, who)
    calm = [(Point.DEVICE_HANDSHAKE, PROVISIONING_DEVICES), (Point.CONNACK, who)]
    return bool(broken and broken.kind is Kind.BROKEN) and not any(plan.draw(*one) for one in calm * 2)


def test_a_device_is_not_blamed_for_what_follows_a_planted_fault(tmp_path: Path, make_session_in: MakeSession) -> None:
    session = make_session_in(tmp_path / "ws")
    chaos = next(one for one in (Chaos(seed, 0.2) for seed in range(10**6)) if breaks_an_answer(one, "raw-1"))
    lab = connect_clients(session, control.start(session, chaos=chaos))
    try:
        files = make("Somebody's CA").issue("raw-1").save(tmp_path, "leaf")
        name = f"{state.Role.of(session.settings).id_scope}/registrations/raw-1/api-version=2019-03-31"
        # Paho sends again at once what was not acknowledged, before anybody subscribes again.
        ask = publish_packet("$dps/registrations/PUT/iotdps-register/?$rid=r1", b"{}")
        subscribe = packet(0x82, b"\x00\x01" + text("$dps/registrations/res/#") + b"\x01")
        for data in (subscribe, ask):
            with tls(lab, files, host=PROVISIONING_DEVICES) as line:
                line.sendall(connect_packet("raw-1", name))
                assert connack(line) == 0
                line.sendall(data)
                assert is_closed(line)
        told = look(lab)
        assert told["refusals"] == []
        assert told["lab"]["mischief"] == f"This lab misbehaves on purpose: --chaos {chaos}"
    finally:
        control.stop(session)
    written = log(session)
    assert "mqtt: the connection of device 'raw-1' is over: the lab broke it on purpose\n" in written
    assert (
        "'raw-1' asks again without a subscription, after a fault that was planted: its connection is closed\n"
        in written
    )
    assert "went away without a DISCONNECT" not in written


def test_what_was_created_shows_a_little_later(session: Session, lab: RunningLab) -> None:
    rare = Chaos(3, 0.01)
    drawn = (
        (f"late-{number}", Seeded(rare).draw(Point.CREATE, f"PUT /devices/late-{number}")) for number in range(10**6)
    )
    name, fault = next((name, fault) for name, fault in drawn if fault and fault.kind is Kind.HIDDEN)
    control.stop(session)
    here = control.start(session, chaos=rare)
    try:
        assert ask(session, here, "PUT", f"/devices/{name}") == 200
        seen = [ask(session, here, "GET", f"/devices/{name}") for _ in range(round(fault.amount) + 1)]
        assert seen == [404] * round(fault.amount) + [200]
    finally:
        control.stop(session)
        control.start(session, chaos=ALWAYS)
