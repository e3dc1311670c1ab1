"""Turns measurements into tables with the targets of this project."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from benchmarks import detection_lag, rounds
from benchmarks.detection_lag import Row as Polling
from benchmarks.exports import Kind
from benchmarks.results import Figure, Section, Target, Unit
from benchmarks.runner import Cold, Growth, Measured, Warm

_KINDS: Mapping[Kind, str] = {
    "running": "unfinished",
    "completed": "completed",
    "failed": "failed",
    "bam": "completed BAMs",
}
_NAMES = ("baseline", "app")
# Targets for rounds of 100 exports: a number of requests, or a share of the baseline's time.
_EXPORTS = 100
_COUNTED = ("api", "aws")
_TARGETS: Mapping[str, Mapping[Kind, float]] = {
    "api": {"running": 1, "completed": 2, "failed": 2, "bam": 2},
    "aws": {"running": 10, "completed": 125, "failed": 25, "bam": 325},
    "cpu": {"running": 0.35, "completed": 0.6, "failed": 0.5},
    "wall": {"completed": 0.05},
}
_MEASURES: Mapping[str, tuple[str, Unit, Callable[[Measured], float]]] = {
    "api": ("requests to the API, {}", "requests", lambda one: one.counts.api),
    "aws": ("requests to AWS, {}", "requests", lambda one: one.counts.aws),
    "cpu": ("CPU time, {}", "ms", lambda one: one.cpu * 1000),
    "wall": ("time, {}, 15 ms a call", "ms", lambda one: one.wall * 1000),
}


def warm_section(warm: Mapping[str, Warm], cold: Mapping[str, Cold], sizes: Mapping[str, int], exports: int) -> Section:
    """The app compared with the baseline."""
    figures = [
        _round_figure(measure, kind, exports, [warm[name].rounds[kind] for name in _NAMES])
        for measure in _MEASURES
        for kind in _KINDS
    ]
    figures += _of_processes(cold, {name: one.peak_bytes for name, one in warm.items()}, sizes)
    return Section("a plain function that reads each job by itself", "baseline", tuple(figures))


def _round_figure(measure: str, kind: Kind, exports: int, rounds: Iterable[Measured]) -> Figure:
    name, unit, of = _MEASURES[measure]
    most = _TARGETS[measure].get(kind) if exports == _EXPORTS else None
    target = None if most is None else Target(most, of_other=measure not in _COUNTED)
    return _compared(name.format(f"{exports} {_KINDS[kind]}"), unit, map(of, rounds), target)


def _of_processes(cold: Mapping[str, Cold], peaks: Mapping[str, float], sizes: Mapping[str, int]) -> Iterable[Figure]:
    starts = [cold[name] for name in _NAMES]
    yield _compared("cold start, CPU time", "ms", (one.cpu * 1000 for one in starts), Target(0.5))
    yield _compared("cold start, time", "ms", (one.wall * 1000 for one in starts), Target(0.5))
    yield _compared("cold start, CPU time of imports", "ms", (one.import_cpu * 1000 for one in starts))
    yield _compared("peak memory", "MB", (peaks[name] / 1e6 for name in _NAMES), Target(1))
    yield _compared("artifact, zipped", "MB", (sizes[name] / 1e6 for name in _NAMES), Target(0.4))


def _compared(name: str, unit: Unit, numbers: Iterable[float], target: Target | None = None) -> Figure:
    """A figure of the other variant and of the app."""
    other, app = numbers
    return Figure(name, unit, other, app, target)


def client_section(warm: Mapping[str, Warm], exports: int) -> Section:
    """The app compared with the official client's polling loop, for unfinished exports."""
    rounds = [warm[name].rounds["running"] for name in ("official client", "app")]
    figures = {measure: _round_figure(measure, "running", exports, rounds) for measure in ("api", "cpu", "wall")}
    figures["cpu"] = replace(figures["cpu"], target=Target(0.3) if exports == _EXPORTS else None)
    return Section("the official client's loop of `reload()`", "client", tuple(figures.values()))


def growth_sections(growth: Sequence[Growth]) -> list[Section]:
    """The cost of each export when many are watched, compared with few."""
    # Ten do not fill a batch, so compare with a hundred as well.
    fewer, most = growth[:-1][:2], growth[-1]
    return [
        Section(
            f"{few.watched:,} watched exports instead of {most.watched:,}",
            f"{few.watched:,}",
            (
                # Repeated measurements differ by a few per cent.
                Figure("CPU time for each export", "µs", few.cpu * 1e6, most.cpu * 1e6, Target(1.1)),
                Figure("requests to the API for each export", "requests", few.api, most.api, Target(1)),
                Figure("requests to AWS for each export", "requests", few.aws, most.aws, Target(1)),
            ),
        )
        for few in fewer
    ]


def lag_sections(rows: Sequence[Polling]) -> list[Section]:
    """How late the end of an export is noticed, compared with each other way of polling."""
    app, *others = rows
    return [
        Section(
            f"polling {other.name}",
            "other",
            (
                Figure(
                    "detection lag, share of the export's duration",
                    "share",
                    other.lag_share,
                    app.lag_share,
                    Target(0.045, of_other=False),
                ),
                Figure("polls per export", "polls", other.polls, app.polls, Target(45, of_other=False)),
            ),
        )
        for other in others
    ]


_LONE_SECONDS: Mapping[str, float] = {"2 s": 2, "10 s": 10, "1 min": 60, "10 min": 600, "2 h": 7200}
# At most this share of the numbers before time slots.
_ROUNDS_TARGETS: Mapping[tuple[int, str], Target] = {
    (100_000, "rounds"): Target(0.65),
    (100_000, "requests to the API"): Target(0.65),
    (1_000_000, "requests to the API"): Target(1.3),
}
_MOST_LAG = Target(0.042, of_other=False)


def rounds_sections(polls: int = 40_000, burst: int = 10_000) -> list[Section]:
    """The app compared with itself before time slots, with a batching window and jitter."""
    ways = (rounds.BEFORE, rounds.NOW)
    pollings = (detection_lag.before(), detection_lag.app())
    quiet = [
        _compared(
            "from a start event to the first request",
            "s",
            (rounds.announced_at_once(way, exports=1) for way in ways),
            Target(2, of_other=False),
        )
    ]
    quiet += [
        _compared(f"lag of an export of about {name}", "s", (detection_lag.lone_lag(one, taken) for one in pollings))
        for name, taken in _LONE_SECONDS.items()
    ]
    crowded = [figure for number in rounds.EXPORTS_A_MONTH for figure in _of_a_month(number, polls, ways)]
    polled = (rounds.announced_at_once(way, burst) for way in ways)
    bursts = [
        _compared("announced at once: until each is polled", "s", polled),
        *_of_ends([rounds.ended_at_once(way, burst) for way in ways]),
    ]
    return [
        Section("a window of 2 s and jitter, on a quiet queue", "before", tuple(quiet)),
        Section("a window of 2 s and jitter, by exports a month", "before", tuple(crowded)),
        Section(f"a window of 2 s and jitter, for {burst:,} exports", "before", tuple(bursts)),
    ]


def _of_a_month(number: int, polls: int, ways: Sequence[rounds.Way]) -> Iterable[Figure]:
    records = [rounds.month(way, number, polls) for way in ways]
    yield _compared(f"{number:,}: exports in a round", "number", (one.polls / one.invocations for one in records))
    amounts = {
        "rounds": (one.in_five_minutes(one.invocations) for one in records),
        "requests to the API": (one.in_five_minutes(one.api_requests) for one in records),
    }
    for name, each in amounts.items():
        yield _compared(f"{number:,}: {name} in 5 minutes", "number", each, _ROUNDS_TARGETS.get((number, name)))
    lags = (one.mean_lag_share for one in records)
    yield _compared(f"{number:,}: detection lag, share of the duration", "share", lags, _MOST_LAG)


def _of_ends(records: Sequence[rounds.Record]) -> Iterable[Figure]:
    lags = [[lag for lag, _ in one.lags] for one in records]
    yield _compared("ended at once after 2 h: mean lag", "s", (sum(each) / len(each) for each in lags))
    yield _compared("ended at once after 2 h: longest lag", "s", map(max, lags))
