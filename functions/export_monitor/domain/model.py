"""The values that the app reads: start events, and the answers of the API and of S3, in their terms.

Times (`…_at`) are seconds since the epoch in UTC; durations are in seconds; sizes are in bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

# No name, id or key of the platform or of S3 is longer. All of them in one event must fit into SNS's size limit, even
# with the characters that take the most bytes when their JSON is escaped twice.
MAX_TEXT_CHARACTERS = 1024

JsonObject: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as the mapping hands it over. `attributes` are message attributes in Lambda's spelling."""

    message_id: str
    receipt_handle: str
    body: str
    sent_at: float
    receive_count: int
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def age(self, now: float) -> float:
        """Seconds since the message was sent; never negative, even where clocks disagree."""
        return max(0.0, now - self.sent_at)


class UnavailableError(Exception):
    """A service failed. The call can be repeated later."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of exports: `size` different exports share the `id`."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class StartEvent:
    """A parsed start event. `republish` asks for the event again even if it was published before."""

    export_id: str
    context: JsonObject = field(default_factory=dict)
    group: Group | None = None
    republish: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """One export being watched: its message, and what the message announces.

    It begins when the start event is sent and ends with one final event. `origin` is `announced` or `discovered`.
    """

    start: StartEvent
    message: QueueMessage
    origin: str = "announced"

    @property
    def export_id(self) -> str:
        """The export that is watched."""
        return self.start.export_id

    @property
    def receive_count(self) -> int:
        """How often SQS has handed the message over."""
        return self.message.receive_count

    def age(self, now: float) -> float:
        """Seconds since the start event was sent."""
        return self.message.age(now)


class State(StrEnum):
    """The four documented states of an export job."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file that is exported. `size` is None if the API gave no whole number."""

    id: str
    name: str | None
    project: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export job. `body` is the API's whole answer; the other fields are parsed from it, None if they cannot be.

    `result` is the file object in newer answers about completed jobs.
    """

    id: str
    state: str
    body: JsonObject
    file_id: str | None = None
    volume: str | None = None
    location: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    properties: JsonObject = field(default_factory=dict)
    error: JsonObject = field(default_factory=dict)
    result: SourceFile | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of the list of jobs. `total` is the list's length, None if the API does not say.

    `length` counts all items of the page, including those that cannot be parsed.
    """

    jobs: tuple[ExportJob, ...]
    length: int
    has_next: bool
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """Where a volume stores its objects. `endpoint` is None if it uses the service's default."""

    name: str
    type: str
    bucket: str
    prefix: str
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of an object that was not read, and why: access was denied, or it was not needed."""

    reason: str


@dataclass(frozen=True, slots=True)
class HeadAndTail:
    """The first and the last bytes of an object; they overlap if it is small."""

    first: bytes
    last: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission that an ACL grants to a canonical user id, or to a group by its URI."""

    grantee: str
    permission: str


@dataclass(frozen=True, slots=True)
class ObjectAcl:
    """An object's ACL. `bucket_owner` is None if it was not needed."""

    owner: str
    grants: frozenset[Grant]
    bucket_owner: str | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's metadata from HeadObject, its first and last bytes, and its ACL.

    `storage_class` is STANDARD if S3 omits the header. `checksums` are in base64, by algorithm, as S3 stores them, and
    `checksum_type` is FULL_OBJECT or COMPOSITE. `region` is the bucket's. Both are None if S3 does not say.
    """

    bucket: str
    key: str
    size: int
    etag: str
    last_modified_at: float
    version_id: str | None = None
    storage_class: str = "STANDARD"
    encryption: str | None = None
    kms_key_id: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: str | None = None
    readable: bool = True
    region: str | None = None
    head_and_tail: HeadAndTail | Unread = Unread("its bytes were not read")
    acl: ObjectAcl | Unread = Unread("its ACL was not read")


class Denial(StrEnum):
    """The two ways in which the API denies a resource to the token's owner."""

    NOT_FOUND = "unknown"
    FORBIDDEN = "not shown"


@dataclass(frozen=True, slots=True)
class Denied:
    """The API's answer that a resource does not exist (404) or is forbidden for this token (403).

    `status` is the HTTP status; `code`, `message` and `more_info` come from the error in the body.
    """

    denial: Denial
    message: str
    code: int | None = None
    status: int | None = None
    more_info: str | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A request failed or was not sent, so nothing is known about the export now.

    `retry_after_seconds` is how long to send no request, if known. `not_attempted` means that no request was sent, so
    the watch must not end because of its age.
    """

    message: str
    retry_after_seconds: float | None = None
    not_attempted: bool = False


@dataclass(frozen=True, slots=True)
class ObjectNotFound:
    """No object exists at any of the keys that the job's location can mean."""

    bucket: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectForbidden:
    """S3 denies access to the object, or the bucket is not one of ExportBuckets."""

    bucket: str
    message: str


JobAnswer: TypeAlias = ExportJob | Denied | Unavailable
VolumeAnswer: TypeAlias = Volume | Denied | Unavailable
FileAnswer: TypeAlias = SourceFile | Denied | Unavailable
ObjectAnswer: TypeAlias = StoredObject | ObjectNotFound | ObjectForbidden | Unavailable
