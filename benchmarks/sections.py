"""What was measured, as figures beside the targets of this project."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.detection_lag import Row as Polling
from benchmarks.exports import Kind
from benchmarks.figures import Figure, Section, Target, Unit
from benchmarks.measuring import Cold, Growth, Measured, Warm

_KINDS: Mapping[Kind, str] = {
    "running": "unfinished",
    "completed": "completed",
    "failed": "failed",
    "bam": "completed BAMs",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The targets of a round: so many requests, and so much of the naive function's time."""

    api: int | None = None
    aws: int | None = None
    cpu: float | None = None
    wall: float | None = None


# Of a hundred exports; other numbers have no targets.
_EXPORTS = 100
_LIMITS: Mapping[Kind, Limits] = {
    "running": Limits(1, 10, cpu=0.35),
    "completed": Limits(2, 125, cpu=0.6, wall=0.05),
    "failed": Limits(2, 25, cpu=0.5),
    "bam": Limits(2, 325),
}


def warm_section(warm: Mapping[str, Warm], cold: Mapping[str, Cold], sizes: Mapping[str, int], exports: int) -> Section:
    """The app beside the naive function."""
    naive, app, floor = (warm[name] for name in ("naive", "app", "floor"))
    of_kind: dict[Kind, list[Measured]] = {kind: [one.rounds[kind] for one in (naive, app, floor)] for kind in _KINDS}
    limits = _LIMITS if exports == _EXPORTS else dict.fromkeys(_KINDS, Limits())
    figures: list[Figure] = []
    for kind, name in _KINDS.items():
        numbers = [float(one.counts.api) for one in of_kind[kind]]
        target = _number(limits[kind].api)
        figures.append(_beside(f"requests to the API, {exports} {name}", "requests", numbers, target))
    for kind, name in _KINDS.items():
        numbers = [float(one.counts.aws) for one in of_kind[kind]]
        target = _number(limits[kind].aws)
        figures.append(_beside(f"requests to AWS, {exports} {name}", "requests", numbers, target))
    for kind, name in _KINDS.items():
        numbers = [one.cpu * 1000 for one in of_kind[kind]]
        figures.append(_beside(f"CPU time, {exports} {name}", "ms", numbers, _share(limits[kind].cpu)))
    for kind, name in _KINDS.items():
        numbers = [one.wall * 1000 for one in of_kind[kind]]
        figures.append(_beside(f"time, {exports} {name}, 15 ms a call", "ms", numbers, _share(limits[kind].wall)))
    figures += _of_processes(cold, {name: one.peak_bytes for name, one in warm.items()}, sizes)
    return Section("a plain function that reads each job by itself", "naive", tuple(figures))


def _of_processes(cold: Mapping[str, Cold], peaks: Mapping[str, float], sizes: Mapping[str, int]) -> Iterable[Figure]:
    starts = [cold[name] for name in ("naive", "app", "floor")]
    yield _beside("cold start, CPU time", "ms", (one.cpu * 1000 for one in starts), Target(0.5))
    yield _beside("cold start, time", "ms", (one.wall * 1000 for one in starts), Target(0.5))
    yield _beside("cold start, CPU time of imports", "ms", (one.import_cpu * 1000 for one in starts))
    yield _beside("peak memory", "MB", (peaks[name] / 1e6 for name in ("naive", "app", "floor")), Target(1))
    yield _beside("artifact, zipped", "MB", (sizes[name] / 1e6 for name in ("naive", "app", "floor")), Target(0.4))


def _beside(name: str, unit: Unit, numbers: Iterable[float], target: Target | None = None) -> Figure:
    """A figure of the other, of the app and of the floor."""
    other, app, floor = numbers
    return Figure(name, unit, other, app, floor, target)


def _number(most: int | None) -> Target | None:
    return None if most is None else Target(most, of_other=False)


def _share(most: float | None) -> Target | None:
    return None if most is None else Target(most)


def client_section(warm: Mapping[str, Warm], exports: int) -> Section:
    """The app beside the official client's polling loop, for unfinished exports."""
    client, app, floor = (warm[name].rounds["running"] for name in ("official client", "app", "floor"))
    requests = [float(one.counts.api) for one in (client, app, floor)]
    cpu = [one.cpu * 1000 for one in (client, app, floor)]
    wall = [one.wall * 1000 for one in (client, app, floor)]
    figures = (
        _beside(f"requests to the API, {exports} unfinished", "requests", requests, Target(1, of_other=False)),
        _beside(f"CPU time, {exports} unfinished", "ms", cpu, Target(0.3) if exports == _EXPORTS else None),
        _beside(f"time, {exports} unfinished, 15 ms a call", "ms", wall),
    )
    return Section("the official client's loop of `reload()`", "client", figures)


def growth_sections(growth: Sequence[Growth]) -> list[Section]:
    """What an export costs where there are many, beside what it costs where there are fewer."""
    # Ten are no full batch, so a hundred are told too.
    fewer, most = growth[:-1][:2], growth[-1]
    return [
        Section(
            f"{few.watched:,} watched exports in place of {most.watched:,}",
            f"{few.watched:,}",
            (
                # Two measurements of the same thing differ by a few per cent.
                Figure("CPU time for each export", "µs", few.cpu * 1e6, most.cpu * 1e6, None, Target(1.1)),
                Figure("requests to the API for each export", "requests", few.api, most.api, None, Target(1)),
                Figure("requests to AWS for each export", "requests", few.aws, most.aws, None, Target(1)),
            ),
        )
        for few in fewer
    ]


def lag_sections(rows: Sequence[Polling]) -> list[Section]:
    """How late the end of an export is noticed, beside each other way of polling."""
    app, *others = rows
    return [
        Section(
            f"polling {other.name}",
            "other",
            (
                Figure(
                    "detection lag, of the export's duration",
                    "share",
                    other.lag_share,
                    app.lag_share,
                    None,
                    Target(0.045, of_other=False),
                ),
                Figure("looks at an export", "looks", other.looks, app.looks, None, Target(45, of_other=False)),
            ),
        )
        for other in others
        # What the same app does on another queue is nothing to compare it with.
        if not other.name.startswith("this app")
    ]


def operations(warm: Mapping[str, Warm], exports: int) -> list[str]:
    """Each variant's requests by operation, a line for each kind of export."""
    return [
        f"{name}, {exports} {_KINDS[kind]}: "
        + ", ".join(f"{number} {operation}" for operation, number in sorted(measured.counts.requests.items()))
        for name, one in warm.items()
        for kind, measured in one.rounds.items()
    ]
