"""The clients of AWS services: their time limits, and how they are made."""

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from export_monitor.adapters.aws.calls import MAX_CONCURRENCY

# AWS answers these calls in tens of milliseconds; adapters.aws.calls limits both attempts together.
AWS_LIMITS = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=MAX_CONCURRENCY,
    # Both would be computed for each of a batch's hundred calls. Tests validate parameters.
    parameter_validation=False,
    user_agent="cgc-export-monitor",
)


def lazy_clients(client: Callable[[str, str | None], Any]) -> Callable[..., Callable[[], Any]]:
    """For a service, and its region where it is not the function's own, a function that returns its client.

    A client is made when it is first needed. Threads may share clients, but must not make them at the same time.
    """
    making = Lock()

    def of(service: str, region: str | None = None) -> Callable[[], Any]:
        def given() -> Any:
            with making:
                return client(service, region)

        return given

    return of


def real_clients(limits: Config = AWS_LIMITS) -> Callable[[str, str | None], Any]:
    """The real clients, all of one session, each made once."""
    session = cache(_session)

    @cache
    def client(service: str, region: str | None) -> Any:
        # The stubs know a literal for each service; each adapter names its client's type itself.
        made = session().client(service, region, config=limits)  # type: ignore[call-overload]
        made.meta.events.register("before-call.sns.PublishBatch", _encode_once)
        return made

    return client


def _session() -> boto3.Session:
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return boto3.Session(botocore_session=core)


def _encode_once(params: dict[str, Any], **_: object) -> None:
    # botocore encodes a form to sign it and again to send it, and the events of a batch are long.
    params["body"] = urlencode(params["body"]).encode()


def _timestamp(value: Any) -> datetime:
    """A date of an AWS response. Headers have one format; botocore's parser tries many, which takes long."""
    try:
        return parsedate_to_datetime(value)
    except (AttributeError, TypeError, ValueError):
        return parse_timestamp(value)
