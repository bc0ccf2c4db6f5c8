"""TLS by an authority of one's own, Label Studio under a path, and a forward proxy: with the real clients."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from label_studio_sdk.core import http_client
from pydantic import SecretStr
from tests.worker.operating.endpoints import Endpoint, endpoint, personal_access_token, reverse_proxy, tls_front

from helioloop.errors import LabelStudioError, ServiceError
from helioloop.messaging import redis_client
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.submitted import look_at_project
from helioloop_worker.media.choice import make_media

TOKENS = {"legacy token": "0123456789abcdef", "personal access token": personal_access_token()}

pytestmark = pytest.mark.filterwarnings("ignore:The `parse_obj` method")  # of the published client, for such tokens


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """The endpoint in place of Label Studio; the client does not wait before it retries."""
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    with endpoint() as found:
        yield found


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS settings of a server with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """The file with the authority's certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


def client(url: str, token: str) -> LabelStudioClient:
    return LabelStudioClient(url, api_key=token, timeout_seconds=10)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
def test_label_studio_may_be_under_a_path(inner: Endpoint, token: str) -> None:
    """All calls go there: those of the published client, our own, the renewal of the token, and that of the status."""
    with reverse_proxy(inner.port, prefix="/label-studio") as url:
        for written in (url, f"{url}/"):
            own = client(written, token)
            assert own.project(1).model_version == "v0001"
            assert own.tasks(1) == []
            settings = Settings(label_studio_url=written, label_studio_api_key=SecretStr(token))
            assert look_at_project(settings, 1).submitted.tasks == 3
    assert {path for _, path in inner.requests if "token" not in path} >= {"/api/projects/1/"}
    assert all(path.startswith("/api/") for _, path in inner.requests)


def test_links_to_pages_keep_the_path(tmp_path: Path) -> None:
    settings = Settings(label_studio_public_url="https://example.org/label-studio/", media_root=tmp_path)
    address = "https://example.org/label-studio/data/local-files/?d=helioloop/project-1/report.html"
    assert settings.page_url(1, "report.html") == address


def test_addresses_in_tasks_keep_the_path_of_the_browsers() -> None:
    """Label Studio gives them to browsers as they are; under a path, one without it would not be found (tried)."""
    address = "/data/local-files/?d=helioloop/project-1/cube.mp4"
    for url, public, path in (
        ("http://127.0.0.1:8080", None, ""),
        ("http://127.0.0.1:8080/", None, ""),
        ("http://inner:8080", "https://example.org/label-studio/", "/label-studio"),
        ("http://inner:8080/label-studio", None, "/label-studio"),
        ("http://inner:8080/label-studio", "https://example.org", ""),
    ):
        media = make_media(Settings(label_studio_url=url, label_studio_public_url=public))
        assert media.address("project-1/cube.mp4") == path + address


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
def test_an_authority_of_ones_own_is_trusted_by_ssl_cert_file(
    inner: Endpoint, server_context: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Without the variable the client refuses in one sentence, and the status has the cause in place of the counts."""
    with tls_front(lambda: socket.create_connection(("127.0.0.1", inner.port)), server_context) as port:
        url = f"https://127.0.0.1:{port}"
        settings = Settings(label_studio_url=url, label_studio_api_key=SecretStr(token))
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(LabelStudioError, match="is not trusted here; set SSL_CERT_FILE to a file"):
            client(url, token).project(1)
        with pytest.raises(LabelStudioError, match="has a certificate that is not trusted here; set SSL_CERT_FILE"):
            look_at_project(settings, 1)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle) + ".absent")
        with pytest.raises(LabelStudioError, match=r"set SSL_CERT_FILE \(which names no file now\)"):
            look_at_project(settings, 1)
        assert inner.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert client(url, token).project(1).title == "t"
        assert look_at_project(settings, 1).submitted.tasks == 3


def test_redis_behind_tls_is_reached_by_rediss(
    redis_url: str, server_context: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same variable is used; without it the certificate is refused."""

    def connect() -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.connect(redis_url.removeprefix("unix://"))
        return found

    with tls_front(connect, server_context) as port:
        settings = Settings(redis_url=f"rediss://127.0.0.1:{port}/0")
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(ServiceError, match="is not trusted here; set SSL_CERT_FILE to a file"):
            redis_client.connect(settings)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        connection = redis_client.connect(settings)
        assert connection.ping()
        connection.close()


def test_a_forward_proxy_is_used_and_no_proxy_is_heeded(inner: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the host is known to the proxy alone, which receives the whole address."""
    for name in ("HTTP_PROXY", "NO_PROXY", "no_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", inner.address)
    assert client("http://labels.example", "token").project(1).title == "t"
    assert inner.requests[-1] == ("GET", "http://labels.example/api/projects/1/")
    inner.requests.clear()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert client(inner.address, "token").project(1).title == "t"
    assert inner.requests[-1] == ("GET", "/api/projects/1/")
