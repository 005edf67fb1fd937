"""Asking Graph: retries, throttling, pages, batches of reads; its refusals as our errors.

What is asked for, and what Intune's own approval needs, is known by those who use it.
"""

import base64
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer, Connection, Failure, NoAnswer, back_off, until_answered
from maa_gitops.providers.graph.credentials import Credential

Json = Any
"""Plain data as it came."""

BATCH = 20
"""Requests in one batch. Source: Graph, "JSON batching"."""

LONGEST_WAIT = 300.0
"""Seconds to wait for one answer in all, before giving up with ``retry``."""

_TRIES = 6
_MOST_PAGES = 20_000
_MOST_DEPTH = 100
"""Levels of an answer within one another."""

_MOST_DIGITS = 18
_LONGEST_PAUSE = 60.0
_WRITES, _WINDOW = 90, 20.0
"""Writes in so many seconds; Graph takes 100. Source: Graph, "Intune throttling limits"."""

_ADVANCED = {"ConsistencyLevel": "eventual"}
_READING = {"Prefer": "include-unknown-enum-members"}
"""Else Graph answers ``unknownFutureValue`` for values that are newer than the API, and hides that they differ."""


class UnclearError(RemoteError):
    """A write got no whole answer: it may have been done or not."""


@dataclass(slots=True)
class GraphClient:
    """One tenant with one credential. ``url`` is the root of the API, with its version and without a slash."""

    url: str
    credential: Credential = field(repr=False)
    connection: Connection
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _written: deque[float] = field(default_factory=deque, repr=False)

    def get(self, path: str, **query: object) -> Json:
        """Read one thing.

        Raises:
            RemoteError: ``graphNotFound`` among others.
        """
        return self.understood("GET", path, self._asked("GET", self._address(path, query)))

    def counts(self, paths: Sequence[str]) -> list[int | None]:
        """Read numbers, in the order of the paths."""
        answers = self.batch([f"/{path}/$count" for path in paths], headers=_ADVANCED)
        return [_number(found) for found in answers]

    def pages(self, path: str, **query: object) -> Iterator[Mapping[str, Json]]:
        """Read a collection to its end.

        Raises:
            RemoteError: among others, the pages lead to another server or go round in a circle.
        """
        address: str | None = self._address(path, query)
        read: set[str] = set()
        while address is not None:
            if address in read or len(read) >= _MOST_PAGES or not address.startswith(f"{self.url}/"):
                raise RemoteError("Graph's pages lead elsewhere or go round in a circle", code="graphMisunderstood")
            read.add(address)
            plain = self.understood("GET", path, self._asked("GET", address))
            found = plain.get("value") if isinstance(plain, dict) else None
            if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
                raise misunderstood(path)
            yield from found
            address = plain.get("@odata.nextLink")
            if not isinstance(address, str | None):
                raise misunderstood(path)

    def batch(
        self,
        paths: Sequence[str],
        *,
        headers: Mapping[str, str] | None = None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> list[Json]:
        """Read many things, in the order of their paths; None for one that is not there."""
        found: dict[int, Json] = {}
        waited = 0.0
        left = list(range(len(paths)))
        for attempt in range(_TRIES * (1 + len(paths) // BATCH)):
            now, left = left[:BATCH], left[BATCH:]
            if not now:
                break
            pause = self._batch(paths, now, headers or {}, found)
            left += [index for index in now if index not in found]
            progress(len(found), len(paths))
            if pause is not None:
                pause = min(_LONGEST_PAUSE, pause or back_off(min(attempt, 5)))
                if waited + pause > LONGEST_WAIT:
                    break
                self.wait(pause)
                waited += pause
        if left:
            raise RemoteError("Graph does not answer all of a batch", retry=True, code="graphFailed")
        return [found[index] for index in range(len(paths))]

    def _batch(
        self, paths: Sequence[str], indexes: Sequence[int], headers: Mapping[str, str], found: dict[int, Json]
    ) -> float | None:
        """Read some, keep what came; returns how long to wait if something is to be asked again, 0: as one likes."""
        given = {**_READING, **headers}
        requests = [{"id": str(index), "method": "GET", "url": paths[index], "headers": given} for index in indexes]
        body = {"requests": requests}
        plain = self.understood("POST", "$batch", self._asked("POST", f"{self.url}/$batch", body, repeats=True))
        answers = plain.get("responses") if isinstance(plain, dict) else None
        if not isinstance(answers, list):
            raise misunderstood("$batch")
        pause: float | None = None
        asked = {str(index): index for index in indexes}
        for answer in answers:
            index = asked.get(str(answer.get("id"))) if isinstance(answer, dict) else None
            if index is None:
                raise misunderstood("$batch")
            status = answer.get("status")
            if status == HTTPStatus.NOT_FOUND:
                found[index] = None
            elif status in (HTTPStatus.TOO_MANY_REQUESTS, *_PASSING):
                pause = max(pause or 0.0, _retry_after(_lower(answer.get("headers"))) or 0.0)
            elif isinstance(status, int) and status >= HTTPStatus.MULTIPLE_CHOICES:
                raise refused(f"GET {paths[index]}", status, json.dumps(answer.get("body")).encode())
            elif status == HTTPStatus.OK and answer.get("body") is not None:  # None stands for what is not there
                found[index] = answer["body"]
            else:
                raise misunderstood("$batch")
        return pause

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        headers: Mapping[str, str] | None = None,
        repeats: bool = True,
    ) -> Answer:
        """Send something; returns the answer, whatever it is. ``repeats``: sending it twice is sending it once.

        Raises:
            UnclearError: there was no whole answer, or one that tells nothing.
            RemoteError: Graph limits for too long how often it is asked.
        """
        return self._asked(method, self._address(path, {}), body, headers=headers, repeats=repeats, writes=True)

    def _address(self, path: str, query: Mapping[str, object]) -> str:
        given = {f"${name}": value for name, value in query.items() if value is not None}
        encoded = urlencode(given, quote_via=quote, safe="$(),'=/")
        return f"{self.url}/{path}" + (f"?{encoded}" if given else "")

    def _asked(
        self,
        method: str,
        address: str,
        body: Mapping[str, object] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        repeats: bool = True,
        writes: bool = False,
    ) -> Answer:
        """Ask until there is an answer that says something."""
        data = json.dumps(body, sort_keys=True).encode() if body is not None else None
        is_fresh = False

        def once(attempt: int) -> Answer | Failure:
            nonlocal is_fresh
            if writes:
                self._keep_pace()
            answer = self._once(method, address, data, headers or {}, fresh=is_fresh)
            if isinstance(answer, Answer) and answer.status == HTTPStatus.UNAUTHORIZED and not is_fresh:
                is_fresh = True
                return Failure(UnclearError(f"{self._host} does not answer", retry=True, code="graphFailed"), 0.0)
            return self._judged(answer, attempt, repeats=repeats)

        return until_answered(once, tries=_TRIES, longest_wait=LONGEST_WAIT, wait=self.wait)

    def _judged(self, answer: Answer | NoAnswer, attempt: int, *, repeats: bool) -> Answer | Failure:
        """An answer that says something, or why there is none and when to ask again."""
        if isinstance(answer, NoAnswer):
            error = UnclearError(answer.message, retry=True, code="graphFailed")
            return Failure(error, back_off(attempt) if repeats else None)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            pause = _retry_after(answer.headers) or min(_LONGEST_PAUSE, 10.0 * back_off(attempt))
            text = f"{self._host} limits how often it is asked; for another {pause:.0f} s"
            hint = "run the command again later"
            return Failure(UnclearError(text, retry=True, hint=hint, code="graphThrottled"), pause)
        if answer.status in _PASSING:
            error = UnclearError(f"{self._host} failed with {answer.status}", retry=True, code="graphFailed")
            return Failure(error, _retry_after(answer.headers) or back_off(attempt) if repeats else None)
        return answer

    def _once(
        self, method: str, address: str, data: bytes | None, headers: Mapping[str, str], *, fresh: bool
    ) -> Answer | NoAnswer:
        given = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self.credential.token(fresh=fresh)}",
            **({"Content-Type": "application/json"} if data is not None else _READING),
            **headers,
        }
        try:
            return self.connection.exchange(method, address, headers=given, body=data)
        except NoAnswer as error:
            if not error.retry:
                raise
            return error

    def _keep_pace(self) -> None:
        """Wait until another write is within what Graph takes."""
        now = self.clock()
        while self._written and self._written[0] <= now - _WINDOW:
            self._written.popleft()
        if len(self._written) >= _WRITES:
            self.wait(self._written[0] + _WINDOW - now)
            self._written.popleft()
        self._written.append(self.clock())

    def understood(self, method: str, path: str, answer: Answer) -> Json:
        """Read an answer.

        Raises:
            RemoteError: it is a refusal, or no JSON.
        """
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise refused(f"{method} {path}", answer.status, answer.data)
        if answer.status == HTTPStatus.NO_CONTENT or not answer.data:
            return None
        try:
            plain = json.loads(answer.data)
        except (ValueError, RecursionError) as error:
            raise misunderstood(path) from error
        if _is_deeper(plain, _MOST_DEPTH):
            raise misunderstood(path)
        return plain

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc


_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What may be better a little later."""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the answer asks to wait for."""
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else None


def _lower(headers: object) -> Mapping[str, str]:
    return {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}


def _number(found: object) -> int | None:
    """A number in a batch: as such, as text, or, like everything there that is no JSON, in base64."""
    text = str(found)
    with suppress(ValueError):  # whatever is no base64 is one
        text = text if text.isdigit() else base64.b64decode(text, validate=True).decode("ascii")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _is_deeper(plain: Json, limit: int) -> bool:
    """Whether plain data has more levels within one another; told level by level, since a recursion could fail."""
    level = [plain]
    for _ in range(limit):
        level = [inner for item in level for inner in _within(item) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _within(item: Json) -> Iterable[Json]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def misunderstood(what: str) -> RemoteError:
    """The error for an answer that has not the shape that Graph documents."""
    return RemoteError(f"Graph's answer to {what} cannot be understood", code="graphMisunderstood")


def said(data: bytes) -> str:
    """The words of a refusal, in one line; Intune puts a document of its own into Graph's message."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    error = plain.get("error") if isinstance(plain, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str):
        return ""
    with suppress(ValueError, RecursionError):
        inner = json.loads(message)
        message = inner["Message"] if isinstance(inner, dict) and isinstance(inner.get("Message"), str) else message
    return " ".join(message.split())[:500]


def refused(what: str, status: int, data: bytes) -> RemoteError:
    """The error for a refusal."""
    words = f"{what}: {status} {said(data)}".rstrip()
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return RemoteError(f"Graph does not accept the token ({words})", code="graphUnauthorized")
        case HTTPStatus.FORBIDDEN:
            hint = "give the application the permissions that docs/intune.md lists"
            return RemoteError(f"Graph does not allow it ({words})", hint=hint, code="graphForbidden")
        case HTTPStatus.NOT_FOUND:
            return RemoteError(f"Graph has no such thing ({words})", code="graphNotFound")
        case _:
            return RemoteError(f"Graph refuses it ({words})", code="graphRefused")
