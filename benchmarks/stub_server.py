"""A stub server for AWS and the API, in its own process: it counts requests and can add a latency.

It keeps no state and refuses nothing, so that only the client is measured.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.exports import BenchmarkPlatform
from benchmarks.stub_responses import published, respond
from local.api_routes import ROOT
from local.artifact import ROOT as PROJECT
from local.http_messages import Reply, Request, json_reply
from local.loopback import Loopback, serving

_CONTROL = "/-/"


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests by operation, and the number of published messages."""

    requests: Mapping[str, int]
    published: int = 0

    @property
    def api(self) -> int:
        """Requests to the API."""
        return sum(number for operation, number in self.requests.items() if operation.startswith("api "))

    @property
    def aws(self) -> int:
        """Requests to services of AWS."""
        return sum(self.requests.values()) - self.api


class StubServer:
    """The server process; `address` is `host:port`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.stub_server"]
        self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, and our own module
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = (self._process.stdout.readline() if self._process.stdout else "").strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The process ends when its input is closed.
        self._process.communicate(timeout=10)

    def begin(self, latency_seconds: float) -> None:
        """Reset the counts, and delay each reply by this latency."""
        self._control(f"begin/{latency_seconds}")

    def counts(self) -> Counts:
        """The requests since `begin`. Raises ValueError if one of them was unknown."""
        counts = self._control("counts")
        if counts["refused"]:
            raise ValueError(f"the stub server does not know: {', '.join(counts['refused'])}")
        return Counts(counts["requests"], counts["published"])

    def _control(self, order: str) -> Any:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request("POST", _CONTROL + order)
        with connection.getresponse() as response:
            answered = json.loads(response.read())
        connection.close()
        return answered


class _Counting:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.server = Loopback(self._answer)
        self._platform = BenchmarkPlatform()
        self._base_url = f"http://{self.server.address}{ROOT}"
        self._lock = threading.Lock()
        self._begin(0.0)

    def _begin(self, latency_seconds: float) -> None:
        self._latency_seconds = latency_seconds
        self._requests: Counter[str] = Counter()
        self._refused: list[str] = []
        self._published = 0

    def _answer(self, request: Request) -> Reply:
        with self._lock:
            if request.target.startswith(_CONTROL):
                return self._controlled(request.target)
            operation, reply = respond(self._platform, request, self._base_url)
            self._requests[operation] += 1
            self._refused += [operation] if reply.status >= 300 else []
            self._published += published(request)
        if self._latency_seconds:
            time.sleep(self._latency_seconds)
        return reply

    def _controlled(self, target: str) -> Reply:
        if target != f"{_CONTROL}counts":
            self._begin(float(target.rpartition("/")[2]))
        counts = {"requests": self._requests, "refused": self._refused, "published": self._published}
        return json_reply(200, counts)


def _serve() -> None:
    server = _Counting().server
    with serving(server):
        print(server.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve()
