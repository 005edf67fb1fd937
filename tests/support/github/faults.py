"""What goes wrong between a client and GitHub, when a test says so."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FAIL, DROP, GARBLE, ALTER, CALL = "fail", "drop", "garble", "alter", "call"


@dataclass(slots=True)
class Fault:
    """Something that befalls the next requests that match."""

    kind: str
    times: int
    match: re.Pattern[str] | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    has_effect: bool = False
    action: Callable[..., Any] | None = None

    def meets(self, request: str) -> bool:
        """Whether it befalls a request, told as ``METHOD path``."""
        return self.times > 0 and (self.match is None or self.match.search(request) is not None)


def failure(status: int, headers: Mapping[str, str], body: Any) -> tuple[dict[str, str], Any]:
    """Headers and body of a failure, as GitHub forms them; what the test gives goes first."""
    given = {name.lower() for name in headers}
    said, more = {500: "Server Error", 502: "Server Error", 503: "Service Unavailable"}.get(status, "Failed"), {}
    if status == 429 or (status == 403 and "retry-after" in given):
        said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        more = {} if "retry-after" in given else {"Retry-After": "1"}
    elif status == 403 and "x-ratelimit-remaining" in given:
        said = "API rate limit exceeded for user ID 1001."
        more = {} if "x-ratelimit-reset" in given else {"X-RateLimit-Reset": str(int(time.time()) + 60)}
    default = {"message": said, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return {**more, **headers}, default if body is None else body


class Faults:
    """What a test lets go wrong; the oldest fault that matches a request befalls it."""

    def __init__(self) -> None:
        """Start with none."""
        self.waiting: list[Fault] = []

    def fail_next(
        self,
        status: int,
        *,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        match: str | None = None,
        body: Any = None,
        has_effect: bool = False,
    ) -> None:
        """Answer the next requests whose ``METHOD path`` matches with a failure.

        With ``has_effect`` the request does its work first, and only its answer is lost. A body of bytes goes out as
        HTML, anything else as JSON.
        """
        self._add(Fault(FAIL, times, _compiled(match), status, headers or {}, body, has_effect))

    def drop_next(self, times: int = 1, match: str | None = None, *, has_effect: bool = False) -> None:
        """Close the connection without an answer, for the next requests that match."""
        self._add(Fault(DROP, times, _compiled(match), has_effect=has_effect))

    def garble_next(self, times: int = 1, match: str | None = None, body: bytes = b"<html>not what you think") -> None:
        """Answer the next requests that match 200 with something that is not JSON."""
        self._add(Fault(GARBLE, times, _compiled(match), body=body, has_effect=True))

    def alter_next(self, change: Callable[[Any], Any], match: str | None = None, times: int = 1) -> None:
        """Let a function make other documents of the next answers to requests that match."""
        self._add(Fault(ALTER, times, _compiled(match), action=change, has_effect=True))

    def before_next(self, action: Callable[[], Any], match: str | None = None, times: int = 1) -> None:
        """Do something just before the next requests that match are answered: somebody else is faster.

        The action may change the fake's state and push with git; it must not ask the fake over HTTP.
        """
        self._add(Fault(CALL, times, _compiled(match), action=action, has_effect=True))

    def _add(self, fault: Fault) -> None:
        self.waiting.append(fault)

    def faults_of(self, request: str) -> list[Fault]:
        """The faults that befall a request: what is done before it, and the first of the others."""
        met = [fault for fault in self.waiting if fault.meets(request)]
        calls = [fault for fault in met if fault.kind == CALL]
        others = [fault for fault in met if fault.kind != CALL][:1]
        for fault in (*calls, *others):
            fault.times -= 1
        self.waiting = [fault for fault in self.waiting if fault.times > 0]
        return [*calls, *others]


def _compiled(match: str | None) -> re.Pattern[str] | None:
    return None if match is None else re.compile(match)
