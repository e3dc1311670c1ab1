"""Runs a campaign: announces the exports, injects faults, and waits until every watch has ended."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from random import Random

from chaos.driver import WAYS, Driver
from chaos.exports import BUCKET, ELSEWHERE, LONG_GRACE_KINDS, OTHER_BUCKET, PROJECT, VOLUME, make_exports
from chaos.injector import Injector
from chaos.recorder import Recorder
from chaos.run import Run
from chaos.schedule import OTHER_JOB, Event, make_schedule
from chaos.timing import times_for
from chaos.workers import UnreliableQueue, Worker
from local.artifact import function_artifact, runtime_client
from local.aws_proxy import aws_proxy
from local.event_source_mapping import EventSourceMapping
from local.export_jobs import Job
from local.simulated_platform import Platform
from local.stack import CONTENT, MAIN, TOKEN, Notification, Stack

_HOUR = 3600
Act = Callable[[], None]


class Campaign:
    """One campaign; call `run` once. `log` is called with each log line of the function."""

    def __init__(self, seed: int, exports: int, workers: int, log: Callable[[str], None] = lambda _: None) -> None:
        self._seed = seed
        self._random = Random(seed)
        self._times = times_for(exports)
        self._exports = {one.id: one for one in make_exports(exports, self._times, self._random)}
        self._schedule = make_schedule(self._times, list(self._exports), self._random)
        self._injector = Injector(self._schedule, self._times, self._random)
        self._workers = workers
        self._log = log
        self._recorder = Recorder()
        self._received: list[Notification] = []
        self._lock = threading.Lock()
        self._todo: list[tuple[float, Act]] = []
        self._hands = ThreadPoolExecutor(8)
        self._doing: list[Future[None]] = []
        self._late = 0.0

    def run(self) -> Run:
        """Run to the end, and return the results."""
        with ExitStack() as parts:
            stack = parts.enter_context(self._stack())
            driver = Driver(stack, self._injector, self._random, self._later)
            stack.platform.deliver = lambda job: driver.put_object(self._exports[job.id])
            workers = [self._worker(stack, number, MAIN, parts) for number in range(self._workers)]
            of_content = [self._worker(stack, self._workers + number, CONTENT, parts) for number in range(2)]
            mappings = [self._mapping(stack, MAIN, workers), self._mapping(stack, CONTENT, of_content)]
            self._plan(driver, [*workers, *of_content])
            self._injector.begin()
            for mapping in mappings:
                mapping.start()
                parts.callback(mapping.stop)
            left = self._until_over(stack, driver)
            self._hands.shutdown()
            driver.close()
            for mapping in mappings:
                mapping.stop()
            self._collect(stack)
            return self._results(stack, driver, [*workers, *of_content], left)

    # --- setup ---------------------------------------------------------------------------------------

    def _stack(self) -> Stack:
        times = self._times
        parameters = {
            "ExportBuckets": BUCKET,
            "ApiRequestsPerMinute": "200",
            "MinPollSeconds": "1",
            "MaxPollSeconds": "5",
            "WatchTimeoutHours": f"{times.timeout / _HOUR:.6f}",
            "RefusalGraceHours": f"{times.refusal / _HOUR:.6f}",
            "ObjectGraceSeconds": f"{times.object_grace:g}",
            "NotFoundGraceSeconds": f"{times.unknown_grace:g}",
            "ContentCheckMaxGiB": "1",
        }
        # The campaign has its own workers, each with its own proxy.
        return Stack(self._platform(), buckets=[BUCKET, OTHER_BUCKET], parameters=parameters, polls=False, workers=1)

    def _platform(self) -> Platform:
        platform = Platform(TOKEN)
        platform.rate.limit = 1_000_000
        platform.fault_for = self._injector.fault_for
        platform.add_volume(VOLUME, bucket=BUCKET)
        platform.add_volume(ELSEWHERE, bucket=OTHER_BUCKET)
        platform.add_job(Job(id=OTHER_JOB, file="none", volume=VOLUME, location="other.vcf", delivers=False))
        for export in self._exports.values():
            name = export.job.location.rpartition("/")[2]
            platform.add_file(export.job.file, name=name, size=export.size, project=PROJECT)
        return platform

    def _worker(self, stack: Stack, number: int, function: str, parts: ExitStack) -> Worker:
        proxy = parts.enter_context(aws_proxy(stack.emulator.endpoint_url))
        worker = Worker(
            number,
            stack.deployment.functions[function].function,
            function_artifact(function),
            runtime_client(),
            endpoint_url=proxy.endpoint_url,
            timeout_seconds=self._times.function,
            log=self._log,
        )
        parts.callback(worker.kill)
        proxy.fault_for = partial(self._injector.fault_for, kill=worker.kill)
        proxy.reached = partial(self._recorder.reached, number)
        return worker

    def _mapping(self, stack: Stack, function: str, workers: Sequence[Worker]) -> EventSourceMapping:
        # For direct invocations with start events.
        stack.aws.fault_for = partial(self._injector.fault_for, kill=stack.environments[-1].kill)
        # Longer than an invocation; messages that could not be hidden return after it, and failed content checks.
        queue, seconds = (
            ("ExportQueue", 1.5 * self._times.function) if function == MAIN else ("ContentQueue", self._times.function)
        )
        sqs = stack.client("sqs")
        sqs.set_queue_attributes(
            QueueUrl=stack.deployment.physical_ids[queue], Attributes={"VisibilityTimeout": str(int(seconds))}
        )
        unreliable = UnreliableQueue(sqs, self._injector.jump, lambda: self._injector.is_on("delivered twice"))
        mapping = stack.deployment.functions[function].mapping
        return EventSourceMapping(mapping, unreliable, workers, redeliver_immediately=True)

    def _plan(self, driver: Driver, workers: Sequence[Worker]) -> None:
        times, random = self._times, self._random
        for export in self._exports.values():
            is_read = export.end.checks.get("content") in ("passed", "failed")
            at = random.uniform(times.content_from if is_read else 0, times.announcing)
            self._todo.append((at, partial(driver.begin, export)))
            if random.random() < 0.2 and export.kind not in LONG_GRACE_KINDS:
                for _ in range(random.randint(1, 2)):
                    again = at + random.uniform(0.5, 10)
                    self._todo.append((again, partial(driver.announce, export, random.choice(WAYS))))
        for number in range(max(3, len(self._exports) // 15)):
            at = random.uniform(0, times.announcing / 2)
            self._todo.append((at, partial(driver.send_bad, f"bad-{number}-of-{self._seed}", number)))
        for kill in self._schedule.kills:
            if kill.operation is None:
                self._todo.append((kill.at, partial(self._kill, random.choice(workers))))
        for number, event in enumerate(self._schedule.events):
            self._todo += self._acts(driver, event, f"the-campaign-s-token-{number}", workers)

    def _acts(self, driver: Driver, event: Event, token: str, workers: Sequence[Worker]) -> list[tuple[float, Act]]:
        end = event.at + event.seconds
        if event.what == "token rotated":
            return [(event.at, partial(driver.accept_only, token)), (end, partial(driver.keep_secret, token))]
        if event.what == "bulk missing":
            return [
                (event.at, partial(driver.offer_bulk, is_there=False)),
                (end, partial(driver.offer_bulk, is_there=True)),
                # A worker remembers for an hour that bulk calls are missing: restart it.
                *((end, partial(self._kill, worker)) for worker in workers),
            ]
        return []

    def _kill(self, worker: Worker) -> None:
        self._injector.count("worker killed")
        worker.kill()

    # --- run -----------------------------------------------------------------------------------------

    def _until_over(self, stack: Stack, driver: Driver) -> int:
        """Run the planned steps when due, until the queue is empty or the time is over; return the messages left."""
        collected_at = 0.0
        while (now := self._injector.now()) < self._times.limit:
            with self._lock:
                due = sorted((one for one in self._todo if one[0] <= now), key=lambda one: one[0])
                self._todo = [one for one in self._todo if one[0] > now]
            self._doing += [self._hands.submit(self._do, *one) for one in due]
            if now - collected_at > 1:
                collected_at = now
                self._collect(stack)
                # Count twice: a message may become visible between the emulator's two counts.
                if self._is_done() and driver.is_idle and stack.messages_left() == 0 == stack.messages_left():
                    break
            time.sleep(0.05)
        # Calls that the function gave up may still be on their way to the emulator.
        time.sleep(2)
        return stack.messages_left()

    def _later(self, seconds: float, act: Act) -> None:
        with self._lock:
            self._todo.append((self._injector.now() + seconds, act))

    def _do(self, due_at: float, act: Act) -> None:
        self._late = max(self._late, self._injector.now() - due_at)
        act()

    def _is_done(self) -> bool:
        # result() raises the step's exception.
        self._doing = [one for one in self._doing if not one.done() or one.result()]
        return not self._todo and not self._doing

    def _collect(self, stack: Stack) -> None:
        self._received += stack.receive(timeout_seconds=0)

    def _results(self, stack: Stack, driver: Driver, workers: Sequence[Worker], left: int) -> Run:
        return Run(
            seed=self._seed,
            times=self._times,
            source=f"{stack.api_url}/storage/exports",
            timelines=driver.timelines,
            bad_starts=driver.bad_starts,
            received=self._received,
            publications=self._recorder.publications,
            records=self._recorder.records,
            report_writes=self._recorder.report_writes,
            invocations=[one for worker in workers for one in worker.records],
            dead_letters=stack.dead_letters(),
            messages_left=left,
            faults=self._injector.fault_counts,
            raised=[error for worker in workers for error in worker.raised],
            seconds=self._injector.now(),
            late=self._late,
        )
