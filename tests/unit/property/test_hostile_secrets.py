"""Secrets of every kind: a token that fits a header, or an error that shows nothing of the secret."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from export_monitor.adapters.aws.secrets import ApiToken, TokenUnavailableError
from tests.fakes import SYNCHRONOUS
from tests.unit.property.strategies import CHARACTERS, JSON, TEXTS, bounded, json_texts, mutated, nested

pytestmark = pytest.mark.once

ERRORS = {"the secret is binary", "the secret is neither a token nor JSON", "the secret contains no token"}
SECRET = {"auth_token": "t0ken", "api": "https://cgc-api.sbgenomics.com/v2"}
SECRETS = (
    st.text(CHARACTERS)
    | TEXTS.map(lambda text: f"t0ken{text}")
    | json_texts(mutated(SECRET) | st.just(SECRET))
    | json_texts(TEXTS.map(lambda text: {"auth_token": f"t0ken{text}"}))
    | json_texts(JSON)
)


def token_of(answer: dict[str, Any]) -> str | None:
    """The token, checked to fit a header; None where the secret has none."""
    client = SimpleNamespace(get_secret_value=lambda SecretId: answer)  # noqa: N803 -- boto3's spelling
    try:
        token = ApiToken(SYNCHRONOUS, lambda: client, "arn").get()
    except TokenUnavailableError as error:
        check_error(error)
        return None
    assert re.fullmatch(r"[!-~]+", token)
    prepared = requests.Request("GET", "https://host/", headers={"X-SBG-Auth-Token": token}).prepare()
    assert dict(prepared.headers) == {"X-SBG-Auth-Token": token}
    return token


def check_error(error: TokenUnavailableError) -> None:
    """Check that the text is fixed, and that no parser's error is attached, which would show its input."""
    assert str(error) in ERRORS
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@bounded(400)
@given(SECRETS)
@example("t0ken\r\nX-Injected: 1")
@example('{"auth_token": "t0ken\\r\\nX-Injected: 1"}')
@example('{"auth_token": "t0\\u0000ken"}')
@example('{"auth_token": "t\\ud800"}')
@example(nested(100_000))
@example('{"auth_token": ' + "1" * 4301 + "}")
def test_secret_of_any_text_is_a_token_fit_for_a_header_or_none(secret: str) -> None:
    token = token_of({"SecretString": secret})
    if token is not None and not secret.strip().startswith("{"):
        assert token == secret.strip()


@bounded(100)
@given(TEXTS, st.sampled_from(["", " ", "\n", "\r\n\t", "\u2028"]))
def test_white_space_around_a_token_is_not_part_of_it(text: str, space: str) -> None:
    plain = "".join(character for character in text if "!" <= character <= "~") or "t0ken"
    for secret in (f"{space}{plain}{space}", json.dumps({"auth_token": f"{space}{plain}{space}"}) + space):
        if not plain.startswith("{") or secret.startswith('{"auth_token'):
            assert token_of({"SecretString": secret}) == plain


@bounded(50)
@given(st.binary())
def test_binary_secret_is_none_whatever_it_holds(secret: bytes) -> None:
    assert token_of({"SecretBinary": secret}) is None
