"""A small REST client: retries, rate limits, pages, conditional requests; errors as ours.

It knows GitHub's manner of speaking HTTP and JSON, and nothing of what is asked.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from maa_gitops.errors import RemoteError
from maa_gitops.http import (
    Answer,
    Connection,
    Failure,
    NoAnswer,
    back_off,
    insecure,
    is_token,
    until_answered,
)

Json = Any
"""Plain data as it came: strings, numbers, booleans, null, lists, mappings."""

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer; more is refused."""

LONGEST_WAIT = 120.0
"""Seconds to wait for a rate limit in all, before giving up with ``retry``."""

_TRIES = 5
_PAGE = 100
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_SAFE_TO_REPEAT = frozenset({"GET", "PATCH", "PUT", "DELETE"})


@dataclass(slots=True)
class RestClient:
    """One API with one credential.

    ``url`` is its root, without a slash at the end. ``wait`` is told how many seconds to wait.

    Raises:
        RemoteError: ``forgeInsecure``; a token goes over HTTPS, or over loopback, and nowhere else.
            ``forgeUnauthorized``, it cannot be a token; ``forgeFailed``, the proxy cannot be one.
    """

    url: str
    token: str | None = field(repr=False, default=None)
    proxy: str | None = field(repr=False, default=None)
    agent: str = "maa-gitops"
    wait: Callable[[float], None] = time.sleep
    _known: dict[str, tuple[str, Json, str | None]] = field(default_factory=dict, repr=False)
    _connection: Connection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")
        if why := insecure(self.url):
            raise RemoteError(f"the forge's API: {why}", code="forgeInsecure")
        if self.token and not is_token(self.token):
            text = "the token holds characters that no token has, such as spaces or line feeds"
            raise RemoteError(text, hint="GITHUB_TOKEN=…", code="forgeUnauthorized")
        try:
            self._connection = Connection(proxy=self.proxy, agent=self.agent)
        except RemoteError as error:
            raise RemoteError(error.message, hint=error.hint, code="forgeFailed") from error

    def get(self, path: str, **query: object) -> Json:
        """Read one thing."""
        return self._read(self._address(path, query))[0]

    def pages(self, path: str, *, items: str | None = None, **query: object) -> Iterator[Json]:
        """Read a list to its end; ``items`` names the member that holds it, where an answer is no list itself."""
        address: str | None = self._address(path, {"per_page": _PAGE, **query})
        read: set[str] = set()
        while address is not None:
            if address in read:
                raise RemoteError("the forge's pages go round in a circle", code="forgeMisunderstood")
            read.add(address)
            plain, address = self._read(address)
            found = plain.get(items) if items is not None and isinstance(plain, dict) else plain
            if not isinstance(found, list):
                raise misunderstood(path)
            yield from found

    def send(self, method: str, path: str, body: Mapping[str, object]) -> Json:
        """Write something; returns the answer."""
        return self._answer(method, self._address(path, {}), json.dumps(body).encode())[0]

    def _address(self, path: str, query: Mapping[str, object]) -> str:
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.url}{path}" + (f"?{urlencode(given)}" if given else "")

    def _read(self, address: str) -> tuple[Json, str | None]:
        """Read an address; returns the answer and the address of the next page."""
        known = self._known.get(address)
        plain, headers, status = self._answer("GET", address, None, known[0] if known is not None else None)
        if status == HTTPStatus.NOT_MODIFIED and known is not None:
            return known[1], known[2]
        following = _NEXT.search(headers.get("link", ""))
        after = following[1] if following is not None else None
        if after is not None and not after.startswith(f"{self.url}/"):
            raise RemoteError("the forge sends us on to another server for the next page", code="forgeMisunderstood")
        if headers.get("etag"):
            self._known[address] = (headers["etag"], plain, after)
        return plain, after

    def _answer(
        self, method: str, address: str, body: bytes | None, etag: str | None = None
    ) -> tuple[Json, Mapping[str, str], int]:
        """Ask until there is an answer; a "try again" is followed as often as makes sense.

        Raises:
            RemoteError: refused, not found, or no answer in the end.
        """
        found = until_answered(
            lambda attempt: self._once(method, address, body, etag, attempt),
            tries=_TRIES,
            longest_wait=LONGEST_WAIT,
            wait=self.wait,
        )
        return self._understood(method, address, found), found.headers, found.status

    def _once(self, method: str, address: str, body: bytes | None, etag: str | None, attempt: int) -> Answer | Failure:
        """Ask once.

        Raises:
            RemoteError: the answer is too much.
        """
        again = back_off(attempt) if method in _SAFE_TO_REPEAT else None
        headers = self._headers(body, etag)
        try:
            answer = self._connection.exchange(method, address, headers=headers, body=body, limit=ANSWER_LIMIT)
        except NoAnswer as error:
            if not error.retry:
                raise RemoteError(error.message, code="forgeMisunderstood") from error
            return Failure(RemoteError(error.message, retry=True, code="forgeFailed"), again)
        asked = _rate_limit_pause(answer.status, answer.headers, answer.data, attempt)
        if asked is not None:
            text = f"{self._host} limits how often it is asked; for another {asked:.0f} s"
            hint = "run the command again later"
            return Failure(RemoteError(text, retry=True, hint=hint, code="forgeRateLimit"), asked)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            text = f"{self._host} failed with {answer.status}"
            return Failure(RemoteError(text, retry=True, code="forgeFailed"), again)
        return answer

    def _headers(self, body: bytes | None, etag: str | None) -> dict[str, str]:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        if etag is not None:
            headers["If-None-Match"] = etag
        return headers

    def _understood(self, method: str, address: str, answer: Answer) -> Json:
        """Read a whole answer.

        Raises:
            RemoteError: it is a refusal, or no JSON.
        """
        what = f"{method} {urlsplit(address).path}"
        if answer.status in (HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT):
            return None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(what, answer.status, _said(answer.data), answer.headers)
        try:
            return json.loads(answer.data)
        except (ValueError, RecursionError) as error:
            raise misunderstood(what) from error

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc


def misunderstood(what: str) -> RemoteError:
    """The error for an answer that has not the shape that GitHub documents."""
    return RemoteError(f"the forge's answer to {what} cannot be understood", code="forgeMisunderstood")


def _rate_limit_pause(status: int, headers: Mapping[str, str], data: bytes, attempt: int) -> float | None:
    """Seconds to wait before asking again; None: this is no rate limit.

    Source: GitHub, "Rate limits for the REST API".
    """
    if status not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    after = headers.get("retry-after", "")
    if after.isascii() and after.isdigit():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdigit():
        return max(1.0, float(reset) - _sent(headers) + 1)
    if status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in _said(data).lower():
        return 60.0 + back_off(attempt)
    return None


def _sent(headers: Mapping[str, str]) -> float:
    """When the server says that it answered, in seconds since 1970: its clock, not ours, made the limit."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return 0.0


def _said(data: bytes) -> str:
    """The words of a refusal, in one line."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    message = plain.get("message") if isinstance(plain, dict) else None
    return " ".join(message.split())[:300] if isinstance(message, str) else ""


def _refused(what: str, status: int, said: str, headers: Mapping[str, str]) -> RemoteError:
    words = f"{what}: {status}" + (f" {said}" if said else "")
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return RemoteError(
                f"the forge does not accept the token ({words})", hint="GITHUB_TOKEN=…", code="forgeUnauthorized"
            )
        case HTTPStatus.FORBIDDEN:
            needed = headers.get("x-accepted-github-permissions")
            hint = f"the token needs: {needed}" if needed else "give the job's token the permission that it needs"
            return RemoteError(f"the forge does not allow it ({words})", hint=hint, code="forgeForbidden")
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return RemoteError(f"the forge has no such thing ({words})", code="forgeNotFound")
        case status if status < HTTPStatus.BAD_REQUEST:
            return RemoteError(
                f"the forge says that it has moved ({words})", hint="git remote set-url origin URL", code="forgeMoved"
            )
        case _:
            return RemoteError(f"the forge refuses it ({words})", code="forgeRefused")
