"""A scripted AT host behind a real pty: the state machine of Nordic's at_host, and faults that no simulator has."""

import hashlib
import os
import re
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LIMIT = 4095


class Host:
    """Serves `answer` (a command in, bytes out) on `port`. Its switches are read at each byte."""

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        self.answer = answer
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.commands: list[str] = []
        self.echo: bytes | None = None  # with what a command's CR is sent back
        self.reads = threading.Event()
        self.reads.set()
        self.drops: Callable[[int], bool] = lambda _: False  # by the number of the byte since the start
        self.count = 0
        self._buffer, self._quoted = bytearray(), False
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data) :]

    def stop(self) -> None:
        self.reads.set()
        os.write(self._waker, b"x")
        self._thread.join(5)
        for one in (self.master, self.slave, self._wake, self._waker):
            try:
                os.close(one)
            except OSError:
                continue

    def hang_up(self) -> None:
        """From inside `answer`: as a board whose plug is pulled."""
        os.close(self.slave)
        os.close(self.master)
        raise SystemExit

    def stuck_in_a_quote(self, *, full: bool) -> None:
        """As a lost closing quote leaves it."""
        self._quoted = True
        self._buffer = bytearray(b"A" * LIMIT if full else b'AT%CMNG=0,10,0,"')

    def deaf_for(self, seconds: float) -> None:
        """From inside `answer`: what comes meanwhile is ignored, as the real host does."""
        time.sleep(seconds)
        while select.select([self.master], [], [], 0)[0]:
            os.read(self.master, 1024)

    def _serve(self) -> None:
        try:
            while True:
                ready = select.select([self.master, self._wake], [], [])[0]
                if self._wake in ready:
                    return
                self.reads.wait()
                data = os.read(self.master, 1024)
                if self.echo:
                    self.say(data.replace(b"\r", self.echo))
                for byte in data:
                    self._take(byte)
        except (OSError, SystemExit):
            return

    def _take(self, byte: int) -> None:
        self.count += 1
        if self.drops(self.count):
            return
        if byte == 0x7F:
            if self._buffer and self._buffer.pop() == ord('"'):
                self._quoted = not self._quoted
        elif byte == 0x0D and not self._quoted:
            command, self._buffer = self._buffer.decode("latin-1"), bytearray()
            self.commands.append(command)
            self.say(self.answer(command))
        elif len(self._buffer) < LIMIT:
            self._quoted ^= byte == ord('"')
            self._buffer.append(byte)


class Nrf:
    """What an nRF9160 answers, as far as the tests need it: an `answer` for Host."""

    def __init__(self) -> None:
        self.cmee, self.cfun, self.overwrites = 0, 1, True
        self.stored: dict[tuple[int, int], bytes] = {}
        self.replies: dict[str, bytes] = {
            "AT": b"OK\r\n",
            "AT+CGSN": b"352656100367872\r\nOK\r\n",
            "AT+CGSN=1": b'+CGSN: "352656100367872"\r\nOK\r\n',
            "AT+CGMR": b"mfw_nrf9160_1.3.5\r\nOK\r\n",
            "AT+CGMI": b"Nordic Semiconductor ASA\r\nOK\r\n",
            "AT%HWVERSION": b"%HWVERSION: nRF9160 SICA B0A\r\nOK\r\n",
            "AT%XSYSTEMMODE?": b"%XSYSTEMMODE: 0,1,1,0\r\nOK\r\n",
            "AT+CGDCONT?": b'+CGDCONT: 0,"IP","internet","10.0.1.1",0,0\r\nOK\r\n',
        }
        self.changes: Callable[[bytes], bytes] = lambda content: content

    def __call__(self, command: str) -> bytes:
        command = command.lstrip("\n")
        if command in self.replies:
            return self.replies[command]
        if found := re.fullmatch(r"AT\+(CMEE|CFUN)(?:\?|=(\d+))", command):
            name = found[1].lower()
            if found[2] is None:
                return f"+{found[1]}: {getattr(self, name)}\r\nOK\r\n".encode()
            setattr(self, name, int(found[2]))
            return b"OK\r\n"
        if found := re.fullmatch(r'AT%CMNG=([013])(?:,(\d+)(?:,(\d+)(?:,"([^"]*)")?)?)?', command):
            return self._cmng(found)
        return b"ERROR\r\n"

    def refusal(self, code: int) -> bytes:
        return f"+CME ERROR: {code}\r\n".encode() if self.cmee else b"ERROR\r\n"

    def _cmng(self, found: re.Match[str]) -> bytes:
        key = (int(found[2] or -1), int(found[3] or -1))
        if found[1] == "1":
            shown = [one for one in sorted(self.stored) if found[2] is None or one[0] == key[0]]
            lines = [f'%CMNG: {tag},{kind},"{self.digest(tag, kind)}"\r\n' for tag, kind in shown]
            return "".join(lines).encode() + b"OK\r\n"
        if self.cfun == 1:
            return self.refusal(518)
        if found[1] == "3":
            return b"OK\r\n" if self.stored.pop(key, None) is not None else self.refusal(513)
        if key in self.stored and not self.overwrites:
            return self.refusal(519)
        self.stored[key] = self.changes(found[4].encode("latin-1"))
        return b"OK\r\n"

    def digest(self, tag: int, kind: int) -> str:
        return hashlib.sha256(self.stored[tag, kind]).hexdigest().upper()


@contextmanager
def hosting(answer: Callable[[str], bytes]) -> Iterator[Host]:
    host = Host(answer)
    try:
        yield host
    finally:
        host.stop()


def certificate(size: int) -> bytes:
    """PEM of about that many bytes; nothing here looks inside."""
    import base64

    body = base64.encodebytes(bytes(index % 251 for index in range((size - 60) * 45 // 61 // 3 * 3)))
    lines = base64.b64encode(base64.b64decode(body)).decode()
    text = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()
