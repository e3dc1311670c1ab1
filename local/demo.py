"""`make demo`: several exports, from start event to published event, on the whole stack.

The settings are those of the template but for shorter times, so that the demo ends by itself within a minute.
"""

import json
import struct
import sys
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local.export_jobs import Job, documented_completed, documented_failed
from local.platform import Platform
from local.stack import TOKEN, Notification, Stack, deliver_to

PARAMETERS = {
    "MinPollSeconds": "1",
    "MaxPollSeconds": "3",
    "ObjectGraceSeconds": "3",
    # 22 s, for the export that never ends.
    "WatchTimeoutHours": "0.006",
    "DiscoveryMinutes": "2",
}
GROUP = "run-42"
FORGOTTEN = "NobodyAnnouncedIt000000000000000f"
VOLUME = "rfranklin/output"
PROJECT = "rfranklin/my-project"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111"
OTHER_KEY = "arn:aws:kms:us-east-1:123456789012:key/22222222-2222-2222-2222-222222222222"
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def bam() -> bytes:
    """A small BAM without reads: one BGZF block with its header, and the end-of-file marker."""
    header = b"BAM\x01" + struct.pack("<i", 0) + struct.pack("<i", 0)
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(header) + compressor.flush()
    subfield = b"BC" + struct.pack("<HH", 2, len(deflated) + 25)
    block = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(subfield)) + subfield + deflated
    return block + struct.pack("<II", zlib.crc32(header), len(header)) + _BGZF_END


def exports() -> list[tuple[Job, str, bytes | None]]:
    """The demo's jobs, what each is to show, and the object that arrives, where it is not the file itself."""
    whole = documented_completed(steps=((0, "RUNNING"), (2, "COMPLETED")))
    sound, cut = bam(), bam()[:-10]

    def job(export_id: str, file: str, location: str, **changes: Any) -> Job:
        return replace(whole, id=export_id, file=file, location=location, started_at=None, **changes)

    kms = {"sse_algorithm": "aws:kms", "sse_aws_kms_key_id": KEY}
    steps = ((0, "PENDING"), (6, "RUNNING"), (12, "COMPLETED"))
    slow, lies = "SlowButSound0000000000000000000a", "LiesAboutItsObject0000000000000b"
    return [
        (whole, "the documented COMPLETED example", None),
        (documented_failed(), "the documented FAILED example", None),
        (job(slow, "f1", "S1/reads.bam", steps=steps), "PENDING, RUNNING, COMPLETED", sound),
        (job(lies, "f2", "S2/reads.bam", delivers=False), "COMPLETED without its object", None),
        (job("CutShort00000000000000000000000c", "f3", "S3/reads.bam"), "its BAM was cut off", cut),
        (job("UnderAnotherKey000000000000000d", "f4", "S4/calls.vcf", properties=kms), "under another KMS key", None),
        (job("NeverEnds0000000000000000000000e", "f5", "S5/reads.bam", steps=((0, "RUNNING"),)), "times out", None),
    ]  # fmt: skip


def members() -> list[Job]:
    """Five exports that belong together, one of which fails."""
    whole, failed = documented_completed(steps=((0, "RUNNING"), (3, "COMPLETED"))), documented_failed()
    names = [f"MemberOfARun00000000000000000000{number}" for number in range(1, 6)]
    done = [replace(whole, id=name, file=f"m{name[-1]}", location=f"run/{name[-1]}.vcf") for name in names[:-1]]
    return [*done, replace(failed, id=names[-1], file="m5", location="run/5.vcf")]


def main() -> None:
    """Run the demo; exits with 1 where an event did not come."""
    begun = time.monotonic()
    jobs = exports()
    forgotten = documented_completed(id=FORGOTTEN, file="f6", location="S6/calls.vcf", started_at=None)
    platform = Platform(TOKEN)
    platform.add_volume(VOLUME, bucket="bucket")
    names = {job.file: job.location.rpartition("/")[2] for job in [*(job for job, _, _ in jobs), *members(), forgotten]}
    for file_id, name in names.items():
        size = len(bam()) if name.endswith(".bam") else 1234
        platform.add_file(file_id, name=name, size=size, project=PROJECT)

    def log(line: str) -> None:
        if line.startswith("{"):
            _show_look(json.loads(line), time.monotonic() - begun)

    print("Starting AWS's stand-in, the simulated API and the function …", flush=True)
    with Stack(platform, parameters=PARAMETERS, batching_window_seconds=1, log=log) as stack:
        platform.deliver = _delivery(stack, {job.id: body for job, _, body in jobs if body is not None})
        print(f"Deployed template.yaml. Left out by the emulator: {dict(stack.deployment.left_out) or 'nothing'}.\n")
        for job, what, _ in jobs:
            platform.add_job(job)
            stack.announce({"export_id": job.id, "context": {"shows": what}})
            print(f"announced  {job.id}  ({what})")
        stack.announce({"export_id": "../not-an-id"})
        print("announced  ../not-an-id  (no export id)")
        for job in members():
            platform.add_job(job)
            stack.announce({"export_id": job.id, "group": {"id": GROUP, "size": 5}})
        print(f"announced  five exports of the group {GROUP}")
        platform.add_job(forgotten, age_seconds=300)
        stack.discover()
        print(f"discovered {FORGOTTEN}  (nobody announced it)\n", flush=True)
        awaited = {job.id for job, _, _ in jobs} | {job.id for job in members()} | {GROUP, FORGOTTEN}
        notifications = stack.receive(len(awaited), timeout_seconds=60)
        _show_events(notifications)
        _show_mail(stack, "CutShort00000000000000000000000c")
        _show_mail(stack, GROUP)
        for letter in stack.dead_letters():
            print(f"In the dead-letter queue: {letter.error}\n  {letter.body}\n")
    described = {job.id: what for job, what, _ in jobs} | {job.id: f"of the group {GROUP}" for job in members()}
    _show_summary(described | {FORGOTTEN: "nobody announced it", GROUP: "the group of five"}, notifications)
    print(f"\nDone in {time.monotonic() - begun:.0f} s.")
    sys.exit({one.event["subject"] for one in notifications} != awaited)


def _delivery(stack: Stack, bodies: Mapping[str, bytes]) -> Any:
    """Deliver as the platform does, but for the objects of which the demo is about."""
    as_asked = deliver_to(stack)

    def deliver(job: Job) -> None:
        if job.id in bodies:
            stack.put_object("bucket", job.location, bodies[job.id], ACL="public-read", ServerSideEncryption="AES256")
        elif "sse_aws_kms_key_id" in job.properties:
            stack.put_object("bucket", job.location, bytes(1234), ServerSideEncryption="aws:kms", SSEKMSKeyId=OTHER_KEY)
        else:
            as_asked(job)

    return deliver


_printing = threading.Lock()


def _show_look(line: Mapping[str, Any], seconds: float) -> None:
    with _printing:
        if line.get("message") == "export_looked_at":
            delay = f", again in {line['delay_seconds']} s" if "delay_seconds" in line else ""
            why = f" ({line['reason']})" if "reason" in line else ""
            print(
                f"{seconds:5.1f} s  {line['export_id']:32}  {line.get('state', '-'):9}  {line['outcome']}{why}{delay}",
                flush=True,
            )
        elif line.get("level") == "ERROR":
            print(json.dumps(line), flush=True)


def _show_events(notifications: list[Notification]) -> None:
    print("\nWhat an SQS subscriber of the topic received:\n")
    for one in notifications:
        print(f"Subject: {one.subject}\nAttributes: {json.dumps(dict(one.attributes))}\n{laid_out(one.event)}\n")


def laid_out(event: Mapping[str, Any]) -> str:
    """An event as JSON with a line for each of its fields and each of its data's."""
    top = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in event.items() if name != "data"]
    data = [f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in event["data"].items()]
    inner = ",\n".join(data)
    return "{\n" + ",\n".join([*top, f'  "data": {{\n{inner}\n  }}']) + "\n}"


def _show_mail(stack: Stack, name: str) -> None:
    for subject, text in stack.mails():
        if name in text:
            print(f"The e-mail for {name}:\n\n  Subject: {subject}\n")
            print("\n".join(f"  {line}" for line in text.splitlines()) + "\n")


def _show_summary(described: Mapping[str, str], notifications: list[Notification]) -> None:
    ends = {one.event["subject"]: one.event["id"].partition(":")[2] for one in notifications}
    for name, what in described.items():
        print(f"{name:33}  {ends.get(name, 'no event came'):24}  {what}")


if __name__ == "__main__":
    main()
