"""One HTTP exchange over a real socket, with servers that misbehave in every way."""

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from export_monitor.adapters.sevenbridges.transport import MAX_BODY_BYTES, HttpRequest, HttpTransport, TransportError

TOKEN = "a-token-that-nobody-may-see"
OK = b"HTTP/1.1 200 OK\r\n"

Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class Server:
    """A server on loopback: each connection's request is read, kept, and then met by its behaviour."""

    behaviour: Behaviour
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}/v2/storage/exports/a"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that hangs up in the middle is what many of these tests are about.
        with connection, suppress(OSError):
            connection.settimeout(5)
            plain = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
            with plain:
                self.requests.append(_read_request(plain))
                self.behaviour(plain, self.stopping)
        self.ended.set()


def _read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(behaviour: Behaviour | bytes, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    def say(connection: socket.socket, _: threading.Event) -> None:
        assert isinstance(behaviour, bytes)
        connection.sendall(behaviour)

    server = Server(say if isinstance(behaviour, bytes) else behaviour, tls)
    try:
        yield server
    finally:
        server.stop()


def dripping(head: bytes, drop: bytes) -> Behaviour:
    """An answer that begins with `head` and goes on with a drop every now and then, until the client is gone."""

    def drip(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(head)
        while not stopping.wait(0.02):
            connection.sendall(drop)

    return drip


def said_and(then: Behaviour) -> Behaviour:
    """An answer whose body begins, and then something else."""

    def behave(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(OK + b"Content-Length: 100\r\n\r\n{")
        then(connection, stopping)

    return behave


def silence(connection: socket.socket, stopping: threading.Event) -> None:
    stopping.wait()


def get(url: str) -> HttpRequest:
    return HttpRequest("GET", url, {"X-SBG-Auth-Token": TOKEN, "Content-Type": "application/json"})


def no_answer(server: Server, limit_seconds: float = 5.0) -> TransportError:
    with pytest.raises(TransportError) as caught:
        HttpTransport().send(get(server.url), limit_seconds)
    return caught.value


def test_answer_comes_with_status_headers_and_whole_body() -> None:
    with serving(OK + b'X-RateLimit-Remaining: 7\r\nContent-Length: 9\r\n\r\n{"id": 1}') as server:
        answer = HttpTransport().send(get(server.url), 5.0)
    assert (answer.status, answer.body) == (200, b'{"id": 1}')
    assert answer.headers.get("x-ratelimit-remaining") == "7"


def test_chunked_answer_is_put_together() -> None:
    with serving(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3\r\n   \r\n0\r\n\r\n") as server:
        assert HttpTransport().send(get(server.url), 5.0).body == b"{}   "


def test_answer_without_a_length_ends_with_the_connection() -> None:
    with serving(OK + b"\r\n{}") as server:
        assert HttpTransport().send(get(server.url), 5.0).body == b"{}"


def test_request_carries_the_token_and_its_body_and_no_more_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    netrc = tmp_path / "netrc"  # type: ignore[operator]
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(OK + b"Content-Length: 2\r\n\r\n{}") as server:
        request = get(server.url)
        HttpTransport().send(HttpRequest("POST", request.url, request.headers, {"export_ids": ["a"]}), 5.0)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/storage/exports/a HTTP/1.1\r\n")
    assert f"X-SBG-Auth-Token: {TOKEN}".encode() in head
    assert b"Content-Type: application/json" in head
    assert b"Authorization" not in head
    assert body == b'{"export_ids": ["a"]}'


def test_connection_is_kept_from_one_request_to_the_next() -> None:
    def answer_twice(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")
        server.requests.append(_read_request(connection))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n[]")

    with serving(answer_twice) as server:
        transport = HttpTransport()
        assert [transport.send(get(server.url), 5.0).body for _ in range(2)] == [b"{}", b"[]"]


def served_once_then(end: Behaviour) -> Behaviour:
    """A kept connection that answers one request, reads another, and ends without an answer to it."""

    def behave(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")
        _read_request(connection)
        end(connection, stopping)

    return behave


def reset(connection: socket.socket, _: threading.Event) -> None:
    # Closed with a linger of zero, a connection is reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


@pytest.mark.parametrize(
    ("end", "reused"),
    [
        (lambda *_: None, True),
        (reset, True),
        # The response had started, so the request may have had its effect.
        (said_and(lambda *_: None), False),
    ],
    ids=["closed", "reset", "answered"],
)
def test_only_a_reused_connection_that_breaks_before_an_answer_is_called_reused(end: Behaviour, reused: bool) -> None:
    with serving(served_once_then(end)) as server:
        transport = HttpTransport()
        transport.send(get(server.url), 5.0)
        with pytest.raises(TransportError) as caught:
            transport.send(get(server.url), 5.0)
        assert caught.value.reused is reused
        # The next request opens a new connection, which is answered.
        assert transport.send(get(server.url), 5.0).body == b"{}"


def test_new_connection_that_breaks_before_an_answer_is_not_called_reused() -> None:
    with serving(b"") as server:
        assert not no_answer(server).reused


COMPRESSED = OK + b"Content-Encoding: gzip\r\n"


def test_compressed_answer_is_read_though_it_was_not_asked_for() -> None:
    content = gzip.compress(b'{"id": 1}')
    with serving(COMPRESSED + f"Content-Length: {len(content)}\r\n\r\n".encode() + content) as server:
        assert HttpTransport().send(get(server.url), 5.0).body == b'{"id": 1}'
    assert b"Accept-Encoding: identity" in server.requests[0]


def test_compressed_answer_that_inflates_beyond_the_limit_is_none() -> None:
    content = gzip.compress(bytes(2 * MAX_BODY_BYTES))
    with serving(COMPRESSED + f"Content-Length: {len(content)}\r\n\r\n".encode() + content) as server:
        assert str(MAX_BODY_BYTES) in str(no_answer(server))


def test_redirect_is_not_followed_and_the_token_goes_nowhere_else() -> None:
    with serving(OK + b"Content-Length: 0\r\n\r\n") as elsewhere:
        redirect = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(redirect) as server:
            assert HttpTransport().send(get(server.url), 5.0).status == 302
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [
        b"",
        b"rubbish\r\n\r\n",
        OK + b'Content-Length: 100\r\n\r\n{"id": ',
        OK + b'Transfer-Encoding: chunked\r\n\r\n64\r\n{"id": ',
        OK + b"Transfer-Encoding: chunked\r\n\r\nrubbish\r\n",
        OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        COMPRESSED + b"Content-Length: 15\r\n\r\nnot gzip at all",
        COMPRESSED + b"Content-Length: 100\r\n\r\n" + gzip.compress(b'{"id": 1}', mtime=0)[:-9],
        said_and(reset),
    ],
    ids=["closed", "rubbish", "cut", "cut chunk", "bad chunk", "huge header", "no gzip", "cut gzip", "reset"],
)
def test_answer_that_breaks_off_is_none_and_fails_at_once(behaviour: Behaviour | bytes) -> None:
    with serving(behaviour) as server:
        assert not no_answer(server).timed_out


def test_server_that_is_not_there_is_no_answer() -> None:
    with serving(b"") as server:
        pass
    assert not no_answer(server).timed_out


@pytest.mark.parametrize(
    "behaviour",
    [
        silence,
        dripping(b"", b"H"),
        dripping(OK, b"X-Drop: x\r\n"),
        dripping(OK + b"Content-Length: 1000000\r\n\r\n", b" "),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
        said_and(silence),
    ],
    ids=["hang", "status", "headers", "body", "chunks", "within a chunk's head", "silence within the body"],
)
def test_slow_server_is_waited_for_no_longer_than_the_limit(behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        # The server would go on for as long as it is let: that an end comes at all is the limit's doing.
        assert no_answer(server, 0.3).timed_out


def test_servers_that_drip_for_ever_do_not_keep_a_healthy_one_from_being_asked() -> None:
    with serving(dripping(OK, b"X-Drop: x\r\n")) as sick, serving(OK + b"Content-Length: 2\r\n\r\n{}") as healthy:
        transport = HttpTransport()
        for _ in range(3):
            with pytest.raises(TransportError, match="within"):
                transport.send(get(sick.url), 0.1)
        assert transport.send(get(healthy.url), 5.0).body == b"{}"


@pytest.mark.parametrize(
    "head", [b"Content-Length: 99999999999\r\n\r\n", b"\r\n"], ids=["length-announced", "no-length"]
)
def test_body_beyond_the_limit_is_not_read_to_its_end(head: bytes) -> None:
    def pour(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(OK + head)
        while not stopping.is_set():
            connection.sendall(bytes(1024 * 1024))

    with serving(pour) as server:
        error = no_answer(server, 20.0)
        # The client hung up: the server did not come to an end by itself.
        assert server.ended.wait(10)
    assert str(MAX_BODY_BYTES) in str(error)
    assert not error.timed_out


@pytest.mark.parametrize("behaviour", [b"", silence, OK + b"Content-Length: 9\r\n\r\n{"])
def test_token_is_in_no_error(behaviour: Behaviour | bytes) -> None:
    with serving(behaviour) as server:
        with pytest.raises(TransportError) as caught:
            HttpTransport().send(get(server.url), 0.3)
        chain = [caught.value, caught.value.__cause__]
        assert TOKEN not in "".join(map(repr, chain))
        assert caught.value.__suppress_context__


def test_header_that_cannot_be_sent_is_no_answer_and_not_shown() -> None:
    with serving(b"") as server:
        with pytest.raises(TransportError) as caught:
            HttpTransport().send(HttpRequest("GET", server.url, {"X-SBG-Auth-Token": f"{TOKEN}\nX: 1"}), 5.0)
        assert TOKEN not in str(caught.value)
        assert server.requests == []
