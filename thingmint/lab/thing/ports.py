"""The two kinds of port that a serial program opens: a pty, and a socket where there are no ptys."""

import contextlib
import functools
import os
import select
import socket
import time
from pathlib import Path
from typing import Protocol

from thingmint import files

_AT_ONCE = 65536


class Port(Protocol):
    """One end of a cable. Nobody waits on it: what is not read is lost, as on a serial line."""

    name: str

    @property
    def attached(self) -> bool:
        """Whether a client has it open."""

    def read(self, seconds: float) -> bytes:
        """All that is there, after at most this long."""

    def write(self, data: bytes) -> None: ...

    def speed(self) -> int | None:
        """The client's baud rate, where one can be known."""

    def drop(self) -> None:
        """The cable is pulled."""

    def connect(self) -> None:
        """And put in again, under the same name."""


class Pty:
    """The name is a link to the pty's path: after the cable was pulled, the system may give another path."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self.name = str(link)
        self.connect()

    def connect(self) -> None:
        import termios
        import tty

        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            settings = termios.tcgetattr(slave)
            settings[4] = settings[5] = termios.B115200  # what a client that sets no speed gets
            termios.tcsetattr(slave, termios.TCSANOW, settings)
            path = os.ttyname(slave)
        finally:
            os.close(slave)  # not kept: without a client the master hangs up, and that tells when one comes
        os.set_blocking(self._master, False)
        self.attached = False
        self._publish(Path(path))

    def _publish(self, path: Path) -> None:
        temporary = self._link.with_name(f".{self._link.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(path)
            files.rename(temporary, self._link)
        except OSError:  # a file system without links: its name changes when the cable was pulled
            self.name = str(path)

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            self.attached = True  # a pty without a client is always ready, with an error
            return b""
        data = bytearray()
        try:
            while part := os.read(self._master, _AT_ONCE):
                data += part
        except BlockingIOError:
            self.attached = True
            return bytes(data)
        except OSError:  # EIO: no client
            pass
        self.attached = False
        if not data:
            time.sleep(seconds)
        return bytes(data)

    def write(self, data: bytes) -> None:
        if self.attached:
            with contextlib.suppress(OSError):
                os.write(self._master, data)

    def speed(self) -> int | None:
        import termios

        return _speeds().get(termios.tcgetattr(self._master)[5])

    def drop(self) -> None:
        with contextlib.suppress(OSError):  # it was dropped, and could not be connected again
            os.close(self._master)
        self._link.unlink(missing_ok=True)


@functools.cache
def _speeds() -> dict[int, int]:
    """The rates by termios' numbers for them."""
    import termios

    names = [name for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()]
    return {getattr(termios, name): int(name[1:]) for name in names}


class Tcp:
    """A loopback port, one client at a time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.name = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._client: socket.socket | None = None

    @property
    def attached(self) -> bool:
        return self._client is not None

    def connect(self) -> None:
        """The listener stayed."""

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._client or self._listener], [], [], seconds)
        if not ready:
            return b""
        if self._client is None:
            self._client, _ = self._listener.accept()
            self._client.setblocking(False)
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return b""
        try:
            data = self._client.recv(_AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def write(self, data: bytes) -> None:
        if self._client:
            with contextlib.suppress(OSError):
                self._client.send(data)

    def speed(self) -> int | None:
        return None

    def _hang_up(self) -> None:
        if self._client:
            self._client.close()
        self._client = None

    def drop(self) -> None:
        self._hang_up()

    def close(self) -> None:
        self._hang_up()
        self._listener.close()
