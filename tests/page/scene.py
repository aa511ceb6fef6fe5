"""A lab with something to see: what the page's pictures show."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from tests.lab.clients import Lab, mqtt_connect, publish_packet, tls
from tests.paper import Paper, make
from thingmint.ids import DeviceId
from thingmint.lab.state import LabFolder
from thingmint.lab.thing.sectags import SecTags

IMEI, OTHER = "350457791791735879", "352656100367872"


def send(line: ssl.SSLSocket, device_id: str, payload: str) -> None:
    line.sendall(publish_packet(f"devices/{device_id}/messages/events/", payload.encode()))
    assert line.recv(4)


def refused(lab: Lab, device_id: str, files: tuple[Path, Path]) -> None:
    with contextlib.suppress(ssl.SSLError, OSError), tls(lab, files) as line:
        mqtt_connect(lab, line, device_id)


@contextlib.contextmanager
def scene(lab: Lab, subca: Paper, folder: Path) -> Iterator[None]:
    """Two devices connected, one of them loaded over AT commands; a third registered; two that were turned away, and a refused request."""
    lab.upload("cert-0xacc5-subca", subca)
    lab.upload("cert-0xacc5-factory", make("Factory Root CA"), verified=False)
    own, other = (subca.issue(one).save(folder, one, subca) for one in (IMEI, OTHER))
    for one in (IMEI, OTHER, "355025930000000"):
        lab.register(one)
    memory = SecTags.open(LabFolder(lab.running.folder).modems, DeviceId.parse(IMEI))
    memory.write(11, 0, (lab.running.folder / "ca.pem").read_bytes())
    memory.write(10, 1, own[0].read_bytes())
    memory.write(10, 2, own[1].read_bytes())
    refused(lab, IMEI, make("Rogue CA").issue(IMEI).save(folder, "rogue"))
    refused(lab, "355025930000018", subca.issue("355025930000018").save(folder, "stranger"))
    lab.request("GET", f"/devices/{IMEI}?api-version=2021-04-12")  # without a token
    with tls(lab, other) as second, tls(lab, own) as first:
        for line, device_id in ((second, OTHER), (first, IMEI)):
            assert mqtt_connect(lab, line, device_id) == 0
        for n, celsius in enumerate((21.2, 21.4, 21.9, 22.8, 23.4, 23.1, 22.7, 22.9, 23.6, 24.1, 24.0, 23.5)):
            send(second, OTHER, '{"battery": 3.9}') if n == 4 else None
            send(first, IMEI, f'{{"temperature": {celsius}}}')
        yield
