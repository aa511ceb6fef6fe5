"""creds and creds-delete: what the modem on a port holds, and removing a sec tag."""

import contextlib

from thingmint import roots
from thingmint.errors import CheckError, InputError, ThingmintError, ToolError
from thingmint.modem import commands, credentials
from thingmint.modem.credentials import Stored
from thingmint.pki.device.record import Record
from thingmint.session import Session
from thingmint.workflows.modem import loading, sectags, station


def creds(session: Session, *, port: str | None, as_json: bool = False) -> None:
    """Every credential that the modem lists, and what it is where its digest is known here. Changes nothing."""
    named = station.require_port(port)
    if station.dry(session, f"list the credentials of the modem on {named}"):
        return
    with station.opened(session, named) as modem:
        station.introduce(session, modem)
        found = credentials.listing(modem)
        contexts = commands.pdn_contexts(modem)
    names = known(session)
    rows = [(one.tag, credentials.kind_name(one.kind), _name(one, names), one.sha256) for one in found]
    if as_json:
        session.console.result_json(
            [
                {"secTag": one.tag, "type": one.kind, "kind": kind, "name": name or None, "sha256": sha256 or None}
                for one, (_, kind, name, sha256) in zip(found, rows, strict=True)
            ]
        )
        return
    session.console.table(("secTag", "kind", "what", "sha256"), [(str(tag), *rest) for tag, *rest in rows])
    session.console.say(f"{len(found)} credential(s) in the modem on {modem.port}")
    for one in contexts:
        session.console.say(f"network: context {one.cid}, {one.family}, APN {one.apn or '(the network chooses)'}")


def creds_delete(session: Session, *, port: str | None, sec_tag: str | None, yes: bool = False) -> None:
    """Remove everything that a sec tag holds. Raises InputError for a tag that is the modem's own, or nRF Cloud's."""
    if sec_tag is None:
        raise InputError("no sec tag was named.", things_to_try=["see them: invoke creds --port P", "--sec-tag 10"])
    tag = sectags.parse(sec_tag, "--sec-tag")
    named = station.require_port(port)
    if station.dry(session, f"delete sec tag {tag} of the modem on {named}"):
        return
    with station.opened(session, named) as modem:
        station.introduce(session, modem)
        found = credentials.listing(modem, tag)
        if not found:
            session.console.say(f"unchanged: sec tag {tag} holds nothing")
            return
        kinds = ", ".join(credentials.kind_name(one.kind) for one in found)
        deed = f"delete sec tag {tag} ({kinds}; a key that the modem made is lost for good)"
        if not yes and session.console.ask(f"{deed}? [y/N]").lower() not in {"y", "yes"}:
            raise InputError("nothing was deleted.", things_to_try=["answer y, or add --yes"])
        with commands.offline(modem):
            for one in found:
                credentials.delete(modem, one.tag, one.kind)
        left = credentials.listing(modem, tag)
    if left:
        raise CheckError(
            f"sec tag {tag} still holds something: {', '.join(credentials.kind_name(one.kind) for one in left)}.",
            things_to_try=["switch the board off and on, then run this again"],
        )
    session.console.say(f"deleted: sec tag {tag} ({kinds})")


def known(session: Session) -> dict[str, str]:
    """By the digest that a modem would list: Azure's server roots, and what each device here was given."""
    names: dict[str, str] = {}
    for path in sorted(session.workspace.devices.glob("*.json")):
        try:
            record = Record.read(path)
        except ThingmintError:  # a damaged record is ca-check's business
            continue
        for one in record.modem.credentials if record and record.modem else ():
            if one.sha256:
                names[one.sha256] = one.name if one.kind == loading.ROOT else f"{path.stem} · {one.name}"
    with contextlib.suppress(ToolError):  # a list of credentials needs no certifi
        public = roots.server_roots()
        names |= {credentials.digest(one.pem): one.name for one in (public.primary, public.secondary)}
    return names


def _name(one: Stored, names: dict[str, str]) -> str:
    return names.get(one.sha256, "") or credentials.owner(one.tag)
