"""Make .venv from requirements.lock: what `make setup` calls, and `py bootstrap.py` on Windows.

Standard library only, since nothing is installed yet. Running it again does nothing unless the lock changed; an
interrupted run is simply done again, because the stamp is written last.
"""

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "thingmint.stamp"
SUPPORTED = ((3, 11), (3, 12), (3, 13))
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK = ROOT / ".venv.lock"


def refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def check_python() -> None:
    if sys.version_info[:2] not in SUPPORTED:
        found = f"Python {sys.version_info.major}.{sys.version_info.minor} ({sys.executable})"
        refuse(
            f"{found} is not supported: thingmint runs on Python 3.11, 3.12 and 3.13.\n"
            "Things to try:\n"
            "  - name another interpreter: make setup PYTHON=python3.12\n"
            "  - Windows: py -3.12 bootstrap.py"
        )


def check_ensurepip() -> None:
    """Debian and Ubuntu package it apart; venv itself would fail with a traceback."""
    if importlib.util.find_spec("ensurepip") is None:
        refuse(
            f"{sys.executable} has no ensurepip, so it cannot make an environment.\n"
            "Things to try:\n"
            "  - Debian, Ubuntu: apt install python3-venv\n"
            "  - name another interpreter: make setup PYTHON=python3.12"
        )


def fingerprint() -> str:
    """What the environment was made from: the lock, the project's metadata, and this interpreter's version."""
    digest = hashlib.sha256(repr((sys.version_info[:2], str(ROOT))).encode())
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def up_to_date(wanted: str) -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="ascii").strip() == wanted


def pip(*arguments: str) -> None:
    argv = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "-q", "-q", *arguments]
    if subprocess.run(argv, cwd=ROOT, check=False).returncode:
        refuse(
            f"pip failed: {' '.join(argv[1:])}\n"
            "Things to try:\n"
            "  - read pip's own message above; behind a proxy or mirror, configure pip for it\n"
            "  - remove .venv and run this again"
        )


def make() -> None:
    wanted = fingerprint()
    if up_to_date(wanted):
        return
    check_ensurepip()
    print("making .venv from requirements.lock (some minutes the first time)", file=sys.stderr)
    STAMP.unlink(missing_ok=True)
    # clear: an environment of another Python, or one moved from another folder, is not mended but made anew.
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=os.name != "nt").create(VENV)
    pip("install", "--require-hashes", "--requirement", "requirements.lock")
    # compat: a plain path entry; the default installs an import hook that every start of Python would pay for.
    pip("install", "--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat", "--editable", ".")
    STAMP.write_text(wanted, encoding="ascii")


def turn_on_the_hook() -> None:
    """Let git scan each commit for private keys, unless somebody chose other hooks; said once, when it is done.

    In a clone's main folder only: its worktrees share the configuration, and the relative path means each one's own
    .githooks. Without git, or where git refuses, the environment is all there is to make.
    """
    if not (ROOT / ".git").is_dir() or not (ROOT / ".githooks/pre-commit").is_file():
        return
    if any(hook.suffix != ".sample" for hook in (ROOT / ".git/hooks").glob("*")):
        return
    # This clone's configuration, also from within another one's hook, where GIT_DIR points elsewhere.
    config = ["git", f"--git-dir={ROOT / '.git'}", "config"]
    with contextlib.suppress(OSError):
        chosen = subprocess.run([*config, "--get", "core.hooksPath"], cwd=ROOT, check=False, capture_output=True)
        if chosen.returncode != 1:  # 0: chosen, perhaps for all of this user's clones; others: git's own trouble
            return
        done = subprocess.run([*config, "core.hooksPath", ".githooks"], cwd=ROOT, check=False, capture_output=True)
        if not done.returncode:
            print(
                "git scans each commit for private keys from now on: core.hooksPath is .githooks\n"
                "(hooks of your own instead: git config core.hooksPath .git/hooks)",
                file=sys.stderr,
            )


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two at once: the second waits for the first. The lock dies with its process, so none is ever left behind."""
    with LOCK.open("w") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # tries for ten seconds, then raises
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say_how_to_activate() -> None:
    print(
        f"""The environment is ready: {VENV}
Activate it, then type `invoke --list`:
  bash, zsh     source .venv/bin/activate
  fish          source .venv/bin/activate.fish
  PowerShell    .venv\\Scripts\\Activate.ps1    (Linux, macOS: .venv/bin/Activate.ps1)
  cmd.exe       .venv\\Scripts\\activate.bat""",
        file=sys.stderr,
    )


def main() -> None:
    check_python()
    with one_at_a_time():
        make()
    turn_on_the_hook()
    if "--quiet" not in sys.argv[1:]:
        say_how_to_activate()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: run it again to finish", file=sys.stderr)
        raise SystemExit(130) from None
    except (OSError, ValueError, subprocess.CalledProcessError) as error:  # a file in the way, a full disk, …
        refuse(f"the environment cannot be made: {error}")
