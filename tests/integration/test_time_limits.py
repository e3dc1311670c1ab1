"""Each dependency in turn hangs, or drips a byte a second: the function returns in time, and nothing is lost."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from local.aws_proxy import aws_proxy
from local.export_jobs import NEVER
from local.faults import Call, Drip, Fault, Hang, Match
from local.sqs_event import Message, sqs_record
from local.stack import Stack, deliver_to
from tests.integration.steps import completed

pytestmark = pytest.mark.once

TIME_LIMIT_SECONDS = 10
SLOW = {"hangs": Hang(600), "drips": Drip(1)}


@dataclass(frozen=True)
class Case:
    """What is slow: calls of AWS, from the nth of an operation on, or a path of the API.

    `ending` is how the export's watch ends once all is quick again, where it does. An event may come twice where its
    publication, or the record of it, is what gave no answer.
    """

    operation: str = ""
    from_nth: int = 1
    api_path: str = ""
    ending: str | None = "completed"
    at_most: int = 1


CASES = {
    "job": Case(api_path="/storage/exports/{id}"),
    "volume": Case(api_path="/storage/volumes/rfranklin/{id}"),
    "secret": Case("GetSecretValue"),
    "head": Case("HeadObject"),
    "bytes": Case("GetObject"),
    "claim": Case("UpdateItem"),
    "topic": Case("PublishBatch", at_most=2),
    "record": Case("UpdateItem", from_nth=2, at_most=2),
    "fault": Case("UpdateItem", ending="failed:EXPORT_NOT_FOUND"),
    "hiding": Case("ChangeMessageVisibilityBatch", ending=None),
    "dead-letter": Case("SendMessage", ending=None),
}
# Every call of AWS is cut off in the same way: one of each protocol drips, and the bytes of an object.
DRIPPING = ("job", "volume", "head", "bytes", "claim", "topic")
TRIALS = [*((name, "hangs") for name in CASES), *((name, "drips") for name in DRIPPING)]


@dataclass(frozen=True)
class Outcome:
    """How the invocation ended that met something slow, whether it kept the message, and whether later ones do."""

    status: str
    was_kept: bool
    is_kept: bool


class Trial:
    """One case in one way of being slow, with a process and a proxy of its own."""

    def __init__(self, stack: Stack, name: str, way: str) -> None:
        self.case, self.fault = CASES[name], SLOW[way]
        self.export_id = f"{name}-{way}"
        self._stack = stack
        self._seen: Counter[str] = Counter()
        self._is_over = False

    def announce(self) -> str:
        """Make the export, as far as there is one, and send its message; the body comes back."""
        platform = self._stack.platform
        platform.add_volume(f"rfranklin/{self.export_id}", bucket="bucket", prefix=self.export_id)
        # A name that does not say whether there is an end-of-file marker, so that bytes are read.
        job = replace(completed(self.export_id), volume=f"rfranklin/{self.export_id}", location="calls.dat")
        if self.case.ending == "completed":
            platform.add_job(job)
        elif self.case.operation == "ChangeMessageVisibilityBatch":
            platform.add_job(replace(job, steps=NEVER))
        if self.case.api_path:
            platform.fail(Match(path=self.case.api_path.format(id=self.export_id)), self.fault)
        is_valid = self.case.operation != "SendMessage"
        body = json.dumps({"export_id": self.export_id} if is_valid else {"rubbish": self.export_id})
        self._stack.send(body)
        return body

    def run(self, message: Message) -> Outcome:
        event = {"Records": [sqs_record(message, self._stack.deployment.mapping.queue_arn)]}
        with aws_proxy(self._stack.emulator.endpoint_url, self._fault_for) as aws:
            environment = self._stack.environment(aws.endpoint_url, TIME_LIMIT_SECONDS)
            first = environment.invoke(event)
            self._is_over = True
            last = environment.invoke(event)
            # A claim may have been written though the answer never came: it ends with the first invocation's time.
            for _ in range(TIME_LIMIT_SECONDS):
                if _kept(last.response):
                    time.sleep(1)
                    last = environment.invoke(event)
            environment.kill()
        return Outcome(first.status, _kept(first.response), _kept(last.response))

    def _fault_for(self, call: Call) -> Fault | None:
        self._seen[call.operation] += 1
        is_slow = call.operation == self.case.operation and self._seen[call.operation] >= self.case.from_nth
        return self.fault if is_slow and not self._is_over else None


def _kept(response: bytes) -> bool:
    return bool(json.loads(response or b"{}").get("batchItemFailures"))


@pytest.fixture(scope="module")
def tried(deployed: Stack) -> Mapping[tuple[str, str], Outcome]:
    """Every trial, all at once: they do little but wait."""
    deployed.platform.deliver = deliver_to(deployed)
    trials = {(name, way): Trial(deployed, name, way) for name, way in TRIALS}
    bodies = {trial.announce(): trial for trial in trials.values()}
    messages = _received(deployed, len(bodies))
    with ThreadPoolExecutor(len(trials)) as pool:
        return dict(zip(trials, pool.map(lambda body: bodies[body].run(messages[body]), bodies), strict=True))


def _received(stack: Stack, count: int) -> dict[str, Message]:
    messages: dict[str, Message] = {}
    while len(messages) < count:
        answer = stack.client("sqs").receive_message(
            QueueUrl=stack.deployment.outputs["ExportQueueUrl"],
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            VisibilityTimeout=600,
        )
        messages |= {message["Body"]: message for message in answer.get("Messages", [])}
    return messages


@pytest.fixture(scope="module")
def published(tried: Mapping[tuple[str, str], Outcome], deployed: Stack) -> Counter[str]:
    """How often each event was published, by its id."""
    return Counter(one.event["id"] for one in deployed.receive(timeout_seconds=0))


@pytest.mark.parametrize(("name", "way"), TRIALS)
def test_function_returns_in_time_and_keeps_the_message(
    tried: Mapping[tuple[str, str], Outcome], name: str, way: str
) -> None:
    assert tried[name, way].status == "returned"
    assert tried[name, way].was_kept


@pytest.mark.parametrize(("name", "way"), [trial for trial in TRIALS if CASES[trial[0]].ending])
def test_watch_ends_with_its_event_when_all_is_quick_again(
    tried: Mapping[tuple[str, str], Outcome], published: Counter[str], name: str, way: str
) -> None:
    assert not tried[name, way].is_kept
    assert 1 <= published[f"{name}-{way}:{CASES[name].ending}"] <= CASES[name].at_most


def test_message_that_could_not_be_dead_lettered_is_when_all_is_quick_again(
    tried: Mapping[tuple[str, str], Outcome], deployed: Stack
) -> None:
    assert not tried["dead-letter", "hangs"].is_kept
    # A lost answer: the message may lie there twice, but it does lie there.
    assert json.dumps({"rubbish": "dead-letter-hangs"}) in [letter.body for letter in deployed.dead_letters()]


def test_nothing_else_was_published(published: Counter[str]) -> None:
    assert set(published) == {f"{name}-{way}:{CASES[name].ending}" for name, way in TRIALS if CASES[name].ending}
