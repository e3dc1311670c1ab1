"""Find what cannot be exported before anything is started.

The platform's documentation says what it refuses (https://docs.cancergenomicscloud.org/docs/start-an-export-job-v2):
public files, aliases, and a volume that is not read-write. It does not say how the API shows an archived file. This
takes every file that is not stored by the platform as one that cannot be exported; an archived file that looks like
any other is refused when its export is started, with code 9006.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from export_sources import details
from journal import Export
from sevenbridges.errors import SbgError
from sevenbridges.models.compound.error import Error

PUBLIC_OWNER = "admin"  # of the projects with the platform's public files


def taken_twice(exports: Iterable[Export]) -> list[str]:
    """A line for each destination that more than one export has."""
    counts = Counter(one["location"].lstrip("/") for one in exports)
    return [f"{location}: {count} files have this destination" for location, count in counts.items() if count > 1]


def problems_of_files(api: Any, exports: Sequence[Export]) -> Iterator[str]:
    """A line for each file that the platform will not export."""
    found = dict(details(api, list(dict.fromkeys(one["file"] for one in exports))))
    for one in exports:
        if problem := _problem(found[one["file"]]):
            yield f"{one['location']}: {problem}"


def problems_of_volume(api: Any, name: str, buckets: Collection[str] | None) -> Iterator[str]:
    """A line for each reason why nothing can be exported to the volume, or why the stack cannot verify it.

    `buckets` are the stack's ExportBuckets; None if they are not known.
    """
    try:
        volume = api.volumes.get(name)
    except SbgError as error:
        yield f"{name}: {error} (code {error.code})"
        return
    if volume.access_mode != "RW":
        yield f"{name}: the volume is read-only; make it read-write on the platform"
    if volume.active is False:
        yield f"{name}: the volume is inactive; activate it on the platform"
    bucket, is_s3 = volume.service["bucket"], str(volume.service["type"]).lower() == "s3"
    if is_s3 and buckets is not None and bucket not in buckets:
        yield f"{name}: its bucket {bucket} is not in the stack's ExportBuckets, so its objects cannot be verified"


def _problem(file: Any) -> str | None:
    """Why the platform will not export this; None if nothing is known against it."""
    if isinstance(file, Error):
        return f"{file.message} (code {file.code})"
    storage = file.field("storage") or {}
    if file.is_folder():
        return "a folder cannot be exported, only its files"
    if storage.get("type") == "VOLUME":
        return f"already an alias of {storage.get('location')} on the volume {storage.get('volume')}"
    if storage.get("type") != "PLATFORM":
        return f"its storage is {storage.get('type')}; an archived file must be restored first"
    if (file.field("origin") or {}).get("dataset") or str(file.project).startswith(f"{PUBLIC_OWNER}/"):
        return "a public file cannot be exported"
    return None
