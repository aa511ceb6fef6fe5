"""Deaths between the renames of `openssl ca` itself, at every one of them: the next run finishes the job."""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_faults import require_whole
from thingmint.pki.audit import audit
from thingmint.session import Session

# Stands in for openssl: the call that has the word $WORD in it runs under strace, which does to it what INJECT says.
WRAPPER = """#!/bin/sh
case " $* " in
*" WORD "*)
    strace -f -o /dev/null -e trace=?rename,?renameat,?renameat2,exit_group -e inject=INJECT openssl "$@"
    code=$?
    if [ $code -ge 128 ]; then AFTERWARDS; fi
    exit $code ;;
esac
exec openssl "$@"
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: nobody stops openssl between two system calls")
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    root = tmp_path_factory.mktemp("base") / "ws"
    assert forks.run(root, forks.make_whole) == 0
    return root


@pytest.mark.parametrize(
    ("fault", "job", "word", "profile", "renames"),
    [
        ("both killed", forks.make_victim, "-in", "hardened", 4),
        ("both killed", forks.make_everything, "-in", "article", 6),  # the serial number's two as well
        ("both killed", forks.make_old_again, "-updatedb", "hardened", 4),
        ("both killed", forks.revoke_one, "-revoke", "hardened", 4),
        ("both killed", forks.renew_one, "-revoke", "hardened", 4),
        ("both killed", forks.renew_one, "-in", "hardened", 4),
        ("both killed", forks.make_crl, "-gencrl", "hardened", 2),
        ("openssl killed", forks.make_victim, "-in", "hardened", 4),
        ("rename refused", forks.make_victim, "-in", "hardened", 4),
        ("rename refused", forks.renew_one, "-in", "hardened", 4),
    ],
)
def test_at_every_rename_the_next_run_finishes_the_job(
    base: Path,
    tmp_path: Path,
    make_session_in: MakeSession,
    fault: str,
    job: Callable[[Session], None],
    word: str,
    profile: str,
    renames: int,
) -> None:
    inject = "error=EIO" if fault == "rename refused" else "signal=SIGKILL"
    plans = [f"?rename,?renameat,?renameat2:{inject}:when={number}" for number in range(1, renames + 2)]
    if fault == "openssl killed":
        plans.append("exit_group:signal=SIGKILL")  # after the last of them
    codes = []
    for number, plan in enumerate(plans):
        root = tmp_path / str(number)
        shutil.copytree(base, root)
        wrapper = tmp_path / f"openssl-{number}"
        afterwards = "kill -9 $PPID" if fault == "both killed" else ":"
        wrapper.write_text(WRAPPER.replace("WORD", word).replace("INJECT", plan).replace("AFTERWARDS", afterwards))
        wrapper.chmod(0o755)
        codes.append(forks.run(root, job, pki_openssl=str(wrapper), pki_profile=profile))
        session = make_session_in(root, pki_key="ec:P-256", pki_profile=profile)
        job(session)
        require_whole(session, devices=["one"])
        assert audit.audit(session.workspace).findings == (), plan
    died = -signal.SIGKILL if fault == "both killed" else 1
    assert codes == [died] * renames + [0] + [died] * (fault == "openssl killed")
