"""The content worker with DynamoDB, SQS and S3: from the watch's request to the verdict."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, permutations
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from export_monitor.adapters.aws.content_objects import GET_BYTES
from export_monitor.application.content_worker import LAST_RECEIVE
from export_monitor.domain.content.formats import Unverifiable
from export_monitor.domain.content.results import ContentVerdict
from export_monitor.domain.content.target import ContentMessage
from export_monitor.domain.model import Unavailable
from tests.integration.content_world import ContentWorld, part_of
from tests.unit.content.files import EOF_BLOCK, bgzf, bgzf_block, samples
from tests.unit.content.judging import Judge
from tests.unit.content.test_nested import bridge, stored_block

PART_BYTES = 30_000


@pytest.fixture
def world() -> Iterator[ContentWorld]:
    with mock_aws():
        yield ContentWorld(PART_BYTES)


def falsely_started() -> bytes:
    """A sound file in whose parts of 200,000 bytes a chain is found that is none of its own, and breaks."""
    head, tail = bridge(8 + 18 + 5)
    inner = bgzf_block(b"inner") * 1900
    outer = stored_block(tail + inner + head)
    return stored_block(inner + head) + outer * 3 + stored_block(tail + inner) + EOF_BLOCK


def client_error(status: int, code: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


def fails(world: ContentWorld, error: BaseException, after_gets: int = 0) -> None:
    """Let every GET after the first ones raise this error."""
    first = len(world.s3.ranges) + after_gets

    def before_get(_: dict[str, Any]) -> None:
        if len(world.s3.ranges) > first:
            raise error

    world.s3.before_get = before_get


def planned(world: ContentWorld, content: bytes, key: str = "reads.bam") -> Any:
    """The target, whose parts are planned and sent."""
    target = world.put(content, key)
    world.answer(target)
    [start] = world.receive()
    assert world.process(start) is False
    return target


@pytest.mark.parametrize("name", ["reads.bam", "reads.3.0.cram", "reads.3.1.cram", "calls.vcf.gz", "members.gz"])
def test_sound_object_has_a_verdict_and_each_part_is_read_once(world: ContentWorld, name: str) -> None:
    content = samples()[name].content
    target = world.put(content, name)
    assert isinstance(world.answer(target), Unavailable)
    reads = world.drain()
    assert world.answer(target) == Judge(key=name).verdict(content)
    assert set(reads.values()) == {1}
    assert world.report.counts == Counter()


def test_flipped_bit_is_found_in_its_block(world: ContentWorld) -> None:
    content = bytearray(samples()["reads.bam"].content)
    content[100_000] ^= 1
    verdict = world.verify(world.put(bytes(content)))
    assert isinstance(verdict, ContentVerdict)
    start, _ = samples()["reads.bam"].unit_at(100_000)
    assert verdict.fault is not None
    assert verdict.fault.offset == start
    assert world.report.counts == {"ContentFaults": 1}


def test_measures_are_the_sum_of_the_parts(world: ContentWorld) -> None:
    sample = samples()["reads.bam"]
    world.verify(world.put(sample.content))
    measured: Counter[str] = Counter()
    for metric, value in world.report.measures:
        measured[metric] += value
    units = len(sample.bounds) - 1
    assert measured == {"ContentBytesVerified": len(sample.content), "ContentUnitsVerified": units, "ContentSeconds": 0}


@pytest.mark.parametrize("content", [b"some text", b""])
def test_object_without_checksums_is_skipped(world: ContentWorld, content: bytes) -> None:
    target = world.put(content, "notes")
    assert world.verify(target) == Unverifiable("no format with checksums inside")
    [line] = world.report.logged("content_verified")
    assert (line["outcome"], line["reason"]) == ("skipped", "no format with checksums inside")


def test_gzip_that_ends_with_zeros_is_skipped(world: ContentWorld) -> None:
    target = world.put(samples()["members.gz"].content + bytes(100), "members.gz")
    assert isinstance(world.verify(target), Unverifiable)


def test_parts_may_be_read_in_any_order(world: ContentWorld) -> None:
    content = samples()["reads.bam"].content
    target = planned(world, content)
    for message in sorted(world.receive(), key=lambda one: part_of(one) or 0, reverse=True):
        assert world.process(message) is False
    assert world.answer(target) == Judge().verdict(content)
    assert sorted(world.parts_read) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("reverse", [False, True])
def test_part_with_a_false_start_is_read_again_once_from_the_proven_end(world: ContentWorld, reverse: bool) -> None:
    world.use(part_bytes=200_000)
    content = falsely_started()
    target = planned(world, content)
    while messages := sorted(world.receive(), key=lambda one: part_of(one) or 0, reverse=reverse):
        for message in messages:
            assert world.process(message) is False
    assert world.answer(target) == Judge().verdict(content)
    assert max(Counter(world.parts_read).values()) == 2


def test_version_is_checked_once_however_often_it_is_asked_for(world: ContentWorld) -> None:
    target = world.put(samples()["reads.bam"].content)
    for _ in range(3):
        world.answer(target)
    world.send(ContentMessage(target))
    assert set(world.drain().values()) == {1}
    gets = len(world.s3.ranges)
    world.send(ContentMessage(target))
    assert world.verify(target) == world.verify(target)
    assert len(world.s3.ranges) == gets


def test_message_of_a_start_or_a_part_that_comes_again_reads_nothing(world: ContentWorld) -> None:
    target = world.put(samples()["reads.bam"].content)
    world.send(ContentMessage(target))
    [start] = world.receive()
    world.process(start)
    world.process(start)
    messages = world.receive()
    assert len(messages) == 10
    for message in messages:
        assert world.process(message) is False
        assert world.process(message) is False
    assert Counter(world.parts_read) == dict.fromkeys(range(5), 1)


def test_lost_message_of_a_part_is_sent_again_after_an_hour_and_no_other(world: ContentWorld) -> None:
    content = samples()["reads.bam"].content
    target = planned(world, content)
    messages = world.receive()
    lost = next(message for message in messages if part_of(message) == 2)
    world.queue.delete([lost])
    for message in messages:
        if message != lost:
            world.process(message)
    world.now += 3600
    assert isinstance(world.answer(target), Unavailable)
    assert world.receive() == []
    world.now += 1
    assert isinstance(world.answer(target), Unavailable)
    [start] = world.receive()
    world.process(start)
    [again] = world.receive()
    assert part_of(again) == 2
    assert world.process(again) is False
    assert world.answer(target) == Judge().verdict(content)


def test_two_messages_of_a_part_are_not_worked_on_at_the_same_time(world: ContentWorld) -> None:
    target = planned(world, samples()["reads.bam"].content)
    first = next(one for one in world.receive() if part_of(one) == 0)
    fails(world, SystemExit())
    with pytest.raises(SystemExit):
        world.process(first)
    world.s3.before_get = lambda _: None
    # The same message takes over; another one waits until the first one's invocation has ended.
    other = replace(first, message_id="another")
    assert world.process(other) is True
    assert world.report.logged("content_part_claimed") == [{"message_id": "another"}]
    assert world.report.counts == {}
    world.now += world.time_left + 1
    assert world.process(other) is False
    assert world.process(first) is False
    assert world.parts_read == [0]
    assert world.check(target).results.keys() == {0}


def test_object_replaced_between_two_parts_is_inspected_again(world: ContentWorld) -> None:
    target = planned(world, samples()["reads.bam"].content)
    first, *others = world.receive()
    world.process(first)
    world.put(samples()["calls.vcf.gz"].content)
    for message in others:
        assert world.process(message) is False
    [line] = world.report.logged("content_verified")
    assert line["outcome"] == "replaced"
    # The watch would ask for the version that is there now; if it is the old one again, it is checked after all.
    assert isinstance(world.verify(world.put(samples()["calls.vcf.gz"].content)), ContentVerdict)
    again = world.put(samples()["reads.bam"].content)
    assert again == target
    assert isinstance(world.verify(again), ContentVerdict)
    assert Counter(world.parts_read)[0] == 2


def test_version_that_is_deleted_between_two_parts_is_replaced(world: ContentWorld) -> None:
    enabled: Any = {"Status": "Enabled"}
    world.s3.client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration=enabled)
    target = planned(world, samples()["reads.bam"].content)
    assert target.version_id
    first, second, *_ = world.receive()
    world.put(b"a newer version")
    assert world.process(first) is False
    assert len(world.parts_read) == 1
    world.s3.client.delete_object(Bucket="bucket", Key=target.key, VersionId=target.version_id)
    assert world.process(second) is False
    [line] = world.report.logged("content_verified")
    assert (line["outcome"], line["version_id"]) == ("replaced", target.version_id)


def test_deleted_object_is_replaced(world: ContentWorld) -> None:
    target = world.put(samples()["reads.bam"].content)
    world.s3.client.delete_object(Bucket="bucket", Key=target.key)
    world.answer(target)
    world.drain()
    [line] = world.report.logged("content_verified")
    assert line["outcome"] == "replaced"


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "KMS.DisabledException", "S3 cannot use the object's KMS key (KMS.DisabledException)"),
        (403, "KMS.AccessDeniedException", "S3 cannot use the object's KMS key (KMS.AccessDeniedException)"),
        (403, "AccessDenied", "S3 denies access to the object's bytes"),
    ],
)
@pytest.mark.parametrize("after_gets", [0, 3])
def test_denied_reads_are_skipped(world: ContentWorld, status: int, code: str, reason: str, after_gets: int) -> None:
    fails(world, client_error(status, code), after_gets)
    assert world.verify(world.put(samples()["reads.bam"].content)) == Unverifiable(reason)
    assert world.report.counts == {}
    assert world.receive() == []


def test_bucket_that_is_not_one_of_the_stack_s_is_not_requested(world: ContentWorld) -> None:
    target = replace(world.put(b""), bucket="other", size=9)
    assert world.verify(target) == Unverifiable("the bucket other is not one of ExportBuckets")
    assert world.s3.ranges == []


@pytest.mark.parametrize("after_gets", [0, 1])
def test_failing_service_keeps_the_message_and_is_counted(world: ContentWorld, after_gets: int) -> None:
    target = world.put(samples()["reads.bam"].content)
    fails(world, client_error(500, "InternalError"), after_gets)
    world.answer(target)
    [start] = world.receive()
    [message] = [start] if not after_gets or world.process(start) else world.receive()[:1]
    assert world.process(message) is True
    assert world.report.counts == {"ContentErrors": 1}
    [line] = world.report.logged("content_check_failed")
    assert line == {
        "message_id": message.message_id,
        "receive_count": 1,
        "cause": "S3 answers InternalError for s3://bucket/reads.bam",
    }
    world.s3.before_get = lambda _: None
    assert world.process(message) is False


def test_message_stays_if_the_messages_that_follow_cannot_be_sent(world: ContentWorld) -> None:
    target = world.put(samples()["reads.bam"].content)
    world.answer(target)
    [start] = world.receive()
    taking = world.worker
    world.worker = world.new_worker(messages=Full())
    assert world.process(start) is True
    [line] = world.report.logged("content_check_failed")
    assert line["cause"] == "SQS did not take 5 messages of parts"
    world.worker = taking
    assert world.process(start) is False
    world.drain()
    assert isinstance(world.answer(target), ContentVerdict)
    # The plan was recorded before, so that the object's beginning is read once.
    assert world.s3.ranges.count("bytes=0-4095") == 1


class Full:
    """A queue that takes nothing."""

    def send_all(self, bodies: Sequence[str]) -> list[str]:
        return list(bodies)


def test_verdict_of_another_worker_stands(world: ContentWorld) -> None:
    content = samples()["members.gz"].content
    target = planned(world, content, "members.gz")
    [message] = world.receive()

    def other_is_faster(_: dict[str, Any]) -> None:
        world.checks.conclude(target, Unverifiable("S3 denies access to the object's bytes"), world.now)

    world.s3.before_get = other_is_faster
    assert world.process(message) is False
    assert isinstance(world.answer(target), Unverifiable)
    assert world.report.logged("content_verified") == []


def test_part_is_not_read_where_no_time_is_left_for_it(world: ContentWorld) -> None:
    planned(world, samples()["reads.bam"].content)
    message = world.receive()[0]
    at_first = iter([900.0])
    budget = world.invocation(lambda: next(at_first, 70.0))
    assert world.worker.process(message, budget) is True
    [line] = world.report.logged("content_check_failed")
    assert line["cause"] == "the invocation has no time left to read the part"
    assert world.parts_read == []


def test_message_that_cannot_be_parsed_is_dead_lettered(world: ContentWorld) -> None:
    world.send("rubbish")
    [message] = world.receive()
    assert world.process(message) is False
    assert world.dead_letters() == [("rubbish", "the body is not JSON")]
    assert world.report.logged("message_dead_lettered") == [
        {"message_id": message.message_id, "error": "the body is not JSON"}
    ]


def test_message_stays_if_it_cannot_be_dead_lettered(world: ContentWorld) -> None:
    world.sqs.delete_queue(QueueUrl=world.dead_letter_queue_url)
    world.send("rubbish")
    [message] = world.receive()
    assert world.process(message) is True
    assert world.report.counts["ContentErrors"] == 1


def test_message_with_an_unexpected_error_is_dead_lettered_after_its_last_receive(world: ContentWorld) -> None:
    target = planned(world, samples()["reads.bam"].content)
    message = world.receive()[0]
    fails(world, RuntimeError("odd"))
    assert world.process(replace(message, receive_count=LAST_RECEIVE - 1)) is True
    assert world.dead_letters() == []
    assert world.process(replace(message, receive_count=LAST_RECEIVE)) is False
    assert world.dead_letters() == [(message.body, "content check: RuntimeError: odd")]
    assert world.report.counts == {"ContentErrors": 2, "UnexpectedErrors": 2}
    assert len(world.report.logged("unexpected_error")) == 2
    assert isinstance(world.answer(target), Unavailable)


def damaged(place: int) -> bytes:
    content = bytearray(bgzf(random.Random(1).randbytes(1_000_000)))
    content[place] ^= 1
    return bytes(content)


def test_part_after_a_fault_is_not_read(world: ContentWorld) -> None:
    world.use(part_bytes=200_000)
    content = damaged(540_000)
    target = planned(world, content)
    messages = {part_of(message): message for message in world.receive()}
    assert world.process(messages[2]) is False
    gets = len(world.s3.ranges)
    for number in (3, 4, 5):
        assert world.process(messages[number]) is False
    assert len(world.s3.ranges) == gets
    for number in (0, 1):
        assert world.process(messages[number]) is False
    assert world.answer(target) == Judge().verdict(content)


def test_part_stops_early_when_an_earlier_part_has_a_fault(world: ContentWorld) -> None:
    world.use(part_bytes=500_000, recheck_bytes=1)
    target = planned(world, damaged(450_000))
    first, second, _ = world.receive()
    other = world.new_worker()

    def first_part_is_read_meanwhile(_: dict[str, Any]) -> None:
        world.s3.before_get = lambda _: None
        other.process(first, world.invocation(lambda: 900.0))

    world.s3.before_get = first_part_is_read_meanwhile
    monkey = replace(world.worker.verification, objects=InPieces(world.worker.verification.objects))
    world.worker = replace(world.worker, verification=monkey)
    assert world.process(second) is False
    assert world.parts_read == [0]
    assert isinstance(world.answer(target), ContentVerdict)


@dataclass
class InPieces:
    """S3 in pieces that are shorter than a GET."""

    objects: Any

    def chunks(self, *asked: Any) -> Iterator[bytes]:
        for chunk in self.objects.chunks(*asked):
            for at in range(0, len(chunk), 100_000):
                yield chunk[at : at + 100_000]


def test_part_goes_on_while_no_earlier_part_has_a_fault(world: ContentWorld) -> None:
    world.use(part_bytes=500_000, recheck_bytes=1)
    verification = replace(world.worker.verification, objects=InPieces(world.worker.verification.objects))
    content = bgzf(random.Random(1).randbytes(1_000_000))
    target = planned(world, content)
    world.worker = replace(world.worker, verification=verification)
    world.drain()
    assert world.answer(target) == Judge().verdict(content)


def test_parts_that_were_passed_over_for_a_false_fault_are_read_after_all(world: ContentWorld) -> None:
    content = falsely_started()
    world.use(part_bytes=-(-len(content) // 4))
    expected = Judge().verdict(content)
    for order in list(permutations(range(4)))[::4]:
        target = planned(world, content, f"{order}.bgz")
        messages = {part_of(message): message for message in world.receive()}
        world.report.lines.clear()
        for number in order:
            assert world.process(messages[number]) is False
        world.drain()
        assert world.answer(target) == expected
        assert max(Counter(world.parts_read).values()) <= 2


@dataclass
class Crashing:
    """A part of the worker whose process dies before or after its n-th call of anything but S3's single GETs."""

    part: Any
    calls: Iterator[int]
    crash_at: tuple[int, str]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.part, name)

        def call(*arguments: Any) -> Any:
            number = next(self.calls)
            if (number, "before") == self.crash_at:
                raise SystemExit
            answer = method(*arguments)
            if (number, "after") == self.crash_at:
                raise SystemExit
            return answer

        return call


def crashing(world: ContentWorld, crash_at: tuple[int, str]) -> Iterator[int]:
    """Let the worker crash once; the numbers of its calls."""
    numbers = count()
    verification = world.new_worker().verification
    parts = {
        name: Crashing(getattr(verification, name), numbers, crash_at) for name in ("checks", "messages", "objects")
    }
    world.worker = world.new_worker(**parts)
    return numbers


@pytest.mark.parametrize(
    ("make", "part_bytes"),
    [
        (lambda: samples()["reads.bam"].content, 60_000),
        (lambda: damaged(500_000), 300_000),
        (falsely_started, 200_000),
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.once
def test_crash_at_any_step_repeats_one_read_at_most(
    world: ContentWorld, make: Callable[[], bytes], part_bytes: int, moment: str
) -> None:
    content = make()
    world.use(part_bytes=part_bytes)
    expected = Judge().verdict(content)

    def run(crash_at: tuple[int, str]) -> tuple[int, int]:
        """How many calls and GETs are made."""
        target = world.put(content, f"{crash_at[0]}.bam")
        world.s3.ranges.clear()
        numbers = crashing(world, crash_at)
        world.answer(target)
        world.drain()
        assert world.answer(target) == expected
        assert world.receive() == []
        return next(numbers), len(world.s3.ranges)

    calls, gets = run((-1, moment))
    assert calls > 15
    for number in range(calls):
        _, gets_after_crash = run((number, moment))
        assert gets_after_crash <= gets + 1
    assert world.report.counts["ContentErrors"] == 0


@pytest.mark.parametrize("number", range(4))
def test_crash_while_bytes_are_read_repeats_one_read(world: ContentWorld, number: int) -> None:
    world.use(part_bytes=60_000)
    content = samples()["reads.bam"].content
    target = world.put(content)

    def crash(_: dict[str, Any]) -> None:
        if len(world.s3.ranges) == number + 1:
            raise SystemExit

    world.s3.before_get = crash
    assert world.verify(target) == Judge().verdict(content)
    assert len(world.s3.ranges) == 5


def test_number_of_gets_is_at_most_one_per_8_mib_and_three_per_part(world: ContentWorld) -> None:
    content = bgzf(random.Random(1).randbytes(1_000_000)) * 30
    for part_bytes in (1 << 40, 10_000_000, GET_BYTES, 1 << 20):
        world.use(part_bytes=part_bytes)
        world.s3.ranges.clear()
        assert isinstance(world.verify(world.put(content, f"{part_bytes}.gz")), ContentVerdict)
        parts = -(-len(content) // part_bytes)
        assert len(world.s3.ranges) <= len(content) / GET_BYTES + 3 * parts
