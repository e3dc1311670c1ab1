"""The workers of a campaign, and a queue that delivers messages twice or with a wrong time."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from chaos.run import InvocationRecord
from local.lambda_runtime import ExecutionEnvironment, Invocation
from local.sqs_event import Message

# Saves the emulator from constant polls of an empty queue.
_EMPTY_SECONDS = 0.3


class Worker(ExecutionEnvironment):
    """An execution environment that records its invocations."""

    def __init__(self, number: int, *parts: Any, **settings: Any) -> None:
        super().__init__(*parts, **settings)
        self.number = number
        self.records: list[InvocationRecord] = []
        self.raised: list[str] = []

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        began_at = time.time()
        invocation = super().invoke(event)
        self.records.append(InvocationRecord(self.number, began_at, time.time(), invocation.status))
        if invocation.status == "raised":
            self.raised.append(f"{invocation.error.get('errorType')}: {invocation.error.get('errorMessage')}")
        return invocation


class UnreliableQueue:
    """A client of SQS for the mapping.

    `jump` returns the seconds to add to a message's sending time. While `twice` is true, messages that one worker
    receives are delivered to another as well, as SQS's standard queues may do. Each worker has its own thread.
    """

    def __init__(self, sqs: Any, jump: Callable[[], float], twice: Callable[[], bool]) -> None:
        self._sqs = sqs
        self._jump = jump
        self._twice = twice
        self._lock = threading.Lock()
        self._copies: list[tuple[int, Message]] = []
        self._empty_until = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        """Receive from the queue, preceded by copies of messages that another worker received."""
        messages = self._take_copies(asked["MaxNumberOfMessages"])
        room = asked["MaxNumberOfMessages"] - len(messages)
        if room and time.monotonic() >= self._empty_until:
            received = [self._moved(message) for message in self._receive(asked | {"MaxNumberOfMessages": room})]
            if self._twice():
                with self._lock:
                    self._copies += [(threading.get_ident(), message) for message in received]
            # Lambda never makes a batch with the same message twice.
            held = {message["MessageId"] for message in messages}
            messages += [message for message in received if message["MessageId"] not in held]
        return {"Messages": messages}

    def _receive(self, asked: Mapping[str, Any]) -> list[Message]:
        try:
            received: list[Message] = self._sqs.receive_message(**asked).get("Messages", [])
        except ClientError:
            # The emulator fails if several threads ask at once; messages it marked as received return later.
            received = []
        if not received:
            self._empty_until = time.monotonic() + _EMPTY_SECONDS
        return received

    def _take_copies(self, number: int) -> list[Message]:
        with self._lock:
            of_others = [one for one in self._copies if one[0] != threading.get_ident()][:number]
            self._copies = [one for one in self._copies if one not in of_others]
        return list({message["MessageId"]: message for _, message in of_others}.values())

    def _moved(self, message: Message) -> Message:
        sent_ms = int(message["Attributes"]["SentTimestamp"]) + int(self._jump() * 1000)
        return {**message, "Attributes": {**message["Attributes"], "SentTimestamp": str(sent_ms)}}
