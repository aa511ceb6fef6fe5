"""Asking before what cannot be undone, or rests on a comparison; on a production hub, wanting its name typed."""

from thingmint.errors import InputError
from thingmint.session import Session


def ask(session: Session, deed: str, *, yes: bool) -> None:
    """Returns if the user agrees to `deed` ("delete …"). Raises InputError otherwise. With --dry nobody is asked."""
    if session.dry:
        return
    if session.settings.guarded:
        hub = session.settings.azure.hub
        answer = session.console.ask(f"{deed} on {hub}, which is no development hub. Type the hub's name to go on:")
        if answer != hub:
            raise InputError(
                "nothing was changed: the hub's name was not typed.",
                things_to_try=["--yes does not count on a production hub, or one whose name does not end in -dev"],
            )
        return
    if yes or session.console.ask(f"{deed}? [y/N]").lower() in {"y", "yes"}:
        return
    raise InputError("nothing was changed.", things_to_try=["answer y, or add --yes"])


def ask_to_install(session: Session, *, yes: bool) -> None:
    """Whoever sits at a terminal answers for the thumbprints that were shown; elsewhere they are told to. Raises InputError."""
    if session.dry or yes:
        return
    if not session.console.has_terminal:
        session.console.say("  compare the thumbprints with those of whoever made it")
        return
    if session.console.ask("are these their thumbprints: install these? [y/N]").lower() not in {"y", "yes"}:
        raise InputError(
            "nothing was installed.",
            things_to_try=["compare the thumbprints with those of whoever made it, then answer y, or add --yes"],
        )
