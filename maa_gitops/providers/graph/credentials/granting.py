"""A token as it is granted: how it is asked for, how the answer is read, and how long it is used.

Whom to ask, and with what proof, the modules beside this one say.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer, Connection, NoAnswer, back_off, is_token

SHORT = 240.0
"""Seconds for which a token is used whose end is not known; who grants one sees to it that it lasts a little."""

_ANSWER_LIMIT = 1024 * 1024
_LONGEST_WAIT = 60.0
_MARGIN = 300.0
_TRIES = 4
_END = re.compile(r"[\r\n]| Trace ID: ")
"""Where an explanation ends, and numbers for Microsoft's support begin."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, and for how many seconds it is used after it was asked for."""

    token: str = field(repr=False)
    seconds: float


class Credential(Protocol):
    """Where the tokens for one target come from."""

    def token(self, *, fresh: bool = False) -> str:
        """Give a token to send; ``fresh``: another than the one before, which was not accepted.

        Raises:
            RemoteError: there is none to be had.
        """


@dataclass(frozen=True, slots=True)
class Fixed:
    """A token that is always the same."""

    value: str = field(repr=False)

    def token(self, *, fresh: bool = False) -> str:  # noqa: ARG002 - there is no other
        """Give it."""
        return self.value


@dataclass(slots=True)
class Renewed:
    """A token that is asked for when it is needed, and again shortly before it ends."""

    source: Callable[[], Granted] = field(repr=False)
    clock: Callable[[], float] = time.monotonic
    _held: str | None = field(default=None, init=False, repr=False)
    _until: float = field(default=0.0, init=False, repr=False)

    def token(self, *, fresh: bool = False) -> str:
        """Give the one that is held, unless it is about to end or another one is wanted."""
        now = self.clock()
        if self._held is not None and not fresh and now < self._until:
            return self._held
        self._held = None
        granted = self.source()
        self._held, self._until = granted.token, now + granted.seconds
        return granted.token


@dataclass(frozen=True, slots=True)
class _Later:
    """Why there is no answer, and after how many seconds to ask again at the earliest."""

    why: str
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Asking:
    """How those are asked who grant tokens: again if it failed, since asking twice does no harm.

    ``wait`` is told how many seconds to wait.
    """

    connection: Connection
    wait: Callable[[float], None] = field(default=time.sleep, repr=False)

    def ask(
        self,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        *,
        busy: frozenset[int] = frozenset(),
        link_local: bool = False,
    ) -> Answer:
        """Read an address, or send a form to it. ``busy`` are statuses that mean "later" there, beside the usual ones.

        Raises:
            RemoteError: there is no answer, or it failed, time after time.
        """
        sent = {"Accept": "application/json", **headers}
        body = None
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        attempt = 0
        while isinstance(found := self._once(url, sent, body, busy, link_local=link_local), _Later):
            pause = max(found.after, back_off(attempt))
            attempt += 1
            if attempt == _TRIES or pause > _LONGEST_WAIT:
                raise RemoteError(found.why, retry=True, hint="run the command again later", code="graphFailed")
            self.wait(pause)
        return found

    def _once(
        self, url: str, headers: Mapping[str, str], body: bytes | None, busy: frozenset[int], *, link_local: bool
    ) -> Answer | _Later:
        method = "GET" if body is None else "POST"
        try:
            answer = self.connection.exchange(
                method, url, headers=headers, body=body, limit=_ANSWER_LIMIT, link_local=link_local
            )
        except NoAnswer as error:
            if not error.retry:
                raise
            return _Later(error.message)
        if answer.status in busy or answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= 500:
            after = _number(answer.headers.get("retry-after")) or 0
            return _Later(f"{urlsplit(url).netloc} failed with {answer.status}", float(after))
        return answer


def granted(answer: Answer) -> Granted | None:
    """Read a token and its end from an answer; None: it is a refusal, or holds none."""
    token = token_in(answer, "access_token")
    return None if token is None else Granted(token, _usable(answer))


def token_in(answer: Answer, member: str) -> str | None:
    """Read a token from a member of an answer; None: it is a refusal, or there is none."""
    token = _plain(answer).get(member)
    return token if answer.status == HTTPStatus.OK and isinstance(token, str) and is_token(token) else None


def said(answer: Answer) -> str:
    """Tell a refusal in a line: its code and the first line of its explanation, else its status."""
    plain = _plain(answer)
    inner = plain.get("error")
    found = inner if isinstance(inner, dict) else plain
    names = ("code", "message") if found is inner else ("error", "error_description", "message")
    words = [_END.split(value)[0] for name in names if isinstance(value := found.get(name), str) and value]
    return " ".join(": ".join(words).split())[:400] or f"status {answer.status}"


def _plain(answer: Answer) -> Mapping[str, object]:
    try:
        plain = json.loads(answer.data)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _usable(answer: Answer) -> float:
    """Seconds until shortly before a token's end; by the clock of whoever granted it, where only the end is told."""
    plain = _plain(answer)
    seconds, end = _number(plain.get("expires_in")), _number(plain.get("expires_on"))
    if seconds is None and end is not None:
        try:
            seconds = end - int(parsedate_to_datetime(answer.headers["date"]).timestamp())
        except (KeyError, ValueError):
            return SHORT
    return max(seconds - _MARGIN, seconds / 2) if seconds is not None and seconds > 0 else SHORT


def _number(value: object) -> int | None:
    """Read a whole number, which some write as a text."""
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
