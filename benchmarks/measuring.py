"""Runs the variants one after the other, again and again, and keeps the medians.

CPU time is that of rounds that are answered at once, wall time that of rounds with latency: waiting costs a processor
nothing, but what wakes after it finds cold caches, which depends on the machine more than on the code.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median

from benchmarks.exports import Kind, export_id
from benchmarks.stand_in import Counts, StandIn
from benchmarks.variants import Variant
from benchmarks.workers import Round, Worker

LATENCY_SECONDS = 0.015
KINDS: tuple[Kind, ...] = ("running", "completed", "failed", "bam")
_QUICK_ROUNDS = 3
# As many as the mapping allows at once.
_WORKERS = 2
_BATCH = 100
# Each worker's share of the rate limit is a hundred a minute.
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
    """Rounds of a process that has seen it all before, by kind, and the process's peak memory after them in bytes."""

    rounds: Mapping[Kind, Measured]
    peak_bytes: float


@dataclass(frozen=True, slots=True)
class Cold:
    """From the process's start to the first answer, in seconds, and what of it the handler's imports took."""

    cpu: float
    wall: float
    import_cpu: float


@dataclass(frozen=True, slots=True)
class Growth:
    """What each of so many watched exports costs at a look: CPU seconds, and requests to the API and to AWS."""

    watched: int
    cpu: float
    api: float
    aws: float


def warm(
    stand_in: StandIn, variants: Mapping[Variant, Sequence[Kind]], exports: int, repetitions: int
) -> dict[str, Warm]:
    """Rounds of so many exports of these kinds, by the variant's name, in new processes at each repetition.

    Raises RuntimeError where one did not do its work.
    """
    quick: _Rounds = {}
    slow: _Rounds = {}
    for _ in range(repetitions):
        with ExitStack() as stack:
            workers = {variant: stack.enter_context(Worker(variant, stand_in.address)) for variant in variants}
            for kind in KINDS:
                asked = [(one, worker) for one, worker in workers.items() if kind in variants[one]]
                for _, worker in asked:  # opens connections, reads the volume
                    _round(stand_in, worker, kind, exports, 0.0)
                for latency, times, rounds in ((0.0, _QUICK_ROUNDS, quick), (LATENCY_SECONDS, 1, slow)):
                    for variant, worker in asked * times:
                        ran = _round(stand_in, worker, kind, exports, latency)
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
    # The last kind's rounds are made when all others have been.
    return Warm(measured, median(ran.peak_kb for ran, _ in slow[name, kinds[-1]]) * 1024)


def cold(stand_in: StandIn, variants: Sequence[Variant], repetitions: int) -> dict[str, Cold]:
    """New processes that look at one unfinished export, answered at once."""
    rounds: dict[str, list[Round]] = {variant.name: [] for variant in variants}
    for _ in range(repetitions):
        for variant in variants:
            with Worker(variant, stand_in.address) as worker:
                rounds[variant.name].append(_round(stand_in, worker, "running", 1, 0.0)[0])
    return {
        name: Cold(
            median(one.cpu_since_start for one in ran),
            median(one.wall_since_start for one in ran),
            median(one.import_cpu for one in ran),
        )
        for name, ran in rounds.items()
    }


def growth(stand_in: StandIn, variant: Variant, numbers: Sequence[int]) -> list[Growth]:
    """Rounds over so many unfinished exports each, by as many workers as the template allows.

    The numbers take turns, so that each meets the same machine.
    """
    ran: dict[int, list[tuple[int, Round, Counts]]] = {watched: [] for watched in numbers}
    with ExitStack() as stack:
        workers = {
            watched: [stack.enter_context(Worker(variant, stand_in.address)) for _ in range(_WORKERS)]
            for watched in numbers
        }
        for worker in (worker for pair in workers.values() for worker in pair):
            _round(stand_in, worker, "running", _BATCH, 0.0)
        for turn, due in enumerate(zip_longest(*(_rounds_over(watched) for watched in numbers))):
            for watched, batch in ((watched, batch) for watched, batch in zip(numbers, due, strict=True) if batch):
                stand_in.begin(0.0)
                polled = workers[watched][turn % _WORKERS].process_batch(batch)
                ran[watched].append((len(batch), polled, stand_in.counts()))
    return [_growth(watched, rounds) for watched, rounds in ran.items()]


def _growth(watched: int, rounds: Sequence[tuple[int, Round, Counts]]) -> Growth:
    looks = sum(number for number, _, _ in rounds)
    cpu = sum(one.cpu for _, one, _ in rounds)
    api, aws = (sum(numbers) for numbers in zip(*((one.api, one.aws) for _, _, one in rounds), strict=True))
    return Growth(watched, cpu / looks, api / looks, aws / looks)


def _rounds_over(watched: int) -> list[list[str]]:
    """All watched exports by the batch, again and again where they are few."""
    batches = list(_batches(watched))
    return batches * max(1, _MOST_ROUNDS // len(batches))


def _batches(watched: int) -> Iterator[list[str]]:
    for start in range(0, watched, _BATCH):
        yield [export_id("running", number) for number in range(start, min(start + _BATCH, watched))]


def _round(stand_in: StandIn, worker: Worker, kind: Kind, exports: int, latency: float) -> tuple[Round, Counts]:
    stand_in.begin(latency)
    ran = worker.process_batch([export_id(kind, number) for number in range(exports)])
    counts = stand_in.counts()
    kept, published = (exports, 0) if kind == "running" else (0, exports)
    if (ran.kept, counts.published) != (kept, published):
        raise RuntimeError(
            f"{kind}: {ran.kept} messages kept and {counts.published} published, not {kept}, {published}"
        )
    return ran, counts
