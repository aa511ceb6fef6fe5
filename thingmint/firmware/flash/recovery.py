"""A device in its bootloader's serial recovery: what it holds, an image into it, and the proof of it."""

import contextlib
from collections.abc import Callable, Iterator

from thingmint.errors import CheckError, ModemError
from thingmint.firmware.flash import smp
from thingmint.firmware.flash.image import Image
from thingmint.firmware.flash.smp import Line, Slot

BUTTON = (
    "bring it into recovery: switch it off, hold the middle button (SW3), switch it on, then let the button go; "
    "then run this again"
)
_WORDS = {
    "EINVAL": "the image does not fit its slot, or is not as it wants it",
    "ENOMEM": "the image does not fit its slot, or is not as it wants it",
    "ENOTSUP": "it does not know this request",
    "ECORRUPT": "the image is damaged",
    "EBUSY": "it is busy",
    "EUNKNOWN": "its flash could not be erased or written",
}


class Device:
    """One that listens. Every method raises ModemError where it says no, says nothing more, or is gone."""

    def __init__(self, line: Line, conversation: smp.Recovery) -> None:
        self.port = line.port
        self._smp = conversation
        try:
            with _explained(self.port):
                self.slots = self._smp.slots()
        except smp.SilenceError:
            line.transmit(b"\r")  # an AT host took that for a command: let it end
            raise not_in_recovery(f"nothing at {self.port} answers SMP") from None

    @property
    def application(self) -> Slot | None:
        """What is in its first slot. A bootloader that validates images, as Nordic's do, lists none that it would refuse."""
        return next((one for one in self.slots if (one.image, one.slot) == (0, 0)), None)

    def holds(self, image: Image) -> bool:
        return self.application is not None and self.application.sha256 == image.sha256

    def write(self, image: Image, told: Callable[[int], None]) -> None:
        """All of the image. `told` is handed how many bytes are there. From its first piece on, no old one is left."""
        done = 0

        def count(offset: int) -> None:
            nonlocal done
            done = offset
            told(offset)

        try:
            with _explained(self.port), _silence_told(self.port):
                self._smp.upload(image.data, count)
        except ModemError as error:
            raise _incomplete(error, _left(done, len(image.data))) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: {_left(done, len(image.data))} Run the same line again: it is still in recovery."
            ) from None

    def prove(self, image: Image) -> bool:
        """Whether the device told the digest, which is the image's; False: it told its version alone, as old ones do.

        Raises CheckError where it lists another image, or none.
        """
        with _explained(self.port), _silence_told(self.port):
            self.slots = self._smp.slots()
        there = self.application
        if there is None or there.sha256 == _NO_DIGEST:
            raise CheckError(
                "the bootloader lists no whole application now: it does not accept what was written.",
                things_to_try=[
                    "sign it with the key that this device's bootloader knows: Nordic's kits know the SDK's default key",
                    "run this again: a byte may have been lost",
                    _OTHER_WAY,
                ],
            )
        if there.sha256 not in {"", image.sha256}:
            raise CheckError(
                f"the device holds another image than the one that was written: {there.version}, "
                f"SHA-256 {there.sha256[:16]}…, not {image.sha256[:16]}…",
                things_to_try=["an application may have answered, not the bootloader", BUTTON],
            )
        return bool(there.sha256)

    def restart(self) -> bool:
        """Start what it holds; whether it said that it would. One that is gone already has done so."""
        try:
            self._smp.reset()
        except (smp.SilenceError, smp.RefusedError, ModemError):
            return False
        return True


_NO_DIGEST = "00" * 32  # what MCUboot tells of an image that lacks one
_OTHER_WAY = "the other way, with a debugger: nrfutil device program --firmware app_signed.hex"


@contextlib.contextmanager
def opened(line: Line) -> Iterator[Device]:
    """The device behind an open line. Raises ModemError where nothing there speaks SMP."""
    conversation = smp.Recovery(line)
    try:
        yield Device(line, conversation)
    finally:
        conversation.close()


def listens(line: Line) -> bool:
    """Whether something behind the line speaks SMP. Asked once, for a second."""
    conversation = smp.Recovery(line)
    try:
        conversation.slots(tries=1)
    except smp.SilenceError:
        line.transmit(b"\r")
        return False
    except smp.RefusedError:
        return True
    finally:
        conversation.close()
    return True


def not_in_recovery(what: str) -> ModemError:
    return ModemError(
        f"{what}: the device is not in its bootloader's serial recovery.",
        things_to_try=[BUTTON, "a Thingy:91 shows two ports: try the other, or --port auto", _OTHER_WAY],
    )


@contextlib.contextmanager
def _silence_told(port: str) -> Iterator[None]:
    """Of a device that did answer before."""
    try:
        yield
    except smp.SilenceError:
        raise ModemError(
            f"the bootloader at {port} stopped answering.", things_to_try=[f"is its battery empty? {BUTTON}"]
        ) from None


@contextlib.contextmanager
def _explained(port: str) -> Iterator[None]:
    try:
        yield
    except smp.StuckError as error:
        raise ModemError(
            f"the bootloader at {port} does not get on: {error}.",
            things_to_try=["switch it off, and bring it into recovery again", BUTTON, _OTHER_WAY],
        ) from None
    except smp.RefusedError as error:
        reason = str(error)
        raise ModemError(
            f"the bootloader at {port} refused: {_WORDS.get(reason, reason)}.",
            detail=f"SMP: {reason}" if reason in _WORDS else "",
            things_to_try=["was the image built for this board, with this board's partitions?", _OTHER_WAY],
        ) from None


def _incomplete(error: ModemError, left: str) -> ModemError:
    """The same, with what it left behind."""
    again = "run the same line again: it starts from the first byte"
    return ModemError(
        f"{error.message} {left}", detail=error.detail, things_to_try=list(dict.fromkeys([*error.things_to_try, again]))
    )


def _left(done: int, size: int) -> str:
    """With its first piece, the old application is erased."""
    if not done:
        return "Nothing was written; its old application may be erased all the same."
    return f"{done} of {size} bytes are written, and the device has no whole application now."
