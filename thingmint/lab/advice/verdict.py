"""Verdict: what a device did in one case, and how that is to be taken."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    PASS = "pass"  # noqa: S105 - no password
    WARNING = "pass with warning"
    FAIL = "fail"
    NOT_SEEN = "not seen"


@dataclass(frozen=True)
class Verdict:
    result: Result
    did: str
    """What the device did, as a sentence."""
    cure: str = ""
    """What a firmware's author can do about it."""


def passed(did: str) -> Verdict:
    return Verdict(Result.PASS, did)


def warned(did: str, cure: str = "") -> Verdict:
    return Verdict(Result.WARNING, did, cure)


def failed(did: str, cure: str = "") -> Verdict:
    return Verdict(Result.FAIL, did, cure)


def not_seen(did: str) -> Verdict:
    return Verdict(Result.NOT_SEEN, did)
