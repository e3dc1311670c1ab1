"""The exports of a campaign: the job, file and object of each, and how it must end."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from chaos.timing import Times
from local.bam import bam, with_a_flipped_bit
from local.demo import KEY
from local.export_jobs import Job, error_body

BUCKET = "bucket"
# A bucket outside the stack's export buckets, and a volume that does not exist.
OTHER_BUCKET = "elsewhere"
VOLUME = "rfranklin/output"
ELSEWHERE = "rfranklin/elsewhere"
NO_VOLUME = "rfranklin/vanished"
PROJECT = "rfranklin/my-project"
PLAIN = bytes(1234)

_ASKED = {"sse_algorithm": "AES256", "aws_storage_class": "STANDARD"}
_PUT_AS_ASKED = {"ServerSideEncryption": "AES256", "StorageClass": "STANDARD"}
_CHECKS = ("exists", "size", "freshness", "encryption", "kms_key", "storage_class", "acl", "integrity", "content")
_FOUND = frozenset({"exists", "size", "freshness"})
_FULL = _FOUND | {"encryption", "storage_class"}


@dataclass(frozen=True)
class Conclude:
    """The expected content of an export's event, and its earliest time.

    `reason` is None if it completed. Checks that are neither in `passed` nor in `failed` must be skipped; if both are
    empty, nothing was verified. `grace` (seconds) counts from the job's end, or from the start event if the API never
    shows the job (`shows_job`) or the job never ends. `file` says whether the event must, may or cannot contain the
    source file. `denial` is the API's error for the job or its volume.
    """

    reason: str | None = None
    passed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    grace: float = 0
    shows_job: bool = True
    ends: bool = True
    file: str = "must"
    denial: Mapping[str, Any] | None = None

    @property
    def checks(self) -> dict[str, str]:
        if not self.passed | self.failed:
            return {}
        statuses = dict.fromkeys(self.passed, "passed") | dict.fromkeys(self.failed, "failed")
        return {name: statuses.get(name, "skipped") for name in _CHECKS}


@dataclass(frozen=True, kw_only=True)
class Export:
    """One export.

    The platform knows the job `job_after` seconds after the start event (None: never). The object (`body`, None: never)
    is put into the bucket `body_after` seconds after the job's end, with the arguments `put` of S3's PutObject.
    """

    id: str
    kind: str
    end: Conclude
    job: Job
    job_after: float | None = 0
    size: int = len(PLAIN)
    body: bytes | None = PLAIN
    body_after: float = 0
    put: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    group: Mapping[str, Any] | None = None

    @property
    def detail(self) -> dict[str, Any]:
        """The `detail` of its start events."""
        optional = {"context": self.context, "group": self.group}
        return {"export_id": self.id, **{name: value for name, value in optional.items() if value}}

    @property
    def event_id(self) -> str:
        return f"{self.id}:failed:{self.end.reason}" if self.end.reason else f"{self.id}:completed"

    @property
    def job_seconds(self) -> float:
        """From when the platform knows the job to its end."""
        return self.job.steps[-1][0] if self.end.ends else 0


# What makes an export of this kind: fields of `Export` or of its job.
Changes = Callable[[Export, Times], dict[str, Any]]


def _fails(reason: str, **end: Any) -> dict[str, Any]:
    """An export that fails without an object."""
    return {"end": Conclude(reason, **{"file": "may", **end}), "body": None}


def _bam(export: Export, body: bytes) -> dict[str, Any]:
    return {"location": f"{export.id}/reads.bam", "body": body, "size": len(body)}


def _endless(times: Times, state: str) -> dict[str, Any]:
    return {"steps": ((0, "PENDING"), (1, state)), **_fails("TIMED_OUT", grace=times.timeout, ends=False)}


def _mismatch(times: Times, passed: frozenset[str], failed: str) -> Conclude:
    return Conclude("OBJECT_MISMATCH", passed, frozenset({failed}), times.object_grace)


_TAKEN = error_body(409, 9107, "The destination already holds an object.")
_DENIED = {
    "unknown": error_body(404, 9008, "Job not found."),
    "forbidden": error_body(403, 9005, "You do not have access to this job."),
    "volume": error_body(404, 9007, "Volume not found."),
}
_HIDDEN = {"shows_job": False, "file": "cannot"}
_KMS = {"sse_algorithm": "aws:kms", "sse_aws_kms_key_id": KEY}
_PUT_KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}

# The kinds, and the weight of each among the exports that follow the first one of each kind.
KINDS: dict[str, tuple[int, Changes]] = {
    "sound": (10, lambda *_: {}),
    "bare": (3, lambda *_: {"properties": {}, "end": Conclude(passed=_FOUND), "put": {}}),
    "public": (
        3,
        lambda *_: {
            "properties": {**_ASKED, "aws_canned_acl": "public-read"},
            "end": Conclude(passed=_FULL | {"acl"}),
            "put": {**_PUT_AS_ASKED, "ACL": "public-read"},
        },
    ),
    "with-result": (3, lambda *_: {"shows_result": True, "explicit_nulls": True}),
    "kms": (
        2,
        lambda *_: {"properties": _KMS, "end": Conclude(passed=_FOUND | {"encryption", "kms_key"}), "put": _PUT_KMS},
    ),
    "bam": (
        4,
        lambda export, _: {**_bam(export, bam(1)), "end": Conclude(passed=_FULL | {"integrity", "content"})},
    ),
    "damaged-bam": (
        2,
        lambda export, t: {
            **_bam(export, with_a_flipped_bit(bam(3))),
            "end": _mismatch(t, _FULL | {"integrity"}, "content"),
        },
    ),
    "cut-bam": (2, lambda export, t: {**_bam(export, bam()[:-10]), "end": _mismatch(t, _FULL, "integrity")}),
    "wrong-size": (2, lambda _, t: {"end": _mismatch(t, _FULL - {"size"}, "size"), "size": len(PLAIN) + 1}),
    "missing": (2, lambda _, t: _fails("OBJECT_MISSING", failed=frozenset({"exists"}), grace=t.object_grace)),
    "late-object": (3, lambda _, t: {"body_after": t.late}),
    "failed": (
        4,
        lambda export, _: {
            "steps": (*export.job.steps[:-1], (export.job_seconds, "FAILED")),
            "error": _TAKEN,
            **_fails("EXPORT_FAILED"),
        },
    ),
    "unknown": (
        1,
        lambda _, t: {
            "job_after": None,
            **_fails("EXPORT_NOT_FOUND", grace=t.unknown_grace, denial=_DENIED["unknown"], **_HIDDEN),
        },
    ),
    "unknown-at-first": (2, lambda _, t: {"job_after": t.late}),
    "forbidden": (
        1,
        lambda _, t: {
            "foreign": True,
            **_fails("EXPORT_FORBIDDEN", grace=t.refusal, denial=_DENIED["forbidden"], **_HIDDEN),
        },
    ),
    "no-volume": (
        1,
        lambda _, t: {
            "volume": NO_VOLUME,
            **_fails("VOLUME_UNAVAILABLE", grace=t.refusal, denial=_DENIED["volume"]),
        },
    ),
    "other-bucket": (1, lambda _, t: {"volume": ELSEWHERE, **_fails("OBJECT_FORBIDDEN", grace=t.refusal)}),
    "endless": (1, lambda _, t: _endless(t, "RUNNING")),
    "unknown-state": (1, lambda _, t: _endless(t, "ABORTED")),
}
# A second start event would restart their long grace period.
LONG_GRACE_KINDS = ("forbidden", "no-volume", "other-bucket")


def make_exports(number: int, times: Times, random: Random) -> list[Export]:
    """This number of exports in random order, at least one of each kind if there are enough."""
    kinds = list(KINDS)[:number]
    weights = [weight for weight, _ in KINDS.values()]
    kinds += random.choices(list(KINDS), weights, k=number - len(kinds))
    random.shuffle(kinds)
    exports = [_export(kind, position, times, random) for position, kind in enumerate(kinds)]
    # Half of them belong to groups: a small one ends while there are faults, a large one when most exports have ended.
    members = random.sample(exports, max(1, len(exports) // 2))
    groups: dict[str, Mapping[str, Any]] = {}
    while members:
        part, members = members[: (size := random.randint(1, max(1, len(exports) // 10)))], members[size:]
        group = {"id": f"run-{len(groups)}", "size": len(part)}
        groups |= dict.fromkeys((export.id for export in part), group)
    return [replace(export, group=groups.get(export.id)) for export in exports]


def _export(kind: str, number: int, times: Times, random: Random) -> Export:
    noise = "".join(random.choices(string.ascii_letters + string.digits + "_-", k=6))
    export_id = f"{kind}-{number}-{noise}"
    running = random.uniform(0, times.longest_job / 3)
    steps = ((0.0, "PENDING"), (running, "RUNNING"), (random.uniform(running, times.longest_job), "COMPLETED"))
    job = Job(
        id=export_id,
        file=f"file-of-{export_id}",
        volume=VOLUME,
        location=f"{export_id}/output.vcf",
        steps=steps if random.random() < 0.8 else ((0.0, "COMPLETED"),),
        properties=_ASKED,
        delivers=False,
    )
    ordinary = Export(
        id=export_id, kind=kind, end=Conclude(passed=_FULL), job=job, put=_PUT_AS_ASKED, context=_context(random)
    )
    return _with(ordinary, **KINDS[kind][1](ordinary, times))


def _context(random: Random) -> Mapping[str, Any]:
    nested = {"run": {"samples": [1, 2.5, None, True, {"deep": []}]}, "": ""}
    unicode = {"who": 'Zoë 研究 \U0001f9ec \u2028 \u0000 "quoted" \\ <&>', "ключ": "значение"}
    big = {"k": "ü" * ((8192 - 8) // 2)}
    return random.choices(({}, {"who": "me"}, nested, unicode, big), (4, 3, 2, 2, 1))[0]


def _with(export: Export, **changes: Any) -> Export:
    """The export with other fields, of its own or of its job."""
    own = {name: value for name, value in changes.items() if name in Export.__dataclass_fields__}
    of_job = {name: value for name, value in changes.items() if name not in own}
    return replace(export, job=replace(export.job, **of_job), **own)
