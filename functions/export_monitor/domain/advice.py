"""What to do about a failure: by the API's code where it is a known one, else by the reason.

The codes are from the vendor's table 'API status codes' (docs.cancergenomicscloud.org); causes and steps are this
project's words. After COMPLETED the source may be gone, so no advice that is given then says to start an export again.
`docs/advice.md` shows the same tables, and a test holds them together.
"""

from collections.abc import Mapping

from export_monitor.domain.model import State
from export_monitor.domain.verdicts import CheckStatus, Evidence, Failure, Reason, Verification

# Those that a FAILED job can carry.
BY_CODE: dict[int, str] = {
    0: "The platform was under maintenance. Start the export again when it is back.",
    2000: "The platform's user service was down. Start the export again in a while.",
    3000: "The platform's project service was down. Start the export again in a while.",
    3001: "The token's owner has no right on the project. Ask its admin for membership, then start the export again.",
    5000: "The platform's file service was down. Start the export again in a while.",
    5001: "The token's owner has no right on the file. Ask the project's admin for it, then start the export again.",
    5002: "The source file does not exist any more. Look for it in the project, and export what took its place.",
    9000: "The platform could not talk to its storage service. Start the export again in a while.",
    9001: "The platform may not read from the storage. Correct the rights of the volume's IAM user or role, then start the "
    "export again.",
    9002: "The platform may not write across the two storages. Correct the rights of the volume's IAM user or role, then "
    "start the export again.",
    9003: "The token's owner has no right on the project. Ask its admin for membership, then start the export again.",
    9004: "The token's owner has no right on the file. Ask the project's admin for it, then start the export again.",
    9006: "The file cannot be exported: it is an alias (exported before), a public or imported file, archived, or not yet "
    "restored. See its storage on the platform: an alias is on a volume already, an archived file must be restored first.",
    9007: "The volume does not exist. Check its name, or attach it again, then start the export again.",
    9009: "The source file does not exist any more. Look for it in the project, and export what took its place.",
    9018: "No file name could be told from the location. Start the export again with a location that ends in one.",
    9020: "The token's owner has no right on the volume. Ask its owner for the write permission, then start the export "
    "again.",
    9022: "The canned ACL asked for is none that S3 knows. Start the export again with a valid aws_canned_acl.",
    9023: "The encryption asked for is not known. Start the export again with AES256 or aws:kms as sse_algorithm.",
    9024: "The storage class asked for is not known. Start the export again with a valid aws_storage_class.",
    9026: "The volume is read-only. Make it read-write on the platform, then start the export again.",
    9027: "File and volume are with different cloud providers. Start the export again to a volume on the file's provider.",
    9069: "The volume is inactive. Activate it on the platform, then start the export again.",
    9072: "The location ends with a slash. Start the export again with a location that ends in a file name.",
    9100: "The platform could not talk to the storage. Start the export again in a while.",
    9101: "The volume is read-only. Make it read-write on the platform, then start the export again.",
    9102: "The token's owner has no right on the project. Ask its admin for membership, then start the export again.",
    9103: "The platform may not use the location on the volume. Correct the bucket policy or the volume's IAM rights, then "
    "start the export again.",
    9104: "The volume does not exist. Check its name, or attach it again, then start the export again.",
    9105: "The platform found nothing at the location on the volume. Check the location and the volume's prefix.",
    9106: "The source file does not exist any more. Look for it in the project, and export what took its place.",
    9107: "An object is at the destination already. Start the export again with overwrite, if that object may go, or to "
    "another location.",
    9108: "A file of that name exists already. Start the export again to another location.",
    9109: "The source file is missing or out of reach. Check that it is still in the project and not archived.",
    9200: "The volume's bucket does not exist. Create it, or correct the volume, then start the export again.",
    9201: "The volume's access key is not valid any more. Give the volume a new one, then start the export again.",
    9202: "The volume's secret key is wrong. Give the volume the right one, then start the export again.",
    9203: "The volume's IAM role cannot be assumed. Correct its trust policy or external id, then start the export again.",
    9204: "The volume's IAM user or role lacks s3:ListBucket on the bucket. Grant it, then start the export again.",
    9205: "The volume's IAM user or role lacks s3:GetObject on the bucket. Grant it, then start the export again.",
    9206: "The volume's IAM user or role lacks s3:PutObject or s3:PutObjectAcl on the bucket. Grant them, then start the "
    "export again.",
    9207: "The volume's IAM user or role lacks s3:GetObjectAcl on the bucket. Grant it, then start the export again.",
    9208: "The volume's IAM user or role lacks s3:GetObject on the platform's own buckets. Grant it as the platform's page "
    "on volumes says, then start the export again.",
    9209: "A read-write volume is not allowed in the bucket's region. Use a bucket in a region that the platform takes.",
    90004: "The platform met an error of its own. Start the export again in a while.",
    90005: "The platform was not available. Start the export again in a while.",
}

# Those with which the API denies a job, whose state is then unknown.
BY_CODE_OF_JOB: dict[int, str] = {
    9005: "The job belongs to another user. Put the token of the user who started it into the secret, then announce the "
    "export again.",
    9008: "The platform has no such job. Check the export id, and whether it was started with this token's account.",
}

# Those with which the API denies the volume of a COMPLETED job.
BY_CODE_OF_VOLUME: dict[int, str] = {
    **dict.fromkeys(
        (9007, 9104),
        "The export is completed, but the platform does not know its volume any more, so its object was not inspected. "
        "Find the object in the bucket that the volume pointed to. To have it verified, attach the volume under its old "
        "name and announce the export again. Delete nothing before.",
    ),
    9020: "The export is completed, but the token's owner has no right on its volume, so its object was not inspected. "
    "Ask the volume's owner to make the token's owner a member of it, then announce the export again. Delete nothing "
    "before.",
}

BY_REASON: dict[Reason, str] = {
    Reason.EXPORT_FAILED: "Read the platform's message, correct what it names, and start the export again. The source file "
    "is still on the platform.",
    Reason.EXPORT_NOT_FOUND: "Check the export id, and that the export was started on this platform with the account "
    "whose token is in the secret.",
    Reason.EXPORT_FORBIDDEN: "Put the token of the user who started the export into the secret, then announce the export "
    "again.",
    Reason.VOLUME_UNAVAILABLE: "The export is completed, but its volume could not be read, so its object was not "
    "inspected. Give the token's owner access to the volume, then announce the export again. Delete nothing before.",
    Reason.OBJECT_MISSING: "Delete nothing. Look at the bucket's versions and delete markers under this key, at the "
    "volume's bucket and prefix, and at the file on the platform, which may be the only copy, before anything else.",
    Reason.OBJECT_MISMATCH: "Delete nothing. Compare the failed checks with what you asked for, look at the object's "
    "versions and at the file on the platform; the data may be whole while a setting is not.",
    Reason.OBJECT_FORBIDDEN: "Add the bucket to ExportBuckets, and its key to KmsKeyArns where it has one, or let the "
    "function's role in by the bucket's policy, then announce the export again. A requester-pays bucket refuses readers "
    "from other accounts: turn that off, or deploy the app in the bucket's account. Delete nothing before.",
    Reason.TIMED_OUT: "See on the platform what became of the export. If it still runs, announce the export again to go "
    "on watching; if it completed, look at its object first. Delete nothing before.",
}

TIMED_OUT_AFTER_COMPLETION = (
    "The platform calls the export completed, but it could not be verified in time. Delete nothing; remove the obstacle "
    "that the message names, then announce the export again to have its object checked."
)
SOURCE_LACKS_BYTES = (
    "Delete nothing. The object is as long as the source file, so the source file lacks the same bytes: it was cut off or "
    "damaged before the export, or it is not what its name says (an encrypted dbGaP file does not begin as a BAM). Check "
    "the file on the platform and the task that wrote it, the object's versions, and any other failed check."
)

_BY_CODE: Mapping[Reason, Mapping[int, str]] = {
    Reason.EXPORT_FAILED: BY_CODE_OF_JOB | BY_CODE,
    Reason.EXPORT_NOT_FOUND: BY_CODE_OF_JOB,
    Reason.EXPORT_FORBIDDEN: BY_CODE_OF_JOB,
    Reason.VOLUME_UNAVAILABLE: BY_CODE_OF_VOLUME,
}


def advice(failure: Failure, evidence: Evidence) -> str:
    """Cause and next step of a failure, in a sentence or two."""
    by_code = advice_by_code(failure.reason, failure.code)
    if by_code:
        return by_code
    completed = evidence.job is not None and evidence.job.state == State.COMPLETED
    if failure.reason is Reason.TIMED_OUT and completed:
        return TIMED_OUT_AFTER_COMPLETION
    if failure.reason is Reason.OBJECT_MISMATCH and _source_lacks_bytes(evidence.verification):
        return SOURCE_LACKS_BYTES
    return BY_REASON[failure.reason]


def advice_by_code(reason: Reason, code: int | None) -> str | None:
    """The advice that a code has of its own, which depends on what the API gave it for."""
    return None if code is None else _BY_CODE.get(reason, {}).get(code)


def _source_lacks_bytes(verification: Verification | None) -> bool:
    statuses = {check.name: check.status for check in verification.checks} if verification else {}
    return (statuses.get("size"), statuses.get("integrity")) == (CheckStatus.PASSED, CheckStatus.FAILED)
