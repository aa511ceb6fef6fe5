"""The simulated bootloader as any SMP client meets it: frames of the tests' own making, and smpclient as it comes."""

import asyncio
import base64
import binascii
import re
import struct
from pathlib import Path
from typing import Any

import cbor2
import pytest
from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead
from smpclient.transport.serial import SMPSerialTransport

from tests.firmware.images import made
from tests.thing.conftest import PlugIn
from tests.thing.terminal import Terminal
from thingmint.lab.thing.bootloader import BUFFER, SLOT

OS, IMAGE = 0, 1
LIST, UPLOAD, ECHO, PARAMETERS = (0, IMAGE, 0), (2, IMAGE, 1), (2, OS, 0), (0, OS, 6)
EINVAL, ENOTSUP = 3, 8


def frame(request: tuple[int, int, int], sequence: int = 7, *, spoil: int = 0, **said: Any) -> bytes:
    """One message in lines. `spoil` is added to its CRC."""
    operation, group, command = request
    body = cbor2.dumps(said)
    message = struct.pack(">BBHHBB", operation, 0, len(body), group, sequence, command) + body
    checked = message + struct.pack(">H", binascii.crc_hqx(message, 0) ^ spoil)
    text = base64.b64encode(struct.pack(">H", len(checked)) + checked)
    pieces = [text[at : at + 124] for at in range(0, len(text), 124)]
    return b"".join((b"\x04\x14" if at else b"\x06\x09") + piece + b"\n" for at, piece in enumerate(pieces))


def ask(terminal: Terminal, request: tuple[int, int, int], **said: Any) -> dict[str, Any]:
    terminal.write(frame(request, **said))
    return answer(terminal)


def answer(terminal: Terminal) -> dict[str, Any]:
    """The next one, which is one line or a few, ended by its own length."""
    lines = terminal.until(re.compile(rb"\x06\x09(.*\n)+")).splitlines()
    text = b"".join(line[2:] for line in lines)
    while len(base64.b64decode(text)) < struct.unpack(">H", base64.b64decode(text[:4])[:2])[0] + 2:
        text += terminal.until(re.compile(rb"\n")).strip()[2:]
    whole = base64.b64decode(text)[2:]
    assert binascii.crc_hqx(whole, 0) == 0
    assert whole[6] == 7  # the sequence
    found = cbor2.loads(whole[8:-2])
    assert isinstance(found, dict)
    return found


def send(terminal: Terminal, data: bytes, step: int = 700) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for at in range(0, len(data), step):
        length = {"len": len(data)} if at == 0 else {}
        last = ask(terminal, UPLOAD, off=at, data=data[at : at + step], **length)
        assert last == {"rc": 0, "off": min(at + step, len(data))}
    return last


def test_it_lists_nothing_until_it_holds_something_whole(plug_in: PlugIn) -> None:
    _, terminal = plug_in("recovery")
    assert ask(terminal, LIST) == {"images": []}
    send(terminal, made())
    assert ask(terminal, LIST) == {"images": [{"slot": 0, "version": "1.2.3.4", "hash": made()[-32:]}]}


def test_as_mcuboots_it_knows_no_echo_and_tells_its_buffer(plug_in: PlugIn) -> None:
    _, terminal = plug_in("recovery")
    assert ask(terminal, ECHO, d="hello") == {"rc": ENOTSUP}
    assert ask(terminal, PARAMETERS) == {"buf_size": BUFFER, "buf_count": 1}
    _, old = plug_in("recovery", "flash=old", imei="350457791791735879")
    assert ask(old, PARAMETERS) == {"rc": ENOTSUP}


def test_an_image_whose_digest_is_wrong_is_not_listed(plug_in: PlugIn) -> None:
    _, terminal = plug_in("recovery")
    send(terminal, made()[:-1] + b"?")
    assert ask(terminal, LIST) == {"images": []}


def test_a_wrong_offset_is_answered_by_the_right_one_and_nothing_is_written(plug_in: PlugIn) -> None:
    thing, terminal = plug_in("recovery")
    data = made(size=2000)
    ask(terminal, UPLOAD, off=0, len=len(data), data=data[:500])
    for wrong in (900, 499):
        assert ask(terminal, UPLOAD, off=wrong, data=b"x" * 100) == {"rc": 0, "off": 500}
    for at in range(500, len(data), 500):
        ask(terminal, UPLOAD, off=at, data=data[at : at + 500])
    assert thing.memory.image.read_bytes() == data


def test_more_than_the_image_or_than_the_slot_is_refused(plug_in: PlugIn) -> None:
    _, terminal = plug_in("recovery")
    assert ask(terminal, UPLOAD, off=0, len=SLOT + 1, data=b"x") == {"rc": EINVAL}
    assert ask(terminal, UPLOAD, off=0, data=b"x") == {"rc": EINVAL}
    assert ask(terminal, UPLOAD, off=0, len=3, data=b"four") == {"rc": EINVAL}
    assert ask(terminal, UPLOAD, data=b"x") == {"rc": EINVAL}


@pytest.mark.parametrize(
    "lost",
    [
        frame(UPLOAD, off=0, len=5000, data=bytes(BUFFER)),  # larger than its buffer
        frame(LIST, spoil=1),
        frame(LIST)[:-6] + b"\n",
        b"\x06\x09" + b"*" * 40 + b"\n",
        b"\x04\x14" + frame(LIST)[2:],  # goes on with what never began
        b"\x06\x09" + b"A" * 600 + b"\n",
        b"AT\r\n",
    ],
)
def test_what_is_no_whole_frame_is_dropped_without_a_word(plug_in: PlugIn, lost: bytes) -> None:
    _, terminal = plug_in("recovery")
    terminal.write(lost)
    assert terminal.read(0.2) == b""
    assert ask(terminal, LIST) == {"images": []}


def test_an_upload_that_is_cut_leaves_no_application(plug_in: PlugIn) -> None:
    thing, terminal = plug_in("recovery")
    send(terminal, made())
    ask(terminal, UPLOAD, off=0, len=5000, data=b"x" * 500)
    assert ask(terminal, LIST) == {"images": []}
    assert not thing.memory.image.exists()


def test_smpclient_as_it_comes_writes_an_image(plug_in: PlugIn, tmp_path: Path) -> None:
    thing, terminal = plug_in("recovery")
    terminal.__exit__(None, None, None)

    async def upload() -> bool:
        async with SMPClient(SMPSerialTransport(), thing.port) as client:
            offsets = [offset async for offset in client.upload(made())]
            assert offsets[-1] == len(made())
            listed = await client.request(ImageStatesRead())
            return success(listed) and listed.images[0].hash == made()[-32:]

    assert asyncio.run(upload())
