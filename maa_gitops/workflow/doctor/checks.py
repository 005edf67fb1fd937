"""What ``doctor`` finds: one value for each thing that was looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CheckLevel(StrEnum):
    """What was found: all is well, something to think about, something to mend."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``code`` is stable; ``hint`` is the command to run, where there is one."""

    code: str
    level: CheckLevel
    message: str
    hint: str | None = None


def ok(code: str, message: str) -> Check:
    """All is well."""
    return Check(code, CheckLevel.OK, message)


def warning(code: str, message: str, hint: str | None = None) -> Check:
    """Something to think about."""
    return Check(code, CheckLevel.WARNING, message, hint)


def problem(code: str, message: str, hint: str | None = None) -> Check:
    """Something to mend."""
    return Check(code, CheckLevel.PROBLEM, message, hint)


def untold(code: str, why: str, hint: str | None = None) -> Check:
    """A check that could not be made."""
    return warning(code, f"cannot be told: {why}", hint)


def in_order(checks: Iterable[Check]) -> tuple[Check, ...]:
    """What is well first, problems last; else in the order in which it was looked at."""
    levels = list(CheckLevel)
    return tuple(sorted(checks, key=lambda check: levels.index(check.level)))


def has_problem(checks: Iterable[Check]) -> bool:
    """Whether there is something to mend."""
    return any(check.level is CheckLevel.PROBLEM for check in checks)
