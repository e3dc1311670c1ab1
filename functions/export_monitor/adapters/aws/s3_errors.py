"""What S3's errors mean."""

from botocore.exceptions import ClientError

# Prefix of the error codes of KMS. S3 passes them on with 400 (the key is disabled or pending deletion) or 403.
_KMS = "KMS."


def http_status(error: ClientError) -> int:
    """The HTTP status of the response."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def kms_code(error: ClientError) -> str | None:
    """The error code, if it is one of KMS."""
    code = error.response["Error"].get("Code", "")
    return code if code.startswith(_KMS) else None
