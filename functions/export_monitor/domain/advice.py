"""What to do about a failure, by the API's code if it is a known one, otherwise by the reason.

The codes are from the vendor's table 'API status codes' (docs.cancergenomicscloud.org); causes and steps are this
project's words. After COMPLETED the source may be gone, so that advice never says to start an export again.
`docs/advice.md` shows the same tables; a test compares the two.
"""

from collections.abc import Mapping

from export_monitor.domain.model import State
from export_monitor.domain.verdicts import CheckStatus, Evidence, Failure, Reason, Verification

# The codes that a FAILED job can carry.
BY_CODE: dict[int, str] = {
    0: "The platform was under maintenance. Start the export again when it is back.",
    2000: "The platform's user service was unavailable. Start the export again later.",
    3000: "The platform's project service was unavailable. Start the export again later.",
    3001: "The token's owner has no access to the project. Ask a project admin to add them as a member, then start "
    "the export again.",
    5000: "The platform's file service was unavailable. Start the export again later.",
    5001: "The token's owner has no access to the file. Ask a project admin for access, then start the export again.",
    5002: "The source file no longer exists. Check the project for a file that replaced it, and export that one.",
    9000: "The platform could not reach its storage service. Start the export again later.",
    9001: "The platform is not allowed to read from the storage. Fix the permissions of the volume's IAM user or "
    "role, then start the export again.",
    9002: "The platform is not allowed to write from one storage to the other. Fix the permissions of the volume's "
    "IAM user or role, then start the export again.",
    9003: "The token's owner has no access to the project. Ask a project admin to add them as a member, then start "
    "the export again.",
    9004: "The token's owner has no access to the file. Ask a project admin for access, then start the export again.",
    9006: "The file cannot be exported: it is an alias (already exported), public, imported, archived, or not yet "
    "restored. Check its storage on the platform: an alias is already on a volume, and an archived file must be "
    "restored first.",
    9007: "The volume does not exist. Check its name or attach it again, then start the export again.",
    9009: "The source file no longer exists. Check the project for a file that replaced it, and export that one.",
    9018: "The platform could not derive a file name from the location. Start the export again with a location that "
    "ends in a file name.",
    9020: "The token's owner may not write to the volume. Ask the volume's owner for write permission, then start the "
    "export again.",
    9022: "The requested canned ACL is not one that S3 supports. Start the export again with a valid aws_canned_acl.",
    9023: "The requested encryption is not supported. Start the export again with AES256 or aws:kms as sse_algorithm.",
    9024: "The requested storage class is not supported. Start the export again with a valid aws_storage_class.",
    9026: "The volume is read-only. Make it read-write on the platform, then start the export again.",
    9027: "The file and the volume are on different cloud providers. Start the export again to a volume on the file's "
    "provider.",
    9069: "The volume is inactive. Activate it on the platform, then start the export again.",
    9072: "The location ends with a slash. Start the export again with a location that ends in a file name.",
    9100: "The platform could not reach the storage. Start the export again later.",
    9101: "The volume is read-only. Make it read-write on the platform, then start the export again.",
    9102: "The token's owner has no access to the project. Ask a project admin to add them as a member, then start "
    "the export again.",
    9103: "The platform is not allowed to use this location on the volume. Fix the bucket policy or the volume's IAM "
    "permissions, then start the export again.",
    9104: "The volume does not exist. Check its name or attach it again, then start the export again.",
    9105: "The platform found nothing at this location on the volume. Check the location and the volume's prefix.",
    9106: "The source file no longer exists. Check the project for a file that replaced it, and export that one.",
    9107: "The destination already holds an object. Start the export again with overwrite if that object may be "
    "replaced, or to another location.",
    9108: "A file with that name already exists. Start the export again to another location.",
    9109: "The source file is missing or inaccessible. Check that it is still in the project and not archived.",
    9200: "The volume's bucket does not exist. Create it or correct the volume, then start the export again.",
    9201: "The volume's access key is no longer valid. Give the volume a new one, then start the export again.",
    9202: "The volume's secret key is wrong. Give the volume the right one, then start the export again.",
    9203: "The volume's IAM role cannot be assumed. Fix its trust policy or external id, then start the export again.",
    9204: "The volume's IAM user or role lacks s3:ListBucket on the bucket. Grant it, then start the export again.",
    9205: "The volume's IAM user or role lacks s3:GetObject on the bucket. Grant it, then start the export again.",
    9206: "The volume's IAM user or role lacks s3:PutObject or s3:PutObjectAcl on the bucket. Grant both, then start "
    "the export again.",
    9207: "The volume's IAM user or role lacks s3:GetObjectAcl on the bucket. Grant it, then start the export again.",
    9208: "The volume's IAM user or role lacks s3:GetObject on the platform's own buckets. Grant it as the platform's "
    "documentation of volumes describes, then start the export again.",
    9209: "A read-write volume is not allowed in the bucket's region. Use a bucket in a region that the platform "
    "supports.",
    90004: "The platform had an internal error. Start the export again later.",
    90005: "The platform was unavailable. Start the export again later.",
}

# The codes with which the API denies a job; its state is then unknown.
BY_CODE_OF_JOB: dict[int, str] = {
    9005: "The job belongs to another user. Put the token of the user who started it into the secret, then announce "
    "the export again.",
    9008: "The platform has no job with this id. Check the export id, and that the export was started with the "
    "account whose token is in the secret.",
}

# The codes with which the API denies the volume of a COMPLETED job.
BY_CODE_OF_VOLUME: dict[int, str] = {
    **dict.fromkeys(
        (9007, 9104),
        "The export completed, but the platform no longer knows its volume, so the object was not checked. Delete "
        "nothing. Find the object in the bucket that the volume pointed to. To have it verified, attach the volume "
        "again under its old name, then announce the export again.",
    ),
    9020: "The export completed, but the token's owner has no access to its volume, so the object was not checked. "
    "Delete nothing. Ask the volume's owner to add the token's owner as a member, then announce the export again.",
}

BY_REASON: dict[Reason, str] = {
    Reason.EXPORT_FAILED: "Read the platform's message, fix the cause, and start the export again. The source file is "
    "still on the platform.",
    Reason.EXPORT_NOT_FOUND: "Check the export id, and that the export was started on this platform with the account "
    "whose token is in the secret.",
    Reason.EXPORT_FORBIDDEN: "Put the token of the user who started the export into the secret, then announce the "
    "export again.",
    Reason.VOLUME_UNAVAILABLE: "The export completed, but its volume could not be read, so the object was not "
    "checked. Delete nothing. Give the token's owner access to the volume, then announce the export again.",
    Reason.OBJECT_MISSING: "Delete nothing: the file on the platform may be the only copy. Check that it is still "
    "there. Then check the bucket for versions and delete markers of this key, and the volume's bucket and prefix.",
    Reason.OBJECT_MISMATCH: "Delete nothing. Compare the failed checks with what you requested, and check the "
    "object's versions and the file on the platform. The data may be intact if only a setting differs.",
    Reason.OBJECT_FORBIDDEN: "Delete nothing. Add the bucket to ExportBuckets and its KMS key, if it has one, to "
    "KmsKeyArns, or allow the function's role in the bucket policy. Then announce the export again. A requester-pays "
    "bucket refuses readers from other accounts: turn requester pays off, or deploy the app in the bucket's account.",
    Reason.TIMED_OUT: "Delete nothing. Check the export on the platform. If it is still running, announce it again to "
    "keep watching it; if it completed, check its object.",
}

TIMED_OUT_AFTER_COMPLETION = (
    "The platform reports the export as completed, but the object could not be verified in time. Delete nothing. Fix "
    "the cause that the message names, then announce the export again to have its object verified."
)
SOURCE_LACKS_BYTES = (
    "Delete nothing. The object has the size of the source file, so the source file lacks the same bytes: it was "
    "truncated or damaged before the export, or it is not what its name says (an encrypted dbGaP file does not begin "
    "like a BAM file). Check the file on the platform and the task that wrote it, the object's versions, and any other "
    "failed check."
)
CONTENT_IS_DAMAGED = (
    "Delete nothing. The object has the right size, but a checksum inside it is wrong: its content is damaged from the "
    "byte that the check names on. Check the file on the platform and the object's versions for a sound copy. If the "
    "file on the platform has the same fault, it was damaged before the export."
)

_FAILED = CheckStatus.FAILED
_BY_CODE: Mapping[Reason, Mapping[int, str]] = {
    Reason.EXPORT_FAILED: BY_CODE_OF_JOB | BY_CODE,
    Reason.EXPORT_NOT_FOUND: BY_CODE_OF_JOB,
    Reason.EXPORT_FORBIDDEN: BY_CODE_OF_JOB,
    Reason.VOLUME_UNAVAILABLE: BY_CODE_OF_VOLUME,
}


def advice(failure: Failure, evidence: Evidence) -> str:
    """The cause of a failure and the next step, in a few sentences."""
    by_code = advice_by_code(failure.reason, failure.code)
    if by_code:
        return by_code
    completed = evidence.job is not None and evidence.job.state == State.COMPLETED
    if failure.reason is Reason.TIMED_OUT and completed:
        return TIMED_OUT_AFTER_COMPLETION
    if failure.reason is Reason.OBJECT_MISMATCH and _source_lacks_bytes(evidence.verification):
        return SOURCE_LACKS_BYTES
    if failure.reason is Reason.OBJECT_MISMATCH and _statuses(evidence.verification).get("content") == _FAILED:
        return CONTENT_IS_DAMAGED
    return BY_REASON[failure.reason]


def advice_by_code(reason: Reason, code: int | None) -> str | None:
    """The advice for a code, which also depends on the reason; None if there is none for it."""
    return None if code is None else _BY_CODE.get(reason, {}).get(code)


def _source_lacks_bytes(verification: Verification | None) -> bool:
    statuses = _statuses(verification)
    return (statuses.get("size"), statuses.get("integrity")) == (CheckStatus.PASSED, _FAILED)


def _statuses(verification: Verification | None) -> dict[str, CheckStatus]:
    return {check.name: check.status for check in verification.checks} if verification else {}
