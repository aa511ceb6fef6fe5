"""flash: an application's image into a device that waits in its bootloader, over the serial line; proven afterwards."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint.errors import InputError
from thingmint.firmware.editions import AT_CLIENT
from thingmint.firmware.flash import built, image
from thingmint.firmware.flash.image import Image
from thingmint.session import Session
from thingmint.shell import quote
from thingmint.workflows.firmware import firmware
from thingmint.workflows.modem import station

if TYPE_CHECKING:
    from thingmint.firmware.flash.recovery import Device
    from thingmint.modem.ports import Question


def flash(session: Session, *, port: str | None, app: str | None = None, file: str | None = None) -> None:
    """Write the image that was built of `app` last, or the one in `file`, and start it. The same image is left alone.

    Raises InputError before any port is opened where the image is none for this device, ModemError where the device is not
    in recovery, says no or is gone, CheckError where it does not hold the image afterwards.
    """
    named = station.require_port(port)
    chosen = _image(session, app, file)
    session.console.say(
        f"image: {chosen.path} · version {chosen.version} · {len(chosen.data)} bytes · SHA-256 {chosen.sha256[:16]}…"
    )
    if station.dry(session, f"write it into the device on {named}, which must wait in its bootloader"):
        return
    with _opened(session, named) as device:
        _introduce(session, device)
        if device.holds(chosen):
            session.console.say("unchanged: the device holds this image")
        else:
            _write(session, device, chosen)
        if not device.restart():
            session.console.warn("it did not say that it restarts: switch it off and on")
    follows = ["provision", "--imei", "ID"] if app == AT_CLIENT else ["monitor"]
    session.console.next_step(quote(["invoke", *follows, "--port", device.port]))


def _image(session: Session, app: str | None, file: str | None) -> Image:
    """Raises InputError where it is not one that this device's bootloader starts, as far as that can be seen here."""
    if (app is None) == (file is None):
        raise InputError(
            "name either an application or an image.",
            things_to_try=["--app azure_iot_hub, the image that was built of it last", "--file app_update.bin"],
        )
    if file is not None:
        path = Path(file).absolute()
    else:
        path, device = built.newest(firmware.builds(session), app or "")
        session.console.say(f"built for {device or 'any device'}")
    chosen = image.read(path)
    image.require_chip(chosen, image.NRF91)
    return chosen


def _introduce(session: Session, device: "Device") -> None:
    there = device.application
    held = f"version {there.version} · SHA-256 {there.sha256[:16] or 'not told'}" if there else "no application"
    session.console.say(f"bootloader: {device.port} · it holds {held}")


def _write(session: Session, device: "Device", chosen: Image) -> None:
    began = time.monotonic()
    with session.console.progress("bytes", len(chosen.data)) as told:
        device.write(chosen, told)
    seconds = time.monotonic() - began
    rate = len(chosen.data) / 1000 / seconds
    session.console.say(f"written: {len(chosen.data)} bytes in {seconds:.0f} s ({rate:.1f} kB/s)")
    if device.prove(chosen):
        session.console.say(f"proven: the bootloader lists it by its digest, {chosen.sha256}")
    else:
        session.console.warn(
            "this bootloader tells no digest: it lists an application that it accepts, and its version"
        )


@contextlib.contextmanager
def _opened(session: Session, named: str) -> "Iterator[Device]":
    from thingmint.firmware.flash import recovery
    from thingmint.modem import ports
    from thingmint.modem.link import Link

    port = ports.choose(station.simulated_or(session, named), question=_question())
    link = Link(port)
    try:
        with recovery.opened(link) as device:
            yield device
    finally:
        link.close()


def _question() -> "Question":
    """With --port auto: which port has a bootloader that listens."""
    from thingmint.firmware.flash import recovery
    from thingmint.modem.link import Link
    from thingmint.modem.ports import Question

    def listens(port: str, _: Callable[[str], None] | None) -> bool:
        link: Link = Link(port)
        try:
            return recovery.listens(link)
        finally:
            link.close()

    hint = f"that was the other button (SW4), for the USB bridge's own firmware; {recovery.BUTTON}"
    return Question("SMP", (listens,), things_to_try=[recovery.BUTTON], bridge=hint)
