"""A proxy between the function and the emulator: it records the calls and injects faults."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

from local.aws_calls import called
from local.faults import Call, Close, Fault, FaultFor, Hang
from local.http_messages import Reply, Request
from local.loopback import Loopback, serving

# Hop-by-hop headers, and headers that the proxy sets itself.
_OF_THE_HOP = frozenset({"connection", "content-length", "expect", "keep-alive", "server", "date", "transfer-encoding"})


@dataclass(frozen=True)
class ForwardedCall:
    """A request as it reached its service, and the status of the service's reply.

    Sent by the function at `asked_at`, answered by the service at `replied_at` (epoch seconds); with some faults the
    function never got the reply.
    """

    request: Request
    status: int
    fault: Fault | None
    asked_at: float
    replied_at: float


class AwsProxy:
    """A running proxy.

    Both can be set at any time: `fault_for` returns the fault for a call, and `reached` is called with each call that
    reached the service, before the reply goes back. `calls` are all calls so far, including those with a fault.
    """

    def __init__(self, upstream: str, fault_for: FaultFor) -> None:
        self.fault_for = fault_for
        self.reached: Callable[[ForwardedCall], None] = lambda _: None
        self.server = Loopback(self._answer)
        self.endpoint_url = f"http://{self.server.address}"
        self._upstream = urlsplit(upstream).netloc
        self.calls: list[Call] = []

    def _answer(self, request: Request) -> Reply:
        asked_at = time.time()
        call = called(request)
        self.calls.append(call)
        fault = self.fault_for(call)

        def ask(asked: Request) -> Reply:
            reply = self._forward(asked)
            self.reached(ForwardedCall(asked, reply.status, fault, asked_at, time.time()))
            return reply

        if isinstance(fault, Hang):
            # The proxy is stopping: do not make the call any more.
            is_over = self.server.stopping.wait(fault.seconds)
            return Reply(0, wire=Close()) if is_over else ask(request)
        return fault.meet(request, ask) if fault else ask(request)

    def _forward(self, request: Request) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name not in _OF_THE_HOP}
        # The emulator closes a connection after one reply.
        upstream = HTTPConnection(self._upstream)
        upstream.request(request.method, request.target, request.content, headers)
        with upstream.getresponse() as reply:
            # The Content-Length of a HEAD is that of the object, not of the reply.
            of_the_hop = _OF_THE_HOP - {"content-length"} if request.method == "HEAD" else _OF_THE_HOP
            kept = {name: value for name, value in reply.getheaders() if name.lower() not in of_the_hop}
            return Reply(reply.status, reply.read(), kept)


@contextmanager
def aws_proxy(upstream: str, fault_for: FaultFor = lambda _: None) -> Iterator[AwsProxy]:
    """Serve on loopback while the context lasts."""
    proxy = AwsProxy(upstream, fault_for)
    with serving(proxy.server):
        yield proxy
