"""What was made in a workspace's lab: read from its database, whether the lab runs or not."""

from thingmint.lab.state import LabFolder


def in_use(lab: LabFolder) -> bool:
    """Whether it holds a resource, or what cannot be read."""
    return _held(lab) != set()


def hub_stands(lab: LabFolder, hub: str) -> bool:
    """Whether the hub of this name was made, as far as can be read."""
    held = _held(lab)
    return held is None or ("hub", hub.casefold()) in held


def _held(lab: LabFolder) -> set[tuple[str, str]] | None:
    """Kind and name of each resource. None where the database cannot be read."""
    import sqlite3

    from thingmint.lab.cloud.store.resources import standing

    if not lab.database.exists():
        return set()
    try:
        return standing(lab.database)
    except sqlite3.Error:
        return None
