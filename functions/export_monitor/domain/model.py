"""What was announced and what was read, in the words of the API and of S3.

Times (`…_at`) are seconds since the epoch in UTC; durations are in seconds; sizes are in bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

# No name, id or key of the platform's or of S3's is longer; what is, is a lie. All that an event may hold of them, in
# the characters that take most bytes when their JSON is escaped twice, must fit into SNS's size limit.
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
        """Seconds since the message was sent; clocks that disagree make none younger than that."""
        return max(0.0, now - self.sent_at)


class UnavailableError(Exception):
    """A service did not do its part; what was asked of it may be asked again."""


@dataclass(frozen=True, slots=True)
class Group:
    """Exports that belong together: `size` different exports share the `id`."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class StartEvent:
    """The announcement of an export, understood."""

    export_id: str
    context: JsonObject = field(default_factory=dict)
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """One message of the queue: it begins when the start event is sent and ends with one event.

    `origin` says whether the export was announced or discovered.
    """

    start: StartEvent
    message_id: str
    sent_at: float
    receive_count: int
    origin: str = "announced"

    def age(self, now: float) -> float:
        """Seconds since the start event was sent; clocks that disagree make no watch younger than that."""
        return max(0.0, now - self.sent_at)


class State(StrEnum):
    """The four documented states of an export job."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file that is exported. `size` is None where the API gave no whole number of bytes."""

    id: str
    name: str | None
    project: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export job as the API gave it: `body` whole, the other fields read from it where they can be.

    `result` is the file object that newer answers of completed jobs carry.
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
    """One page of the list of jobs; `total` is None where the API does not say how many there are in all.

    `length` counts all items of the page, also those that are no jobs.
    """

    jobs: tuple[ExportJob, ...]
    length: int
    has_next: bool
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """Where a volume keeps its objects. `endpoint` is None where the volume names none, which means Amazon's."""

    name: str
    type: str
    bucket: str
    prefix: str
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """Something of an object that was not read, and why: a refusal, or no need."""

    reason: str


@dataclass(frozen=True, slots=True)
class HeadAndTail:
    """The first and the last bytes of an object; they overlap where it is small."""

    first: bytes
    last: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """A right that an ACL gives: to a canonical user id, or to a group by its URI."""

    grantee: str
    permission: str


@dataclass(frozen=True, slots=True)
class ObjectAcl:
    """An object's ACL. `bucket_owner` is None where it was not asked for."""

    owner: str
    grants: frozenset[Grant]
    bucket_owner: str | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What S3 said of an object: its head, and what else was asked for.

    `storage_class` is STANDARD where S3 left the header out. `checksums` are base64 by algorithm, as S3 keeps them.
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
    readable: bool = True
    head_and_tail: HeadAndTail | Unread = Unread("its bytes were not read")
    acl: ObjectAcl | Unread = Unread("its ACL was not read")


class Denial(StrEnum):
    """The two ways in which the API withholds a thing from the token's owner."""

    NOT_FOUND = "unknown"
    FORBIDDEN = "not shown"


@dataclass(frozen=True, slots=True)
class Denied:
    """The API's own answer that there is no such thing (404) or that it is not for this token (403).

    `status` is that of the HTTP response; `code` and `more_info` are those of its error.
    """

    denial: Denial
    message: str
    code: int | None = None
    status: int | None = None
    more_info: str | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why something could not be asked or was not answered: it says nothing about the export.

    `wait_seconds` is how long to ask nothing, where that is known. `unasked` means that no question was sent, so
    that nothing may be concluded from the age of the watch.
    """

    message: str
    retry_after_seconds: float | None = None
    not_attempted: bool = False


@dataclass(frozen=True, slots=True)
class ObjectNotFound:
    """None of the keys that the object could have exists."""

    bucket: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectForbidden:
    """S3 does not let the function look, or the bucket is none that it may ask."""

    bucket: str
    message: str


JobAnswer: TypeAlias = ExportJob | Denied | Unavailable
VolumeAnswer: TypeAlias = Volume | Denied | Unavailable
FileAnswer: TypeAlias = SourceFile | Denied | Unavailable
ObjectAnswer: TypeAlias = StoredObject | ObjectNotFound | ObjectForbidden | Unavailable
