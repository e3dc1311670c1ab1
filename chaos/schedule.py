"""The faults of a campaign and their times, from one seed: bursts of faults, kills and events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from chaos.timing import Times
from local.aws_calls import PartialBatchFailure, ServiceError
from local.export_jobs import error_body
from local.faults import (
    Close,
    Disconnect,
    Drip,
    Fault,
    Hang,
    Match,
    OmittedItem,
    Raw,
    Status,
    Truncated,
    WrongJob,
    html_page,
    redirect,
)

_THROTTLED = ServiceError(400, "ThrottlingException")
_LOST = Disconnect("after")

_AWS: dict[str, tuple[Match, Fault]] = {
    "S3 403": (Match(("HeadObject",), service="s3"), ServiceError(403, "AccessDenied")),
    "S3 503": (Match(service="s3"), ServiceError(503, "SlowDown")),
    "S3 slow": (Match(service="s3"), Hang(2)),
    "S3 hanging": (Match(service="s3"), Hang(30)),
    "S3 dripping": (Match(service="s3"), Drip(0.5)),
    "S3 closing": (Match(service="s3"), Disconnect("before")),
    "SNS throttled": (Match(service="sns"), ServiceError(400, "Throttled")),
    "SNS failing": (Match(service="sns"), ServiceError(500, "InternalFailure")),
    "SNS failing in part": (Match(service="sns"), PartialBatchFailure("InternalError")),
    "SNS slow": (Match(service="sns"), Hang(2)),
    "SNS answering too late": (Match(service="sns"), Hang(7)),
    "SNS answer lost": (Match(service="sns"), _LOST),
    "DynamoDB throttled": (Match(service="dynamodb"), ServiceError(400, "ProvisionedThroughputExceededException")),
    "DynamoDB ThrottlingException": (Match(service="dynamodb"), _THROTTLED),
    "DynamoDB failing": (Match(service="dynamodb"), ServiceError(500, "InternalServerError")),
    "DynamoDB slow": (Match(service="dynamodb"), Hang(2)),
    "DynamoDB answer lost": (Match(service="dynamodb"), _LOST),
    "DynamoDB closing": (Match(service="dynamodb"), Disconnect("before")),
    "secret refused": (Match(service="secretsmanager"), ServiceError(400, "AccessDeniedException")),
    "secret failing": (Match(service="secretsmanager"), ServiceError(500, "InternalServiceError")),
    "secret slow": (Match(service="secretsmanager"), Hang(3)),
    "SQS failing": (Match(service="sqs"), ServiceError(503, "ServiceUnavailable")),
    "SQS throttled": (Match(service="sqs"), ServiceError(400, "RequestThrottled")),
    "SQS failing in part": (
        Match(("ChangeMessageVisibilityBatch",), service="sqs"),
        PartialBatchFailure("InternalError"),
    ),
    "SQS slow": (Match(service="sqs"), Hang(2)),
    "SQS answer lost": (Match(service="sqs"), _LOST),
}
_AFTER_KILLS = ("secret refused", "secret failing", "secret slow")

_EXPORTS = r"/(bulk/)?storage/exports/.*"
_MAINTENANCE = Status(503, {"status": 503, "code": 0, "message": "maintenance"})
_UNEXPECTED = Status(500, {"status": 500, "code": 90004, "message": "unexpected"})
# Not to be followed: nothing listens there.
_REDIRECT = redirect("http://127.0.0.1:9/v2/storage/exports/elsewhere")
_ALL = Match(service="api")
_API: dict[str, tuple[Match, Fault]] = {
    "API 500": (_ALL, _UNEXPECTED),
    "API maintenance": (_ALL, _MAINTENANCE),
    "API 502 page": (_ALL, html_page(502)),
    "API page": (_ALL, html_page(200)),
    "API redirect": (_ALL, _REDIRECT),
    "API truncated": (_ALL, Truncated()),
    "API closing": (_ALL, Close()),
    "API rubbish": (_ALL, Raw(b"rubbish\r\n\r\n")),
    "API slow": (_ALL, Hang(3)),
    "API hanging": (_ALL, Hang(30)),
    "API dripping": (_ALL, Drip(0.3)),
    "API empty list": (Match(path=r"/bulk/.*"), Status(200, {"items": []})),
    "API shapeless": (_ALL, Status(200, {"items": "none", "state": 7})),
    "API volumes failing": (Match(path=r"/storage/volumes/.*"), _UNEXPECTED),
    "API files failing": (Match(path=r"/(bulk/)?files/.*"), _UNEXPECTED),
    "API volume unknown": (
        Match(path=r"/storage/volumes/.*"),
        Status(404, {"status": 404, "code": 9007, "message": "Volume not found."}),
    ),
}
# This job always exists: a missing one would look like a denial of the requested job.
OTHER_JOB = "a-job-that-nobody-watches"
_FORGETTING = Status(404, error_body(404, 9008, "Job not found."))
# The grace period of a job that is unknown at first starts then, so the API must not deny it later.
_FORGOTTEN = Match(path=r"/storage/exports/(?!unknown-at-first).*")
# Faults that look permanent: only while no grace period can end.
_REFUSING = ("S3 403", "API volume unknown")

_KILLED_AT = (
    "GetSecretValue",
    "HeadObject",
    "GetObject",
    "PutObject",
    "UpdateItem",
    "TransactWriteItems",
    "PublishBatch",
    "ChangeMessageVisibilityBatch",
    "ReceiveMessage",
    "DeleteMessageBatch",
    "SendMessage",
    "SendMessageBatch",
)
Moment = Literal["before", "after"]


@dataclass(frozen=True)
class Burst:
    """For `seconds`, each matching call fails with probability `chance`; `fault` gets the epoch time."""

    name: str
    at: float
    seconds: float
    chance: float
    match: Match
    fault: Callable[[float], Fault]


@dataclass(frozen=True)
class Kill:
    """Kills a worker at a time, or before or after the first call of an operation from then on."""

    at: float
    operation: str | None = None
    moment: Moment = "before"


@dataclass(frozen=True)
class Event:
    """A change to the stack; undone after `seconds`, if it can be."""

    what: Literal["token rotated", "bulk missing", "clock jump", "delivered twice"]
    at: float
    seconds: float


@dataclass(frozen=True)
class Schedule:
    """All faults. Times are seconds since the campaign began."""

    bursts: Sequence[Burst]
    kills: Sequence[Kill]
    events: Sequence[Event]


def make_schedule(times: Times, export_ids: Sequence[str], random: Random) -> Schedule:
    """A long campaign has every kind of fault at least once, a short one as many as it has time for."""
    density = min(1.0, times.faults / 60)
    kills = _kills(times, density, random)
    return Schedule(
        bursts=[
            *_aws_bursts(times, density, random),
            *_bursts_after(kills, random),
            *_api_bursts(times, export_ids, density, random),
        ],
        kills=kills,
        events=_events(times, density, random),
    )


def _aws_bursts(times: Times, density: float, random: Random) -> list[Burst]:
    names = [name for name in _AWS if name not in _AFTER_KILLS]
    chosen = random.sample(names, round(len(names) * density))
    # SNS is called once per ten events, so a single burst would rarely affect a call.
    chosen += [name for name in names if _AWS[name][0].service == "sns"] * round(3 * density)
    return [_burst(name, _start(name, times, random), random.uniform(1, 3.5), *_AWS[name], random) for name in chosen]


def _bursts_after(kills: Sequence[Kill], random: Random) -> list[Burst]:
    """Faults of the secret, which only a new process reads."""
    after = random.choices([kill.at for kill in kills], k=len(_AFTER_KILLS))
    return [
        replace(_burst(name, at, random.uniform(2, 4), *_AWS[name], random), chance=1)
        for name, at in zip(_AFTER_KILLS, after, strict=True)
    ]


def _api_bursts(times: Times, export_ids: Sequence[str], density: float, random: Random) -> list[Burst]:
    faults = dict(_API)
    for number in range(3):
        faults[f"API other job {number}"] = (Match(path=_EXPORTS), WrongJob(OTHER_JOB))
    for number in range(6):
        left_out = random.choice(export_ids)
        faults[f"API left out {number}"] = (Match(path=r"/bulk/.*", export_id=left_out), OmittedItem(left_out))
    bursts = [
        _burst(name, _start(name, times, random), random.uniform(1, 4), *faults[name], random)
        for name in random.sample(list(faults), round(len(faults) * density))
    ]
    forgets_at = random.uniform(0, times.faults - times.forgetting)
    bursts.append(_burst("API forgetting", forgets_at, times.forgetting, _FORGOTTEN, _FORGETTING, random))
    limited_at = random.uniform(0, times.faults - 4)
    bursts.append(Burst("API 429", limited_at, 3, 0.5, _ALL, lambda now: _rate_limited(now + 3)))
    bursts.append(Burst("API 429", random.uniform(0, times.faults - 4), 1, 0.5, _ALL, _rate_limited))
    return bursts


def _burst(name: str, at: float, seconds: float, match: Match, fault: Fault, random: Random) -> Burst:
    # Numbered faults are counted as one kind.
    return Burst(
        name.rstrip(" 0123456789") if name[-2] == " " else name,
        at,
        seconds,
        random.uniform(0.3, 1),
        match,
        lambda _: fault,
    )


def _rate_limited(reset_at: float) -> Fault:
    headers = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(reset_at))}
    return Status(429, {"status": 429, "code": 1000, "message": "Too many requests."}, headers)


def _start(name: str, times: Times, random: Random) -> float:
    latest = min(times.faults, times.refusals_until if name in _REFUSING else times.faults)
    return random.uniform(0, latest - 4)


def _kills(times: Times, density: float, random: Random) -> list[Kill]:
    at_calls: list[Kill] = []
    for operation in _KILLED_AT:
        at_calls += [Kill(random.uniform(0, times.faults), operation, moment) for moment in ("before", "after")]
    at_random = [Kill(random.uniform(0, times.faults)) for _ in range(round(14 * density))]
    return sorted(random.sample(at_calls, round(len(at_calls) * density)) + at_random, key=lambda kill: kill.at)


def _events(times: Times, density: float, random: Random) -> list[Event]:
    number = max(1, round(3 * density))
    whats = [("token rotated", 1.5), ("bulk missing", 3), ("clock jump", 5), ("delivered twice", 4)]
    return [
        Event(what, random.uniform(0, times.faults - seconds), seconds)  # type: ignore[arg-type] # literals, all four
        for what, seconds in whats
        for _ in range(number)
    ]
