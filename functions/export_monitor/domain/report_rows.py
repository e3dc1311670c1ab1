"""The rows of a group's report: how each of its exports ended, one row for each. Times are RFC 3339, sizes in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from export_monitor.domain.model import JsonObject


@dataclass(frozen=True, slots=True)
class ReportRow:
    """How one export of a group ended; None for what was not found out.

    `outcome` is `completed` or `failed`. `reason`, `message` and `advice` are those of the failure, and `code` the
    API's. `size_bytes` is the object's size, or the source file's where no object was seen. `checksums` are in base64,
    by algorithm, as S3 keeps them. `verification` is `passed`, `failed` or `skipped`.
    """

    export_id: str
    outcome: str
    concluded_at: str
    reason: str | None = None
    code: int | None = None
    message: str | None = None
    advice: str | None = None
    file_id: str | None = None
    file_name: str | None = None
    project: str | None = None
    size_bytes: int | None = None
    volume: str | None = None
    location: str | None = None
    s3_uri: str | None = None
    version_id: str | None = None
    etag: str | None = None
    checksum_type: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    encryption: str | None = None
    storage_class: str | None = None
    verification: str | None = None
    failed_checks: tuple[str, ...] = ()
    started_on: str | None = None
    finished_on: str | None = None
    context: JsonObject = field(default_factory=dict)
