"""What a campaign does to the stack: it announces exports in every way there is, and lets their jobs go their way."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

from chaos.exports import BUCKET, Export
from chaos.injector import Dice
from chaos.run import BadStart, Story
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


class Stage:
    """A deployed stack and what was done to it, from many threads; `later` is given what is due in so many seconds."""

    def __init__(
        self, stack: Stack, dice: Dice, random: Random, later: Callable[[float, Callable[[], None]], None]
    ) -> None:
        self._stack = stack
        self._dice = dice
        self._random = random
        self._later = later
        self._lock = threading.Lock()
        self._stories: dict[str, Story] = {}
        self.bad_starts: list[BadStart] = []
        # Those who hand start events to the function take turns there.
        self._callers = ThreadPoolExecutor(2)
        self._calls: list[Future[None]] = []

    @property
    def stories(self) -> dict[str, Story]:
        """How each export has gone so far."""
        with self._lock:
            return dict(self._stories)

    @property
    def is_idle(self) -> bool:
        """Whether every start event that is handed to the function was taken."""
        return all(call.done() for call in list(self._calls))

    def close(self) -> None:
        """Wait for those who still hand over start events."""
        self._callers.shutdown()

    def begin(self, export: Export) -> None:
        """Announce an export for the first time, and let its job begin."""
        now = time.time()
        with self._lock:
            self._stories[export.id] = Story(export, now, now)
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
        """Send a start event that cannot be understood, of the kind with this number."""
        body, error = list(_BAD.items())[number % len(_BAD)]
        self.bad_starts.append(BadStart(mark, error))
        self._stack.send(body.format(mark=mark))

    def put_object(self, export: Export) -> None:
        """What an export's end does, where it does."""
        if export.body is not None:
            etag = self._stack.put_object(BUCKET, export.job.location, export.body, **export.put)
            self._amend(export.id, etag=etag, object_put_at=time.time())

    def accept_only(self, token: str) -> None:
        """Let the platform take this token and no other."""
        self._dice.bit("token rotated")
        self._stack.platform.tokens = {token}

    def keep_secret(self, token: str) -> None:
        """Put a token into the secret, in a shape that a careless hand gives it."""
        secret = json.dumps({"auth_token": f" {token}\n"})
        self._stack.client("secretsmanager").put_secret_value(SecretId=self._stack.secret_arn, SecretString=secret)

    def offer_bulk(self, *, is_there: bool) -> None:
        """Let the platform have bulk calls or not."""
        if not is_there:
            self._dice.bit("API bulk missing")
        self._stack.platform.bulk_enabled = is_there

    def _begin_job(self, export: Export) -> None:
        delivers = export.body is not None and not export.body_after
        job = self._stack.platform.add_job(replace(export.job, delivers=delivers))
        self._amend(export.id, job_began_at=job.began_at)
        if export.body_after:
            self._later(export.job_seconds + export.body_after, lambda: self.put_object(export))

    def _invoke(self, envelope: Mapping[str, Any], export_id: str) -> None:
        """Hand a start event to the function, again until it was taken, as who waits for the answer would."""
        for _ in range(100):
            if self._stack.invoke(envelope).status == "returned":
                break
            time.sleep(0.2)
        self._amend(export_id, last_announced_at=time.time())

    def _amend(self, export_id: str, **facts: Any) -> None:
        with self._lock:
            self._stories[export_id] = replace(self._stories[export_id], **facts)
