"""`make demo`: several exports, from start event to published event, on the whole stack.

The settings are those of the template, with shorter times so that the demo ends within a minute. Exits with 1 if an
export did not end as expected.
"""

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from local import demo_files as files
from local import demo_output as output
from local.artifact import function_artifact, runtime_client
from local.bam import bam, with_a_flipped_bit
from local.export_jobs import AT_ONCE, Job, documented_completed, documented_failed
from local.simulated_platform import Platform
from local.stack import CONTENT, MAIN, TOKEN, Stack, deliver_to

PARAMETERS = {
    "MinPollSeconds": "1",
    "MaxPollSeconds": "3",
    "ObjectGraceSeconds": "3",
    # 18 s, for the export that never ends.
    "WatchTimeoutHours": "0.005",
    "DiscoveryMinutes": "2",
    "ContentCheckMaxGiB": "1",
}
RECEIVE_SECONDS = 40
BUCKET = "bucket"
GROUP = "run-42"
INVALID_ID = "../not-an-id"
VOLUME = "rfranklin/output"
PROJECT = "rfranklin/my-project"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111"
OTHER_KEY = "arn:aws:kms:us-east-1:123456789012:key/22222222-2222-2222-2222-222222222222"
# One with every check, and one that says what to do.
SHOWN_EVENT = f"{documented_completed().id}:completed"
DAMAGED = "bit-flipped"
SHOWN_MAIL = f"{documented_failed().id}:failed:EXPORT_FAILED"


@dataclass(frozen=True)
class Export:
    """An export of the demo.

    `end` is what the id of its event must have after the colon. `arrives` are the arguments of the `put_object` that
    puts its object, if that is not the object the export asked for. `size` is that of the source file.
    """

    job: Job
    end: str
    shows: str
    arrives: Mapping[str, Any] = field(default_factory=dict)
    size: int = 1234
    group: str | None = None
    announced: bool = True

    @property
    def event_id(self) -> str:
        return f"{self.job.id}:{self.end}"

    def start_event(self, group_size: int) -> dict[str, Any]:
        group = {"group": {"id": self.group, "size": group_size}} if self.group else {}
        return {"export_id": self.job.id, "context": {"shows": self.shows}, **group}


def exports() -> list[Export]:
    """The vendor's two documented exports, and others whose ids say what they show."""
    completed, failed = documented_completed(), documented_failed()

    def job(export_id: str, location: str, **changes: Any) -> Job:
        fields = {"file": location.partition(".")[0], "location": location, "steps": AT_ONCE, "started_at": None}
        return replace(completed, id=export_id, **fields | changes)

    slow = job("slow", "S1.bam", steps=((0, "PENDING"), (4, "RUNNING"), (8, "COMPLETED")))
    kms = job("other-kms-key", "S4.vcf", properties={"sse_algorithm": "aws:kms", "sse_aws_kms_key_id": KEY})
    as_asked = {"ServerSideEncryption": "AES256", "ACL": "public-read"}
    other_key = {"body": bytes(1234), "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": OTHER_KEY}

    def member(job: Job, end: str, shows: str = "an export as it should be", **more: Any) -> Export:
        return Export(job, end, shows, group=GROUP, **more)

    taken = {"steps": failed.steps, "error": failed.error}
    return [
        Export(completed, "completed", "the documented COMPLETED example"),
        Export(failed, "failed:EXPORT_FAILED", "the documented FAILED example"),
        member(slow, "completed", "PENDING, RUNNING, COMPLETED", arrives={"body": bam(), **as_asked}, size=len(bam())),
        member(job("no-object", "S2.bam", delivers=False), "failed:OBJECT_MISSING", "COMPLETED without its object"),
        member(job("cut-short", "S3.bam"), "failed:OBJECT_MISMATCH", "a truncated BAM",
               arrives={"body": bam()[:-10], **as_asked}, size=len(bam())),
        member(job(DAMAGED, "S7.bam"), "failed:OBJECT_MISMATCH", "one flipped bit in the middle of a BAM",
               arrives={"body": with_a_flipped_bit(bam(3)), **as_asked}, size=len(bam(3))),
        Export(kms, "failed:OBJECT_MISMATCH", "encrypted under another KMS key", arrives=other_key),
        Export(job("never-ends", "S5.bam", steps=((0, "RUNNING"),)), "failed:TIMED_OUT", "RUNNING for too long"),
        member(job("run-42-1", "R1.vcf"), "completed"),
        member(job("run-42-2", "R2.vcf"), "completed"),
        member(job("run-42-3", "R3.vcf", **taken), "failed:EXPORT_FAILED", "its destination is taken"),
        Export(job("not-announced", "S6.vcf"), "completed", "found by discovery", announced=False),
    ]  # fmt: skip


def main() -> None:
    """Run the demo, print the most important results, and write the rest to files."""
    started_at = time.monotonic()
    all_exports = exports()
    progress = output.Progress(started_at)
    files.empty_folder()
    results = _run(all_exports, progress)
    files.write_files(results)
    output.show_table([export.job for export in all_exports], results)
    output.show_others(results, GROUP)
    output.show_damage(DAMAGED, results)
    output.show_event(SHOWN_EVENT, results)
    output.show_mail(SHOWN_MAIL, results)
    output.show_files(time.monotonic() - started_at)
    if problems := [*faults(all_exports, results), *progress.errors]:
        sys.exit("\nUnexpected results:\n" + "\n".join(f"  {problem}" for problem in problems))


def faults(all_exports: Iterable[Export], results: files.Results) -> list[str]:
    """Problems as sentences, for example an event that is missing, duplicated or unexpected."""
    expected = {export.event_id for export in all_exports} | {f"{GROUP}:concluded"}
    events = Counter(event["id"] for event in results.events)
    mails = Counter(event_id for event_id, _, _ in results.mails)
    found = [
        f"{event_id}: {counts[event_id]} {what} instead of {int(event_id in expected)}"
        for what, counts in (("events", events), ("e-mails", mails))
        for event_id in sorted(expected | counts.keys())
        if counts[event_id] != (event_id in expected)
    ]
    members = sorted(export.job.id for export in all_exports if export.group)
    rows = csv.DictReader(results.reports.get("report.csv", b"").decode().splitlines())
    if [row["export_id"] for row in rows] != members:
        found.append(f"the report does not have one row for each export of {GROUP}")
    if [INVALID_ID in letter.body for letter in results.dead_letters] != [True]:
        found.append("the dead-letter queue does not hold the message with the invalid id alone")
    return found


def _run(all_exports: Sequence[Export], progress: output.Progress) -> files.Results:
    print("Building the functions (the first time takes a minute) ...", flush=True)
    for function in (MAIN, CONTENT):
        function_artifact(function)
    runtime_client()
    print("Starting an AWS emulator, a simulated API and the functions in AWS's Lambda runtime client ...", flush=True)
    with Stack(_platform(all_exports), parameters=PARAMETERS, log=progress.log) as stack:
        stack.platform.deliver = _delivery(stack, all_exports)
        left_out = ", ".join(stack.deployment.left_out) or "nothing"
        print(f"template.yaml is deployed; left out: {left_out}.")
        _start(stack, all_exports)
        notifications = stack.receive(len(all_exports) + 1, timeout_seconds=RECEIVE_SECONDS)
        events = [one.event for one in notifications]
        return files.Results(events, stack.mails(), stack.dead_letters(), stack.log_lines, _reports(stack))


def _reports(stack: Stack) -> dict[str, bytes]:
    """The files of the group's report, by name."""
    s3, bucket = stack.client("s3"), stack.deployment.outputs["ReportBucketName"]
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key.rpartition("/")[2]: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def _platform(all_exports: Iterable[Export]) -> Platform:
    platform = Platform(TOKEN)
    platform.add_volume(VOLUME, bucket=BUCKET)
    for export in all_exports:
        platform.add_file(export.job.file, name=export.job.location, size=export.size, project=PROJECT)
    return platform


def _delivery(stack: Stack, all_exports: Iterable[Export]) -> Callable[[Job], None]:
    """Deliver as the platform does, except for objects that differ from the request."""
    as_asked = deliver_to(stack)
    different = {export.job.id: export.arrives for export in all_exports if export.arrives}

    def deliver(job: Job) -> None:
        if job.id in different:
            stack.put_object(BUCKET, job.location, **different[job.id])
        else:
            as_asked(job)

    return deliver


def _start(stack: Stack, all_exports: Sequence[Export]) -> None:
    group_size = sum(export.group is not None for export in all_exports)
    announced = [export for export in all_exports if export.announced]
    print(f"Announcing {len(announced)} exports, {group_size} of them as the group {GROUP}, and one invalid id.")
    print("One more export is not announced: discovery finds it.\n", flush=True)
    for export in announced:
        stack.platform.add_job(export.job)
        stack.announce(export.start_event(group_size))
    stack.announce({"export_id": INVALID_ID})
    for export in all_exports:
        if not export.announced:
            stack.platform.add_job(export.job, age_seconds=300)
    stack.discover()


if __name__ == "__main__":
    main()
