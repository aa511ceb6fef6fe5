"""monitor: a device's log from a port or a file, shown line by line, and what it proves in sentences."""

import contextlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address

from thingmint.errors import CheckError, InputError
from thingmint.firmware.log import display, telling
from thingmint.firmware.log.blocks import Blocks
from thingmint.firmware.log.conclusions import Conclusions, Embedded
from thingmint.firmware.log.story import Story
from thingmint.session import Session
from thingmint.workflows import options
from thingmint.workflows.firmware import listening
from thingmint.workflows.network import translation

CONNECTED = "connected"
_LONGEST_SECONDS = 7 * 86400  # of following a port


def monitor(
    session: Session,
    *,
    port: str | None = None,
    file: str | None = None,
    as_json: bool = False,
    until: str | None = None,
    timeout: str | None = None,
) -> None:
    """Until the file's end, the time-out or Ctrl-C. Raises CheckError (exit 4) unless the device reached the hub."""
    seconds = options.seconds(timeout, "--timeout", least=0.1, most=_LONGEST_SECONDS)
    if until not in {None, CONNECTED}:
        raise InputError(
            f"--until {until!r} is nothing that can be waited for.", things_to_try=[f"--until {CONNECTED}"]
        )
    _require_source(port, file, timeout)
    if session.dry:
        session.console.say(f"would read the log {f'on {port}' if port is not None else f'in {file}'}")
        return
    translation.require_profiles()
    story = Story()
    with contextlib.ExitStack() as held:
        if port is not None:
            pieces = listening.port(port, seconds, say=session.console.say, vanished=story.vanished)
            held.callback(pieces.close)  # type: ignore[attr-defined]
        else:
            pieces = held.enter_context(listening.opened(file or ""))
        if port is not None or file == listening.STANDARD_INPUT:
            held.enter_context(contextlib.suppress(KeyboardInterrupt))  # its ordinary end
        read(session, pieces, story, show=not as_json, until_connected=until == CONNECTED)
    found = story.conclude(embedded_in)
    sentences = list(telling.sentences(found))
    if as_json:
        session.console.result_json({**found.as_json(), "sentences": sentences})
    elif sentences:
        session.console.result("\n".join(["", *sentences]))
    require_reached(found)


def read(session: Session, pieces: Iterable[bytes], story: Story, *, show: bool, until_connected: bool = False) -> None:
    """Show and hear a log, all of it or until the device is connected."""
    blocks = Blocks()
    for block in _whole(pieces, blocks, by_line=until_connected):
        story.hear(block)  # first: what is shown counts, even where Ctrl-C cuts the showing short
        if show:
            session.console.lines(display.text(block).removesuffix("\n"), display.look)
        if until_connected and story.connected:
            break
    if blocks.cut:
        session.console.warn(f"lines that are too long for a log were cut: {blocks.cut}")


def _whole(pieces: Iterable[bytes], blocks: Blocks, *, by_line: bool) -> Iterator[bytes]:
    for piece in pieces:
        if block := blocks.feed(piece):
            yield from block.splitlines(keepends=True) if by_line else [block]
    if rest := blocks.end():
        yield rest


def require_reached(found: Conclusions) -> None:
    """Raises CheckError that names why the device did not reach the hub, or that nothing says so."""
    if not found.reached:
        raise CheckError(telling.failure(found), things_to_try=telling.things_to_try(found))


def embedded_in(address: str) -> Embedded | None:
    """The IPv4 address that an IPv6 one stands for: by a known operator's prefix, else as nearly all networks make them (/96)."""
    try:
        readings = translation.readings(IPv6Address(address))
    except ValueError:
        return None
    if not readings or not (readings[0].known_from or readings[0].ipv4.is_global):
        return None
    return Embedded(str(readings[0].prefix), str(readings[0].ipv4))


def _require_source(port: str | None, file: str | None, timeout: str | None) -> None:
    if port is not None and file is not None:
        raise InputError("--port and --file cannot be used together.", things_to_try=["leave one of them out"])
    if port is None and file is None:
        raise InputError(
            "nothing to read was named.",
            things_to_try=[
                "a port: --port /dev/ttyACM0, --port COM5; the log is on a board's first one",
                "a file: --file device.log, or --file - for standard input",
                "without a device: invoke modem --imei ID --app azure_iot_hub prints the port of a simulated one",
            ],
        )
    if file is not None and timeout is not None:
        raise InputError("--timeout belongs to --port: a file has an end.", things_to_try=["leave --timeout out"])
    if port == "auto":
        raise InputError(
            "--port auto finds what answers AT, and a device that runs its application does not.",
            things_to_try=["name the port", "see which ports there are: python -m serial.tools.list_ports -v"],
        )
