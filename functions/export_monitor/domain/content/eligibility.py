"""Which completed objects have their whole content verified."""

from dataclasses import dataclass

from export_monitor.domain.content.formats import Unverifiable, recognise
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.model import HeadAndTail, StoredObject

OFF = Unverifiable("content checks are off (ContentCheckMaxGiB is 0)")
OTHERS_FIRST = Unverifiable("the content is verified only after all other checks have passed")
UNFINISHED = Unverifiable("the content check did not finish before the final deadline of the watch")

# S3 charges for each GB that is read from these.
_CLASSES_WITH_FEES = ("STANDARD_IA", "ONEZONE_IA", "GLACIER_IR")
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """The largest object that is verified, and the stack's region, where data is read without a charge."""

    max_bytes: float
    region: str | None = None

    def target(self, found: StoredObject) -> ContentTarget | Unverifiable:
        """The version to verify, or the reason why its content is not verified."""
        reason = self._reason_to_skip(found)
        if reason:
            return Unverifiable(reason)
        # Where the first bytes are known, no worker has to read them to find out that there is nothing to verify.
        known = found.head_and_tail
        content_format = recognise(known.first, found.key) if isinstance(known, HeadAndTail) else None
        return content_format if isinstance(content_format, Unverifiable) else ContentTarget.of(found)

    def _reason_to_skip(self, found: StoredObject) -> str | None:
        if found.size > self.max_bytes:
            return f"the object is larger than ContentCheckMaxGiB ({self.max_bytes / GIB:g} GiB)"
        if not found.readable:
            return "the object is archived and must be restored first"
        if found.storage_class in _CLASSES_WITH_FEES:
            return f"reading from the storage class {found.storage_class} costs a retrieval fee"
        if self.region and found.region and found.region != self.region:
            return f"the bucket is in {found.region}, and reading it from {self.region} costs data transfer"
        return None
