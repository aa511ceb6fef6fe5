"""A desk: a workspace with authorities and a lab that trusts them, and simulated modems to load."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from thingmint.ids import DeviceId
from thingmint.lab.state import LabFolder
from thingmint.lab.thing import faults, port
from thingmint.lab.thing.port import Thing
from thingmint.lab.thing.sectags import SecTags
from thingmint.session import Session
from thingmint.workflows.authority import authorities
from thingmint.workflows.device import devices
from thingmint.workflows.modem import keygen, provisioning
from thingmint.workflows.modem.station import NOTHING, Leave

ROOT, CERTIFICATE, KEY = 0, 1, 2


class Desk:
    """Each test takes a device of its own; all share the authorities and the lab."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._numbers = itertools.count(1)
        authorities.rootca(session)
        authorities.subca(session)
        authorities.verify(session)

    def imei(self) -> str:
        """A new one, with its Luhn digit."""
        body = f"3526561{next(self._numbers):07}"
        doubled = [sum(divmod(2 * int(digit), 10)) for digit in body[1::2]]
        total = sum(doubled) + sum(int(digit) for digit in body[0::2])
        return f"{body}{-total % 10}"

    def device(self, imei: str | None = None, *, renew: bool = False) -> str:
        chosen = imei or self.imei()
        devices.device(self.session, imei=chosen, renew=renew)
        return chosen

    @contextlib.contextmanager
    def plugged_in(self, imei: str, *switches: str) -> Iterator[Thing]:
        """Its line is instant, unless a switch is of the line itself."""
        with port.plugged_in(self.modems, DeviceId(imei), faults.parse(switches)) as thing:
            yield thing

    @property
    def modems(self) -> Path:
        return LabFolder(self.session.workspace.lab).modems

    def provision(
        self, imei: str, thing: Thing, *, leave: Leave = NOTHING, tag: str | None = None, root: str | None = None
    ) -> None:
        provisioning.provision(self.session, imei=imei, port=thing.port, sec_tag=tag, leave=leave, server_root=root)

    def keygen(
        self, imei: str, thing: Thing, *, leave: Leave = NOTHING, renew: bool = False, tag: str | None = None
    ) -> None:
        keygen.device(self.session, imei=imei, port=thing.port, leave=leave, renew=renew, sec_tag=tag)

    def held(self, imei: str) -> dict[tuple[int, int], bytes]:
        """What the modem holds in the tags 10 and 11, as its own firmware would read it."""
        memory = SecTags.open(self.modems, DeviceId(imei))
        places = [(tag, kind) for tag in (10, 11) for kind in (ROOT, CERTIFICATE, KEY)]
        return {place: content for place in places if (content := memory.read(*place)) is not None}

    def require_loaded(self, imei: str) -> None:
        """To the byte: the lab's root, the device's certificate and key, and Microsoft's root beside them."""
        held = self.held(imei)
        folder = self.session.workspace.devices
        assert held[10, ROOT] == LabFolder(self.session.workspace.lab).ca.read_bytes()
        assert held[10, CERTIFICATE] == (folder / f"{imei}.pem").read_bytes()
        key = folder / f"{imei}.key"
        if key.exists():
            assert held[10, KEY] == key.read_bytes()
        assert b"BEGIN CERTIFICATE" in held[11, ROOT]
        assert set(held) == {(10, ROOT), (10, CERTIFICATE), (10, KEY), (11, ROOT)}
