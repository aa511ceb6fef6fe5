"""What happened to the device, message by message: where it stands, what failed, and what of that is over."""

from thingmint.firmware.log.causes import NO_DNS64, NO_PREFIX, Cause, Stage
from thingmint.firmware.log.conclusions import Heard

_PROVISIONING = "azure-devices-provisioning"


class Course:
    """Each message that means something is one call. Nothing in it grows: causes are told by name, and counted."""

    def __init__(self) -> None:
        self.registration = self.host = self.address = ""
        self.answered = self.connected = False
        self.connections = self.disconnects = self.overcome = 0
        self._family = self._network = ""  # of the server's address; the one family that the network gives
        self._prefix = self._early = False  # the IPv6 prefix came; something was asked before that
        self._trying = True  # to connect, or nobody knows
        self._lost: dict[str, tuple[Cause, int]] = {}  # and how often
        self._failures: dict[str, tuple[Cause, int]] = {}  # the last one to happen stands last

    @property
    def family(self) -> str:
        return self._family or self._network

    @property
    def lost(self) -> tuple[Heard, ...]:
        return tuple(Heard(*one) for one in self._lost.values())

    @property
    def failures(self) -> tuple[Heard, ...]:
        """The last one first; one that explains nothing only where no other does."""
        newest = [Heard(*one) for one in reversed(self._failures.values())]
        return tuple([one for one in newest if not one.cause.vague] or newest[:1])

    def boot(self) -> None:
        self.vanish()
        self.registration = self._network = ""
        self._prefix = self._early = False

    def vanish(self) -> None:
        """Nobody hears what it does; it may be on its way already when it is heard again."""
        self.connected = False
        self._trying = True

    # --- the network -----------------------------------------------------------------------------------------

    def register(self, where: str = "") -> None:
        self.registration = where or self.registration or "yes"
        self._failures = {name: one for name, one in self._failures.items() if one[0].stage is not Stage.NETWORK}

    def cereg(self, state: int) -> None:
        """3GPP TS 27.007, 10.1.22: 1 is home, 5 roaming; in all others the device has no network."""
        if state in {1, 5}:
            self.register("home" if state == 1 else "roaming")
        elif self.registration:
            self.registration = "lost"

    def network_gives(self, family: str) -> None:
        """This family alone."""
        self._network = family

    def prefix_came(self) -> None:
        self._prefix = True
        if self._early and not self.connected:
            self._note(self._failures, NO_PREFIX)
        self._early = False

    # --- the hub ---------------------------------------------------------------------------------------------

    def attempt(self) -> None:
        self._trying = True
        self.connected = self.answered = False

    def resolve(self, host: str) -> None:
        self.host, self.address, self._family = host, "", ""
        self.attempt()

    def resolved(self, family: str, address: str) -> None:
        self._family, self.address = family, address

    def answer(self) -> None:
        self.answered = True

    def accepted(self) -> None:
        """By whichever server was resolved last: with DPS, the first is the provisioning service."""
        if _PROVISIONING not in self.host:
            self.connect()

    def connect(self) -> None:
        """Proven."""
        if self.connected:
            return
        self.connections += 1
        self.connected, self._trying, self._early = True, False, False
        self._prefix = self._prefix or self.family == "IPv6"  # it got there by it
        self.overcome += max((times for _, times in self._failures.values()), default=0)
        self._failures = {}

    def disconnect(self) -> None:
        """Several lines tell of one."""
        self.disconnects += self.connected
        self.connected = False

    def fail(self, cause: Cause) -> None:
        if cause.stage is Stage.LINK and self.connections and not self._trying:
            self._note(self._lost, cause)
            return
        if self.connected and (cause.of_route or cause.stage is Stage.NETWORK):
            return  # another part of the application's, or of the modem's: the hub is reached
        if cause.of_route and self._network == "IPv6" and self._family == "IPv4":
            cause = NO_DNS64
        elif cause.of_route and not self._prefix:
            self._early = self._network != "IPv6"  # there, it is known at once
            if not self._early:
                cause = NO_PREFIX
        self._note(self._failures, cause)

    @staticmethod
    def _note(noted: dict[str, tuple[Cause, int]], cause: Cause) -> None:
        _, before = noted.pop(cause.name, (cause, 0))
        noted[cause.name] = cause, before + 1
