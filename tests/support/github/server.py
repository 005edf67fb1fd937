"""The fake GitHub as a server: HTTP, tokens, entity tags, rate limits, and the check of both sides of each exchange."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote

from tests.support.github.description import Operation, description
from tests.support.github.endpoints import ENDPOINTS, REPOSITORY, Call, Refusal, Reply, not_found
from tests.support.github.events import payload_of
from tests.support.github.faults import ALTER, CALL, DROP, FAIL, GARBLE, Fault, Faults, failure
from tests.support.github.state import State, Token, User

API_VERSIONS = {"2022-11-28", "2026-03-10"}


class Seen(NamedTuple):
    """A request that arrived: its path without base path and query, and the status it was answered (0: dropped)."""

    method: str
    path: str
    status: int
    body: Any
    query: str
    login: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived, before anything is known about it; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What leaves; ``status`` 0: the connection is closed instead."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class FakeGitHub(State, Faults):
    """GitHub's REST API for one repository, at a port of its own. Use it as a context manager.

    ``url`` is the root of the API, ``requests`` holds what was asked, and ``violations`` what broke GitHub's
    description, on either side: a test that expects none ends with ``assert fake.violations == []``.
    """

    def __init__(
        self,
        repository: str = "contoso/tenant",
        git_dir: Path | None = None,
        server_url: str = "https://github.com",
        base_path: str = "",
    ) -> None:
        """Bind a port; nothing is answered before the context is entered."""
        State.__init__(self, repository, git_dir, server_url)
        Faults.__init__(self)
        self.base_path = base_path.rstrip("/")
        self.requests: list[Seen] = []
        self.violations: list[str] = []
        self.description = description()
        self.used = 0
        self.serials = count(1)
        self.lock = threading.RLock()
        self.server = Server(self)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{self.base_path}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering, and close every connection."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def payload(self, event: str, **ids: Any) -> dict[str, Any]:
        """The payload of an event: ``number``, ``review``, ``comment``, ``run`` and ``sender`` say what it is about.

        Any other keyword replaces a key at the top of the payload, such as ``ref``, ``inputs`` or ``changes``.
        """
        return payload_of(self, event, **ids)

    def asked(self, method: str, path: str = "") -> list[Seen]:
        """The requests with a method, and a path that ends so."""
        return [seen for seen in self.requests if seen.method == method and seen.path.endswith(path)]

    # -- one exchange ----------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Outgoing:
        """Answer a request; everything that a client can see passes here."""
        with self.lock:
            outgoing, login, path = self.judged(request)
            body: Any = request.body.decode("utf-8", "replace")
            with suppress(ValueError):
                body = json.loads(request.body) if request.body else None
            self.requests.append(Seen(request.method, unquote(path), outgoing.status, body, request.query, login))
            return outgoing

    def judged(self, request: Request) -> tuple[Outgoing, str | None, str]:
        """The answer, the login of who asked, and the path that was meant."""
        path = request.path
        if not path.startswith(f"{self.base_path}/"):
            self.violations.append(f"{request.method} {path}: not below {self.base_path}")
            return self.refused(not_found(), None), None, path
        path = path.removeprefix(self.base_path)
        by_id = f"/repositories/{self.repository_id}"
        if path == by_id or path.startswith(f"{by_id}/"):  # where the links between pages lead
            path = f"/repos/{self.repository}{path.removeprefix(by_id)}"
        operation = self.description.find(request.method, path)
        if operation is None:
            self.violations.append(f"{request.method} {path}: no such operation")
            return self.refused(not_found(), None), None, path
        if problems := self.request_problems(operation, request):
            self.violations += [f"{request.method} {path}: request: {problem}" for problem in problems]
            error = {"resource": "Request", "field": "", "code": "invalid", "message": "; ".join(problems)}
            return self.refused(Refusal(422, "Invalid request.", [error]), operation), None, path
        faults = self.faults_of(f"{request.method} {unquote(path)}")
        for fault in faults:
            if fault.kind == CALL and fault.action is not None:
                fault.action()
        spoiling = next((fault for fault in faults if fault.kind != CALL), None)
        if spoiling is not None and not spoiling.has_effect:
            return self.spoiled(spoiling, Outgoing(500)), None, path
        token, user = self.bearer(request)
        outgoing = self.served(request, operation, path, token, user, spoiling)
        if spoiling is not None:
            outgoing = self.spoiled(spoiling, outgoing)
        return outgoing, None if user is None else user.login, path

    def request_problems(self, operation: Operation, request: Request) -> list[str]:
        """What a request breaks."""
        problems = self.description.request_problems(operation, request.query, request.headers, request.body)
        version = request.headers.get("x-github-api-version")
        if version is not None and version not in API_VERSIONS:
            problems.append(f"unknown version of the API: {version}")
        return problems

    def bearer(self, request: Request) -> tuple[Token | None, User | None]:
        """The token that a request carries, and its user; a request with neither is anonymous."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(text.strip()) if scheme.lower() in {"bearer", "token"} else None
        return token, None if token is None else self.users.get(token.user)

    def served(
        self,
        request: Request,
        operation: Operation,
        path: str,
        token: Token | None,
        user: User | None,
        spoiling: Fault | None,
    ) -> Outgoing:
        """Let an endpoint answer, and make an answer of what it says."""
        try:
            self.admit(request, operation, token, user)
            query = dict(parse_qsl(request.query, keep_blank_values=True))
            body = json.loads(request.body) if request.body else {}
            is_app = token is not None and token.is_app
            call = Call(self, operation.values, query, body, path, user, is_app)
            reply = ENDPOINTS[operation.method, operation.template](call)
        except Refusal as refusal:
            return self.refused(refusal, operation, token)
        if spoiling is not None and spoiling.kind == ALTER and spoiling.action is not None:
            reply = Reply(spoiling.action(reply.document), reply.status, reply.headers)
        return self.formed(request, operation, reply, token)

    def admit(self, request: Request, operation: Operation, token: Token | None, user: User | None) -> None:
        """Turn away whoever may not ask this."""
        if "authorization" in request.headers and user is None:
            raise Refusal(401, "Bad credentials")
        if operation.template.startswith("/users/"):
            return
        if user is None and operation.template == "/user":
            raise Refusal(401, "Requires authentication")
        if not operation.template.startswith(REPOSITORY):
            return
        asked_for = "{owner}/{repo}".format(**operation.values)
        # A private repository is not there for those who may not read it, and for the anonymous.
        if user is None or asked_for.lower() != self.repository.lower() or not user.may("read"):
            raise not_found()
        if operation.method == "GET":
            return
        has_scope = token is not None and (not token.scopes or "repo" in token.scopes)
        if not user.may("write") or not has_scope:
            raise Refusal(403, "Resource not accessible by personal access token")

    # -- forming answers -------------------------------------------------------------------------------------------

    def formed(self, request: Request, operation: Operation, reply: Reply, token: Token | None) -> Outgoing:
        """An answer with its headers; a GET whose answer the client has already gets none."""
        body = json.dumps(reply.document, ensure_ascii=False).encode()
        headers = {**self.headers(token, is_counted=False), **reply.headers}
        status = reply.status
        if request.method == "GET":
            tag = f'W/"{hashlib.sha256(body).hexdigest()}"'
            headers |= {"ETag": tag, "Cache-Control": "private, max-age=60, s-maxage=60", "Vary": "Accept"}
            if request.headers.get("if-none-match") == tag:
                status, body = 304, b""
        if status != 304:  # GitHub does not count what the client has already
            headers |= self.headers(token, is_counted=True)
            headers["Content-Type"] = "application/json; charset=utf-8"
        return self.checked(operation, Outgoing(status, headers, body))

    def refused(self, refusal: Refusal, operation: Operation | None, token: Token | None = None) -> Outgoing:
        """An answer that says no."""
        headers = {**self.headers(token, is_counted=True), "Content-Type": "application/json; charset=utf-8"}
        outgoing = Outgoing(refusal.status, headers, json.dumps(refusal.document()).encode())
        return outgoing if operation is None else self.checked(operation, outgoing)

    def checked(self, operation: Operation, outgoing: Outgoing) -> Outgoing:
        """Hold an answer to the description."""
        problems = self.description.answer_problems(operation, outgoing.status, outgoing.headers, outgoing.body)
        told = f"{operation.method} {operation.path}: answer {outgoing.status}"
        self.violations += [f"{told}: {problem}" for problem in problems]
        return outgoing

    def headers(self, token: Token | None, *, is_counted: bool) -> dict[str, str]:
        """The headers of every answer."""
        self.used += is_counted
        limit = 60 if token is None else 1000 if token.is_app else 5000
        headers = {
            "X-GitHub-Request-Id": f"FA4E:{next(self.serials):06X}",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - self.used, 0)),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Reset": str(int(time.time()) + 3600),
            "X-RateLimit-Resource": "core",
        }
        if token is not None and not token.is_app:
            headers["X-OAuth-Scopes"] = ", ".join(token.scopes)
        return headers

    def spoiled(self, fault: Fault, outgoing: Outgoing) -> Outgoing:
        """What a fault makes of an answer; faults are held to nothing."""
        if fault.kind == DROP:
            return Outgoing(0)
        if fault.kind == GARBLE:
            return Outgoing(200, {**outgoing.headers, "Content-Type": "application/json; charset=utf-8"}, fault.body)
        if fault.kind != FAIL:
            return outgoing
        given, body = failure(fault.status, fault.headers, fault.body)
        overridden = {name.lower() for name in given}
        usual = {k: v for k, v in self.headers(None, is_counted=True).items() if k.lower() not in overridden}
        if isinstance(body, bytes):
            return Outgoing(fault.status, {**usual, "Content-Type": "text/html", **given}, body)
        media_type = {"Content-Type": "application/json; charset=utf-8"}
        return Outgoing(fault.status, {**usual, **media_type, **given}, json.dumps(body).encode())


class Server(ThreadingHTTPServer):
    """An HTTP server on loopback that closes its connections when it ends."""

    daemon_threads = True

    def __init__(self, fake: FakeGitHub) -> None:
        """Bind a free port."""
        self.fake = fake
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember a connection."""
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection."""
        self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close everything: a client that keeps a connection would keep its thread."""
        super().server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say that the fake itself broke; a client that went away is no error."""
        import sys
        import traceback

        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            self.fake.violations.append(f"the fake broke: {''.join(traceback.format_exception(error))}")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "FakeGitHub"
    wbufsize = 1 << 20  # an answer leaves in one piece, else its second piece waits 40 ms for an acknowledgement
    server: Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self.exchange()

    def do_POST(self) -> None:
        """Answer a POST."""
        self.exchange()

    def do_PATCH(self) -> None:
        """Answer a PATCH."""
        self.exchange()

    def do_PUT(self) -> None:
        """Answer a PUT, which no operation of the fake is."""
        self.exchange()

    def do_DELETE(self) -> None:
        """Answer a DELETE, which no operation of the fake is."""
        self.exchange()

    def exchange(self) -> None:
        """Read a request, have it answered, and write the answer."""
        length = int(self.headers.get("Content-Length") or 0)
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        outgoing = self.server.fake.answer(Request(self.command, path, query, headers, self.rfile.read(length)))
        if outgoing.status == 0:
            self.close_connection = True
            return
        self.send_response(outgoing.status)
        for name, value in outgoing.headers.items():
            self.send_header(name, value)
        if outgoing.status != 304:
            self.send_header("Content-Length", str(len(outgoing.body)))
        self.end_headers()
        self.wfile.write(outgoing.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing to the terminal."""
