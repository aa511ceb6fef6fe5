"""The C header: a real compiler takes it, what it gives back is the files' own bytes, and no key ever gets in."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki.test_authority import make_both
from tests.pki.test_identity import make_device
from thingmint import roots
from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.pki.device.header import LONGEST, Source, c_header
from thingmint.pki.device.record import DeviceFiles
from thingmint.session import Session

ID = DeviceId.parse("dev-1.a")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
PROGRAM = """#include <stdio.h>
#include "device.h"
#include "device.h"

int main(void)
{
	return fputs(%s, stdout) < 0;
}
"""


@pytest.fixture
def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        pytest.skip("there is no C compiler on this machine")
    return found


def source(path: Path) -> Source:
    return Source(str(path), path.read_bytes())


def azure() -> list[Source]:
    found = roots.server_roots()
    return [Source(one.name, one.pem) for one in (found.primary, found.secondary)]


@pytest.fixture
def own(ready: Session) -> DeviceFiles:
    return make_device(ready, ID).files


def test_a_strict_compiler_takes_it_and_it_gives_the_bytes_back(
    own: DeviceFiles, tmp_path: Path, compiler: str
) -> None:
    made = c_header(ID, azure(), source(own.certificate), source(own.chain))
    (tmp_path / "device.h").write_text(made)
    wanted = {
        "SERVER_ROOT_CA": azure()[0].pem,
        "SERVER_ROOT_CA_SECONDARY": azure()[1].pem,
        "DEVICE_CERTIFICATE": own.certificate.read_bytes(),
        "DEVICE_CERTIFICATE_CHAIN": own.chain.read_bytes(),
    }
    for macro, pem in wanted.items():
        (tmp_path / "main.c").write_text(PROGRAM % macro)
        subprocess.run([compiler, *STRICT, "-o", "main", "main.c"], cwd=tmp_path, check=True)
        assert subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout == pem
        assert hashlib.sha256(pem).hexdigest().upper() in made


def test_comments_say_whose_it_is_until_when_and_where_it_goes(own: DeviceFiles) -> None:
    made = c_header(ID, azure(), source(own.certificate), source(own.chain))
    assert "#ifndef DEVICE_DEV_1_A_H\n#define DEVICE_DEV_1_A_H\n" in made
    assert "Server root: DigiCert Global Root G2; until 2038-01-15" in made
    assert "Device with its authorities: dev-1.a, Development Intermediate CA; until" in made
    assert "sec tag 11, type 0 (root CA)" in made


def test_windows_line_ends_become_what_a_modem_wants(own: DeviceFiles) -> None:
    crlf = Source("it", own.certificate.read_bytes().replace(b"\n", b"\r\n"))
    assert c_header(ID, [], crlf, source(own.chain)) == c_header(ID, [], source(own.certificate), source(own.chain))


@pytest.mark.parametrize("spoilt", ["root", "certificate", "chain"])
def test_a_private_key_is_refused_wherever_it_stands(own: DeviceFiles, spoilt: str) -> None:
    key = own.key.read_bytes()
    parts = {"root": azure()[0], "certificate": source(own.certificate), "chain": source(own.chain)}
    parts[spoilt] = Source(f"the {spoilt}", parts[spoilt].pem + key)
    with pytest.raises(InputError, match=f"the {spoilt} holds a private key") as caught:
        c_header(ID, [parts["root"]], parts["certificate"], parts["chain"])
    assert key.decode().splitlines()[1] not in caught.value.render()


def test_a_chain_that_no_literal_holds_is_left_out_and_said_so(
    tmp_path: Path, make_session_in: MakeSession, compiler: str
) -> None:
    session = make_session_in(tmp_path / "ws", pki_key="rsa:2048")
    make_both(session)
    own = make_device(session, ID).files
    long = Source("it", own.chain.read_bytes() * 2)
    assert len(long.pem) > LONGEST
    made = c_header(ID, azure(), source(own.certificate), long)
    assert "Left out" in made
    assert "#define DEVICE_CERTIFICATE_CHAIN" not in made
    (tmp_path / "device.h").write_text(made)
    (tmp_path / "main.c").write_text(PROGRAM % "DEVICE_CERTIFICATE")
    subprocess.run([compiler, *STRICT, "-o", "main", "main.c"], cwd=tmp_path, check=True)
