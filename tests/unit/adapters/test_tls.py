"""A server must be vouched for before the token is sent to it."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpTransport, TransportError
from tests.unit.adapters.test_transport import OK, Server, serving


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that nobody but itself has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed.public_bytes(Encoding.PEM)
    )
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(OK + b"Content-Length: 2\r\n\r\n{}", context) as running:
        yield running


def send(url: str) -> None:
    HttpTransport().send(HttpRequest("GET", url, {"X-SBG-Auth-Token": "s3cret"}), 5.0)


def test_server_is_sound_to_who_trusts_it(server: Server, certificate: Path) -> None:
    assert requests.get(server.url, verify=str(certificate), timeout=5).json() == {}
    assert server.requests[0].startswith(b"GET /v2/storage/exports/a ")


def test_server_without_a_certificate_of_a_known_authority_gets_no_request(server: Server) -> None:
    with pytest.raises(TransportError, match="SSLError"):
        send(server.url)
    assert server.ended.wait(5)
    assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variables_of_the_environment_add_no_authority(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(certificate))
    with pytest.raises(TransportError, match="SSLError"):
        send(server.url)
    assert server.ended.wait(5)
    assert server.requests == []
