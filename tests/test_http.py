"""One HTTP exchange: what is sent, what counts as an answer, how it ends, and where a credential may go."""

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer, Connection, NoAnswer, back_off, insecure, is_loopback, is_token

SECRET = "ThisIsTheSecret"
PROPERTY = settings(deadline=None, database=None)


class Peer:
    """A server that answers each request with the next bytes that it was given, and counts its connections.

    In the place of bytes may stand a function that is given the connection; the connection ends with it.
    """

    def __init__(self) -> None:
        """Listen at a free port of loopback."""
        self.answers: list[bytes | Callable[[socket.socket], None]] = []
        self.asked: list[str] = []
        self.connections = 0
        self.open: socket.socket | None = None
        self.ended = Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.url = f"http://{self.host}"
        self.thread = Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        """Take one connection after the other, until one says nothing at all."""
        while True:
            connection, _ = self.socket.accept()
            self.open = connection
            with connection, suppress(OSError):
                if not self.talk(connection):
                    return
            self.ended.set()

    def talk(self, connection: socket.socket) -> bool:
        """Answer the requests of a connection; returns whether there was any."""
        head = self.request(connection)
        if not head:
            return False
        self.connections += 1
        while head:
            self.asked.append(head)
            answer = self.answers.pop(0) if self.answers else b""
            if callable(answer):
                answer(connection)
                return True
            connection.sendall(answer)
            if b"Connection: close" in answer or not answer:
                return True
            head = self.request(connection)
        return True

    def request(self, connection: socket.socket) -> str:
        """Read a request with its body, which comes in the same piece or follows."""
        data = b""
        while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0].split(b":")[1]) and (more := connection.recv(65536)):
            body += more
        return (head + b"\r\n\r\n" + body).decode("latin-1") if head else ""

    def will(self, status: int, body: bytes = b"", *headers: str) -> None:
        """Give the next answer, whole."""
        head = "\r\n".join([f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}", "", ""])
        self.answers.append(head.encode("latin-1") + body)

    def close(self) -> None:
        """Let the server end: with the connection that is open, and one that says nothing."""
        with suppress(OSError):
            if self.open is not None:
                self.open.shutdown(socket.SHUT_RDWR)
        socket.create_connection(self.socket.getsockname()).close()
        self.thread.join()
        self.socket.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server that says whatever a test wants."""
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def connection(peer: Peer) -> Iterator[Connection]:
    """A connection that lets go before the server ends."""
    made = Connection()
    yield made
    made.close()


def get(connection: Connection, url: str, **headers: str) -> Answer:
    """Ask for something."""
    return connection.exchange("GET", url, headers=headers)


def refusal(ask: Callable[[], object]) -> RemoteError:
    """The error that asking comes to."""
    with pytest.raises(RemoteError) as caught:
        ask()
    return caught.value


# --- what is said ----------------------------------------------------------------------------------------------------


def test_what_is_sent(peer: Peer) -> None:
    """Method, address, headers and body as given, and who asks."""
    peer.will(200)
    connection = Connection(agent="maa/1")
    connection.exchange("PATCH", f"{peer.url}/a?b=c%20d", headers={"X-Given": "1"}, body=b'{"e": 1}')
    connection.close()
    head, _, body = peer.asked[0].partition("\r\n\r\n")
    assert head.startswith("PATCH /a?b=c%20d HTTP/1.1\r\n")
    assert {"User-Agent: maa/1", "X-Given: 1", f"Host: {peer.host}"} <= set(head.split("\r\n"))
    assert body == '{"e": 1}'


def test_what_is_answered(peer: Peer, connection: Connection) -> None:
    """The status, whatever it is; headers in lower case, those of one name joined; the body unpacked."""
    peer.will(418, gzip.compress(b"tea"), "Content-Encoding: gzip", "X-Some: a", "x-some: b")
    answer = get(connection, peer.url)
    assert (answer.status, answer.headers["x-some"], answer.data) == (418, "a, b", b"tea")
    assert "tea" not in repr(answer)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(peer: Peer, connection: Connection, status: int) -> None:
    """It is not followed: the credential would go along."""
    peer.will(status, b"", f"Location: {peer.url}/elsewhere")
    assert get(connection, peer.url).status == status
    assert len(peer.asked) == 1


def test_a_connection_is_kept(peer: Peer) -> None:
    """One after the other, all exchanges go over one connection, until it is let go."""
    connection = Connection()
    for body in (b"a", b"", b"b"):
        peer.will(200, body)
    assert [get(connection, peer.url).data for _ in range(3)] == [b"a", b"", b"b"]
    assert peer.connections == 1
    connection.close()
    assert peer.ended.wait(10)


# --- what is no answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n[1, 2, 3]",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1, 2, 3]\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n[1, 2, 3]",
        b"SSH-2.0-OpenSSH_9.6\r\nConnection: close",
        b"",
    ],
    ids=["short", "chunks", "bad chunk", "not packed", "no HTTP", "nothing"],
)
def test_half_an_answer_is_none(peer: Peer, connection: Connection, answer: bytes) -> None:
    """What ends early is not taken for the whole; asking again makes sense, and works."""
    peer.answers.append(answer)
    error = refusal(lambda: get(connection, peer.url))
    assert (type(error), error.code, error.retry) == (NoAnswer, "noAnswer", True)
    assert error.message.startswith(f"{peer.host} does not answer: ")
    peer.will(200, b"whole")
    assert get(connection, peer.url).data == b"whole"


def test_nobody_listens() -> None:
    """A port at which nobody is, is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = refusal(lambda: get(Connection(), f"http://127.0.0.1:{port}"))
    assert (type(error), error.retry) == (NoAnswer, True)


@pytest.mark.parametrize(
    "url", ["https://", "https://a b", "https://..", "https://host:99999", f"https://{'a' * 70}.x"]
)
def test_an_address_that_leads_nowhere(url: str) -> None:
    """No exception of the library leaves, whatever is wrong with the name of the host."""
    assert type(refusal(lambda: get(Connection(), url))) is NoAnswer


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side goes."""
    connection.recv(1)


def test_silence_is_no_answer(peer: Peer) -> None:
    """Who says nothing for a while is not waited for."""
    peer.answers.append(silent)
    error = refusal(lambda: get(Connection(time_out=0.05), peer.url))
    assert (type(error), error.retry, "0.05" in error.message) == (NoAnswer, True, True)
    assert peer.ended.wait(10)


def test_too_much_is_refused(peer: Peer, connection: Connection) -> None:
    """An answer beyond the limit is not read to its end, packed or not, and asking again makes no sense."""

    def ask() -> Answer:
        return connection.exchange("GET", peer.url, headers={}, limit=1000)

    peer.will(200, b"x" * 1000)
    assert ask().data == b"x" * 1000
    peer.will(200, b"x" * 1001)
    peer.will(200, gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip")
    for _ in range(2):
        error = refusal(ask)
        assert (type(error), error.code, error.retry) == (NoAnswer, "tooMuch", False)
        assert error.message == f"{peer.host} answers with too much"
    assert peer.ended.wait(10)
    peer.will(200, b"little")
    assert ask().data == b"little"


def dripping(pause: float) -> Callable[[socket.socket], None]:
    """Send an answer byte by byte, without end, until nobody reads it any more."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        stop = Event()
        while not stop.wait(pause):
            connection.sendall(b"x")

    return drip


def test_an_answer_that_drips_ends(peer: Peer) -> None:
    """However often something comes: the whole has its time, and the connection is not used again."""
    peer.answers.append(dripping(0.005))
    connection = Connection(time_out=5, deadline=0.1)
    error = refusal(lambda: get(connection, peer.url))
    assert (type(error), error.code, error.retry) == (NoAnswer, "noAnswer", True)
    assert peer.ended.wait(10)
    peer.will(200, b"whole")
    assert (get(connection, peer.url).data, peer.connections) == (b"whole", 2)
    connection.close()


def test_time_is_told_by_the_clock_that_is_given(peer: Peer) -> None:
    """The deadline counts from before the request; what is whole by then is taken."""
    times = [0.0, 119.0, 240.0, 361.0]
    connection = Connection(clock=lambda: times.pop(0))
    peer.will(200, b"in time")
    assert get(connection, peer.url).data == b"in time"
    peer.will(200, b"late")
    assert refusal(lambda: get(connection, peer.url)).message == f"{peer.host} takes more than 120 s"
    connection.close()


# --- where a credential may go ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.microsoft.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "http://evil.example\\@127.0.0.1",
        "https://evil.example\\@graph.microsoft.com",
        "http://127.0.0.1\n.evil.example",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "graph.microsoft.com",
        "",
        "https://[::1",
        "http://[x]",
    ],
)
def test_nothing_is_sent_to_an_insecure_address(url: str) -> None:
    """By https, or within this machine; and no address that two readers could read in two ways."""
    assert insecure(url) is not None
    assert not is_loopback(url)
    assert refusal(lambda: get(Connection(), url)).code == "insecure"


@pytest.mark.parametrize(
    ("url", "is_near"),
    [
        ("https://graph.microsoft.com/beta", False),
        ("https://127.0.0.1.evil.example", False),
        ("https://localhost:1", True),
        ("http://127.0.0.1:1/beta", True),
        ("http://localhost", True),
        ("http://[::1]:80", True),
    ],
)
def test_https_and_loopback_are_secure(url: str, is_near: bool) -> None:
    """And it is known which of them is on this machine."""
    assert insecure(url) is None
    assert is_loopback(url) is is_near


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://169.254.169.254/metadata", True),
        ("http://169.254.130.2:8081/msi/token", True),
        ("http://127.0.0.1:1", True),
        ("http://169.255.0.1", False),
        ("http://169.254.169.254.evil.example", False),
        ("http://169.254.169.254@evil.example", False),
        ("http://169.254.43518", False),
        ("http://evil.example", False),
    ],
)
def test_link_local_is_an_exception_that_is_asked_for(url: str, may: bool) -> None:
    """It holds for addresses of 169.254.0.0/16 in their usual form, and for nothing that only looks so."""
    assert (insecure(url, link_local=True) is None) is may


@PROPERTY
@given(st.text("127.0.1localhost:/\\@?#[]%2e evil\t\n", max_size=30) | st.text(max_size=10), st.booleans())
def test_no_address_is_read_in_two_ways(rest: str, link_local: bool) -> None:
    """Whatever is taken for this machine, the library that opens the connection takes for this machine too."""
    url = f"http://{rest}"
    if insecure(url, link_local=link_local) is None:
        with suppress(LocationParseError):
            host = (parse_url(url).host or "").strip("[]")
            assert host in {"127.0.0.1", "localhost", "::1"} or (link_local and host.startswith("169.254."))


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\r\nX-Evil: 1", f"{SECRET}\0", f"{SECRET}…"])
def test_a_header_that_cannot_be_one_is_not_sent(peer: Peer, value: str) -> None:
    """It would become another header; which it is, is told, and not what it holds."""
    error = refusal(lambda: get(Connection(), peer.url, Authorization=value))
    assert (error.code, peer.asked) == ("insecure", [])
    assert "Authorization" in error.message
    assert SECRET not in f"{error} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize(
    ("text", "may"),
    [("ghp_A1.b-c/d+e=~", True), ("", False), ("a b", False), ("a\n", False), ("ä", False), ("a\x7f", False)],
)
def test_what_can_be_a_token(text: str, may: bool) -> None:
    """Printable letters of ASCII, none of them a space."""
    assert is_token(text) is may


# --- the proxy -------------------------------------------------------------------------------------------------------


def test_a_proxy_sees_no_credential(peer: Peer) -> None:
    """HTTPS goes through it as a tunnel: it is told host and port, no more."""
    peer.will(403)
    connection = Connection(proxy=peer.url)
    assert type(refusal(lambda: get(connection, "https://graph.contoso.example/x", Authorization=SECRET))) is NoAnswer
    connection.close()
    assert peer.asked[0].startswith("CONNECT graph.contoso.example:443 ")
    assert SECRET not in "".join(peer.asked)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_not_asked_through_a_proxy(peer: Peer, scheme: str) -> None:
    """Plain HTTP would show it the credential, and what is here needs none."""
    other = Peer()
    connection = Connection(proxy=other.url, time_out=0.2)
    peer.will(200)
    with suppress(NoAnswer):  # the peer speaks no TLS
        get(connection, f"{scheme}://{peer.host}")
    connection.close()
    other.close()
    assert peer.ended.wait(10)
    assert (len(peer.asked), other.asked) == (1, [])


def test_what_is_link_local_is_not_asked_through_a_proxy() -> None:
    """Nor what is next door: a proxy elsewhere has another neighbour."""
    assert Connection(proxy="http://proxy:8080")._pool("http://169.254.169.254/metadata").proxy is None


@pytest.mark.parametrize("proxy", ["proxy.contoso.com:8080", "proxy", "socks5://proxy:1080", "//proxy", "ftp://proxy"])
def test_a_proxy_that_cannot_be_one(proxy: str) -> None:
    """The usual slip is an address without its scheme; the hint has the form."""
    error = refusal(lambda: Connection(proxy=proxy))
    assert (error.code, error.hint) == ("badProxy", "HTTPS_PROXY=http://HOST:PORT")


def test_the_password_of_a_proxy_is_not_shown() -> None:
    """An address may hold one."""
    assert SECRET not in repr(Connection(proxy=f"http://alice:{SECRET}@proxy:8080"))


def test_a_proxy_whose_address_is_broken() -> None:
    """No exception of the library leaves."""
    assert type(refusal(lambda: get(Connection(proxy="http://[x"), "https://graph.contoso.example"))) is NoAnswer


# --- waiting ---------------------------------------------------------------------------------------------------------


@PROPERTY
@given(st.integers(0, 20))
def test_a_back_off_grows(attempt: int) -> None:
    """Twice as long each time, less at most half of it by chance."""
    assert 2**attempt / 2 <= back_off(attempt) <= 2**attempt


def test_clients_do_not_wait_in_step() -> None:
    """Chance keeps them apart."""
    assert len({back_off(3) for _ in range(20)}) > 1
