"""flash as a user types it: a simulated device in recovery in one terminal, its application in another."""

from pathlib import Path

from tests.commands.conftest import IMEI, CommandLine
from tests.commands.test_modem import modem, typed
from tests.firmware.images import AT_CLIENT, file
from tests.firmware.images import made as image_of
from thingmint.firmware.stamp import Stamp


def test_what_is_flashed_is_what_the_device_boots(made: CommandLine, tmp_path: Path) -> None:
    with modem(made) as (port, _):
        made.ok("provision", "--imei", IMEI, "--port", port)
    image = file(made.workspace, name="firmware/build/azure_iot_hub-thingy91_nrf9160_ns/zephyr/app_update.bin")
    Stamp("azure_iot_hub", "", "thingy91_nrf9160_ns", None).write(image.parents[1])
    with modem(made, "--fault", "recovery") as (port, process):
        done = made.ok("flash", "--app", "azure_iot_hub", "--port", port)
        assert f"image: {image}" in done.stderr
        assert "proven: the bootloader lists it" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("next: invoke monitor --port ")
        assert process.stderr
        log = ""
        while "Event was successfully sent" not in log:
            log += process.stderr.readline()
    assert "its bootloader starts the application" in log
    with modem(made, "--fault", "recovery") as (port, _):
        made.ok("flash", "--file", str(file(tmp_path, image_of(AT_CLIENT))), "--port", "auto")
    with modem(made) as (port, _):
        assert "root CA" in made.ok("creds", "--port", port).stdout


def test_ctrl_c_says_that_the_device_has_no_application_and_the_same_line_writes_it(
    made: CommandLine, tmp_path: Path
) -> None:
    image = file(tmp_path, image_of(AT_CLIENT, size=60_000))
    with modem(made, "--fault", "recovery") as (port, _):
        child = typed(made, "flash", "--file", str(image), "--port", port)
        child.expect("bootloader: ")
        child.expect(r" [1-9][0-9]*/\d{5}")
        child.sendintr()
        said = child.read()
        child.wait()
        assert child.exitstatus == 130, said
        assert "the device has no whole application now" in said
        assert "nothing is half done" not in said
        assert "Traceback" not in said
        assert "proven: " in made.ok("flash", "--file", str(image), "--port", port).stderr


def test_a_device_that_runs_its_application_is_told_of_the_button(made: CommandLine, tmp_path: Path) -> None:
    image = str(file(tmp_path))
    with modem(made) as (port, _):
        done = made("flash", "--file", image, "--port", port)
        assert done.returncode == 6
        assert "not in its bootloader's serial recovery" in done.stderr
        assert "hold the middle button (SW3)" in done.stderr
        assert made.ok("creds", "--port", port)
    assert made("flash", "--file", image, "--port", "/dev/ttyNONE").returncode == 6
    assert made("modem", "--imei", IMEI, "--fault", "recovery", "--app", "at_client").returncode == 2
