"""Stand-ins that several tests share: a reporter that remembers, an exchange that answers as it is told, a clock."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import boto3
from botocore.stub import Stubber
from requests.structures import CaseInsensitiveDict

from export_monitor.adapters.http import HttpAnswer, HttpRequest

REGION = "us-east-1"


@dataclass
class Clock:
    """A clock that stands still until it is told to go on, in seconds."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class RecordingReporter:
    """Remembers what an operator would have been told: counts by metric, measures, and log lines."""

    counts: Counter[str] = field(default_factory=Counter)
    measures: list[tuple[str, float]] = field(default_factory=list)
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def count(self, metric: str) -> None:
        self.counts[metric] += 1

    def measure_seconds(self, metric: str, value: float) -> None:
        self.measures.append((metric, value))

    def measure_bytes(self, metric: str, value: int) -> None:
        self.measures.append((metric, value))

    def note(self, event: str, **fields: Any) -> None:
        self.lines.append(("note", event, fields))

    def warn(self, event: str, **fields: Any) -> None:
        self.lines.append(("warn", event, fields))

    def traceback(self, event: str, **fields: Any) -> None:
        self.lines.append(("traceback", event, fields))

    def told(self, event: str) -> list[dict[str, Any]]:
        """The fields of each line of this event."""
        return [fields for _, name, fields in self.lines if name == event]


@dataclass
class FakeExchange:
    """Answers each request by a function, and remembers requests and time limits."""

    answer: Callable[[HttpRequest], HttpAnswer]
    requests: list[HttpRequest] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpAnswer:
        self.requests.append(request)
        self.limits.append(limit_seconds)
        return self.answer(request)

    @property
    def asked(self) -> list[str]:
        """Method and path below ``/v2`` of each request."""
        return [f"{one.method} {one.url.partition('/v2')[2]}" for one in self.requests]


class OneAtATime:
    """An AWS client whose calls come one after the other: moto's writes are not atomic, as DynamoDB's are."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            with self._lock:
                return getattr(self._client, name)(**request)

        return call


def answer_of(status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    """An answer with a JSON body, or with just these bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, CaseInsensitiveDict(headers or {}), content)


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """A real AWS client that sends nothing: what it is asked must be what the stub expects, all of it."""
    client = boto3.client(service, region_name=REGION, aws_access_key_id="made-up", aws_secret_access_key="made-up")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()
    client.close()
