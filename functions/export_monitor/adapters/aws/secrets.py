"""The API token, from Secrets Manager: kept once read, read afresh when the API refuses it."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_secretsmanager import SecretsManagerClient


class TokenUnavailableError(Exception):
    """There is no token: the secret cannot be read, or holds none. The text never shows what it holds."""


class ApiToken:
    """The token in one secret, whose string is the token itself or a JSON object with the key `auth_token`."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], SecretsManagerClient]", secret_arn: str) -> None:
        self._calls = calls
        self._client = client
        self._secret_arn = secret_arn
        self._token: str | None = None

    def get(self) -> str:
        """The token as it was last read. Raises TokenUnavailableError."""
        return self._token or self.refresh()

    def refresh(self) -> str:
        """The token as the secret holds it now. Raises TokenUnavailableError."""
        self._token = None
        try:
            secret = self._calls.call(lambda: self._client().get_secret_value(SecretId=self._secret_arn))
        except AWS_ERRORS as error:
            why = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise TokenUnavailableError(f"the secret cannot be read: {why}") from None
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
    # What is not plain text, a line break above all, must never reach a header.
    if not text or not all("!" <= character <= "~" for character in text):
        raise TokenUnavailableError("the secret holds no token")
    return text
