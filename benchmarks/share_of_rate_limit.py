"""What thousands of watched exports ask of the API, with the template's defaults and in virtual time.

    PYTHONPATH=functions python -m benchmarks.share_of_rate_limit

The watch, the API client and its pace are the real ones, two workers of them, each with half of the share; the
simulated API counts their requests by its own rate window. `--ends-after 1 1.5` lets the exports end after one to one
and a half hours, one in ten as FAILED, and runs until the last event is published.
"""

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from requests.structures import CaseInsensitiveDict

from benchmarks.virtual_time import (
    FUNCTION_TIMEOUT_SECONDS,
    NoGroups,
    Poller,
    VirtualLedger,
    VirtualObjects,
    VirtualQueue,
    VirtualTime,
    VirtualTopic,
)
from export_monitor.adapters.sevenbridges.client import CgcApi
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.session import ApiSession
from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpResponse, TransportError
from export_monitor.application.concluding import Concluder
from export_monitor.application.watcher import ExportWatcher
from export_monitor.domain.model import QueueMessage
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.settings import read_settings
from local.api_routes import answer
from local.export_jobs import NEVER, Job, Steps
from local.http_messages import Request
from local.simulated_platform import Platform
from local.template import function_environment

WORKERS = 2
HOUR = 3600.0
_HOST = "https://cgc-api.sbgenomics.com"
_BASE_URL = f"{_HOST}/v2"
_TOKEN = "a-token"  # noqa: S105 -- of a simulated platform
_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-token-AbCdEf"  # noqa: S105 -- likewise
_FILE_BYTES = 1234
# Between the mapping and the function, and for AWS's calls of one invocation.
_AROUND_SECONDS = (0.1, 0.5)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is simulated. A request takes from `request_seconds[0]` to `[1]`.

    `ends_after` is when exports end, evenly spread over so many seconds; None where they stay unfinished.
    """

    exports: int = 5000
    in_bulk: bool = True
    seconds: float = 6 * HOUR
    ends_after: tuple[float, float] | None = None
    request_seconds: tuple[float, float] = (0.2, 1.0)
    seed: int = 7


class _Token:
    """The token of the simulated platform."""

    def get(self) -> str:
        return _TOKEN

    def refresh(self) -> str:
        return _TOKEN


@dataclass
class Line:
    """One worker's connection to the simulated API, in virtual time.

    Of each request it keeps when it was sent, the status of its answer, and when that had come.
    """

    platform: Platform
    time: VirtualTime
    seconds: Callable[[], float]
    sent_at: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpResponse:
        self.sent_at.append(self.time())
        headers = {name.lower(): value for name, value in request.headers.items()}
        content = b"" if request.json is None else json.dumps(request.json).encode()
        asked = Request(request.method, request.url.removeprefix(_HOST), headers, content)
        reply = answer(self.platform, asked, _BASE_URL)
        self.statuses.append(reply.status)
        seconds = self.seconds()
        self.time.sleep(min(seconds, limit_seconds))
        self.answered_at.append(self.time())
        if seconds > limit_seconds:
            raise TransportError("no answer in time", timed_out=True)
        return HttpResponse(reply.status, CaseInsensitiveDict(reply.headers), reply.content)


class Account:
    """Hears of every look, and keeps when each export was looked at and when the API answered about it."""

    def __init__(self, clock: Callable[[], float], begun_at: float) -> None:
        self._clock = clock
        self._begun_at = begun_at
        self.counts: Counter[str] = Counter()
        self.surprises: list[dict[str, Any]] = []
        self.looks: defaultdict[str, list[float]] = defaultdict(lambda: [begun_at])
        self.answers: defaultdict[str, list[float]] = defaultdict(lambda: [begun_at])

    def count(self, metric: str) -> None:
        self.counts[metric] += 1

    def measure_seconds(self, metric: str, value: float) -> None:
        """Measures are of no interest here."""

    def measure_bytes(self, metric: str, value: int) -> None:
        """Nor are these."""

    def info(self, event: str, **fields: Any) -> None:
        if event == "export_polled":
            # The moment of the look is the beginning of its invocation.
            self.looks[fields["export_id"]].append(self._begun_at + fields["age_seconds"])
            if fields["state"] is not None:
                self.answers[fields["export_id"]].append(self._clock())

    def warning(self, event: str, **fields: Any) -> None:
        self.surprises.append({"event": event, **fields})

    def exception(self, event: str, error: Exception, **fields: Any) -> None:
        self.surprises.append({"event": event, "error": error, **fields})


class Simulation:
    """Two workers, a queue of start events and a platform. `run` it once; then everything may be looked at.

    `beside` runs side by side with the workers: what happens to the platform meanwhile.
    """

    def __init__(self, load: Load) -> None:
        self.load = load
        self.time = VirtualTime()
        self.begun_at = self.time()
        self.settings = read_settings(function_environment({}, TokenSecretArn=_SECRET_ARN, ExportBuckets="bucket"))
        self.dice = random.Random(load.seed)  # noqa: S311 -- seeded dice
        self.platform = Platform(_TOKEN, clock=self.time)
        self.platform.bulk_enabled = load.in_bulk
        self.platform.add_volume("rfranklin/output", bucket="bucket")
        self.queue = VirtualQueue(self.time, self.dice)
        self.ledger = VirtualLedger()
        self.topic = VirtualTopic()
        self.account = Account(self.time, self.begun_at)
        self.export_ids = [f"export-{number}" for number in range(load.exports)]
        for export_id in self.export_ids:
            self._start(export_id)
        self.lines = [Line(self.platform, self.time, self._request_seconds) for _ in range(WORKERS)]
        self.pollers = [self._poller(line) for line in self.lines]

    def run(self, *beside: Callable[[], None]) -> None:
        self.time.run(*(poller.work for poller in self.pollers), *beside)

    def _start(self, export_id: str) -> None:
        file_id = f"file-of-{export_id}"
        self.platform.add_file(file_id, name="reads.txt", size=_FILE_BYTES, project="rfranklin/my-project")
        job = Job(id=export_id, file=file_id, volume="rfranklin/output", location=export_id, steps=self._steps())
        self.platform.add_job(job)
        self.queue.send(json.dumps({"export_id": export_id}))

    def _steps(self) -> Steps:
        if self.load.ends_after is None:
            return NEVER
        return ((0, "RUNNING"), (self.dice.uniform(*self.load.ends_after), self._end()))

    def _end(self) -> str:
        return "FAILED" if self.dice.random() < 0.1 else "COMPLETED"

    def _request_seconds(self) -> float:
        return self.dice.uniform(*self.load.request_seconds)

    def _poller(self, line: Line) -> Poller:
        rate_limiter = RateLimiter(self.settings.requests_per_minute_and_worker, self.time)
        grace, groups = self.settings.grace, NoGroups()
        watcher = ExportWatcher(
            api=CgcApi(ApiSession(_BASE_URL, line, _Token(), rate_limiter, self.account.count, self.time), self.time),
            objects=VirtualObjects(self.time, _FILE_BYTES),
            queue=self.queue,
            faults=self.ledger,
            groups=groups,  # type: ignore[arg-type]
            concluder=Concluder(self.ledger, self.topic, groups, self.account, grace, _BASE_URL),  # type: ignore[arg-type]
            report=self.account,
            grace=grace,
            start_event_source=self.settings.start_event_source,
            random=self.dice.random,
        )

        def process_batch(batch: list[QueueMessage]) -> list[str]:
            self.time.sleep(self.dice.uniform(*_AROUND_SECONDS))
            deadline_at = self.time() + FUNCTION_TIMEOUT_SECONDS
            budget = TimeBudget().start(self.time(), lambda: deadline_at - self.time())
            return watcher.process_batch(batch, budget)

        return Poller(self.time, self.queue, process_batch, self.begun_at + self.load.seconds)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run comes to; times are in seconds.

    `latest_look` is the longest time from the end of a look's poll delay, jitter included, to the next look; a wait for
    an answer that has not come when the run ends counts with its length so far.
    """

    virtual_seconds: float
    requests: int
    busiest_minute_by_worker: list[int]
    busiest_minute: int
    busiest_five_minutes: int
    refused_by_rate_window: int
    looks: int
    longest_wait_for_look: float
    latest_look: float
    most_receives: int
    answers: int
    mean_wait_for_answer: float
    p99_wait_for_answer: float
    longest_wait_for_answer: float
    longest_invocation: float
    left_in_queue: int
    dead_letters: int
    surprises: int
    events: int
    events_published_twice: int


def figures(run: Simulation) -> Figures:
    """The figures of a simulation that has run."""
    sent_at = [line.sent_at for line in run.lines]
    log = run.platform.requests
    account, schedule = run.account, run.settings.grace.schedule
    looks = [pair for export_id in run.export_ids for pair in pairwise(account.looks[export_id])]
    end = [run.time()] if run.load.ends_after is None else []
    waits = sorted(b - a for export_id in run.export_ids for a, b in pairwise([*account.answers[export_id], *end]))
    # The first look has no delay before it.
    late = [b - a - (1.1 * schedule.delay(a - run.begun_at) if a > run.begun_at else 0) for a, b in looks]
    return Figures(
        virtual_seconds=run.time() - run.begun_at,
        requests=len(log),
        busiest_minute_by_worker=[busiest(moments, 60) for moments in sent_at],
        busiest_minute=busiest([request.at for request in log], 60),
        busiest_five_minutes=busiest([request.at for request in log], 300),
        refused_by_rate_window=sum(request.status == 429 for request in log),
        looks=len(looks),
        longest_wait_for_look=max(b - a for a, b in looks),
        latest_look=max(late),
        most_receives=run.queue.most_receives,
        answers=len(waits) - len(end) * len(run.export_ids),
        mean_wait_for_answer=sum(waits) / len(waits),
        p99_wait_for_answer=waits[int(len(waits) * 0.99)],
        longest_wait_for_answer=waits[-1],
        longest_invocation=max(poller.longest_invocation for poller in run.pollers),
        left_in_queue=len(run.queue),
        dead_letters=len(run.queue.dead_letters),
        surprises=len(account.surprises),
        events=len(run.topic.published),
        events_published_twice=sum(times > 1 for times in run.topic.published.values()),
    )


def busiest(moments: Sequence[float], seconds: float) -> int:
    """How many of the moments, which are in order, the busiest so many seconds hold."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    """Run the simulation in both modes, and print the figures of each, times in seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.share_of_rate_limit", description=__doc__)
    parser.add_argument("--exports", type=int, default=5000)
    parser.add_argument("--hours", type=float, default=6, help="virtual hours, at most")
    parser.add_argument("--mode", choices=["bulk", "single"], nargs="+", default=["bulk", "single"])
    parser.add_argument("--ends-after", type=float, nargs=2, metavar=("FIRST", "LAST"), help="hours; default: never")
    parser.add_argument("--request-seconds", type=float, nargs=2, metavar=("LEAST", "MOST"), default=[0.2, 1.0])
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    for mode in given.mode:
        load = Load(
            exports=given.exports,
            in_bulk=mode == "bulk",
            seconds=given.hours * HOUR,
            ends_after=(given.ends_after[0] * HOUR, given.ends_after[1] * HOUR) if given.ends_after else None,
            request_seconds=(given.request_seconds[0], given.request_seconds[1]),
            seed=given.seed,
        )
        run = Simulation(load)
        run.run()
        print(f"{given.exports:,} exports, {mode} reads")
        for name, value in asdict(figures(run)).items():
            shown = f"{value:,.1f}" if isinstance(value, float) else value
            print(f"  {name.replace('_', ' '):<28}{shown}")


if __name__ == "__main__":
    main()
