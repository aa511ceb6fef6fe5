"""A command and what is heard of its answer, among all else that comes over the line. Keeps the transcript."""

import time
from collections.abc import Callable, Iterator

from thingmint.modem import lines, obstacles, refusals, secrecy
from thingmint.modem.link import Link

_LATE = 0.5  # seconds of a line that never rests, after the time is over
_HEARD = 600  # bytes kept, to say what a port answered


class Talk:
    """What stands between the bytes of the link and the commands of at.Modem. Never pipelines: the host would not hear."""

    def __init__(self, link: Link, tell: Callable[[str], None] | None) -> None:
        self.link = link
        self.port = link.port
        self.astray = True  # whether something of an earlier command may still come, or the host hang in a quote
        self.unanswered: set[str] = set()  # the prefixes of what may be answered late
        self.heard = b""
        self._tell = tell or (lambda _: None)
        self._hushed = False  # a secret was sent, and its echo may come
        self._carry = ""

    def send(self, command: str) -> None:
        """One command, ended as the AT host wants it. Raises ModemError if the modem takes nothing, or is gone."""
        self.astray = True
        self.unanswered.add(lines.prefix(command))
        self._hushed = self._hushed or secrecy.carries_secret(command)
        self._tell(f"-> {secrecy.shown(command)}")
        self.link.transmit(command.encode("ascii") + b"\r")

    def send_keys(self, keys: bytes, meaning: str) -> None:
        self._tell(f"-> ({meaning})")
        self.link.transmit(keys)

    def answer(self, command: str, seconds: float) -> tuple[str, ...]:
        """The information lines of `command`, when its OK has come. Raises ModemError for all else."""
        found = []
        for line in self.hear(command, seconds):
            if lines.is_boot(line):
                raise refusals.restarted(self.port, secrecy.shown(command))
            end = lines.final(line)
            if end is None:
                found.append(line)
                continue
            self.in_step()
            if end.done:
                return tuple(found)
            raise refusals.refused(secrecy.shown(command), end.code)
        raise refusals.SilenceError(
            f"the modem at {self.port} did not answer {secrecy.shown(command)} within {seconds:g} s.",
            things_to_try=[
                "run this again: what was done already is recognised",
                "switch the board off and on",
                *obstacles.modem_manager_hint(),
            ],
        )

    def in_step(self) -> None:
        """The last command is answered: nothing else can come for it."""
        self.astray = False
        self.unanswered.clear()
        self._hushed = False

    def settle(self, doing: str) -> None:
        """Take in what came since the last answer, so that none of it is taken for the next. Raises RestartedError."""
        if any([lines.is_boot(line) for line in self.hear("", 0)]):  # noqa: C419 - all of it is to be read
            self.astray = True
            raise refusals.restarted(self.port, doing)

    def excerpt(self) -> str:
        """What was heard, to be shown; nothing while it may be the echo of a secret."""
        heard = self.heard + self.link.unfinished()
        words = lines.text_of(b" ".join(heard.split()))
        return "" if self._hushed else secrecy.veiled(words)

    def hear(self, command: str, seconds: float) -> Iterator[str]:
        """Each line that means something: a result, information of `command`, a boot banner. Ends with the time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > -_LATE:
            raw = self.link.line(left)
            if raw is None:
                return
            self.heard = (self.heard + raw + b"\n")[-_HEARD:]
            # A host that echoes sends back the command's CR alone, and its answer on the same line.
            for text in lines.text_of(raw).split("\r"):
                line = self._take(text, command)
                if line:
                    yield line

    def _take(self, text: str, command: str) -> str:
        head, intruder = lines.split_intruder(text, command)
        if intruder:
            self._carry += head
            self._tell(f"<- {secrecy.veiled(intruder)}")
            return ""
        line = self._meaning(text, command)
        self._carry = ""
        return line

    def _meaning(self, text: str, command: str) -> str:
        """The line, joined with what an intruder cut off from it, if it means something; else ""."""
        for candidate in (lines.bare(self._carry + text), lines.bare(text)):
            if lines.final(candidate) or lines.is_boot(candidate) or lines.answers(candidate, command):
                self._tell(f"<- {secrecy.printable(candidate)}")
                return candidate
        rest = lines.bare(text)
        if rest and rest != command:
            self._tell(f"<- <{len(rest)} characters, not shown>" if self._hushed else f"<- {secrecy.veiled(rest)}")
        return ""
