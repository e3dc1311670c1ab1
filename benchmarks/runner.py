"""Runs the variants in turn, several times, and keeps the medians.

CPU time comes from rounds that are answered at once, wall time from rounds with latency: after each wait the caches are
cold, which would make the CPU time depend on the machine more than on the code.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median

from benchmarks.exports import Kind, export_id
from benchmarks.stub_server import Counts, StubServer
from benchmarks.variants import Variant
from benchmarks.workers import Round, Worker

LATENCY_SECONDS = 0.015
KINDS: tuple[Kind, ...] = ("running", "completed", "failed", "bam")
_QUICK_ROUNDS = 3
# The mapping's maximum concurrency.
_WORKERS = 2
_BATCH = 100
# Each worker may send a hundred API requests a minute.
_MOST_ROUNDS = 100

_Rounds = dict[tuple[str, Kind], list[tuple[Round, Counts]]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A round of one kind of export. Times are in seconds."""

    counts: Counts
    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Warm:
    """Rounds of a warm process by kind, and its peak memory in bytes."""

    rounds: Mapping[Kind, Measured]
    peak_bytes: float


@dataclass(frozen=True, slots=True)
class Cold:
    """Seconds from the start of the process to the first answer, and the part that imports took."""

    cpu: float
    wall: float
    import_cpu: float


@dataclass(frozen=True, slots=True)
class Growth:
    """The cost of one poll of one export when `watched` exports are watched: CPU seconds and requests."""

    watched: int
    cpu: float
    api: float
    aws: float


def warm(
    stub: StubServer, variants: Mapping[Variant, Sequence[Kind]], exports: int, repetitions: int
) -> dict[str, Warm]:
    """Rounds of `exports` exports of these kinds, by the variant's name, in new processes for each repetition.

    Raises RuntimeError if a variant keeps or publishes the wrong number of messages.
    """
    quick: _Rounds = {}
    slow: _Rounds = {}
    for _ in range(repetitions):
        with ExitStack() as stack:
            workers = {variant: stack.enter_context(Worker(variant, stub.address)) for variant in variants}
            for kind in KINDS:
                asked = [(one, worker) for one, worker in workers.items() if kind in variants[one]]
                for _, worker in asked:  # opens connections, reads the volume
                    _round(stub, worker, kind, exports, 0.0)
                for latency, times, rounds in ((0.0, _QUICK_ROUNDS, quick), (LATENCY_SECONDS, 1, slow)):
                    for variant, worker in asked * times:
                        ran = _round(stub, worker, kind, exports, latency)
                        rounds.setdefault((variant.name, kind), []).append(ran)
    return {variant.name: _warm(variant.name, kinds, quick, slow) for variant, kinds in variants.items()}


def _warm(name: str, kinds: Sequence[Kind], quick: _Rounds, slow: _Rounds) -> Warm:
    measured = {
        kind: Measured(
            quick[name, kind][-1][1],
            median(ran.cpu for ran, _ in quick[name, kind]),
            median(ran.wall for ran, _ in slow[name, kind]),
        )
        for kind in kinds
    }
    # The last kind's rounds run after all others.
    return Warm(measured, median(ran.peak_kb for ran, _ in slow[name, kinds[-1]]) * 1024)


def cold(stub: StubServer, variants: Sequence[Variant], repetitions: int) -> dict[str, Cold]:
    """New processes that poll one unfinished export; the server has no latency."""
    rounds: dict[str, list[Round]] = {variant.name: [] for variant in variants}
    for _ in range(repetitions):
        for variant in variants:
            with Worker(variant, stub.address) as worker:
                rounds[variant.name].append(_round(stub, worker, "running", 1, 0.0)[0])
    return {
        name: Cold(
            median(one.cpu_since_start for one in ran),
            median(one.wall_since_start for one in ran),
            median(one.import_cpu for one in ran),
        )
        for name, ran in rounds.items()
    }


def growth(stub: StubServer, variant: Variant, numbers: Sequence[int]) -> list[Growth]:
    """Rounds over each number of unfinished exports, with as many workers as the template allows.

    The numbers take turns, so that changes in the machine's load affect all of them.
    """
    ran: dict[int, list[tuple[int, Round, Counts]]] = {watched: [] for watched in numbers}
    with ExitStack() as stack:
        workers = {
            watched: [stack.enter_context(Worker(variant, stub.address)) for _ in range(_WORKERS)]
            for watched in numbers
        }
        for worker in (worker for pair in workers.values() for worker in pair):
            _round(stub, worker, "running", _BATCH, 0.0)
        for turn, due in enumerate(zip_longest(*(_rounds_over(watched) for watched in numbers))):
            for watched, batch in ((watched, batch) for watched, batch in zip(numbers, due, strict=True) if batch):
                stub.begin(0.0)
                polled = workers[watched][turn % _WORKERS].process_batch(batch)
                ran[watched].append((len(batch), polled, stub.counts()))
    return [_growth(watched, rounds) for watched, rounds in ran.items()]


def _growth(watched: int, rounds: Sequence[tuple[int, Round, Counts]]) -> Growth:
    polls = sum(number for number, _, _ in rounds)
    cpu = sum(one.cpu for _, one, _ in rounds)
    api, aws = (sum(numbers) for numbers in zip(*((one.api, one.aws) for _, _, one in rounds), strict=True))
    return Growth(watched, cpu / polls, api / polls, aws / polls)


def _rounds_over(watched: int) -> list[list[str]]:
    """All watched exports in batches, repeated if they are few."""
    batches = list(_batches(watched))
    return batches * max(1, _MOST_ROUNDS // len(batches))


def _batches(watched: int) -> Iterator[list[str]]:
    for start in range(0, watched, _BATCH):
        yield [export_id("running", number) for number in range(start, min(start + _BATCH, watched))]


def _round(stub: StubServer, worker: Worker, kind: Kind, exports: int, latency: float) -> tuple[Round, Counts]:
    stub.begin(latency)
    ran = worker.process_batch([export_id(kind, number) for number in range(exports)])
    counts = stub.counts()
    kept, published = (exports, 0) if kind == "running" else (0, exports)
    if (ran.kept, counts.published) != (kept, published):
        raise RuntimeError(
            f"{kind}: {ran.kept} messages kept and {counts.published} published, not {kept}, {published}"
        )
    return ran, counts
