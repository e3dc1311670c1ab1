"""What a campaign does to the stack: it announces exports in every possible way and runs their jobs."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

from chaos.exports import BUCKET, Export
from chaos.injector import Injector
from chaos.run import BadStart, Timeline
from local.stack import Stack

WAYS = ("bus", "detail", "id", "envelope", "notification", "direct")
_BAD = {
    '["{mark}"]': "body: must be",
    "{mark} is no JSON": "body: must be",
    '{{"export_id": "../{mark}"}}': "export_id: must be",
    '{{"note": "{mark}"}}': "export_id: is needed",
    '{{"export_id": "{mark}", "context": []}}': "context: must be",
    '{{"export_id": "{mark}", "group": {{"id": "g", "size": 0}}}}': "group.size: must be",
}


class Driver:
    """A deployed stack and what was done to it, from many threads; `later` schedules a call after some seconds."""

    def __init__(
        self, stack: Stack, injector: Injector, random: Random, later: Callable[[float, Callable[[], None]], None]
    ) -> None:
        self._stack = stack
        self._injector = injector
        self._random = random
        self._later = later
        self._lock = threading.Lock()
        self._timelines: dict[str, Timeline] = {}
        self.bad_starts: list[BadStart] = []
        # Direct invocations with start events.
        self._callers = ThreadPoolExecutor(2)
        self._calls: list[Future[None]] = []

    @property
    def timelines(self) -> dict[str, Timeline]:
        """The timeline of each export so far."""
        with self._lock:
            return dict(self._timelines)

    @property
    def is_idle(self) -> bool:
        """Whether all direct invocations have ended."""
        return all(call.done() for call in list(self._calls))

    def close(self) -> None:
        """Wait for the direct invocations."""
        self._callers.shutdown()

    def begin(self, export: Export) -> None:
        """Announce an export for the first time, and start its job."""
        now = time.time()
        with self._lock:
            self._timelines[export.id] = Timeline(export, now, now)
        if export.job_after == 0:
            self._begin_job(export)
        elif export.job_after is not None:
            self._later(export.job_after, lambda: self._begin_job(export))
        self.announce(export, self._random.choice(WAYS))

    def announce(self, export: Export, way: str) -> None:
        """Send a start event."""
        detail = export.detail
        envelope = {"detail-type": "Export Started", "source": "cgc.exports", "detail": detail}
        if way == "bus":
            self._stack.announce(detail)
        elif way == "direct":
            self._calls.append(self._callers.submit(self._invoke, envelope, export.id))
        else:
            optional = {name: value for name, value in detail.items() if name != "export_id"}
            body: Mapping[str, Any] = {
                "detail": detail,
                "id": {"id": export.id, "state": "PENDING", **optional},
                "envelope": envelope,
                "notification": {"Type": "Notification", "MessageId": "m", "Message": json.dumps(detail)},
            }[way]
            self._stack.send(json.dumps(body, ensure_ascii=self._random.random() < 0.5))
        self._amend(export.id, last_announced_at=time.time())

    def send_bad(self, mark: str, number: int) -> None:
        """Send an invalid start event; `number` selects its kind."""
        body, error = list(_BAD.items())[number % len(_BAD)]
        self.bad_starts.append(BadStart(mark, error))
        self._stack.send(body.format(mark=mark))

    def put_object(self, export: Export) -> None:
        """Put the object of an export, if it has one."""
        if export.body is not None:
            etag = self._stack.put_object(BUCKET, export.job.location, export.body, **export.put)
            self._amend(export.id, etag=etag, object_put_at=time.time())

    def accept_only(self, token: str) -> None:
        """Make the platform accept this token and no other."""
        self._injector.count("token rotated")
        self._stack.platform.tokens = {token}

    def keep_secret(self, token: str) -> None:
        """Put a token into the secret, as JSON with stray white space."""
        secret = json.dumps({"auth_token": f" {token}\n"})
        self._stack.client("secretsmanager").put_secret_value(SecretId=self._stack.secret_arn, SecretString=secret)

    def offer_bulk(self, *, is_there: bool) -> None:
        """Enable or disable the platform's bulk calls."""
        if not is_there:
            self._injector.count("API bulk missing")
        self._stack.platform.bulk_enabled = is_there

    def _begin_job(self, export: Export) -> None:
        delivers = export.body is not None and not export.body_after
        job = self._stack.platform.add_job(replace(export.job, delivers=delivers))
        self._amend(export.id, job_began_at=job.began_at)
        if export.body_after:
            self._later(export.job_seconds + export.body_after, lambda: self.put_object(export))

    def _invoke(self, envelope: Mapping[str, Any], export_id: str) -> None:
        """Invoke the function with a start event until it succeeds, as a synchronous caller would."""
        for _ in range(100):
            if self._stack.invoke(envelope).status == "returned":
                break
            time.sleep(0.2)
        self._amend(export_id, last_announced_at=time.time())

    def _amend(self, export_id: str, **facts: Any) -> None:
        with self._lock:
            self._timelines[export_id] = replace(self._timelines[export_id], **facts)
