"""One HTTP exchange: where a credential may go, within what time and size, through which proxy.

The only place that imports urllib3. It knows nothing of what is said: what an answer means, and whether a failure is
worth another try, the adapters decide; how often it is tried is told here.
"""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from maa_gitops.errors import RemoteError

if TYPE_CHECKING:
    import urllib3

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer; more is refused."""

_PIECE = 64 * 1024
_TOKEN = re.compile(r"[!-~]+")
_HEADER = re.compile(r"[ -~]*")
_NO_ADDRESS = re.compile(r"[\x00-\x1f\x7f\\]")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LINK_LOCAL = IPv4Network("169.254.0.0/16")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. The names of headers are in lower case; one that came several times is joined by commas."""

    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)


class NoAnswer(RemoteError):  # noqa: N818 - what there was, in a word
    """There was no whole answer: nobody there, half of it, too late, or (then without ``retry``) too much."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer, and after how many seconds to ask again; None: never."""

    error: RemoteError
    pause: float | None


def until_answered(
    once: Callable[[int], Answer | Failure], *, tries: int, longest_wait: float, wait: Callable[[float], None]
) -> Answer:
    """Ask until there is an answer; "try again" is followed as often as makes sense.

    ``once`` is given the number of the attempt, from 0. ``longest_wait`` is how many seconds to wait in all.

    Raises:
        RemoteError: that of the last failure.
    """
    attempt, waited = 0, 0.0
    while isinstance(found := once(attempt), Failure):
        if found.pause is None or waited + found.pause > longest_wait or attempt == tries - 1:
            raise found.error
        wait(found.pause)
        attempt, waited = attempt + 1, waited + found.pause
    return found


@dataclass(slots=True)
class Connection:
    """What is kept from one exchange to the next. Not for several threads at once.

    ``time_out`` is how many seconds the other side may be silent, ``deadline`` how many an exchange may last.

    Raises:
        RemoteError: ``badProxy``, the proxy's address cannot be one.
    """

    proxy: str | None = field(default=None, repr=False)
    agent: str = "maa-gitops"
    time_out: float = 30.0
    deadline: float = 120.0
    clock: Callable[[], float] = time.monotonic
    _pools: "dict[str | None, urllib3.PoolManager]" = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.proxy and not self.proxy.startswith(("http://", "https://")):
            text = "the proxy's address must begin with http:// or https://"
            raise RemoteError(text, hint="HTTPS_PROXY=http://HOST:PORT", code="badProxy")

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limit: int = ANSWER_LIMIT,
        link_local: bool = False,
    ) -> Answer:
        """Ask once. A redirect is an answer; it is never followed, for the credential would go along.

        Raises:
            NoAnswer: there was none, or not the whole.
            RemoteError: ``insecure``, nothing of this may be sent there, or a header cannot be sent at all.
        """
        import urllib3

        why = insecure(url, link_local=link_local) or _unsendable(headers)
        if why is not None:
            raise RemoteError(why, code="insecure")
        until = self.clock() + self.deadline
        given: dict[str, Any] = {"headers": {"User-Agent": self.agent, **headers}, "body": body}
        try:
            answer = self._pool(url).request(method, url, **given, redirect=False, preload_content=False)
            data = self._whole(answer, urlsplit(url).netloc, until, limit)
        except urllib3.exceptions.HTTPError as error:
            text = f"{urlsplit(url).netloc} does not answer: {error}"
            raise NoAnswer(text, retry=True, code="noAnswer") from error
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.itermerged()}, data)

    def close(self) -> None:
        """Let go of what is open."""
        for pool in self._pools.values():
            pool.clear()

    def _pool(self, url: str) -> "urllib3.PoolManager":
        import urllib3

        # Over http a proxy would see the credential, and what is on this machine needs none.
        parts = urlsplit(url)
        proxy = self.proxy if parts.scheme == "https" and parts.hostname not in _LOOPBACK else None
        if proxy not in self._pools:
            limits: dict[str, Any] = {"timeout": self.time_out, "retries": False}
            self._pools[proxy] = urllib3.ProxyManager(proxy, **limits) if proxy else urllib3.PoolManager(**limits)
        return self._pools[proxy]

    def _whole(self, answer: "urllib3.BaseHTTPResponse", host: str, until: float, limit: int) -> bytes:
        """Read an answer to its end, piece by piece as it comes: one that drips ends in time as well.

        Raises:
            NoAnswer: it is too much, or too late; its connection is not used again.
        """
        data = bytearray()
        is_whole = False
        try:
            while piece := answer.read1(min(_PIECE, limit + 1 - len(data))):
                data += piece
                if len(data) > limit:
                    raise NoAnswer(f"{host} answers with too much", code="tooMuch")
                if self.clock() > until:
                    raise NoAnswer(f"{host} takes more than {self.deadline:.0f} s", retry=True, code="noAnswer")
            is_whole = True
        finally:
            if not is_whole:
                answer.close()
            answer.release_conn()
        return bytes(data)


def insecure(url: str, *, link_local: bool = False) -> str | None:
    """Tell why a credential must not go to an address; None: it may, by https, or by http within this machine.

    With ``link_local`` also by http to 169.254.0.0/16, which no router passes on: a machine in a cloud asks there for
    its own identity.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"'{url}' is no address: {error}"
    if _NO_ADDRESS.search(url):
        return f"{url!r} is no address: no address holds such characters"  # readers disagree about the host before one
    near = parts.hostname in _LOOPBACK or (link_local and _is_link_local(parts.hostname or ""))
    if parts.scheme == "https" or (parts.scheme == "http" and near):
        return None
    return f"'{url}' must be reached by https"


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine, and may be asked."""
    return insecure(url) is None and urlsplit(url).hostname in _LOOPBACK


def is_token(text: str) -> bool:
    """Whether a text can be a token in a header: a line feed that was copied along would begin another header."""
    return _TOKEN.fullmatch(text) is not None


def back_off(attempt: int) -> float:
    """Seconds to wait after a failure: longer each time, and never in step with others."""
    return float(2**attempt) * (0.5 + random.random() / 2)  # noqa: S311 - only keeps clients apart


def _is_link_local(host: str) -> bool:
    try:
        return IPv4Address(host) in _LINK_LOCAL
    except AddressValueError:
        return False


def _unsendable(headers: Mapping[str, str]) -> str | None:
    """Which header cannot be sent; its value is not told, it may be a secret."""
    wrong = sorted(name for name, value in headers.items() if not _HEADER.fullmatch(value))
    return f"the value of the header {wrong[0]} holds characters that no header has" if wrong else None
