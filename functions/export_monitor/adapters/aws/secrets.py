"""The API token from Secrets Manager: cached after the first read, read again when the API rejects it."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_secretsmanager import SecretsManagerClient


class TokenUnavailableError(Exception):
    """The secret cannot be read or contains no token. The text never quotes the secret."""


class ApiToken:
    """The token in one secret, whose string is the token itself or a JSON object with the key `auth_token`."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], SecretsManagerClient]", secret_arn: str) -> None:
        self._calls = calls
        self._client = client
        self._secret_arn = secret_arn
        self._token: str | None = None

    def get(self) -> str:
        """The cached token, or the one in the secret. Raises TokenUnavailableError."""
        return self._token or self.refresh()

    def refresh(self) -> str:
        """Read the token from the secret. Raises TokenUnavailableError."""
        self._token = None
        try:
            secret = self._calls.call(lambda: self._client().get_secret_value(SecretId=self._secret_arn))
        except AWS_ERRORS as error:
            cause = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise TokenUnavailableError(f"the secret cannot be read: {cause}") from None
        self._token = _token_in(secret.get("SecretString"))
        return self._token


def _token_in(secret: str | None) -> str:
    if secret is None:
        raise TokenUnavailableError("the secret is binary")
    text = secret.strip()
    if text.startswith("{"):
        try:
            token = json.loads(text).get("auth_token")
        except (ValueError, RecursionError):
            raise TokenUnavailableError("the secret is neither a token nor JSON") from None
        text = token.strip() if isinstance(token, str) else ""
    # Anything but printable ASCII, a line break above all, must never reach an HTTP header.
    if not text or not all("!" <= character <= "~" for character in text):
        raise TokenUnavailableError("the secret contains no token")
    return text
