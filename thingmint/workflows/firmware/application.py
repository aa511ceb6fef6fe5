"""app-create: an application of the team's own, begun as a copy of one of Nordic's samples."""

from pathlib import Path

from thingmint.errors import InputError
from thingmint.firmware import application as applications
from thingmint.firmware import editions, sample
from thingmint.firmware.application import Application
from thingmint.session import Session
from thingmint.shell import quote
from thingmint.workflows import options
from thingmint.workflows.firmware.firmware import sdk_at_hand


def app_create(session: Session, *, source: str | None, dest: str | None, ipv6: bool = False, sdk: str | None) -> None:
    """Copy the sample, without a repository of its own. Raises InputError where `dest` exists, or the patch does not fit."""
    if source not in editions.SAMPLES:
        raise InputError(
            "no sample was named." if source is None else f"--from {source!r} is no sample that is known here.",
            things_to_try=[f"--from {name}" for name in editions.SAMPLES],
        )
    target = options.new_file(dest, "--dest", "firmware/thingy91_azure")
    applications.require_buildable(target, "the new application")
    found = sdk_at_hand(session, sdk)
    chosen = Application.choose(source, found)
    changes = sample.ipv6_changes(found, source) if ipv6 else ()
    say = session.console.say
    say(f"{source} of nRF Connect SDK {found.version} ({chosen.source})")
    for change in changes:
        session.console.result(change.patch.rstrip("\n"))
    if session.dry:
        say(f"would copy it to {target}{', with this patch' if changes else ''}")
        return
    sample.copy(found, source, target, changes)
    say(
        f"made: {target}{', with this patch' if changes else ''}; it is yours to change, and to put under source control"
    )
    line = quote(["invoke", "firmware", "--app", _shown(target), *_for_hub(source)])
    session.console.next_step(line)


def _for_hub(source: str) -> tuple[str, ...]:
    return ("--imei", "ID") if source == editions.AZURE_IOT_HUB else ()


def _shown(target: Path) -> str:
    """As it can be typed from here."""
    here = Path.cwd()
    return f"./{target.relative_to(here).as_posix()}" if target.is_relative_to(here) else str(target)
