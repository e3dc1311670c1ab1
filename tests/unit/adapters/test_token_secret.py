"""The API token, as Secrets Manager holds it."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from export_monitor.adapters.aws.secrets import ApiToken, TokenUnavailableError
from tests.fakes import SYNCHRONOUS, stubbed

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:cgc-AbCdEf"
ASKED = {"SecretId": ARN}
ANSWER = {"ARN": ARN, "Name": "cgc"}


def token_in(secret: dict[str, Any]) -> str:
    with stubbed("secretsmanager") as (client, stub):
        stub.add_response("get_secret_value", ANSWER | secret, ASKED)
        return ApiToken(SYNCHRONOUS, lambda: client, ARN).get()


@pytest.mark.parametrize(
    "secret",
    [
        "t0ken",
        "  t0ken\r\n",
        '{"auth_token": "t0ken"}',
        '\n{"api": "https://…", "auth_token": " t0ken\\n"}\n',
    ],
)
def test_token_is_the_string_or_the_auth_token_of_a_json_object(secret: str) -> None:
    assert token_in({"SecretString": secret}) == "t0ken"


@pytest.mark.parametrize(
    "secret",
    [
        " \n\t",
        "s3cret\nX-Injected: 1",
        "s3cret\u2028X-Injected: 1",
        "s3cret s3cret",
        "s3cret\x7f",
        "\ufeffs3cret",
        "s3crét",
        "{s3cret",
        "{}",
        '{"auth_token": ""}',
        '{"auth_token": ["s3cret"]}',
        '{"auth_token": null, "token": "s3cret"}',
        pytest.param('{"auth_token": ' * 100_000 + '"s3cret"', id="nested without end"),
        '{"auth_token": "s3cret\\r\\nX-Injected: 1"}',
        '{"Auth_Token": "s3cret"}',
    ],
)
def test_error_about_a_secret_without_a_token_does_not_show_what_it_holds(secret: str) -> None:
    with pytest.raises(TokenUnavailableError) as caught:
        token_in({"SecretString": secret})
    assert "s3cr" not in "".join(map(repr, (caught.value, caught.value.__cause__)))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_binary_secret_holds_no_token() -> None:
    with pytest.raises(TokenUnavailableError, match="binary"):
        token_in({"SecretBinary": b"s3cret"})


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "DecryptionFailure"])
def test_error_about_a_secret_that_cannot_be_read_has_the_reason(code: str) -> None:
    with stubbed("secretsmanager") as (client, stub):
        stub.add_client_error("get_secret_value", code, expected_params=ASKED)
        with pytest.raises(TokenUnavailableError, match=code):
            ApiToken(SYNCHRONOUS, lambda: client, ARN).get()


def test_secrets_manager_that_cannot_be_reached_is_a_secret_that_cannot_be_read() -> None:
    def unreachable() -> Any:
        raise EndpointConnectionError(endpoint_url="https://secretsmanager.us-east-1.amazonaws.com")

    with pytest.raises(TokenUnavailableError, match="EndpointConnectionError"):
        ApiToken(SYNCHRONOUS, unreachable, ARN).get()


def test_token_is_read_once_and_again_when_asked() -> None:
    with stubbed("secretsmanager") as (client, stub):
        stub.add_response("get_secret_value", ANSWER | {"SecretString": "old"}, ASKED)
        stub.add_response("get_secret_value", ANSWER | {"SecretString": "new"}, ASKED)
        token = ApiToken(SYNCHRONOUS, lambda: client, ARN)
        assert [token.get(), token.get()] == ["old", "old"]
        assert [token.refresh(), token.get()] == ["new", "new"]


def test_token_that_could_not_be_read_again_is_not_used_any_more() -> None:
    with stubbed("secretsmanager") as (client, stub):
        stub.add_response("get_secret_value", ANSWER | {"SecretString": "old"}, ASKED)
        stub.add_client_error("get_secret_value", "AccessDeniedException", expected_params=ASKED)
        stub.add_response("get_secret_value", ANSWER | {"SecretString": "new"}, ASKED)
        token = ApiToken(SYNCHRONOUS, lambda: client, ARN)
        assert token.get() == "old"
        with pytest.raises(TokenUnavailableError):
            token.refresh()
        assert token.get() == "new"
