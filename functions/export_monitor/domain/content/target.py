"""The version of an object whose content is verified, and the messages that ask for it."""

import hashlib
import json
from dataclasses import asdict, dataclass

from export_monitor.domain.content.plan import Part
from export_monitor.domain.model import StoredObject


class InvalidContentMessageError(ValueError):
    """A message of the content queue that does not say what to verify."""


@dataclass(frozen=True, slots=True)
class ContentTarget:
    """One version of an object. Without a `version_id`, its `etag` (without quotes) identifies it."""

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None = None

    @classmethod
    def of(cls, found: StoredObject) -> "ContentTarget":
        """The version that was inspected."""
        return cls(found.bucket, found.key, found.size, found.etag, found.version_id)

    @property
    def id(self) -> str:
        """The key of this version's item: the SHA-256 of what identifies it, in hexadecimal digits."""
        version = ["version", self.version_id] if self.version_id else ["etag", self.etag]
        return hashlib.sha256(json.dumps([self.bucket, self.key, self.size, *version]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ContentMessage:
    """Asks for a version to be verified: to plan it, or to read one part of its plan."""

    target: ContentTarget
    part: Part | None = None

    def to_body(self) -> str:
        """The body of the SQS message, as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


def parse_content_message(body: str) -> ContentMessage:
    """What a message asks for. Raises InvalidContentMessageError, which names the field and the rule."""
    try:
        content = json.loads(body)
    except ValueError:
        raise InvalidContentMessageError("the body is not JSON") from None
    try:
        target, part = content["target"], content["part"]
        message = ContentMessage(ContentTarget(**target), Part(**part) if part else None)
    except (KeyError, TypeError) as error:
        raise InvalidContentMessageError(f"the body is not a content message: {error}") from None
    texts = (message.target.bucket, message.target.key, message.target.etag)
    numbers = (
        message.target.size,
        *((message.part.number, message.part.start, message.part.stop) if message.part else ()),
    )
    if not all(isinstance(text, str) and text for text in texts):
        raise InvalidContentMessageError("target: bucket, key and etag must be text")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise InvalidContentMessageError("size, number, start and stop must be whole numbers")
    return message
