"""What is an image for this device, and what else a file can be: each is named before anything is sent."""

import io
import os
import struct
from pathlib import Path

import pytest
from intelhex import IntelHex

from tests.firmware.images import file, made
from thingmint.errors import InputError
from thingmint.firmware.flash import built, image
from thingmint.firmware.stamp import Stamp

SLOT = 0xC000


def hex_of(*parts: tuple[int, bytes]) -> bytes:
    whole = IntelHex()
    for at, data in parts:
        whole.puts(at, data)
    text = io.StringIO()
    whole.write_hex_file(text)
    return text.getvalue().encode()


def test_an_image_is_read_with_its_version_and_digest(tmp_path: Path) -> None:
    data = made()
    found = image.read(file(tmp_path, data))
    assert (found.data, found.version) == (data, "1.2.3+4")
    assert bytes.fromhex(found.sha256) == data[-32:]
    image.require_chip(found, image.NRF91)


def test_protected_tlvs_are_part_of_the_digest(tmp_path: Path) -> None:
    data = made(protected=struct.pack("<HHI", 0x50, 4, 7))
    assert image.read(file(tmp_path, data)).data == data


def test_a_hex_file_is_the_same_image(tmp_path: Path) -> None:
    data = made()
    assert image.read(file(tmp_path, hex_of((SLOT, data)), "app_signed.hex")).data == data


def test_what_fills_the_slot_behind_it_is_not_sent(tmp_path: Path) -> None:
    trailer = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
    for padding in (b"\xff" * 4096, b"\xff" * 4000 + b"\x01" * 80 + trailer):
        assert image.read(file(tmp_path, made() + padding)).data == made()


FLIPPED = bytearray(made())
FLIPPED[5000] ^= 1
SHORT = made()[:5_000]


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.bin", b"", "is empty"),
        ("zephyr.elf", b"\x7fELF\x01\x01", "is an ELF file"),
        ("dfu_application.zip", b"PK\x03\x04", "is a zip archive"),
        ("a.bin", b"plain text", "no MCUboot image: it starts with 706c6169"),
        ("a.bin", hex_of((SLOT, made())), "looks like an Intel HEX file"),
        ("a.bin", made()[:20], "is cut off"),
        ("a.bin", SHORT, "is cut off"),
        ("a.bin", made()[:-1], "is cut off"),
        ("a.bin", bytes(FLIPPED), "is damaged"),
        ("a.bin", made(flags=4), "is encrypted"),
        ("a.bin", made() + made(), "holds more than one"),
        ("a.bin", bytes(SLOT) + made(), "holds a bootloader beside the application"),
        ("merged.hex", hex_of((0, bytes(range(256))), (SLOT, made())), "holds a bootloader beside the application"),
        ("merged.hex", hex_of((SLOT, made()), (0xFF8000, b"uicr")), "holds a bootloader beside the application"),
        ("a.hex", b":00000001FF\n", "holds nothing"),
        ("a.hex", b"\xff\xfe no hex", "is no Intel HEX file"),
        ("a.hex", b":10C00000zz\n", "is no Intel HEX file"),
        ("zephyr.hex", hex_of((SLOT, b"no magic here")), "no MCUboot image"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        image.read(file(tmp_path, data, name))
    assert name in caught.value.message
    assert caught.value.things_to_try or "SHA-256" in text


def test_a_file_that_is_not_there_or_too_large_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        image.read(tmp_path / "none.bin")
    with pytest.raises(InputError, match="cannot be read"):
        image.read(tmp_path)
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as sparse:
        sparse.truncate(17 * 2**20)
    with pytest.raises(InputError, match="too large"):
        image.read(huge)


@pytest.mark.parametrize("wrong", [{"stack": 0x20265878}, {"reset": 0x2024541D}, {"size": 2**20}])
def test_an_image_for_another_chip_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    found = image.read(file(tmp_path, made(**wrong)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="another chip|all of the nRF9160's flash"):
        image.require_chip(found, image.NRF91)


@pytest.mark.parametrize(
    "name",
    [
        "azure_iot_hub-thingy91_nrf9160_ns/zephyr/app_update.bin",
        "azure_iot_hub-thingy91_nrf9160_ns/azure_iot_hub/zephyr/zephyr.signed.bin",
    ],
)
def test_what_was_built_last_is_found_whatever_sdk_built_it(tmp_path: Path, name: str) -> None:
    folder = "azure_iot_hub-thingy91_nrf9160_ns"
    old = file(tmp_path, name=f"{folder}/zephyr/zephyr.signed.bin")
    os.utime(old, (1, 1))
    wanted = file(tmp_path, name=name)
    file(tmp_path, name=f"{folder}/mcuboot/zephyr/zephyr.signed.bin")
    file(tmp_path, name="at_client-thingy91_nrf9160_ns/zephyr/app_update.bin")
    for other in (
        "azure_iot_hub-nrf9160dk_nrf9160_ns",
        "azure_iot_hub-thingy91x_nrf9151_ns",
        "azure_iot_hub-thingy91_nrf52840",
    ):
        file(tmp_path, name=f"{other}/zephyr/app_update.bin")
        Stamp("azure_iot_hub", "", other.removeprefix("azure_iot_hub-"), None).write(tmp_path / other)
    Stamp("azure_iot_hub", "", "thingy91_nrf9160_ns", "dev-1").write(tmp_path / folder)
    assert built.newest(tmp_path, "azure_iot_hub") == (wanted, "dev-1")


def test_a_build_that_did_not_go_through_is_nobodys(tmp_path: Path) -> None:
    file(tmp_path, name="azure_iot_hub-thingy91_nrf9160_ns/zephyr/app_update.bin")
    with pytest.raises(InputError, match="no image of azure_iot_hub"):
        built.newest(tmp_path, "azure_iot_hub")


def test_an_applications_own_build_folder_is_looked_at(tmp_path: Path) -> None:
    wanted = file(tmp_path, name="my_app/build/zephyr/app_update.bin")
    assert built.newest(tmp_path / "firmware/build", str(tmp_path / "my_app")) == (wanted, None)


def test_an_application_that_was_not_built_is_told_with_how(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image of at_client was built") as caught:
        built.newest(tmp_path, "at_client")
    assert "build it: invoke firmware --app at_client" in caught.value.things_to_try
