"""A message's body, which is bytes: as text where it is UTF-8, and otherwise so that nothing of it is lost."""

import base64
from collections.abc import Mapping
from typing import Any


def shown(body: bytes) -> str:
    r"""For people: a byte that no UTF-8 has stands as \xNN."""
    return body.decode("utf-8", errors="backslashreplace")


def written(body: bytes) -> dict[str, str]:
    """As a member of a JSON object: `body`, or `bodyBase64` where it is no UTF-8."""
    try:
        return {"body": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode("ascii")}


def read(written: Mapping[str, Any]) -> bytes:
    """What was `written` into this object. Raises KeyError or ValueError for anything else."""
    if "bodyBase64" in written:
        return base64.b64decode(written["bodyBase64"], validate=True)
    return str(written["body"]).encode()
