"""Calls of AWS by hand: http.client and a signature, no more.

The signature is AWS's Signature Version 4 ('Create a signed AWS API request' in the IAM user guide).
"""

import hashlib
import hmac
import http.client
import os
import threading
import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

Headers = dict[str, str]

_connections = threading.local()


def call(service: str, method: str, path: str, headers: Headers, body: bytes = b"") -> tuple[Headers, bytes]:
    """Make a call; the answer's headers, with names in lower case, and its body. Raises OSError where it failed."""
    host = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
    return send(host, method, path, _signed(service, method, host, path, headers, body), body)


def send(host: str, method: str, path: str, headers: Headers, body: bytes = b"") -> tuple[Headers, bytes]:
    """Make a request over this thread's kept connection to the host."""
    kept: dict[str, Any] = _connections.__dict__
    if host not in kept:
        kept[host] = http.client.HTTPConnection(host, timeout=10)
    connection = kept[host]
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    answered = response.read()
    if response.status >= 300:
        raise OSError(f"{method} {path}: HTTP {response.status}")
    return {name.lower(): value for name, value in response.getheaders()}, answered


def _signed(service: str, method: str, host: str, path: str, headers: Headers, body: bytes) -> Headers:
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "host": host, "x-amz-content-sha256": digest, "x-amz-date": at}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    region = os.environ["AWS_REGION"]
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    request = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\n{digest}".encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{request}"
    signature = hmac.new(_key(at[:8], region, service), text.encode(), "sha256").hexdigest()
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    signed["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return signed


@cache
def _key(day: str, region: str, service: str) -> bytes:
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
