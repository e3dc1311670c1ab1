"""A server must be vouched for before the token is sent to it."""

import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import create_server

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpTransport, TransportError


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


class Server:
    """Serves one connection; `received` is what came through it once the client has hung up."""

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/v2/storage/exports/a"
        self._received = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def received(self) -> bytes:
        self._thread.join()
        return self._received

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            connection.settimeout(5)
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._received = secured.recv(4096)
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                self._received = b""


@pytest.fixture
def server(certificate: Path) -> Server:
    return Server(certificate)


def send(url: str) -> None:
    HttpTransport().send(HttpRequest("GET", url, {"X-SBG-Auth-Token": "s3cret"}), 5.0)


def test_server_is_sound_to_who_trusts_it(server: Server, certificate: Path) -> None:
    assert requests.get(server.url, verify=str(certificate), timeout=5).json() == {}
    assert server.received.startswith(b"GET /v2/storage/exports/a ")


def test_server_that_no_authority_vouches_for_gets_no_request(server: Server) -> None:
    with pytest.raises(TransportError, match="SSLError"):
        send(server.url)
    assert server.received == b""


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variable_of_the_environment_vouches_for_nobody(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(certificate))
    with pytest.raises(TransportError, match="SSLError"):
        send(server.url)
    assert server.received == b""
