"""Proxies, certificates and addresses of the environment: each that cannot be used is one sentence with its cause."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from label_studio_sdk.core import http_client

from helioloop.errors import LabelStudioError, SettingsError
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.outbound import make_http_client
from helioloop_worker.labelstudio.proxies import proxy_remedy

URL = "http://labels.example.org:8080"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the proxies of this machine, and retry after a moment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)


def refusal(url: str) -> str:
    """Read a project and return the error's text."""
    with pytest.raises(LabelStudioError) as caught:
        LabelStudioClient(url, api_key="t0ken", timeout_seconds=5.0).project(1)
    return str(caught.value)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("socks5://me:hunter2@127.0.0.1:9", "SOCKS proxy"),
        ("foo://me:hunter2@x", "not an address"),
        ("http://me:hunter2@[::1", "not an address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, cause: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=cause) as caught:
        make_http_client()
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_exception_from_the_proxy_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost,[::1]")
    with pytest.raises(SettingsError, match=r"NO_PROXY .*an IPv6 address without brackets"):
        make_http_client()


@pytest.mark.parametrize("case", ["missing", "folder", "no certificate"])
def test_certificates_that_cannot_be_read_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    path = tmp_path if case == "folder" else tmp_path / "authorities.pem"
    if case == "no certificate":
        path.write_text("no certificate\n", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(SettingsError, match="let SSL_CERT_FILE name a PEM file"):
        make_http_client()


def test_a_proxy_that_does_not_run_is_blamed_and_not_label_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable and the exception to write; the proxy's password is not shown."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:hunter2@127.0.0.1:9")
    said = refusal(URL)
    assert "through the proxy http://127.0.0.1:9 of HTTP_PROXY" in said
    assert said.endswith("add labels.example.org to NO_PROXY")
    assert "hunter2" not in said
    monkeypatch.setenv("NO_PROXY", "labels.example.org")
    assert proxy_remedy(URL) is None


@pytest.fixture
def refusing_proxy() -> Iterator[str]:
    """A proxy that refuses every request with a page of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>blocked by policy</html>")

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_refusal_of_a_proxy_is_not_blamed_on_the_token(
    monkeypatch: pytest.MonkeyPatch, refusing_proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", refusing_proxy)
    said = refusal(URL)
    assert "answered 403" in said
    assert f"through the proxy {refusing_proxy} of HTTP_PROXY" in said
    assert "token" not in said


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_cause_of_no_answer_is_named(host: str) -> None:
    assert "ConnectError: it refuses the connection" in refusal(f"http://{host}:9")
    assert "ConnectError: it has an unknown host name" in refusal("http://nowhere.invalid:8080")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_of_an_unknown_authority_is_the_cause(tmp_path: Path) -> None:
    """The server signed its certificate itself; one that does not use TLS has another cause."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        plain = f"https://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert "does not use TLS (https)" in refusal(plain)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            said = refusal(plain)
        finally:
            server.shutdown()
            thread.join()
    assert "is not trusted here; set SSL_CERT_FILE" in said
