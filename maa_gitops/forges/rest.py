"""A small REST client on urllib3: retries, rate limits, pages, conditional requests; errors as ours.

It knows HTTP and JSON and nothing of what is asked.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from maa_gitops.errors import RemoteError

if TYPE_CHECKING:
    import urllib3

Json = Any
"""Plain data as it came: strings, numbers, booleans, null, lists, mappings."""

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer; more is refused."""

LONGEST_WAIT = 120.0
"""Seconds to wait for a rate limit in all, before giving up with ``retry``."""

_TRIES = 5
_TIME_OUT = 30.0
_PAGE = 100
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_TOKEN = re.compile(r"[!-~]+")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
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
    proxy: str | None = None
    agent: str = "maa-gitops"
    wait: Callable[[float], None] = time.sleep
    _known: dict[str, tuple[str, Json, str | None]] = field(default_factory=dict, repr=False)
    _pool: "urllib3.PoolManager | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise RemoteError(f"'{self.url}' is no address of an API: {error}", code="forgeInsecure") from error
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise RemoteError(f"the forge's API must be reached by https, not as {self.url}", code="forgeInsecure")
        if self.token and not _TOKEN.fullmatch(self.token):
            text = "the token holds characters that no token has, such as spaces or line feeds"
            raise RemoteError(text, hint="GITHUB_TOKEN=…", code="forgeUnauthorized")
        if self.proxy and not self.proxy.startswith(("http://", "https://")):
            text = "the proxy's address must begin with http:// or https://"
            raise RemoteError(text, hint="HTTPS_PROXY=http://HOST:PORT", code="forgeFailed")

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
        waited = 0.0
        failure = RemoteError(f"{self._host} does not answer", retry=True, code="forgeFailed")
        for attempt in range(_TRIES):
            status, headers, data = self._once(method, address, body, etag)
            if status is None:
                failure = RemoteError(f"{self._host} does not answer: {data.decode()}", retry=True, code="forgeFailed")
                pause = _back_off(attempt) if method in _SAFE_TO_REPEAT else None
            elif (asked := _rate_limit_pause(status, headers, data, attempt)) is not None:
                failure = RemoteError(
                    f"{self._host} limits how often it is asked; for another {asked:.0f} s",
                    retry=True,
                    hint="run the command again later",
                    code="forgeRateLimit",
                )
                pause = asked
            elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                failure = RemoteError(f"{self._host} failed with {status}", retry=True, code="forgeFailed")
                pause = _back_off(attempt) if method in _SAFE_TO_REPEAT else None
            else:
                return self._understood(method, address, status, headers, data), headers, status
            if pause is None or waited + pause > LONGEST_WAIT or attempt == _TRIES - 1:
                break
            self.wait(pause)
            waited += pause
        raise failure

    def _once(
        self, method: str, address: str, body: bytes | None, etag: str | None
    ) -> tuple[int | None, Mapping[str, str], bytes]:
        """Ask once; the status is None if there was no whole answer, the data is then why."""
        import urllib3

        headers = {
            "Accept": "application/vnd.github+json",
            "User-Agent": self.agent,
            "X-GitHub-Api-Version": "2022-11-28",
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            if self._pool is None:
                limits: dict[str, Any] = {"timeout": urllib3.Timeout(_TIME_OUT), "retries": False}
                # Over http a proxy would see the token, and what is on loopback needs none.
                proxy = self.proxy if self.url.startswith("https:") else None
                self._pool = urllib3.ProxyManager(proxy, **limits) if proxy else urllib3.PoolManager(**limits)
            answer = self._pool.request(
                method, address, body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                data = answer.read(ANSWER_LIMIT + 1)
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            return None, {}, str(error).encode("utf-8", "replace")
        if len(data) > ANSWER_LIMIT:
            answer.close()
            raise RemoteError(f"{self._host} answers with too much", code="forgeMisunderstood")
        return answer.status, {name.lower(): value for name, value in answer.headers.itermerged()}, data

    def _understood(self, method: str, address: str, status: int, headers: Mapping[str, str], data: bytes) -> Json:
        """Read a whole answer.

        Raises:
            RemoteError: it is a refusal, or no JSON.
        """
        what = f"{method} {urlsplit(address).path}"
        if status in (HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT):
            return None
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(what, status, _said(data), headers)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise misunderstood(what) from error

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc


def misunderstood(what: str) -> RemoteError:
    """The error for an answer that has not the shape that GitHub documents."""
    return RemoteError(f"the forge's answer to {what} cannot be understood", code="forgeMisunderstood")


def _back_off(attempt: int) -> float:
    """Seconds to wait after a failure: longer each time, and never in step with others."""
    return float(2**attempt) * (0.5 + random.random() / 2)  # noqa: S311 - only keeps clients apart


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
        return 60.0 + _back_off(attempt)
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
