"""The S3 keys under which an exported object may be.

The vendor documents that a volume's prefix comes before the location, but not what separates the two
(docs.cancergenomicscloud.org, 'Start an export job' and 'Volumes'), so there are several candidates.
"""

import re

from export_monitor.domain.model import Volume

_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.@+-]{1,128}"
_VOLUME_NAME = re.compile(rf"{_SEGMENT}/{_SEGMENT}")
_AMAZON = re.compile(r"(?:https?://)?(?:[a-z0-9-]+\.)*amazonaws\.(?:com|com\.cn|eu)(?::\d+)?(?:/.*)?", re.IGNORECASE)
_MAX_KEY_BYTES = 1024


def is_volume_name(name: str) -> bool:
    """Whether `owner/name` is safe in a URL path: two segments of letters, digits and `_.@+-`, neither `.` nor `..`."""
    return _VOLUME_NAME.fullmatch(name) is not None


def is_on_amazon_s3(volume: Volume) -> bool:
    """Whether the volume's objects are on Amazon S3: its type is S3, and its endpoint, if any, is Amazon's."""
    return volume.type.lower() == "s3" and (not volume.endpoint or _AMAZON.fullmatch(volume.endpoint) is not None)


def candidate_keys(prefix: str, location: str) -> tuple[str, ...]:
    """The keys that an object may have, without duplicates, the likeliest first; empty if there is no location.

    Keys that S3 does not allow are left out: a request for one would be an error.
    """
    if not location:
        return ()
    joined = f"{prefix.rstrip('/')}/{location.lstrip('/')}".lstrip("/")
    keys = [joined, prefix + location]
    if location.startswith("/"):
        keys.append(location)
    return tuple(filter(_can_be_a_key, dict.fromkeys(keys)))


def _can_be_a_key(key: str) -> bool:
    """Whether S3 allows this key: 1 to 1,024 bytes of UTF-8. A location of only slashes gives an empty key."""
    try:
        return 0 < len(key.encode()) <= _MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False
