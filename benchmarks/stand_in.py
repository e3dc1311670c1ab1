"""Stands for AWS and the API: an HTTP server in a process of its own that answers at once, or as late as it is told.

It is no emulator: it remembers nothing and refuses nothing, so that what is measured is who asks. It counts requests.
"""

import asyncio
import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from benchmarks.answers import UNKNOWN, Reply, Request, answer
from local.artifact import ROOT

_CONTROL = "/-/"
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Counts:
    """What was asked: requests by operation, and how many items (messages, exports, files) they were about."""

    requests: Mapping[str, int]
    items: Mapping[str, int]

    @property
    def api(self) -> int:
        """Requests to the API."""
        return sum(number for operation, number in self.requests.items() if operation.startswith("api "))

    @property
    def aws(self) -> int:
        """Requests to services of AWS."""
        return sum(self.requests.values()) - self.api

    @property
    def published(self) -> int:
        """Messages that were published."""
        return self.items.get("sns Publish", 0) + self.items.get("sns PublishBatch", 0)


class StandIn:
    """The server's process; `address` is `host:port`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.stand_in"]
        self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, and our own module
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.address = f"127.0.0.1:{int(line)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Its input's end is its own.
        self._process.communicate(timeout=10)

    def begin(self, latency_seconds: float) -> None:
        """Count from nothing, and answer each request so much later."""
        self._control("begin", {"latency_seconds": latency_seconds})

    def counts(self) -> Counts:
        """What was asked since `begin`. Raises ValueError where there was something that it does not know."""
        counts = self._control("counts", {})
        unknown = [operation for operation in counts["requests"] if operation.startswith(UNKNOWN)]
        if unknown:
            raise ValueError(f"the stand-in was asked what it does not know: {', '.join(unknown)}")
        return Counts(counts["requests"], counts["items"])

    def _control(self, order: str, body: Any) -> Any:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request("POST", _CONTROL + order, json.dumps(body))
        with connection.getresponse() as response:
            answered = json.loads(response.read())
        connection.close()
        return answered


class _Server:
    """What all connections share."""

    def __init__(self) -> None:
        self.latency_seconds = 0.0
        self._requests: Counter[str] = Counter()
        self._items: Counter[str] = Counter()

    def reply(self, request: Request, base_url: str) -> Reply:
        if request.target.startswith(_CONTROL):
            return self._controlled(request)
        reply = answer(request, base_url)
        self._requests[reply.operation] += 1
        self._items[reply.operation] += reply.items
        return reply

    def _controlled(self, request: Request) -> Reply:
        if request.target == f"{_CONTROL}begin":
            self.latency_seconds = float(json.loads(request.body)["latency_seconds"])
            self._requests.clear()
            self._items.clear()
        counts = {"requests": self._requests, "items": self._items}
        return Reply("", json.dumps(counts).encode(), "application/json")


class _Connection(asyncio.Protocol):
    """One kept connection, whose requests come one after the other."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        host, port = transport.get_extra_info("sockname")[:2]
        self._base_url = f"http://{host}:{port}/v2"

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, rest = self._received.partition(_HEAD_END)
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in fields}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, target, _ = first.split(" ")
        reply = self._server.reply(Request(method, target, headers, rest[:length]), self._base_url)
        is_control = target.startswith(_CONTROL)
        latency = 0.0 if is_control else self._server.latency_seconds
        if latency:
            asyncio.get_running_loop().call_later(latency, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        headers = {"Content-Length": str(len(reply.body)), "Content-Type": reply.content_type, **reply.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._transport.write(f"HTTP/1.1 {reply.status} Answered\r\n{lines}\r\n".encode() + reply.body)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    shared = _Server()
    server = await loop.create_server(lambda: _Connection(shared), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
