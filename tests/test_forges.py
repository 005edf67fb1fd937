"""The forge's adapter: the REST client under every fault, GitHub's answers as values, and what a job is told."""

import copy
import gzip
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maa_gitops.errors import RemoteError, RepositoryError
from maa_gitops.forges import (
    APPROVAL,
    CheckRun,
    CommitStatus,
    GitHub,
    Job,
    RestClient,
    ReviewState,
    StatusState,
    User,
    announcements,
    find_user,
    repository_of,
    rest,
    shortened,
)
from maa_gitops.forges.github import DESCRIPTION_LIMIT
from maa_gitops.forges.rulesets import (
    CHANGE_DELETION,
    CHANGE_HISTORY,
    PROTECTED_HISTORY,
    PROTECTED_UPDATES,
    RECEIPTS,
    missing,
    rulesets,
)
from maa_gitops.model import Level, Problem
from tests.support.github import ACTIONS_BOT, FakeGitHub

REPOSITORY = "/repos/contoso/tenant"
UNKNOWN = "5" * 40
TOKEN = "ghp_ThisIsTheSecret"
PROPERTY = settings(deadline=None, database=None)
PAYLOADS = sorted((Path(__file__).parent / "data" / "github" / "payloads").glob("*.json"))


# --- what the tests ask with -----------------------------------------------------------------------------------------


@pytest.fixture
def loose() -> Iterator[FakeGitHub]:
    """A fake without git that a test may let break GitHub's description."""
    with FakeGitHub() as made:
        for login in ("alice", "bob"):
            made.user(login, permission="write")
        made.user("root", permission="admin")
        yield made


@pytest.fixture
def fake(loose: FakeGitHub) -> Iterator[FakeGitHub]:
    """A fake; what we asked of it, and what it answered, was as GitHub's description has it."""
    yield loose
    assert loose.violations == []


@pytest.fixture
def waits() -> list[float]:
    """The seconds that the client would have waited."""
    return []


@pytest.fixture
def client(loose: FakeGitHub, waits: list[float]) -> RestClient:
    """A client that records its waits instead of sleeping."""
    return RestClient(loose.url, loose.token("alice"), wait=waits.append)


@pytest.fixture
def github(client: RestClient) -> GitHub:
    """The fake's repository, for somebody who may write."""
    return GitHub(client, "contoso/tenant")


@pytest.fixture
def admin(loose: FakeGitHub, waits: list[float]) -> GitHub:
    """The fake's repository, for an administrator."""
    return GitHub(RestClient(loose.url, loose.token("root"), wait=waits.append), "contoso/tenant")


class Raw:
    """A server that answers each connection with the next bytes that it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        """Listen at a free port of loopback."""
        self.answers: list[bytes] = []
        self.asked: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        """Answer until the socket is shut."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                    head += more
                if not head:
                    return
                self.asked.append(head.decode("latin-1"))
                connection.sendall(self.answers.pop(0) if self.answers else b"")

    def close(self) -> None:
        """Let the server end; a connection that says nothing is the sign."""
        with suppress(OSError):
            socket.create_connection(self.socket.getsockname()).close()
        self.thread.join()
        self.socket.close()

    def will(self, status: int, body: bytes = b"{}", *headers: str) -> None:
        """Give the next answer; a ``Content-Length`` is added unless one is given."""
        length = [] if any(h.startswith("Content-Length") for h in headers) else [f"Content-Length: {len(body)}"]
        head = "\r\n".join([f"HTTP/1.1 {status} X", *headers, *length, "Connection: close", "", ""])
        self.answers.append(head.encode("latin-1") + body)


@pytest.fixture
def raw() -> Iterator[Raw]:
    """A server that says whatever a test wants."""
    made = Raw()
    yield made
    made.close()


def is_back_off(waits: Sequence[float], count: int) -> bool:
    """Whether these are the first waits of a back-off: each at most twice, and at least half of, a power of two."""
    return len(waits) == count and all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(waits))


def refusal(ask: Callable[[], object]) -> RemoteError:
    """The error that asking comes to."""
    with pytest.raises(RemoteError) as caught:
        ask()
    return caught.value


# --- asking ----------------------------------------------------------------------------------------------------------


def test_a_request_says_who_asks_for_what(raw: Raw) -> None:
    """The token as bearer, the version of the API, the media type, an agent; the query is quoted."""
    raw.will(200, b"[]")
    assert RestClient(f"{raw.address}/", TOKEN, agent="maa/1").get("/x", state="a&b", page=None) == []
    first, *headers = raw.asked[0].strip().split("\r\n")
    assert first == "GET /x?state=a%26b HTTP/1.1"
    assert {
        "Accept: application/vnd.github+json",
        "User-Agent: maa/1",
        "X-GitHub-Api-Version: 2022-11-28",
        f"Authorization: Bearer {TOKEN}",
    } <= set(headers)
    assert not any(header.startswith(("Content-Type", "If-None-Match")) for header in headers)


@pytest.mark.parametrize("token", [None, ""])
def test_the_anonymous_send_no_token(raw: Raw, token: str | None) -> None:
    """Without a token there is no such header: an empty one would be refused."""
    raw.will(200, b"[]")
    RestClient(raw.address, token).get("/x")
    assert "Authorization" not in raw.asked[0]


def test_what_is_sent_is_json(fake: FakeGitHub, github: GitHub) -> None:
    """A body arrives as it was, whatever its characters."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    github.write_comment(number, 'Größe "申請" \u2028\n')
    assert [seen.body for seen in fake.asked("POST")] == [{"body": 'Größe "申請" \u2028\n'}]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_of_the_server_is_asked_again(
    fake: FakeGitHub, github: GitHub, waits: list[float], status: int
) -> None:
    """Reading is repeated, each time after a longer wait."""
    fake.fail_next(status, times=3, body=b"<html>Unicorn")
    assert github.about()["full_name"] == "contoso/tenant"
    assert is_back_off(waits, 3)


def test_a_lost_answer_is_asked_again(fake: FakeGitHub, github: GitHub, waits: list[float]) -> None:
    """A connection that is closed without an answer is a failure as well."""
    fake.drop_next(times=2)
    assert github.about()["full_name"] == "contoso/tenant"
    assert is_back_off(waits, 2)


@pytest.mark.parametrize("fault", ["fail", "drop"])
def test_in_the_end_it_gives_up(fake: FakeGitHub, github: GitHub, waits: list[float], fault: str) -> None:
    """After five times; the error says that trying again makes sense."""
    if fault == "fail":
        fake.fail_next(503, times=9)
    else:
        fake.drop_next(times=9)
    error = refusal(github.about)
    assert (error.code, error.retry, len(fake.requests)) == ("forgeFailed", True, 5)
    assert error.message.startswith(f"127.0.0.1:{fake.url.rpartition(':')[2]} ")
    assert is_back_off(waits, 4)


def test_nobody_listens(waits: list[float]) -> None:
    """A port at which nobody is, or a name that is none, is a failure in our own words."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = refusal(lambda: RestClient(f"http://127.0.0.1:{port}", TOKEN, wait=waits.append).get("/x"))
    assert (error.code, error.retry) == ("forgeFailed", True)
    assert is_back_off(waits, 4)


@pytest.mark.parametrize(
    "url", ["https://", "https://a b", "https://..", "https://host:99999", f"https://{'a' * 70}.x"]
)
def test_an_address_that_leads_nowhere(url: str, waits: list[float]) -> None:
    """No exception of the library leaves, whatever is wrong with the name of the host."""
    assert refusal(lambda: RestClient(url, TOKEN, wait=waits.append).get("/x")).code == "forgeFailed"


@pytest.mark.parametrize("fault", ["lost before", "lost after", "fails before", "fails after"])
def test_what_adds_something_is_not_repeated(fake: FakeGitHub, github: GitHub, waits: list[float], fault: str) -> None:
    """Nobody knows whether a POST without an answer did its work: a second one could do it twice."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    has_effect = fault.endswith("after")
    if fault.startswith("lost"):
        fake.drop_next(match="^POST", has_effect=has_effect)
    else:
        fake.fail_next(502, match="^POST", has_effect=has_effect)
    error = refusal(lambda: github.write_comment(number, "Hello"))
    assert (error.code, error.retry, waits) == ("forgeFailed", True, [])
    assert len(fake.asked("POST")) == 1
    assert len(fake.comments(number)) == has_effect


@pytest.mark.parametrize("fault", ["lost", "fails"])
def test_what_can_be_done_twice_is_repeated(fake: FakeGitHub, github: GitHub, waits: list[float], fault: str) -> None:
    """A PATCH that is done twice comes to the same."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    comment = fake.comment(number, "bob", "Old")
    if fault == "lost":
        fake.drop_next(match="^PATCH", has_effect=True)
    else:
        fake.fail_next(500, match="^PATCH", has_effect=True)
    github.write_comment(number, "New", replace=comment)
    assert [said.body for said in fake.comments(number)] == ["New"]
    assert len(fake.asked("PATCH")) == 2
    assert is_back_off(waits, 1)


# --- rate limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "after"), [(429, "1"), (403, "7"), (403, "0"), (429, "120")])
def test_a_rate_limit_says_how_long(
    fake: FakeGitHub, github: GitHub, waits: list[float], status: int, after: str
) -> None:
    """Retry-After is followed to the second; what the limit turned away was not done, so a POST is repeated, too."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    fake.fail_next(status, headers={"Retry-After": after}, match="^POST")
    github.write_comment(number, "Hello")
    assert waits == [float(after)]
    assert len(fake.comments(number)) == 1


def test_the_waits_for_a_limit_have_an_end(fake: FakeGitHub, github: GitHub, waits: list[float]) -> None:
    """Two minutes in all; then the error says how long it takes, and that a retry makes sense."""
    fake.fail_next(429, headers={"Retry-After": "50"}, times=9)
    error = refusal(github.about)
    assert waits == [50.0, 50.0]
    assert (error.code, error.retry, error.hint) == ("forgeRateLimit", True, "run the command again later")
    assert error.message.endswith("limits how often it is asked; for another 50 s")
    assert len(fake.requests) == 3


@pytest.mark.parametrize("after", ["121", "3600", "9" * 400])
def test_a_long_limit_is_not_waited_for(fake: FakeGitHub, github: GitHub, waits: list[float], after: str) -> None:
    """A job that sleeps for an hour helps nobody."""
    fake.fail_next(403, headers={"Retry-After": after})
    error = refusal(github.about)
    assert (error.code, error.retry, waits, len(fake.requests)) == ("forgeRateLimit", True, [], 1)


@pytest.mark.parametrize("after", ["soon", "-5", "1.5", "1e2", "", "inf", "\xb2", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_limit_without_seconds_waits_a_minute(
    fake: FakeGitHub, github: GitHub, waits: list[float], after: str
) -> None:
    """What is no number of seconds is as if nothing were said. Source: GitHub, "Rate limits for the REST API"."""
    fake.fail_next(429, headers={"Retry-After": after})
    assert github.about()["full_name"] == "contoso/tenant"
    assert len(waits) == 1
    assert 60.5 <= waits[0] <= 61


def test_a_secondary_limit_may_be_told_in_words_only(fake: FakeGitHub, github: GitHub, waits: list[float]) -> None:
    """A 403 that speaks of a rate limit is one; it is waited for at least a minute, once."""
    fake.fail_next(403, times=9, body={"message": "You have exceeded a secondary rate limit."})
    error = refusal(github.about)
    assert (error.code, error.retry, len(waits)) == ("forgeRateLimit", True, 1)
    assert 60.5 <= waits[0] <= 61


def test_a_primary_limit_is_waited_for_until_its_reset(fake: FakeGitHub, github: GitHub, waits: list[float]) -> None:
    """The moment of the reset against the moment of the answer, and one second more."""
    fake.fail_next(403, headers={"X-RateLimit-Remaining": "0"})
    assert github.about()["full_name"] == "contoso/tenant"
    assert len(waits) == 1
    assert 59 <= waits[0] <= 62


MIDNIGHT = "Date: Thu, 01 Jan 2026 00:00:00 GMT"
AT = 1767225600


@pytest.mark.parametrize(("reset", "waited"), [(AT + 30, 31.0), (AT, 1.0), (AT - 999, 1.0), (AT + 119, 120.0)])
@pytest.mark.parametrize("status", [403, 429])
def test_the_servers_clock_counts(raw: Raw, waits: list[float], status: int, reset: int, waited: float) -> None:
    """How long a limit lasts is reckoned by the server's own Date, so a wrong clock here does not matter."""
    raw.will(status, b"{}", MIDNIGHT, "X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {reset}")
    raw.will(200, b"[1]")
    assert RestClient(raw.address, TOKEN, wait=waits.append).get("/x") == [1]
    assert waits == [waited]


@pytest.mark.parametrize("date", ["X: none", "Date: yesterday", "Date: ", "Date: Thu, 99 Jan 2026 00:00:00 GMT"])
def test_without_a_date_the_limit_is_not_guessed(raw: Raw, waits: list[float], date: str) -> None:
    """Whoever does not know how long it takes gives up with a retry, and does not crash."""
    raw.will(403, b"{}", date, "X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {AT}")
    error = refusal(lambda: RestClient(raw.address, TOKEN, wait=waits.append).get("/x"))
    assert (error.code, error.retry, waits) == ("forgeRateLimit", True, [])


@pytest.mark.parametrize(
    "headers",
    [
        ("X-RateLimit-Remaining: 1", f"X-RateLimit-Reset: {AT}"),
        ("X-RateLimit-Remaining: 0",),
        ("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: never"),
        ("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: \xb2"),
        ("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: -1"),
        ("X-RateLimit-Remaining: none", f"X-RateLimit-Reset: {AT}"),
    ],
)
def test_a_plain_no_is_no_limit(raw: Raw, waits: list[float], headers: tuple[str, ...]) -> None:
    """A 403 with requests left, or without a reset, is a refusal, and asked once."""
    raw.will(403, b"{}", MIDNIGHT, *headers)
    error = refusal(lambda: RestClient(raw.address, TOKEN, wait=waits.append).get("/x"))
    assert (error.code, error.retry, waits, len(raw.asked)) == ("forgeForbidden", False, [], 1)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "begins", "hint"),
    [
        (400, "forgeRefused", "the forge refuses it", None),
        (401, "forgeUnauthorized", "the forge does not accept the token", "GITHUB_TOKEN=…"),
        (403, "forgeForbidden", "the forge does not allow it", "give the job's token the permission that it needs"),
        (404, "forgeNotFound", "the forge has no such thing", None),
        (409, "forgeRefused", "the forge refuses it", None),
        (410, "forgeNotFound", "the forge has no such thing", None),
        (422, "forgeRefused", "the forge refuses it", None),
        (451, "forgeRefused", "the forge refuses it", None),
    ],
)
def test_a_refusal_says_what_was_asked_and_what_to_do(
    fake: FakeGitHub, github: GitHub, waits: list[float], status: int, code: str, begins: str, hint: str | None
) -> None:
    """One line with method, path, status and the forge's own words; asked once, and no retry is promised."""
    fake.fail_next(status, body={"message": "Because\n I say so"})
    error = refusal(github.about)
    assert error.message == f"{begins} (GET {REPOSITORY}: {status} Because I say so)"
    assert (error.code, error.hint, error.retry, waits) == (code, hint, False, [])


def test_a_refusal_names_the_permission_that_is_needed(fake: FakeGitHub, github: GitHub) -> None:
    """GitHub tells it in a header of its own."""
    fake.fail_next(403, headers={"X-Accepted-GitHub-Permissions": "statuses=write"})
    assert refusal(github.about).hint == "the token needs: statuses=write"


def test_real_refusals(fake: FakeGitHub, waits: list[float]) -> None:
    """A wrong token, a repository that is not there, a right that is missing, a comment that is too long."""
    number = fake.pull_request("change/x", "alice", title="Change x")

    def code(token: str, ask: Callable[[GitHub], object], repository: str = "contoso/tenant") -> str | None:
        return refusal(lambda: ask(GitHub(RestClient(fake.url, token, wait=waits.append), repository))).code

    alice = fake.token("alice")
    assert code("ghp_nobody", GitHub.about) == "forgeUnauthorized"
    assert code(alice, GitHub.about, "contoso/another") == "forgeNotFound"
    assert code(alice, GitHub.deploy_keys) == "forgeForbidden"
    assert code(alice, lambda github: github.pull_request(number + 1)) == "forgeNotFound"
    assert code(alice, lambda github: github.write_comment(number, "x" * 65537)) == "forgeRefused"
    assert waits == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(fake: FakeGitHub, github: GitHub, raw: Raw, status: int) -> None:
    """Wherever it leads: the token would go along. A repository that was renamed says so with its new address."""
    fake.fail_next(status, headers={"Location": f"{raw.address}{REPOSITORY}"}, body={"message": "Moved"})
    error = refusal(github.about)
    assert (error.code, error.hint) == ("forgeMoved", "git remote set-url origin URL")
    assert (len(fake.requests), raw.asked) == (1, [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b"null", ""),
        (b"[]", ""),
        (b'{"message": 1}', ""),
        (b'{"message": ["x"]}', ""),
        (b'{"message": ""}', ""),
        (b'{"message": "a\\r\\n\\u2028 b\\tc"}', " a b c"),
        (b'{"message": "' + b"x" * 10_000 + b'"}', f" {'x' * 300}"),
    ],
)
def test_the_words_of_a_refusal_are_one_short_line(fake: FakeGitHub, github: GitHub, body: bytes, words: str) -> None:
    """Whatever a refusal holds, it is told in a line, or left out."""
    fake.fail_next(422, body=body)
    assert refusal(github.about).message == f"the forge refuses it (GET {REPOSITORY}: 422{words})"


# --- answers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"a":', b"\xff\xfe\x00", b"[" * 100_000, b"1" * 5000, b"{} {}"],
    ids=lambda b: repr(b[:9]),
)
def test_what_is_no_json_is_not_understood(fake: FakeGitHub, github: GitHub, waits: list[float], body: bytes) -> None:
    """Nothing is built on it, and it is not asked for again."""
    fake.garble_next(body=body)
    error = refusal(github.about)
    assert error.message == f"the forge's answer to GET {REPOSITORY} cannot be understood"
    assert (error.code, error.retry, waits, len(fake.requests)) == ("forgeMisunderstood", False, [], 1)


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b'"x"', b"[]", b"{}"])
def test_json_of_another_shape_is_not_understood(fake: FakeGitHub, github: GitHub, body: bytes) -> None:
    """A pull request is no number, no list, and not empty."""
    fake.garble_next(body=body)
    assert refusal(lambda: github.pull_request(1)).code == "forgeMisunderstood"


def test_an_answer_without_content_is_none(raw: Raw) -> None:
    """204 is an answer, with nothing in it; so is a 304 that nobody asked for, on which nothing is built."""
    raw.will(204, b"")
    raw.will(304, b"")
    client = RestClient(raw.address, TOKEN)
    assert client.send("PUT", "/x", {}) is None
    assert refusal(lambda: GitHub(client, "contoso/tenant").about()).code == "forgeMisunderstood"


def test_too_much_is_refused(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond the limit is not read to its end, packed or not; one at the limit is read."""
    monkeypatch.setattr(rest, "ANSWER_LIMIT", 1000)
    client = RestClient(raw.address, TOKEN)
    raw.will(200, b'"' + b"x" * 998 + b'"')
    assert client.get("/x") == "x" * 998
    raw.will(200, b'"' + b"x" * 999 + b'"')
    raw.will(200, gzip.compress(b" " * 10_000_000 + b"1"), "Content-Encoding: gzip")
    for _ in range(2):
        error = refusal(lambda: client.get("/x"))
        assert (error.code, error.retry) == ("forgeMisunderstood", False)
        assert error.message.endswith("answers with too much")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2, 3]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1, 2, 3]\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n[1, 2, 3]",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
    ids=["short", "chunks", "not packed", "no HTTP", "nothing"],
)
def test_half_an_answer_is_none(raw: Raw, waits: list[float], answer: bytes) -> None:
    """What ends early is not taken for the whole, even where it reads well; it is asked for again."""
    raw.answers += [answer]
    raw.will(200, b"[4]")
    assert RestClient(raw.address, TOKEN, wait=waits.append).get("/x") == [4]
    assert is_back_off(waits, 1)


# --- pages -----------------------------------------------------------------------------------------------------------


def test_a_list_is_read_to_its_end(fake: FakeGitHub, github: GitHub) -> None:
    """A hundred at a time, in order."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    for n in range(205):
        fake.comment(number, "bob", f"Comment {n}")
    assert [comment.body for comment in github.comments(number)] == [f"Comment {n}" for n in range(205)]
    assert [seen.query for seen in fake.requests] == ["per_page=100", "per_page=100&page=2", "per_page=100&page=3"]


def test_a_list_within_an_answer_is_read_to_its_end(fake: FakeGitHub, github: GitHub) -> None:
    """Statuses and checks stand in a member of the answer, and have pages all the same."""
    fake.pull_request("change/x", "alice", title="Change x")
    sha = fake.pull_requests[1].head_sha
    for n in range(101):
        fake.set_status(sha, f"context-{n}", "pending")
        fake.check_run(sha, f"check-{n}", None)
    assert len(github.statuses(sha)) == len(github.checks(sha)) == 101
    assert len(fake.requests) == 4


def test_a_later_page_that_fails_fails_the_list(fake: FakeGitHub, github: GitHub) -> None:
    """Half a list is none: what is missing could be the dismissal."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    for n in range(101):
        fake.comment(number, "bob", f"Comment {n}")
    fake.before_next(lambda: fake.fail_next(404), match="/comments$")
    assert refusal(lambda: github.comments(number)).code == "forgeNotFound"


ELSEWHERE = (
    "https://evil.example/x?page=2",
    "//evil.example/x?page=2",
    "/x?page=2",
    "{url}.evil.example/x?page=2",
    "{url}@evil.example/x?page=2",
    "{url}0/x?page=2",
    "{secure}/x?page=2",
    "ftp://127.0.0.1/x",
)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_next_page_elsewhere_is_refused(raw: Raw, address: str) -> None:
    """The token goes to the server that it is for, and to no other that a link names."""
    following = address.format(url=raw.address, secure=raw.address.replace("http:", "https:"))
    raw.will(200, b"[1]", f'Link: <{following}>; rel="next"')
    error = refusal(lambda: list(RestClient(raw.address, TOKEN).pages("/x")))
    assert (error.code, len(raw.asked)) == ("forgeMisunderstood", 1)
    assert "another server" in error.message


def test_a_next_page_outside_of_the_base_path_is_refused(raw: Raw) -> None:
    """On GitHub Enterprise the API has a path; beside it are pages of the web."""
    raw.will(200, b"[1]", f'Link: <{raw.address}/login?page=2>; rel="next"')
    error = refusal(lambda: list(RestClient(f"{raw.address}/api/v3", TOKEN).pages("/x")))
    assert error.code == "forgeMisunderstood"


@pytest.mark.parametrize(
    "links",
    [
        (),
        ("",),
        ('<{url}/x?page=9>; rel="prev", <{url}/x?page=1>; rel="first"',),
        ('<{url}/x?page=9>; rel="last"',),
        ('<{url}/x?page=9>; rel="nextish"',),
        ('<{url}/x?page=9>; title="rel=next"',),
        ('{url}/x?page=9; rel="next"',),
        ('<>; rel="next"',),
        ("nonsense",),
    ],
)
def test_other_links_lead_nowhere(raw: Raw, links: tuple[str, ...]) -> None:
    """Only ``next`` does."""
    raw.will(200, b"[1]", *(f"Link: {link.format(url=raw.address)}" for link in links))
    assert list(RestClient(raw.address, TOKEN).pages("/x")) == [1]


@pytest.mark.parametrize(
    "links",
    [
        ('<{url}/x?page=2>; rel="next"',),
        ('<{url}/x?page=2>;rel="next"',),
        ('<{url}/x?page=9>; rel="last", <{url}/x?page=2>; rel="next"',),
        ('<{url}/x?page=2>; rel="next"', '<{url}/style.css>; rel="preload"'),
        ('<{url}/style.css>; rel="preload"', '<{url}/x?page=2>; rel="next"'),
    ],
)
def test_the_next_page_is_found_wherever_it_stands(raw: Raw, links: tuple[str, ...]) -> None:
    """Before or after others, and in any of several headers: a proxy may add its own."""
    raw.will(200, b"[1]", *(f"Link: {link.format(url=raw.address)}" for link in links))
    raw.will(200, b"[2]")
    assert list(RestClient(raw.address, TOKEN).pages("/x")) == [1, 2]
    assert raw.asked[1].startswith("GET /x?page=2 ")


def test_pages_that_go_round_have_an_end(raw: Raw) -> None:
    """A list that leads back to where it was has no end, so it is none."""
    for following in ("b", "a", "b"):
        raw.will(200, b"[1]", f'Link: <{raw.address}/{following}>; rel="next"')
    error = refusal(lambda: list(RestClient(raw.address, TOKEN).pages("/x")))
    assert (error.code, len(raw.asked)) == ("forgeMisunderstood", 3)


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"statuses": null}', b'{"statuses": {}}', b'{"check_runs": []}'])
def test_a_page_without_its_list_is_not_understood(raw: Raw, body: bytes) -> None:
    """Nothing is not the same as an empty list."""
    raw.will(200, body)
    github = GitHub(RestClient(raw.address, TOKEN), "contoso/tenant")
    assert refusal(lambda: github.statuses(UNKNOWN)).code == "forgeMisunderstood"


# --- what is known already -------------------------------------------------------------------------------------------


def test_what_is_known_is_not_sent_again(fake: FakeGitHub, github: GitHub) -> None:
    """A second look asks whether anything changed; what changed is seen."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    for n in range(101):
        fake.comment(number, "bob", f"Comment {n}")
    first = github.comments(number)
    assert github.comments(number) == first
    fake.comment(number, "bob", "Something new")
    assert [comment.body for comment in github.comments(number)[101:]] == ["Something new"]
    assert [seen.status for seen in fake.requests] == [200, 200, 304, 304, 304, 200]


def test_what_is_known_is_known_by_address(fake: FakeGitHub, github: GitHub) -> None:
    """The tag of one answer is not sent for another."""
    one, two = (fake.pull_request(f"change/{name}", "alice", title=name) for name in "xy")
    assert [github.pull_request(number).title for number in (one, two, one)] == ["x", "y", "x"]
    assert [seen.status for seen in fake.requests] == [200, 200, 304]


def test_what_failed_is_not_remembered(fake: FakeGitHub, github: GitHub) -> None:
    """A refusal between two looks does not become the answer."""
    github.about()
    fake.fail_next(404, headers={"ETag": '"bad"'})
    assert refusal(github.about).code == "forgeNotFound"
    assert github.about()["full_name"] == "contoso/tenant"
    assert [seen.status for seen in fake.requests] == [200, 404, 304]


# --- where the token goes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://api.github.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1",
        "http://",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "api.github.com",
        "",
        "https://[::1",
        "http://[x]",
    ],
)
def test_plain_http_is_refused(url: str) -> None:
    """A token goes over HTTPS or stays on this machine; what is no address is refused as well."""
    assert refusal(lambda: RestClient(url, TOKEN)).code == "forgeInsecure"


@pytest.mark.parametrize(
    "url", ["https://api.github.com", "https://x/api/v3/", "http://127.0.0.1:1", "http://localhost", "http://[::1]:80"]
)
def test_https_and_loopback_are_taken(url: str) -> None:
    """A slash at the end is dropped."""
    assert RestClient(url, TOKEN).url == url.rstrip("/")


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}\r\nX-Evil: 1", f" {TOKEN}", f"{TOKEN}…", f"{TOKEN}\0", " "])
def test_what_cannot_be_a_token_is_refused(token: str) -> None:
    """A line feed that was copied along says so, and does not become another header; the token is not told."""
    error = refusal(lambda: RestClient("https://api.github.com", token))
    assert (error.code, error.hint) == ("forgeUnauthorized", "GITHUB_TOKEN=…")
    assert TOKEN not in f"{error} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize(
    "fault",
    ["401", "403", "404", "429", "500", "drop", "garble", "too much", "elsewhere", "no port", "wrong shape"],
)
def test_the_token_is_never_told(
    loose: FakeGitHub, waits: list[float], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Neither the client's own words nor any error, nor what caused it, holds the token."""
    token = loose.token("alice")
    client = RestClient(loose.url, token, wait=waits.append)
    if fault.isdigit():
        loose.fail_next(int(fault), times=9, headers={"Retry-After": "999"} if fault == "429" else None)
    elif fault == "drop":
        loose.drop_next(times=9)
    elif fault == "garble":
        loose.garble_next()
    elif fault == "too much":
        monkeypatch.setattr(rest, "ANSWER_LIMIT", 1)
    elif fault == "elsewhere":
        loose.alter_next(lambda _: {})
    elif fault == "no port":
        client = RestClient("http://127.0.0.1:1", token, wait=waits.append)
    else:
        loose.garble_next(body=b"[]")
    found: BaseException | None = refusal(lambda: GitHub(client, "contoso/tenant").pull_request(1))
    while found is not None:
        assert token not in f"{found} {found!r} {vars(found) if hasattr(found, '__dict__') else ''}"
        found = found.__cause__ or found.__context__
    assert token not in f"{client!r} {client}"


def test_a_proxy_sees_no_token(raw: Raw, waits: list[float]) -> None:
    """HTTPS goes through the proxy as a tunnel: it is told host and port; that it refuses is a failure."""
    raw.will(403, b"No")
    client = RestClient("https://api.contoso.example", TOKEN, proxy=raw.address, wait=waits.append)
    error = refusal(lambda: client.send("POST", "/x", {}))
    assert (error.code, error.retry) == ("forgeFailed", True)
    assert raw.asked[0].startswith("CONNECT api.contoso.example:443 ")
    assert TOKEN not in "".join(raw.asked)


def test_what_is_on_this_machine_is_not_asked_through_a_proxy(fake: FakeGitHub, raw: Raw) -> None:
    """Plain HTTP through a proxy would show it the token."""
    client = RestClient(fake.url, fake.token("alice"), proxy=raw.address)
    assert client.get(REPOSITORY)["full_name"] == "contoso/tenant"
    assert raw.asked == []


@pytest.mark.parametrize("proxy", ["proxy.contoso.com:8080", "proxy", "socks5://proxy:1080", "//proxy", "ftp://proxy"])
def test_a_proxy_that_cannot_be_one(proxy: str) -> None:
    """The usual slip is an address without its scheme; the hint has the form."""
    error = refusal(lambda: RestClient("https://api.github.com", TOKEN, proxy=proxy))
    assert (error.code, error.hint) == ("forgeFailed", "HTTPS_PROXY=http://HOST:PORT")


def test_a_proxy_whose_address_is_broken(waits: list[float]) -> None:
    """No exception of the library leaves."""
    client = RestClient("https://api.github.com", TOKEN, proxy="http://[x", wait=waits.append)
    assert refusal(lambda: client.get("/x")).code == "forgeFailed"


def test_github_enterprise() -> None:
    """The API lies below a path of the server; pages lead on below it."""
    with FakeGitHub("contoso/tenant", server_url="https://git.contoso.com", base_path="/api/v3") as fake:
        fake.user("alice", permission="write")
        github = GitHub(RestClient(fake.url, fake.token("alice")), "contoso/tenant")
        number = fake.pull_request("change/x", "alice", title="Change x")
        for n in range(101):
            fake.comment(number, "alice", f"Comment {n}")
        assert fake.url.endswith("/api/v3")
        assert github.pull_request(number).url == "https://git.contoso.com/contoso/tenant/pull/1"
        assert len(github.comments(number)) == 101
        assert fake.violations == []


# --- GitHub's answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a/b", "contoso/tenant.git", "Contoso-1/a_b.c-d", "octocat_contoso/x", "a/..b", "a/..."]
)
def test_names_of_repositories(name: str) -> None:
    """Owner and name; a managed user's login holds an underscore."""
    assert GitHub(RestClient("https://api.github.com"), name).repository == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a",
        "a/",
        "/b",
        "a/b/c",
        "a/b\n",
        "a b/c",
        "a/b?x",
        "a/b#x",
        "a/%2e",
        "../x",
        "a/.",
        "a/..",
        "-a/b",
        f"{'a' * 40}/b",
        f"a/{'b' * 101}",
        "a/ü",
    ],
)
def test_what_is_no_name_of_a_repository(name: str) -> None:
    """Nothing that would lead elsewhere in the API is put into a path."""
    with pytest.raises(RepositoryError) as caught:
        GitHub(RestClient("https://api.github.com"), name)
    assert caught.value.code == "noForge"


def test_a_pull_request(fake: FakeGitHub, github: GitHub) -> None:
    """Everything that is asked of one."""
    number = fake.pull_request("change/x", "alice", title="Change x", body=None, draft=True)
    found = github.pull_request(number)
    assert (found.number, found.title, found.body, found.base_branch) == (number, "Change x", "", "main")
    assert (found.is_open, found.is_draft, found.is_merged) == (True, True, False)
    assert (found.head_branch, found.head_commit) == ("change/x", fake.pull_requests[number].head_sha)
    assert found.head_repository == "contoso/tenant"
    assert found.author == User(fake.known("alice").id, "alice", "User")
    assert found.url == "https://github.com/contoso/tenant/pull/1"
    github.close(number)
    assert not github.pull_request(number).is_open
    assert [seen.body for seen in fake.asked("PATCH")] == [{"state": "closed"}]


def test_open_pull_requests_by_number(fake: FakeGitHub, github: GitHub) -> None:
    """GitHub lists the newest first, and closed ones too unless told not to."""
    for name in "abc":
        fake.pull_request(f"change/{name}", "alice", title=name)
    fork = fake.pull_request("change/a", "bob", title="Fork", head_repository="bob/tenant", head=UNKNOWN)
    fake.close(2)
    assert [found.number for found in github.open_pull_requests()] == [1, 3, fork]
    assert github.open_pull_requests()[-1].head_repository == "bob/tenant"


def test_pull_requests_of_a_branch(fake: FakeGitHub, github: GitHub) -> None:
    """All of them, closed ones and those with another aim included; not those of other branches."""
    for name in "aab":
        fake.pull_request(f"change/{name}", "alice", title=name)
    fake.close(1)
    assert [(found.number, found.is_open) for found in github.pull_requests_of("change/a")] == [(1, False), (2, True)]
    fake.garble_next(body=b"{}")
    assert refusal(lambda: github.pull_requests_of("change/a")).code == "forgeMisunderstood"


def test_when_a_pull_request_got_another_base(fake: FakeGitHub, github: GitHub) -> None:
    """The last time counts; a pull request that never did says so."""
    number = fake.pull_request("change/x", "alice", title="x")
    assert github.happenings(number).retargeted_at is None
    fake.push("side", fake.heads()["main"])
    fake.edit_pull_request(number, base="side", at="2026-01-02T03:04:05Z")
    fake.edit_pull_request(number, base="main", at="2026-01-03T03:04:05Z")
    assert github.happenings(number).retargeted_at == datetime(2026, 1, 3, 3, 4, 5, tzinfo=UTC)


def test_a_fork_that_is_gone(loose: FakeGitHub, github: GitHub) -> None:
    """GitHub answers null for the repository of a deleted fork, though its description knows no null there."""
    number = loose.pull_request("change/x", "bob", title="Fork", head_repository="bob/tenant", head=UNKNOWN)
    loose.alter_next(lambda plain: {**plain, "head": {**plain["head"], "repo": None}, "user": None})
    found = github.pull_request(number)
    assert (found.head_repository, found.author, found.head_commit) == (None, None, UNKNOWN)


def test_a_merged_pull_request(fake: FakeGitHub, github: GitHub) -> None:
    """Its moment of merging says so."""
    number = fake.pull_request("change/x", "alice", title="x")
    fake.push("main", fake.pull_requests[number].head_sha)
    found = github.pull_request(number)
    assert (found.is_open, found.is_merged) == (False, True)


def test_reviews(fake: FakeGitHub, github: GitHub) -> None:
    """In order; a pending one is its author's alone and has no moment; a deleted account is nobody."""
    number = fake.pull_request("change/x", "alice", title="x")
    first = fake.review(number, "bob", "APPROVED", "Fine", at="2026-01-02T03:04:05Z")
    fake.review(number, "alice", "PENDING")
    fake.remove("bob")
    one, two = github.reviews(number)
    assert (one.id, one.author, one.state, one.body) == (first, None, ReviewState.APPROVED, "Fine")
    assert one.commit == fake.pull_requests[number].head_sha
    assert one.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert one.url == f"https://github.com/contoso/tenant/pull/1#pullrequestreview-{first}"
    assert (two.state, two.at) == (ReviewState.PENDING, None)


def test_dismissals(loose: FakeGitHub, github: GitHub) -> None:
    """Who dismissed which review, by hand or by a push; other events are passed over."""
    number = loose.pull_request("change/x", "alice", title="x")
    reviews = [loose.review(number, "bob", "APPROVED") for _ in range(3)]
    loose.dismiss(reviews[0], "root", at="2026-01-02T03:04:05Z")
    loose.dismiss(reviews[1], "alice", by_push=True)
    loose.dismiss(reviews[2], "root")

    def changed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"event": "closed", "actor": None}, *events[:2], {**events[2], "actor": None}]

    loose.alter_next(changed)
    by_hand, by_push, by_nobody = github.happenings(number).dismissals
    assert (by_hand.review, by_hand.state, by_hand.by_push) == (reviews[0], ReviewState.APPROVED, False)
    assert by_hand.actor == User(loose.known("root").id, "root", "User")
    assert by_hand.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (by_push.review, by_push.by_push) == (reviews[1], True)
    assert (by_nobody.review, by_nobody.actor) == (reviews[2], None)


def test_comments(fake: FakeGitHub, github: GitHub) -> None:
    """In order, with who wrote it, through which app, and whether it was edited."""
    number = fake.pull_request("change/x", "alice", title="x")
    fake.comment(number, "bob", "One", at="2026-01-02T03:04:05Z")
    edited = fake.comment(number, "bob", "Two")
    fake.edit_comment(edited, "Too")
    fake.comment(number, "bob", "Three", via_app=True)
    fake.comment(number, ACTIONS_BOT, "Four", via_app="github-actions")
    one, two, three, four = github.comments(number)
    assert (one.body, one.is_edited, one.via_app) == ("One", False, False)
    assert one.at == one.edited_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (two.body, two.is_edited) == ("Too", True)
    assert (three.via_app, four.via_app) == (True, True)
    assert [said.author is not None and said.author.is_person for said in (one, two, three, four)] == [True] * 3 + [
        False
    ]


@pytest.mark.parametrize(
    ("login", "kind", "is_person"),
    [
        ("bob", "User", True),
        ("x", "Bot", False),
        ("x[bot]", "User", False),
        ("x", "Organization", False),
        ("x", "", False),
    ],
)
def test_who_is_a_person(login: str, kind: str, is_person: bool) -> None:
    """A user, and no bot by type or by name."""
    assert User(1, login, kind).is_person is is_person


@pytest.mark.parametrize(
    ("permission", "may"),
    [("none", False), ("read", False), ("triage", False), ("write", True), ("maintain", True), ("admin", True)],
)
def test_who_may_write(fake: FakeGitHub, github: GitHub, permission: str, may: bool) -> None:
    """Write, maintain and admin may; GitHub tells maintain as write."""
    made = fake.user("carol", permission=permission)
    assert github.may_write(User(made.id, "carol", "User")) is may


def test_a_login_that_was_taken_over_may_not_write(fake: FakeGitHub, github: GitHub) -> None:
    """The number decides: whoever has the name today is somebody else."""
    carol = fake.user("carol", permission="write")
    fake.rename("carol", "caroline")
    mallory = fake.user("carol", permission="admin")
    assert not github.may_write(User(carol.id, "carol", "User"))
    assert github.may_write(User(carol.id, "caroline", "User"))
    assert github.may_write(User(mallory.id, "carol", "User"))


def test_who_is_not_there_may_not_write(fake: FakeGitHub, github: GitHub) -> None:
    """Nobody of that name, a bot, and names that would lead elsewhere in the API."""
    assert not github.may_write(User(1, "nobody", "User"))
    assert not github.may_write(User(fake.known(ACTIONS_BOT).id, ACTIONS_BOT, "Bot"))
    for login in ("a/b", "x/../..", "a?b", "a#b", "ä%2f"):
        assert not github.may_write(User(1, login, "User"))
    paths = [seen.path.removeprefix(f"{REPOSITORY}/collaborators/") for seen in fake.requests]
    assert paths[2:] == [f"{login}/permission" for login in ("a/b", "x/../..", "a?b", "a#b", "ä%2f")]


@pytest.mark.parametrize("status", [401, 403, 500])
def test_not_being_told_is_no_answer(fake: FakeGitHub, github: GitHub, status: int) -> None:
    """Whether somebody may write cannot be told then, which is neither yes nor no."""
    fake.fail_next(status, times=9)
    with pytest.raises(RemoteError):
        github.may_write(User(fake.known("bob").id, "bob", "User"))


def test_a_gone_account_may_not_write(loose: FakeGitHub, github: GitHub) -> None:
    """GitHub's description allows null for the user of a permission."""
    bob = User(loose.known("bob").id, "bob", "User")
    loose.alter_next(lambda plain: {**plain, "user": None})
    assert not github.may_write(bob)
    loose.alter_next(lambda plain: {**plain, "permission": "sudo"})
    assert not github.may_write(bob)


def test_whose_login_it_is(fake: FakeGitHub, github: GitHub) -> None:
    """The number of today's holder; anybody may ask, and null is no answer."""
    bob = fake.known("bob")
    assert github.user("BOB") == find_user(RestClient(fake.url), "bob") == User(bob.id, "bob", "User")
    assert refusal(lambda: github.user("nobody")).code == "forgeNotFound"
    fake.garble_next(body=b"null")
    assert refusal(lambda: github.user("bob")).code == "forgeMisunderstood"


def test_whose_token_it_is(fake: FakeGitHub, github: GitHub, waits: list[float]) -> None:
    """A person's; an app's token and none at all are nobody's, and a server that fails says neither."""
    alice = fake.known("alice")
    assert github.me() == User(alice.id, "alice", "User")
    for token in (fake.actions_token(), None, "ghp_nobody"):
        assert GitHub(RestClient(fake.url, token), "contoso/tenant").me() is None
    fake.fail_next(500, times=9)
    assert refusal(github.me).code == "forgeFailed"


def test_a_run(fake: FakeGitHub, github: GitHub) -> None:
    """Who started it, and who started it again."""
    number = fake.run("alice", triggering_actor="bob", attempt=2, at="2026-01-02T03:04:05Z")
    run = github.run(number)
    assert (run.id, run.event, run.branch, run.commit) == (number, "workflow_dispatch", "main", fake.heads()["main"])
    assert [user.login for user in (run.actor, run.triggering_actor) if user is not None] == ["alice", "bob"]
    assert (run.attempt, run.at) == (2, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert run.url == f"https://github.com/contoso/tenant/actions/runs/{number}"


def test_statuses_and_checks(fake: FakeGitHub, github: GitHub) -> None:
    """The newest of each context and name; ours by its context."""
    fake.pull_request("change/x", "alice", title="x")
    sha = fake.pull_requests[1].head_sha
    assert (github.status(sha), github.checks(sha)) == (None, ())
    fake.set_status(sha, "ci", "error")
    github.set_status(sha, StatusState.PENDING, "Wait")
    github.set_status(sha, StatusState.SUCCESS, "Done", "https://example.com/run")
    fake.check_run(sha, "build", None)
    fake.check_run(sha, "lint", "failure")
    ours = CommitStatus(APPROVAL, StatusState.SUCCESS, "Done")
    assert github.status(sha) == ours
    assert github.statuses(sha) == {"ci": CommitStatus("ci", StatusState.ERROR, ""), APPROVAL: ours}
    assert github.checks(sha) == (CheckRun("build", None), CheckRun("lint", "failure"))
    assert [seen.body for seen in fake.asked("POST")] == [
        {"state": "pending", "context": APPROVAL, "description": "Wait"},
        {"state": "success", "context": APPROVAL, "description": "Done", "target_url": "https://example.com/run"},
    ]


@PROPERTY
@given(st.text(max_size=300))
def test_a_description_fits(text: str) -> None:
    """Whatever is said of a commit, GitHub takes it; what fits is said as it is."""
    short = shortened(text)
    assert len(short) <= DESCRIPTION_LIMIT
    assert short == text if len(text) <= DESCRIPTION_LIMIT else short.endswith("…")
    assert text.startswith(short.removesuffix("…"))


def test_a_long_description_is_taken(fake: FakeGitHub, github: GitHub) -> None:
    """The limit is GitHub's."""
    fake.pull_request("change/x", "alice", title="x")
    sha = fake.pull_requests[1].head_sha
    github.set_status(sha, StatusState.FAILURE, "ü" * 141)
    assert fake.status_of(sha, APPROVAL) == ("failure", "ü" * 139 + "…")


@pytest.mark.parametrize("commit", ["", "main", "5" * 39, "5" * 41, "F" * 40, "5" * 40 + "\n", "../" + "5" * 37])
def test_only_a_commit_has_a_status(fake: FakeGitHub, github: GitHub, commit: str) -> None:
    """A branch could move meanwhile: nothing is asked or written for one."""
    for ask in (github.status, github.checks, lambda sha: github.set_status(sha, StatusState.SUCCESS, "x")):
        assert refusal(lambda ask=ask: ask(commit)).code == "forgeMisunderstood"  # type: ignore[misc]
    assert fake.requests == []


def test_what_guards_the_repository(fake: FakeGitHub, github: GitHub, admin: GitHub) -> None:
    """Settings, rulesets, keys and rights of workflows, as GitHub gives them; some to administrators only."""
    assert admin.about()["default_branch"] == "main"
    wanted = rulesets("main")
    for ruleset in wanted:
        fake.ruleset(ruleset)
    assert [found["rules"] for found in github.rulesets()] == [ruleset["rules"] for ruleset in wanted]
    assert ["bypass_actors" in found for found in (*github.rulesets(), *admin.rulesets())] == [False] * 5 + [True] * 5
    key = fake.deploy_key("maa", read_only=False)
    assert [(found["id"], found["read_only"]) for found in admin.deploy_keys()] == [(key, False)]
    assert admin.workflows_may_approve() is False
    fake.workflow_permissions(can_approve=True)
    assert admin.workflows_may_approve() is True


def test_who_may_use_an_environment(loose: FakeGitHub, github: GitHub) -> None:
    """Named branches, the protected ones, or any; that there is none is an error of its own."""
    loose.environment("named", ("main", "release/*"))
    loose.environment("protected", protected_branches=True)
    loose.environment("any", None)
    loose.environment("a/b c", ("main",))
    assert github.environment_branches("named") == ("main", "release/*")
    assert github.environment_branches("protected") == ("(protected branches)",)
    assert github.environment_branches("any") is None
    assert github.environment_branches("a/b c") == ("main",)
    assert refusal(lambda: github.environment_branches("none")).code == "forgeNotFound"
    assert loose.violations == []
    tags = {"total_count": 2, "branch_policies": [{"name": "v*", "type": "tag"}, {"name": "main"}]}
    loose.alter_next(lambda _: tags, match="policies$")
    assert github.environment_branches("named") == ("tag:v*", "main")


# --- wrong shapes ----------------------------------------------------------------------------------------------------


class Canned(RestClient):
    """A client that has one answer to everything."""

    def __init__(self, plain: object) -> None:
        """Keep the answer."""
        super().__init__("https://api.github.com")
        object.__setattr__(self, "_canned", plain)

    def get(self, path: str, **query: object) -> Any:
        """Answer."""
        return copy.deepcopy(self.__dict__["_canned"])

    def pages(self, path: str, *, items: str | None = None, **query: object) -> Iterator[Any]:
        """Answer with a list of that one thing."""
        yield copy.deepcopy(self.__dict__["_canned"])


GONE = object()
"""In the table below: the key may be missing."""

TEXT, NUMBER, FLAG, OBJECT, NULL = "text", "number", "flag", "object", "null"
PERSON: dict[tuple[str, ...], set[object]] = {("id",): {NUMBER}, ("login",): {TEXT}, ("type",): {TEXT}}


def person(*place: str, extra: Sequence[object] = ()) -> dict[tuple[str, ...], set[object]]:
    """What may stand where a person does: null, once the account is gone."""
    return {place: {OBJECT, NULL, *extra}, **{(*place, *inner): kinds for inner, kinds in PERSON.items()}}


def bob() -> dict[str, Any]:
    """A person, as GitHub writes one."""
    return {"id": 7, "login": "bob", "type": "User"}


NOW = "2026-01-02T03:04:05Z"
MAY_MISS = {NULL, GONE}


@dataclass(frozen=True)
class Shape:
    """A good answer, how it is read, and what each of its places may hold; ``words``: a place with few words."""

    good: Mapping[str, Any]
    ask: Callable[[GitHub], object]
    places: Mapping[tuple[str, ...], set[object]]


SHAPES = {
    "user": Shape(bob(), lambda g: g.user("bob"), PERSON),
    "permission": Shape(
        {"permission": "write", "user": bob()},
        lambda g: g.may_write(User(7, "bob", "User")),
        {("permission",): {TEXT}, **person("user")},
    ),
    "pull request": Shape(
        {
            "number": 1,
            "title": "x",
            "body": "y",
            "user": bob(),
            "state": "open",
            "draft": False,
            "merged_at": NOW,
            "html_url": "https://x",
            "head": {"ref": "change/x", "sha": UNKNOWN, "repo": {"full_name": "a/b"}},
            "base": {"ref": "main"},
        },
        lambda g: g.pull_request(1),
        {
            ("number",): {NUMBER},
            ("title",): {TEXT},
            ("body",): {TEXT, *MAY_MISS},
            **person("user"),
            ("state",): {TEXT},
            ("draft",): {FLAG, *MAY_MISS},
            ("merged_at",): {TEXT, *MAY_MISS},
            ("html_url",): {TEXT},
            ("head",): {OBJECT},
            ("head", "ref"): {TEXT},
            ("head", "sha"): {UNKNOWN},
            ("head", "repo"): {OBJECT, *MAY_MISS},
            ("head", "repo", "full_name"): {TEXT},
            ("base",): {OBJECT},
            ("base", "ref"): {TEXT},
        },
    ),
    "review": Shape(
        {
            "id": 1,
            "user": bob(),
            "state": "APPROVED",
            "commit_id": UNKNOWN,
            "body": "x",
            "submitted_at": NOW,
            "html_url": "https://x",
        },
        lambda g: g.reviews(1),
        {
            ("id",): {NUMBER},
            **person("user"),
            ("state",): {"APPROVED", "DISMISSED"},
            ("commit_id",): {TEXT, *MAY_MISS},
            ("body",): {TEXT, *MAY_MISS},
            ("submitted_at",): {NOW, *MAY_MISS},
            ("html_url",): {TEXT},
        },
    ),
    "dismissal": Shape(
        {
            "event": "review_dismissed",
            "actor": bob(),
            "created_at": NOW,
            "dismissed_review": {"review_id": 1, "state": "APPROVED", "dismissal_commit_id": UNKNOWN},
        },
        lambda g: g.happenings(1),
        {
            ("event",): {TEXT},
            **person("actor"),
            ("created_at",): {NOW},
            ("dismissed_review",): {OBJECT},
            ("dismissed_review", "review_id"): {NUMBER},
            ("dismissed_review", "state"): {"APPROVED", "DISMISSED"},
            ("dismissed_review", "dismissal_commit_id"): {TEXT, *MAY_MISS},
        },
    ),
    "comment": Shape(
        {
            "id": 1,
            "user": bob(),
            "body": "x",
            "created_at": NOW,
            "updated_at": NOW,
            "performed_via_github_app": {},
            "html_url": "https://x",
        },
        lambda g: g.comments(1),
        {
            ("id",): {NUMBER},
            **person("user"),
            ("body",): {TEXT, *MAY_MISS},
            ("created_at",): {NOW},
            ("updated_at",): {NOW},
            ("performed_via_github_app",): {OBJECT, *MAY_MISS},
            ("html_url",): {TEXT},
        },
    ),
    "run": Shape(
        {
            "id": 1,
            "event": "push",
            "head_branch": "main",
            "head_sha": UNKNOWN,
            "actor": bob(),
            "triggering_actor": bob(),
            "run_attempt": 1,
            "created_at": NOW,
            "html_url": "https://x",
        },
        lambda g: g.run(1),
        {
            ("id",): {NUMBER},
            ("event",): {TEXT},
            ("head_branch",): {TEXT, *MAY_MISS},
            ("head_sha",): {UNKNOWN},
            **person("actor", extra=(GONE,)),
            **person("triggering_actor", extra=(GONE,)),
            ("run_attempt",): {NUMBER, *MAY_MISS},
            ("created_at",): {NOW},
            ("html_url",): {TEXT},
        },
    ),
    "status": Shape(
        {"context": "ci", "state": "success", "description": "x"},
        lambda g: g.statuses(UNKNOWN),
        {("context",): {TEXT}, ("state",): {"success", "error"}, ("description",): {TEXT, *MAY_MISS}},
    ),
    "check": Shape(
        {"name": "ci", "conclusion": "success"},
        lambda g: g.checks(UNKNOWN),
        {("name",): {TEXT}, ("conclusion",): {TEXT, *MAY_MISS}},
    ),
    "ruleset": Shape({"id": 1}, GitHub.rulesets, {("id",): {NUMBER}}),
    "workflow permission": Shape(
        {"can_approve_pull_request_reviews": True},
        GitHub.workflows_may_approve,
        {("can_approve_pull_request_reviews",): {FLAG}},
    ),
}

VALUES: list[tuple[object, object]] = [
    (GONE, GONE),
    (NULL, None),
    (FLAG, True),
    (NUMBER, 1),
    ("fraction", 1.5),
    (TEXT, "unheard of"),
    (UNKNOWN, UNKNOWN),
    (NOW, NOW),
    ("APPROVED", "APPROVED"),
    ("DISMISSED", "DISMISSED"),
    ("success", "success"),
    ("error", "error"),
    ("list", []),
    (OBJECT, GONE),
]
WORDS = (UNKNOWN, NOW, "APPROVED", "DISMISSED", "success", "error")
"""Texts that some places want, one of a few; where any text is fine, so are these."""


def put(plain: Mapping[str, Any], place: tuple[str, ...], value: object) -> dict[str, Any]:
    """An answer with another value in a place, or none."""
    made: dict[str, Any] = copy.deepcopy(dict(plain))
    inner = made
    for step in place[:-1]:
        inner = inner[step]
    if value is GONE:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value
    return made


def understood(shape: Shape, plain: object) -> bool:
    """Whether an answer is read to a value; else it is an error of ours, and no other."""
    try:
        shape.ask(GitHub(Canned(plain), "contoso/tenant"))
    except RemoteError as error:
        if error.code != "forgeMisunderstood" or error.retry:
            raise
        return False
    return True


@pytest.mark.parametrize("name", SHAPES)
def test_a_good_answer_is_understood(name: str) -> None:
    """The answers that the tests below spoil are good ones."""
    assert understood(SHAPES[name], SHAPES[name].good)


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, shape in SHAPES.items() for place in shape.places], ids=str
)
def test_each_place_holds_what_is_documented(name: str, place: tuple[str, ...]) -> None:
    """A key that is missing, null, or a value of another kind is understood only where GitHub may well say it."""
    shape = SHAPES[name]
    allowed = shape.places[place]
    for kind, value in VALUES:
        if kind is OBJECT:
            continue  # an object is the good answer's own; an empty one is below
        expected = kind in allowed or (TEXT in allowed and kind in WORDS)
        assert understood(shape, put(shape.good, place, value)) is expected, (kind, value)
    may_be_empty = OBJECT in allowed and not any(
        other[: len(place)] == place for other in shape.places if other != place
    )
    assert understood(shape, put(shape.good, place, {})) is may_be_empty


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@PROPERTY
@given(st.data(), ANYTHING)
def test_no_answer_at_all_breaks_the_reader(data: st.DataObject, value: object) -> None:
    """Whatever stands anywhere in an answer, it is read, or it is an error of ours."""
    shape = SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))]
    place = data.draw(st.sampled_from(sorted(shape.places)))
    understood(shape, put(shape.good, place, value))
    understood(shape, value)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05+00:00",
        "2026-13-02T03:04:05Z",
        "2026-02-30T00:00:00Z",
        "",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T03:04:05Z\n",
        "0000-01-01T00:00:00Z",
        "9" * 400,
    ],
)
def test_a_moment_in_another_form_is_not_understood(moment: str) -> None:
    """Moments decide what counts: one is not guessed."""
    shape = SHAPES["comment"]
    assert not understood(shape, put(shape.good, ("created_at",), moment))


@pytest.mark.parametrize("word", ["approved", "Approved", "APPROVED ", "", "LGTM"])
def test_a_word_that_is_not_documented_is_not_understood(word: str) -> None:
    """Upper and lower case are not the same, and an unknown state of a review is none."""
    shape = SHAPES["review"]
    assert not understood(shape, put(shape.good, ("state",), word))


@pytest.mark.parametrize("sha", ["F" * 40, "5" * 39, "5" * 64, "HEAD", "../../x", ""])
def test_a_head_that_is_no_commit_is_not_understood(sha: str) -> None:
    """What git is asked for is 40 digits, whatever the forge says."""
    assert not understood(SHAPES["pull request"], put(SHAPES["pull request"].good, ("head", "sha"), sha))
    assert not understood(SHAPES["run"], put(SHAPES["run"].good, ("head_sha",), sha))


@pytest.mark.parametrize("plain", [None, 1, "x", [], True])
def test_settings_of_another_shape_are_not_understood(plain: object) -> None:
    """Repository, ruleset, environment and key are objects."""
    github = GitHub(Canned(plain), "contoso/tenant")
    for ask in (github.about, github.rulesets, github.deploy_keys, lambda: github.environment_branches("x")):
        assert refusal(ask).code == "forgeMisunderstood"


# --- a job -----------------------------------------------------------------------------------------------------------


def job_of(payload: object, folder: Path, event: str = "pull_request", **more: str) -> Job:
    """A job that is told a payload."""
    path = folder / "event.json"
    path.write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return Job.read({"GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(path), **more})


def test_outside_of_actions_a_job_is_empty() -> None:
    """No event, no repository, no token; the API and the server are GitHub's own."""
    job = Job.read({})
    assert job == Job(None, "https://api.github.com", "https://github.com", None)
    assert (job.event, job.run, job.run_url, job.pull_request, job.inputs, job.actions) == (None,) * 5 + (False,)
    job.put_out({"x": "y"})
    job.summarize("x")
    assert (
        Job.read(dict.fromkeys(("GITHUB_REPOSITORY", "GITHUB_TOKEN", "GITHUB_OUTPUT", "GITHUB_EVENT_NAME"), "")) == job
    )


def test_a_job_is_told_through_the_environment(tmp_path: Path) -> None:
    """Every variable, and where people see the run."""
    variables = {
        "GITHUB_REPOSITORY": "contoso/tenant",
        "GITHUB_API_URL": "https://git.contoso.com/api/v3",
        "GITHUB_SERVER_URL": "https://git.contoso.com",
        "GITHUB_TOKEN": TOKEN,
        "GH_TOKEN": "another",
        "HTTPS_PROXY": "http://proxy:8080",
        "GITHUB_RUN_ID": "30433642",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_ACTIONS": "true",
    }
    job = Job.read(variables)
    assert (job.repository, job.api_url) == ("contoso/tenant", "https://git.contoso.com/api/v3")
    assert (job.token, job.proxy, job.run, job.actions) == (TOKEN, "http://proxy:8080", 30433642, True)
    assert (job.output, job.summary) == (tmp_path / "output", tmp_path / "summary")
    assert job.run_url == "https://git.contoso.com/contoso/tenant/actions/runs/30433642"
    other = Job.read({"GH_TOKEN": "another", "https_proxy": "http://small:1", "GITHUB_ACTIONS": "1"})
    assert (other.token, other.proxy, other.actions) == ("another", "http://small:1", False)


@pytest.mark.parametrize("run", ["", "-1", "1.0", "1e3", "x", "\u0661", "\xb2", "9" * 19, "1\n", " 1"])
def test_what_is_no_number_of_a_run(run: str) -> None:
    """It becomes a part of an address that people click on."""
    assert Job.read({"GITHUB_RUN_ID": run, "GITHUB_REPOSITORY": "a/b"}).run_url is None


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_payloads_that_github_sent(path: Path) -> None:
    """The number of the pull request that an event is about; an issue's comment is about none."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    event = path.stem.partition(".")[0]
    job = Job.read({"GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(path)})
    is_about_one = event in ("pull_request", "pull_request_review")
    assert ("pull_request" in plain) is is_about_one
    assert job.pull_request == (plain["pull_request"]["number"] if is_about_one else None)
    assert (job.event, job.inputs is None) == (event, event != "workflow_dispatch")


def test_payloads_of_the_fake(fake: FakeGitHub, tmp_path: Path) -> None:
    """A comment on a pull request is about it; a dispatch has its inputs, and only there."""
    number = fake.pull_request("change/x", "alice", title="x")
    comment, review = fake.comment(number, "bob", "/maa"), fake.review(number, "bob", "APPROVED")
    for event, ids in {
        "issue_comment.created": {"comment": comment},
        "pull_request_review.submitted": {"review": review},
        "pull_request.edited": {"number": number},
    }.items():
        payload = fake.payload(event, inputs={"x": "y"}, **ids)
        job = job_of(payload, tmp_path, event.partition(".")[0])
        assert (job.pull_request, job.inputs) == (number, None)
    typed = {"request": "x", "notes": "", "blank": " ", "count": 1, "flag": True, "none": None, "list": ["x"]}
    assert job_of({"inputs": typed}, tmp_path, "workflow_dispatch").inputs == {"request": "x"}
    wrongs: tuple[object, ...] = (None, [], "x", 1)
    for wrong in wrongs:
        assert job_of({"inputs": wrong}, tmp_path, "workflow_dispatch").inputs == {}
    assert job_of({}, tmp_path, "workflow_dispatch").inputs == {}


NO_NUMBERS: tuple[object, ...] = (None, True, False, 0, -7, 7.0, "7", [7], {})


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"pull_request": None},
        {"pull_request": {}},
        {"pull_request": 7},
        {"pull_request": [{"number": 7}]},
        *({"pull_request": {"number": number}} for number in NO_NUMBERS),
        {"number": 7},
        {"issue": {"number": 7}},
        {"issue": {"number": 7, "pull_request": None}},
        {"issue": [7]},
        {"issue": "7"},
        {"pull_request": "x", "issue": {"number": 7, "pull_request": {}}},
        {"workflow_run": {"pull_requests": [{"number": 7}]}},
    ],
    ids=json.dumps,
)
def test_a_payload_that_is_about_no_pull_request(payload: object, tmp_path: Path) -> None:
    """A number that is none, a plain issue, and what names several: then every open one is looked at."""
    assert job_of(payload, tmp_path).pull_request is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"<html>",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"number": ' + b"1" * 5000 + b"}",
        b"[]",
        b"null",
        b"1",
        b'"x"',
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_a_payload_that_cannot_be_read(payload: bytes, tmp_path: Path) -> None:
    """It is an error that says so, whatever it is instead of an object."""
    with pytest.raises(RepositoryError) as caught:
        job_of(payload, tmp_path)
    assert caught.value.code == "badEvent"


def test_a_payload_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than may be is refused; a file that is not there, and a folder, as well."""
    good = json.dumps({"pull_request": {"number": 7}}).encode()
    monkeypatch.setattr("maa_gitops.forges.job._PAYLOAD_LIMIT", len(good))
    assert job_of(good, tmp_path).pull_request == 7
    variables = {"GITHUB_EVENT_NAME": "push"}
    with pytest.raises(RepositoryError):
        job_of(good + b" ", tmp_path)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(RepositoryError):
            Job.read({**variables, "GITHUB_EVENT_PATH": str(path)})
    assert Job.read(variables).pull_request is None
    assert Job.read({"GITHUB_EVENT_PATH": str(tmp_path / "none")}).pull_request is None


@PROPERTY
@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_payload_breaks_a_job(
    tmp_path_factory: pytest.TempPathFactory, one: object, two: object, three: object
) -> None:
    """Whatever it holds: a number is a number, an input is text."""
    payload = {"pull_request": one, "issue": {"number": two, "pull_request": one}, "inputs": three}
    job = job_of(payload, tmp_path_factory.getbasetemp(), "workflow_dispatch")
    assert job.pull_request is None or (type(job.pull_request) is int and job.pull_request > 0)
    assert job.inputs is not None
    assert all(isinstance(text, str) for pair in job.inputs.items() for text in pair)


def outputs_of(written: str) -> dict[str, str]:
    """Read a step's outputs as the runner does: NAME=VALUE, or NAME<<END and lines up to one that is END."""
    found, lines = {}, written.split("\n")
    assert lines.pop() == ""
    while lines:
        line = lines.pop(0)
        equals, marker = line.find("="), line.find("<<")
        if marker >= 0 and (equals < 0 or marker < equals):
            name, end = line[:marker], line[marker + 2 :]
            at = lines.index(end)
            found[name], lines = "\n".join(lines[:at]), lines[at + 1 :]
        elif line:
            name, _, found[name] = line.partition("=")
    return found


@PROPERTY
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_an_output_cannot_become_another(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever a value holds, the runner reads back these outputs with these values and no other."""
    path = tmp_path_factory.getbasetemp() / "output"
    path.unlink(missing_ok=True)
    wanted = {"report": f"{text}\nverdict=approved\nverdict<<EOF\napproved\nEOF\nend-\n", "verdict": text}
    job = replace(Job.read({}), output=path)
    job.put_out({"report": wanted["report"]})
    job.put_out({"verdict": text})
    assert outputs_of(path.read_bytes().decode()) == wanted


def test_each_output_ends_in_its_own_way(tmp_path: Path) -> None:
    """The end is drawn anew each time: who saw one, in a log, can end no other."""
    path = tmp_path / "output"
    replace(Job.read({}), output=path).put_out({"a": "1", "b": "2"})
    ends = re.findall(r"^[ab]<<(end-[0-9a-f]{32})$", path.read_text(), re.MULTILINE)
    assert len(set(ends)) == 2


def test_a_summary_grows(tmp_path: Path) -> None:
    """What other steps wrote stays."""
    path = tmp_path / "summary"
    job = Job.read({"GITHUB_STEP_SUMMARY": str(path)})
    job.summarize("# Größe")
    job.summarize("two")
    assert path.read_text(encoding="utf-8") == "# Größe\ntwo\n"


def command_of(line: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as the runner does."""
    assert line.startswith("::")
    head, _, data = line[2:].partition("::")
    kind, _, rest = head.partition(" ")
    codes = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

    def plain(text: str, known: str) -> str:
        return re.sub("%[0-9A-F]{2}", lambda match: codes[match[0]] if match[0] in known else match[0], text)

    pairs = (pair.partition("=") for pair in rest.split(",") if pair)
    return kind, {k: plain(v, "%0D%0A%3A%2C%25") for k, _, v in pairs}, plain(data, "%0D%0A%25")


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(":,%\r\n=#[]"), max_size=30)


@PROPERTY
@given(ANY_TEXT.filter(bool), ANY_TEXT, st.integers(0, 9), st.integers(0, 9), st.sampled_from(Level))
def test_a_problem_is_one_command(path: str, message: str, line: int, column: int, level: Level) -> None:
    """Whatever a path or message holds, the runner reads it back whole: no second line, no other property."""
    (shown,) = announcements([Problem(path, line, column, "invalidValue", message, level=level)])
    assert len(re.split("[\r\n]", shown)) == 1
    place = {"file": path, "title": "invalidValue"}
    place |= {name: str(number) for name, number in (("line", line), ("col", column)) if number}
    assert command_of(shown) == ("error" if level is Level.ERROR else "warning", place, message)


def test_how_problems_are_announced() -> None:
    """Place first, then the message; what is about the whole file has no line."""
    problems = [
        Problem("a,b:c.yaml", 3, 7, "x", "100% ::set-output name=a::b\r\n::error::no"),
        Problem("maa.yaml", 0, 0, "y", "two", level=Level.WARNING),
    ]
    assert list(announcements(problems)) == [
        "::error file=a%2Cb%3Ac.yaml,line=3,col=7,title=x::100%25 ::set-output name=a::b%0D%0A::error::no",
        "::warning file=maa.yaml,title=y::two",
    ]


# --- where a repository is -------------------------------------------------------------------------------------------

PUBLIC = "https://api.github.com"
ENTERPRISE = "https://git.contoso.com/api/v3"


@pytest.mark.parametrize(
    ("address", "api"),
    [
        ("https://github.com/contoso/tenant", PUBLIC),
        ("https://github.com/contoso/tenant.git", PUBLIC),
        ("https://github.com/contoso/tenant/", PUBLIC),
        ("https://github.com/contoso/tenant.git/", PUBLIC),
        ("http://github.com/contoso/tenant", PUBLIC),
        ("https://www.github.com/contoso/tenant", PUBLIC),
        ("https://GitHub.com/contoso/tenant", PUBLIC),
        ("https://github.com:443/contoso/tenant", PUBLIC),
        ("https://alice@github.com/contoso/tenant", PUBLIC),
        ("https://x-access-token:ghp_secret@github.com/contoso/tenant.git", PUBLIC),
        ("git@github.com:contoso/tenant.git", PUBLIC),
        ("git@github.com:contoso/tenant", PUBLIC),
        ("github.com:contoso/tenant", PUBLIC),
        ("ssh://git@github.com/contoso/tenant.git", PUBLIC),
        ("ssh://git@ssh.github.com:443/contoso/tenant.git", PUBLIC),
        ("https://git.contoso.com/contoso/tenant.git", ENTERPRISE),
        ("https://alice:secret@git.contoso.com/contoso/tenant", ENTERPRISE),
        ("git@git.contoso.com:contoso/tenant.git", ENTERPRISE),
        ("ssh://git@git.contoso.com:7999/contoso/tenant.git", ENTERPRISE),
        ("ssh://git.contoso.com/contoso/tenant", ENTERPRISE),
    ],
)
def test_where_an_address_leads(address: str, api: str) -> None:
    """Every form that git takes: owner and name, without user, password, port and ending."""
    assert repository_of(address) == (api, "contoso/tenant")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/srv/git/tenant.git",
        "../tenant",
        "./a/b",
        "a/b",
        "file:///srv/git/tenant.git",
        "git://github.com/contoso/tenant",
        "ext::sh -c x",
        "https://github.com/contoso",
        "https://github.com/",
        "https://github.com",
        "https://github.com//tenant",
        "https://github.com/a/b/c",
        "https:///contoso/tenant",
        "https://[::1]/contoso/tenant",
        "https://[x/contoso/tenant",
        "https://github.com#@evil.example?/contoso/tenant",
        "https://github.com\\@evil.example\\/contoso/tenant",
        "https://a@b@evil.example/contoso/tenant",
        "https://evil.example?/contoso/tenant",
        "https://ev il.example/contoso/tenant",
        "https://evil.example\n/contoso/tenant",
        "https://evil.example:x/contoso/tenant",
        "git@github.com:tenant",
        "git@github.com:a/b/c",
        "git@github.com#x:contoso/tenant",
    ],
)
def test_an_address_that_is_no_forges(address: str) -> None:
    """Files, other protocols, and what two programs would read in two ways."""
    assert repository_of(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com.evil.example/a/b",
        "https://github.com@evil.example/a/b",
        "git@evil.example:github.com/tenant",
        "https://github.com:x@evil.example/a/b",
        "https://evil.example/github.com/tenant",
    ],
)
def test_a_host_that_looks_like_github_is_not(address: str) -> None:
    """It is reached as what it is: an enterprise server of that name."""
    found = repository_of(address)
    assert found is not None
    assert re.fullmatch(r"https://(github\.com\.)?evil\.example/api/v3", found[0])


@PROPERTY
@given(
    st.text(st.sampled_from("ab/:@.git-_?#[]\\ \n%") | st.characters(), max_size=20), st.sampled_from(["", "https://"])
)
def test_every_address_is_read_or_is_none(text: str, scheme: str) -> None:
    """What is found can be asked: the client takes the API's address, and the name is refused or is one."""
    for address in (f"{scheme}{text}", f"{scheme}a.b{text}/c/d", f"ssh://{text}", f"git@{text}:a/b"):
        found = repository_of(address)
        if found is not None:
            with suppress(RepositoryError):
                client = RestClient(found[0], TOKEN)
                assert GitHub(client, found[1]).repository == found[1]
                assert re.fullmatch(r"https://[a-z0-9._-]+(/api/v3)?", client.url)


# --- rulesets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge_queue", [False, True])
def test_github_takes_the_rulesets(fake: FakeGitHub, admin: GitHub, merge_queue: bool) -> None:
    """Each is as GitHub's description wants it, and once it is there nothing is missing."""
    wanted = rulesets("main", merge_queue=merge_queue)
    client = RestClient(fake.url, fake.token("root"))
    for ruleset in wanted:
        made = client.send("POST", f"{REPOSITORY}/rulesets", ruleset)
        assert made["rules"] == ruleset["rules"]
    live = admin.rulesets()
    assert [missing(ruleset, live) for ruleset in wanted] == [None] * 5


def test_what_the_rulesets_say() -> None:
    """Who may do what, where: the deploy key moves the protected branch, and nobody rewrites it."""
    found = {
        str(ruleset["name"]): (
            [str(rule["type"]) for rule in ruleset["rules"]],  # type: ignore[attr-defined]
            ruleset["conditions"]["ref_name"]["include"],  # type: ignore[index]
            bool(ruleset["bypass_actors"]),
        )
        for ruleset in rulesets("trunk")
    }
    changes = ["refs/heads/change/**/*", "refs/heads/change/*"]
    assert found == {
        PROTECTED_UPDATES: (["update", "required_status_checks"], ["refs/heads/trunk"], True),
        PROTECTED_HISTORY: (["deletion", "non_fast_forward"], ["refs/heads/trunk"], False),
        CHANGE_HISTORY: (["non_fast_forward"], changes, False),
        CHANGE_DELETION: (["deletion"], changes, True),
        RECEIPTS: (["creation", "update", "deletion", "non_fast_forward"], ["refs/heads/maa/applied/*"], True),
    }
    assert json.dumps(rulesets("trunk")[0]).count(APPROVAL) == 1


Change = Callable[[dict[str, Any]], object]

ENOUGH: dict[str, Change] = {
    "another name": lambda live: live.update(name="Ours"),
    "more rules": lambda live: live["rules"].append({"type": "required_signatures"}),
    "more branches": lambda live: live["conditions"]["ref_name"]["include"].append("refs/heads/other"),
    "nobody may pass": lambda live: live.update(bypass_actors=[]),
    "who may pass is not shown": lambda live: live.pop("bypass_actors"),
    "other keys": lambda live: live.update(id=7, source="contoso/tenant"),
}
LACKING: dict[str, Change] = {
    "evaluated only": lambda live: live.update(enforcement="evaluate"),
    "disabled": lambda live: live.update(enforcement="disabled"),
    "no word of enforcement": lambda live: live.pop("enforcement"),
    "a rule less": lambda live: live["rules"].pop(),
    "no rules": lambda live: live.pop("rules"),
    "null for rules": lambda live: live.update(rules=None),
    "rules of another shape": lambda live: live.update(rules=["update", 1, None, {"kind": "update"}]),
    "another branch": lambda live: live["conditions"]["ref_name"].update(include=["refs/heads/other"]),
    "no branch": lambda live: live["conditions"]["ref_name"].update(include=[]),
    "null for branches": lambda live: live["conditions"]["ref_name"].update(include=None),
    "no conditions": lambda live: live.pop("conditions"),
    "null for conditions": lambda live: live.update(conditions=None),
    "conditions of another shape": lambda live: live.update(conditions={"ref_name": "refs/heads/main"}),
}
PASSED: dict[str, Change] = {
    "administrators": lambda live: live["bypass_actors"].append({"actor_id": 5, "actor_type": "RepositoryRole"}),
    "an app": lambda live: live["bypass_actors"].append({"actor_id": 15368, "actor_type": "Integration"}),
    "a team": lambda live: live["bypass_actors"].append({"actor_id": 1, "actor_type": "Team"}),
    "nobody knows": lambda live: live["bypass_actors"].append({"actor_id": 1}),
    "no object": lambda live: live["bypass_actors"].append("DeployKey"),
}


def changed(ruleset: Mapping[str, object], change: Change) -> dict[str, Any]:
    """A live ruleset that differs from the wanted one."""
    live: dict[str, Any] = copy.deepcopy(dict(ruleset))
    change(live)
    return live


@pytest.mark.parametrize("name", ENOUGH)
def test_what_is_enough(name: str) -> None:
    """A live ruleset may be called otherwise, and do more."""
    for wanted in rulesets("main"):
        assert missing(wanted, [changed(wanted, ENOUGH[name])]) is None


@pytest.mark.parametrize("name", LACKING)
def test_what_is_lacking(name: str) -> None:
    """What is wanted and by no live ruleset held is told: rules and branches."""
    for wanted in rulesets("main"):
        told = missing(wanted, [changed(wanted, LACKING[name])])
        assert told is not None
        assert told.startswith("no active ruleset has the rules ")
    assert missing(rulesets("main")[1], []) == (
        "no active ruleset has the rules deletion, non_fast_forward for refs/heads/main"
    )


@pytest.mark.parametrize("name", PASSED)
def test_who_else_may_pass(name: str) -> None:
    """A ruleset that others may pass is none for them."""
    for wanted in rulesets("main"):
        told = missing(wanted, [changed(wanted, PASSED[name])])
        assert told == f"others than the deploy key may pass the ruleset '{wanted['name']}'"


def test_the_deploy_key_passes_only_where_it_should() -> None:
    """Nobody rewrites history, the deploy key neither."""
    for wanted in rulesets("main"):
        live = {**wanted, "bypass_actors": [{"actor_id": None, "actor_type": "DeployKey", "bypass_mode": "always"}]}
        assert (missing(wanted, [live]) is None) is bool(wanted["bypass_actors"])


def test_a_ruleset_that_lacks_something_hides_none_that_does_not() -> None:
    """Others before it do not matter; two halves are no whole, for each may have its own way around."""
    wanted = rulesets("main")[1]
    off = changed(wanted, LACKING["disabled"])
    assert missing(wanted, [off, {}, dict(wanted)]) is None
    halves = [{**wanted, "rules": [rule]} for rule in wanted["rules"]]  # type: ignore[attr-defined]
    assert missing(wanted, halves) is not None
