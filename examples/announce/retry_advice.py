"""Which failed exports may be started again, by the reason and code of their failure.

The codes are those of the platform's table 'API status codes'; the same knowledge as the advice in the events, see
docs/advice.md.
"""

from dataclasses import dataclass

# The platform or its storage was unavailable.
TRANSIENT = frozenset({0, 2000, 3000, 5000, 9000, 9100, 90004, 90005})
# Somebody has to fix permissions, the volume or its bucket, or restore the file first.
NEEDS_FIX = frozenset(
    {3001, 5001, 9001, 9002, 9003, 9004, 9007, 9020, 9026, 9069, 9101, 9102, 9103, 9104, 9105, 9109}
    | set(range(9200, 9210))
)
DESTINATION_EXISTS = 9107
NAME_EXISTS = 9108
# The same export would fail again.
NEVER = {
    5002: "its source file no longer exists; export the file that replaced it",
    9006: "the platform will not export this file: it is an alias, public, imported or archived",
    9009: "its source file no longer exists; export the file that replaced it",
    9018: "its location has no file name; export it to another location",
    9022: "it needs another aws_canned_acl",
    9023: "it needs another sse_algorithm",
    9024: "it needs another aws_storage_class",
    9027: "it needs a volume on the file's cloud provider",
    9072: "its location ends with a slash; export it to another location",
    9106: "its source file no longer exists; export the file that replaced it",
}
_MAY_STILL_RUN = "it may still run; check it on the platform"
_COMPLETED = "its job was COMPLETED, so the source may be gone; delete nothing, and see the advice in the report"
NOT_FAILED_ON_PLATFORM = {
    "TIMED_OUT": _MAY_STILL_RUN,
    "EXPORT_NOT_FOUND": f"the platform did not show it to the stack: {_MAY_STILL_RUN}",
    "EXPORT_FORBIDDEN": f"the platform did not show it to the stack: {_MAY_STILL_RUN}",
    "VOLUME_UNAVAILABLE": _COMPLETED,
    "OBJECT_MISSING": _COMPLETED,
    "OBJECT_MISMATCH": _COMPLETED,
    "OBJECT_FORBIDDEN": _COMPLETED,
}


@dataclass(frozen=True)
class Allowed:
    """What the user allows: to overwrite, to export to another place, or to repeat what somebody has fixed."""

    overwrite: bool = False
    elsewhere: bool = False
    fixed: bool = False


def why_not(reason: str, code: int | None, allowed: Allowed) -> str | None:
    """Why a failed export is not started again; None if it is."""
    if reason != "EXPORT_FAILED":
        return NOT_FAILED_ON_PLATFORM.get(reason, "its reason is not known here")
    if code in NEVER:
        return NEVER[code]
    if code in TRANSIENT:
        return None
    if code == DESTINATION_EXISTS:
        may = allowed.overwrite or allowed.elsewhere
        return None if may else "its destination already holds an object; add --overwrite, or --to another place"
    if code == NAME_EXISTS:
        return None if allowed.elsewhere else "a file with that name already exists; add --to another place"
    return None if allowed.fixed else "its cause must be fixed first, see the report's advice; then add --fixed"
