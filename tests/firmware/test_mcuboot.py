"""Real MCUboot in serial recovery, emulated: opt-in, since its images come with smpclient's source distribution alone.

pip download --no-deps --no-binary :all: smpclient, unpack it, and
THINGMINT_MCUBOOT=smpclient-7.3.0/tests/fixtures/smp-server pytest -s tests/firmware/test_mcuboot.py
"""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from smp.os_management import BootMode
from smpclient.requests.os_management import ResetWrite

from thingmint.errors import CheckError, ModemError
from thingmint.firmware.flash import image, recovery, smp
from thingmint.firmware.flash.image import Image
from thingmint.modem.link import Link

FOLDER = Path(os.environ.get("THINGMINT_MCUBOOT", "/none"))
NAME = "zephyr_f33aa2bc4a43_smp_server_27c54835_mps2_an385_serial_recovery"
SLOT = "0x20050000"

pytestmark = [
    pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="no qemu-system-arm is installed"),
    pytest.mark.skipif(
        not (FOLDER / f"{NAME}.hex").is_file(),
        reason="THINGMINT_MCUBOOT names no folder with smpclient's smp-server fixtures",
    ),
    pytest.mark.timeout(400),
]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Link]:
    """An emulated Cortex-M3 whose application was told to restart into its bootloader's recovery."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *("qemu-system-arm", "-cpu", "cortex-m3", "-machine", "mps2-an385", "-nographic", "-monitor", "none"),
        *("-chardev", f"socket,id=con,host=127.0.0.1,port={port},server=on,wait=off"),
        *("-serial", "chardev:con", "-serial", "null"),
        *("-device", f"loader,file={FOLDER / NAME}.hex"),
        *("-device", f"loader,file={FOLDER / NAME}.signed.bin,addr={SLOT}"),
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL) as process:
        try:
            with contextlib.closing(_connected(port)) as link:
                _into_recovery(link)
                yield link
        finally:
            process.kill()


def _connected(port: int) -> Link:
    until = time.monotonic() + 30
    while True:
        try:
            return Link(f"socket://127.0.0.1:{port}")
        except ModemError:
            assert time.monotonic() < until
            time.sleep(0.2)


def _into_recovery(link: Link) -> None:
    application = smp.Recovery(link)
    assert application.slots(tries=30)
    with contextlib.suppress(smp.SilenceError):  # some restart before they answer
        application._run(application._client.request(ResetWrite(boot_mode=BootMode.BOOTLOADER)), 3.0, 1)
    application.close()
    time.sleep(2)


@pytest.fixture
def wanted() -> Image:
    return image.read(FOLDER / f"{NAME}.signed.bin")


def test_an_image_is_written_into_real_mcuboot_proven_and_started(line: Link, wanted: Image) -> None:
    began = time.monotonic()
    with recovery.opened(line) as device:
        device.write(wanted, lambda _: None)
        seconds = time.monotonic() - began
        assert device.prove(wanted)
        assert device.restart()
    print(f"\n{len(wanted.data)} bytes in {seconds:.1f} s, {len(wanted.data) / 1000 / seconds:.1f} kB/s")
    started = smp.Recovery(line)
    assert started.slots(tries=30)[0].sha256 == wanted.sha256
    started.close()


def test_real_mcuboot_refuses_what_does_not_fit_and_takes_the_next(line: Link, wanted: Image) -> None:
    large = dataclasses.replace(wanted, data=wanted.data.ljust(4 * 2**20, b"\0"))
    cut_off = dataclasses.replace(wanted, data=wanted.data[:9000])
    with recovery.opened(line) as device:
        with pytest.raises(ModemError, match="does not fit its slot"):
            device.write(large, lambda _: None)
        device.write(cut_off, lambda _: None)
        with pytest.raises(CheckError, match="lists no whole application now"):
            device.prove(cut_off)
