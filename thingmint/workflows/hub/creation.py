"""hub-create: resource group, hub, provisioning service and their link, where they are missing; nothing is replaced."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thingmint.errors import HubError, InputError
from thingmint.session import Session
from thingmint.workflows import consent, targets

if TYPE_CHECKING:
    from thingmint.hub.account import Group, HubResource, ServiceResource, Subscription
    from thingmint.hub.resources import Resources
    from thingmint.target import Target

_SKUS = ("F1", "S1")
_PRICES = "https://azure.microsoft.com/pricing/details/iot-hub/"  # of the hub and of the provisioning service
_COSTS = {"F1": "free", "S1": "charged"}
_NEXT = "invoke rootca subca verify device --imei ID"
_TURNS = 5  # how often somebody else may come first before the error is told


@dataclass(frozen=True)
class _Wish:
    """What is made where it is missing; `tags` mark it, so that whoever pays can tell what it is.

    `given` are the options of the command line: what contradicts them is refused, what contradicts a default is not.
    """

    location: str
    sku: str
    tags: dict[str, str]
    given: frozenset[str]


@dataclass(frozen=True)
class _Found:
    """What is there already."""

    subscription: "Subscription"
    group: "Group | None"
    hub: "HubResource | None"
    service: "ServiceResource | None"
    hub_host: str

    @property
    def linked(self) -> bool:
        return self.hub is not None and self._names_it

    @property
    def stale(self) -> bool:
        """A link outlives its hub, and holds a key that no later hub of that name has."""
        return self.hub is None and self._names_it

    @property
    def _names_it(self) -> bool:
        return self.service is not None and self.service.is_linked(self.hub_host)

    @property
    def busy(self) -> bool:
        """An earlier run was cut off, or another one is at it."""
        return any(one and one.provisioning != "Succeeded" for one in (self.hub, self.service))


def hub_create(session: Session, *, sku: str | None, location: str | None, yes: bool = False) -> None:
    """Show subscription, names, locations and cost classes; ask; make what is missing, each with its progress."""
    wish = _wish(session, sku, location)
    targets.require_sign_in(session, "hub-create")
    if session.dry:
        targets.announce(session)
        for line in _lines(session, wish, None):
            session.console.say(line)
        session.console.say("would look which of these are missing, ask, and make them")
        return
    with _opened(session) as (resources, target):
        found = _look(resources, target)
        for line in _lines(session, wish, found):
            session.console.say(line)
        _require_agreement(wish, found)
        _tell_kept(session, found)
        if found.linked and not found.busy:
            session.console.say("unchanged: all of it is there")
        else:
            _require_possible(resources, found, wish)
            consent.ask(session, _deed(found), yes=yes)
            _make(session, resources, found, wish)
        service = resources.settle_service(lambda: None)
        session.console.say(
            f"  hub: {target.hub_host} · provisioning service: {service.host}, id scope {service.id_scope}"
        )
        session.console.next_step(f"{_NEXT}; invoke hub-show shows this again")


@contextmanager
def _opened(session: Session) -> "Iterator[tuple[Resources, Target]]":
    from thingmint.hub.resources import Resources

    target, credential, _lab = targets.sign_in(session)
    resources = Resources(target, credential)
    try:
        yield resources, target
    finally:
        resources.close()


def _wish(session: Session, sku: str | None, location: str | None) -> _Wish:
    azure = session.settings.azure
    wanted = "F1" if sku is None else sku.upper()
    if wanted not in _SKUS:
        raise InputError(f"--sku {sku!r} is none of {', '.join(_SKUS)}.", things_to_try=["F1 is free, S1 is charged"])
    place = azure.location if location is None else location.replace(" ", "").lower()
    if not re.fullmatch(r"[a-z0-9]{3,40}", place, re.ASCII):
        raise InputError(
            f"--location {location!r} is no location.",
            things_to_try=["one like australiaeast: az account list-locations --query '[].name' --output table"],
        )
    tags = {"application": "thingmint", "environment": "production" if azure.production else "dev"}
    given = {option for option, value in (("--sku", sku), ("--location", location)) if value is not None}
    return _Wish(place, wanted, tags, frozenset(given))


def _look(resources: "Resources", target: "Target") -> _Found:
    subscription = resources.subscription()
    group = resources.group()
    return _Found(
        subscription,
        group,
        resources.hub() if group else None,
        resources.service() if group else None,
        target.hub_host,
    )


def _lines(session: Session, wish: _Wish, found: _Found | None) -> Iterator[str]:
    """A line for each: name, location, cost, and whether it is there. `found` is None where nothing was asked."""
    azure = session.settings.azure
    number = azure.subscription_id
    yield f"  subscription          {f'{found.subscription.name} ({number})' if found else number}"
    group, hub, service = (found.group, found.hub, found.service) if found else (None, None, None)
    rows = (
        ("resource group", azure.resource_group, group.location if group else wish.location, "", group),
        ("hub", azure.hub, hub.location if hub else wish.location, _cost(hub.sku if hub else wish.sku), hub),
        (
            "provisioning service",
            azure.provisioning_service,
            service.location if service else wish.location,
            _cost("S1"),
            service,
        ),
    )
    width = max(len(name) for _, name, *_ in rows)
    for what, name, place, cost, there in rows:
        state = "" if found is None else "  exists" if there else "  to be made"
        yield f"  {what:<20}  {name:<{width}}  {place}{f'  {cost}' if cost else ''}{state}"
    state = "" if found is None else "  exists" if found.linked else "  to be made"
    if found and found.stale:
        state += " anew: the one that is there is of a hub that is gone"
    yield f"  {'link':<20}  {azure.hub} → {azure.provisioning_service}{state}"
    if session.settings.target == "lab":
        yield f"  in the lab nothing is charged; on Azure: {_PRICES}"
    else:
        yield f"  how much is charged, Microsoft says: {_PRICES}"


def _cost(sku: str) -> str:
    return f"{sku}, {_COSTS.get(sku, 'charged')}"


def _require_agreement(wish: _Wish, found: _Found) -> None:
    """What exists is neither moved nor changed. A group may hold what is elsewhere. Raises InputError naming both."""
    contradictions = [
        ("--location", wish.location, one.name, one.location)
        for one in (found.hub, found.service)
        if one and one.location.replace(" ", "").casefold() != wish.location
    ]
    if found.hub and found.hub.sku.upper() != wish.sku:
        contradictions.append(("--sku", wish.sku, found.hub.name, found.hub.sku))
    refused = [one for one in contradictions if one[0] in wish.given]
    for option, wanted, *_ in refused[:1]:
        raise InputError(
            f"{option} {wanted} contradicts what exists: nothing was changed.",
            detail="\n".join(f"{name}: {there}, not {wanted}" for _, wanted, name, there in refused),
            things_to_try=[
                f"leave {option} out: what is there is taken as it is",
                "name another hub or service: azure.hub, azure.provisioning_service",
                *(["where what is missing is made: azure.location"] if option == "--location" else []),
            ],
        )


def _tell_kept(session: Session, found: _Found) -> None:
    others = [one for one in found.service.hubs if one.casefold() != found.hub_host.casefold()] if found.service else []
    if found.service and not found.linked and others:
        session.console.say(f"kept: {found.service.name} is linked to {', '.join(others)}, too")


def _require_possible(resources: "Resources", found: _Found, wish: _Wish) -> None:
    """Before anything is made: names that are free, and the one free hub that a subscription may have."""
    resources.require_free_names(hub=found.hub is None, service=found.service is None)
    if found.hub is None and wish.sku == "F1" and (other := resources.free_hub()):
        raise HubError(
            f"nothing was made: the subscription has its one free hub already: {other}.",
            things_to_try=[
                "use that one: azure.hub and azure.resource_group",
                "make a hub that is charged: invoke hub-create --sku S1",
                "delete that one, if nobody needs it",
            ],
        )


def _deed(found: _Found) -> str:
    missing = [
        name
        for name, there in (
            ("resource group", found.group),
            ("hub", found.hub),
            ("provisioning service", found.service),
            ("link", found.linked),
        )
        if not there
    ]
    return f"make {', '.join(missing)} in {found.subscription.name}" if missing else "go on with what was begun"


def _make(session: Session, resources: "Resources", found: _Found, wish: _Wish) -> None:
    azure = session.settings.azure
    console = session.console
    try:
        if found.group is None:
            made = _made(resources.group, lambda: resources.make_group(wish.location, wish.tags), lambda _ours: None)
            console.say(f"{'made' if made else 'there'}: resource group {azure.resource_group}")
        if found.stale:  # first: a run that is cut off leaves no link behind that looks whole and is not
            with console.waiting(f"the provisioning service {azure.provisioning_service}") as tick:
                _link(resources, found.hub_host, tick, there=False)
            console.say(f"unlinked: {azure.hub}, which is gone, from {azure.provisioning_service}")
        with console.waiting(f"the hub {azure.hub}") as tick:
            made = _made(
                resources.hub,
                lambda: resources.make_hub(wish.location, wish.sku, wish.tags, tick),
                lambda ours: resources.settle_hub(tick, ours=ours),
            )
        console.say(f"{'made' if made else 'there'}: hub {azure.hub}")
        with console.waiting(f"the provisioning service {azure.provisioning_service}") as tick:
            made = _made(
                resources.service,
                lambda: resources.make_service(wish.location, wish.tags, tick),
                lambda ours: resources.settle_service(tick, ours=ours),
            )
            linked = _link(resources, found.hub_host, tick)
        console.say(f"{'made' if made else 'there'}: provisioning service {azure.provisioning_service}")
        console.say(f"{'linked' if made or linked else 'there'}: {azure.hub} → {azure.provisioning_service}")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; what was begun goes on by itself: run the same line again, and it is waited for"
        ) from None


def _made(read: Callable[[], object], make: Callable[[], None], settle: Callable[[bool], object]) -> bool:
    """Make it unless it is there; wait until it is whole. False if it was there, or somebody else came first."""
    from thingmint.hub.transport import seen

    ours = read() is None
    if ours:
        try:
            make()
        except HubError as refusal:
            if refusal.status not in {409, 412} or seen(read) is None:
                raise
            ours = False
    settle(ours)
    return ours


def _link(resources: "Resources", host: str, tick: Callable[[], None], *, there: bool = True) -> bool:
    """Add the link, or take it out; what somebody changed meanwhile is read again first. False if it was so already."""
    change = resources.add_link if there else resources.remove_link
    for turn in range(_TURNS):
        if resources.settle_service(tick).is_linked(host) == there:
            return False
        try:
            change(tick)
        except HubError as refusal:
            if refusal.status not in {409, 412} or turn == _TURNS - 1:
                raise
        else:
            return True
    return False
