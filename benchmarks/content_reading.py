"""Measures one content worker that reads an object over HTTP, next to one GET after the other.

    PYTHONPATH=functions python -m benchmarks.content_reading [--megabytes 400] [--repetitions 3]

A server on the loopback interface waits 30 ms before the first byte of an answer and gives each connection 60 MB/s. The
worker plans the object, reads its parts and judges it, each run in a process of its own; its table and its queue are in
memory. The median counts. TLS is not included.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.__main__ import this_machine
from benchmarks.content import BEST, make_files, memory_bytes
from benchmarks.range_server import RangeServer
from benchmarks.results import Figure, Section, Target, Unit, table
from export_monitor.adapters.aws.byte_ranges import read_range
from export_monitor.adapters.aws.clients import real_clients
from export_monitor.adapters.aws.content_objects import GET_BYTES, ContentObjects
from export_monitor.content_bootstrap import ContentOverrides, bootstrap_content
from export_monitor.domain.content.check import ContentCheck, ContentPlan, Verdict
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import ContentVerdict, PartResult
from export_monitor.domain.content.target import ContentMessage, ContentTarget
from export_monitor.domain.model import QueueMessage
from export_monitor.domain.time_budget import TimeBudget

PART_MIB = 128
_ENVIRONMENT = {
    "EXPORT_BUCKETS": "bucket",
    "CONTENT_QUEUE_URL": "https://in-memory",
    "DEAD_LETTER_QUEUE_URL": "https://in-memory",
    "CONTENT_CHECKS_TABLE_NAME": "in-memory",
    "CONTENT_PART_MIB": str(PART_MIB),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One object that was verified: seconds, GETs, and the process's memory in bytes."""

    seconds: float
    gets: int
    memory_before: int
    memory_peak: int


@dataclass
class _Memory:
    """The table, the queue and the log."""

    check: ContentCheck = field(default_factory=ContentCheck)
    bodies: deque[str] = field(default_factory=deque)

    def read(self, _target: ContentTarget) -> ContentCheck:
        return self.check

    def plan(self, _target: ContentTarget, plan: ContentPlan, _now: float) -> ContentCheck:
        self.check = replace(self.check, plan=plan)
        return self.check

    def claim(self, *_: object) -> bool:
        return True

    def release(self, *_: object) -> None:
        raise NotImplementedError

    def record(self, _target: ContentTarget, part: Part, result: PartResult, _now: float) -> ContentCheck:
        self.check = replace(self.check, results={**self.check.results, part.number: result})
        return self.check

    def conclude(self, _target: ContentTarget, verdict: Verdict, _now: float) -> bool:
        self.check = replace(self.check, verdict=verdict)
        return True

    def send_all(self, bodies: Sequence[str]) -> list[str]:
        self.bodies.extend(bodies)
        return []

    def __getattr__(self, name: str) -> Callable[..., None]:
        """What a reporter does: nothing."""
        return lambda *_, **__: None


class _Serial(ContentObjects):
    """Reads one range after the other, and verifies in between."""

    def chunks(
        self, target: ContentTarget, start: int, reads_until: Callable[[], int], least_bytes: int = 0
    ) -> Generator[bytes, None, None]:
        del least_bytes
        while start < reads_until():
            end = min(start + GET_BYTES, reads_until())
            yield read_range(self._client(), target, start, end)
            start = end


def run(address: str, size: int, name: str, *, serial: bool) -> None:
    """Verify the server's object in this process and print what it took."""
    os.environ["AWS_ENDPOINT_URL_S3"] = f"http://{address}"
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    memory, gets = _Memory(), []
    made = real_clients()

    def client(service: str, region: str | None) -> Any:
        one = made(service, region)
        one.meta.events.register("before-call.s3.GetObject", lambda **_: gets.append(1), unique_id="count")
        return one

    app = bootstrap_content(_ENVIRONMENT, memory, ContentOverrides(client=client))
    parts: dict[str, Any] = {"checks": memory, "messages": memory}
    if serial:
        parts["objects"] = _Serial(lambda: client("s3", None), ["bucket"], lambda: 900.0)
    worker = replace(app.worker, verification=replace(app.worker.verification, **parts))
    target = ContentTarget("bucket", name, size, "tag")
    client("s3", None)
    before, started_at = memory_bytes("VmRSS"), time.monotonic()
    memory.bodies.append(ContentMessage(target).to_body())
    while memory.bodies:
        budget = app.budget.start(time.time(), lambda: 900.0)
        _process(worker.process, memory.bodies.popleft(), budget)
    seconds = time.monotonic() - started_at
    verdict = memory.check.verdict
    if not isinstance(verdict, ContentVerdict) or verdict.fault or verdict.bytes_read != size:
        raise ValueError(verdict)
    print(json.dumps(asdict(Run(seconds, len(gets), before, memory_bytes("VmHWM")))))


def _process(process: Callable[[QueueMessage, TimeBudget], bool], body: str, budget: TimeBudget) -> None:
    if process(QueueMessage("message", "handle", body, budget.now, 1), budget):
        raise RuntimeError(body)


def measured_run(address: str, size: int, name: str, *, serial: bool) -> Run:
    """Verify the server's object in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.content_reading", "--run", address, "--size", str(size)]
    command += ["--name", name, *(["--serial"] if serial else [])]
    answer = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 -- ours
    return Run(**json.loads(answer.splitlines()[-1]))


def section(path: Path, repetitions: int) -> Section:
    """The worker next to one GET after the other."""
    size = path.stat().st_size
    with RangeServer(path) as server:
        runs = [
            [measured_run(server.address, size, path.name, serial=serial) for serial in (True, False)]
            for _ in range(repetitions)
        ]
    serial, app = zip(*runs, strict=True)
    parts = -(-size // (PART_MIB << 20))
    most_gets = size / GET_BYTES + 3 * parts
    both = (serial, app)
    figures = (
        _figure("time for 100 MB", "ms", [median(one.seconds for one in of) * 1e11 / size for of in both], 1000),
        _figure("peak memory", "MB", [max(one.memory_peak for one in of) / 1e6 for of in both], 200),
        _figure(f"GETs, {parts} parts", "requests", [of[0].gets for of in both], most_gets),
    )
    title = f"one GET after the other, {path.name}, {size / 1e6:.0f} MB"
    return Section(title, "serial", figures)


def _figure(name: str, unit: Unit, numbers: Sequence[float], most: float) -> Figure:
    other, app = numbers
    return Figure(name, unit, other, app, Target(most, of_other=False))


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400, help="the least size of each file")
    parser.add_argument("--repetitions", type=int, default=3, help="the median counts")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--serial", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.size, options.name, serial=options.serial)
        return
    print(f"{this_machine()}, {BEST}", flush=True)
    with TemporaryDirectory() as folder:
        for path in make_files(Path(folder), options.megabytes * 1_000_000):
            print("\n" + "\n".join(table(section(path, options.repetitions))), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
