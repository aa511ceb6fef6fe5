"""A name server on loopback: real packets over UDP, with the answers, and the faults, that a test asks for."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from thingmint.network.addresses import ResolverAddress

IPV4 = ("192.0.0.170", "192.0.0.171")


@dataclass
class Zone:
    """What it says of every name. `spoil` changes the packet on its way out; None is no answer."""

    aaaa: Sequence[str] = ()
    a: Sequence[str] = IPV4
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    spoil: Callable[[bytes], bytes | None] = bytes
    asked: list[str] = field(default_factory=list)

    def answer(self, packet: bytes) -> bytes | None:
        query = dns.message.from_wire(packet)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{question.name} {kind}")
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        response.set_rcode(self.rcode)
        if records := {"AAAA": self.aaaa, "A": self.a}.get(kind, ()):
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, records))
        return self.spoil(response.to_wire())


@contextlib.contextmanager
def serving(zone: Zone, host: str = "127.0.0.1") -> Iterator[ResolverAddress]:
    """Its address, for as long as it answers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((host, 0))
        server.settimeout(0.05)
        over = threading.Event()

        def run() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    packet, client = server.recvfrom(4096)
                    if answer := zone.answer(packet):
                        server.sendto(answer, client)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield ResolverAddress(host, server.getsockname()[1])
        finally:
            over.set()
            thread.join()
