"""Facts from real services: a Redis with and without password, a backend process, sockets that hang, a video.

Label Studio is a small HTTP server with the answers of a real one (tests/e2e has the real one).
"""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import redis
from pydantic import SecretStr
from rq.suspension import suspend
from tests.backend.conftest import serve  # noqa: F401 - a fixture
from tests.worker.doctor.conftest import CARD, HOOK, LEGACY, PROJECT, token
from werkzeug.serving import make_server

from helioloop.messaging.served_root import KEY, ServedRoot, claim_redis
from helioloop.registry.root_identity import FILE_NAME as ID_NAME
from helioloop.registry.root_identity import make_root_identity
from helioloop.registry.stamp import FILE_NAME as STAMP_NAME
from helioloop.settings import Settings
from helioloop_backend.wsgi import create_app
from helioloop_worker.context import Context
from helioloop_worker.demo.redis_program import redis_program
from helioloop_worker.doctor import gathering_redis
from helioloop_worker.doctor.examination import examine
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Finding, Verdict
from helioloop_worker.doctor.gathering import gather
from helioloop_worker.doctor.gathering_here import missing_packages, read_folder
from helioloop_worker.doctor.gathering_redis import read_redis
from helioloop_worker.labelstudio.probe import Fault, Prober
from helioloop_worker.loop.video import render_video
from helioloop_worker.serving.worker_process import make_worker

Serve = Callable[[Settings], tuple[str, "subprocess.Popen[bytes]"]]
BASIC: dict[str, Any] = {
    "basic_auth_user": "label-studio",
    "basic_auth_password": SecretStr("b4sic-password"),
    "webhook_secret": SecretStr("w3bhook-secret"),
}


def findings(facts: Facts) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(facts)}


@pytest.fixture
def own(settings: Settings) -> Settings:
    """Settings with credentials, a model root that is there, and a Label Studio that is not."""
    settings.model_root.mkdir(parents=True)
    return settings.model_copy(update={**BASIC, "label_studio_url": "http://127.0.0.1:1"})


# -- backend ----------------------------------------------------------------------------------------


def test_a_real_backend_is_sound(own: Settings, redis_connection: redis.Redis, serve: Serve) -> None:  # noqa: F811
    """Credentials, code, stamp, version and secret, with Label Studio not there."""
    assert redis_connection.ping()
    url, process = serve(own)
    facts = gather(own, 7, backend_url=url)
    found = findings(facts)
    for check in (
        "backend-address",
        "backend-credentials",
        "backend-code",
        "model-folder-seen",
        "backend-model-version",
    ):
        assert found[check].verdict is Verdict.OK, found[check]
    assert facts.backend_hook is not None
    assert facts.backend_hook.is_success
    assert found["label-studio-address"].cause in {"refused", "localhost-in-container"}
    assert found["rights"].seen == "because label-studio-address is wrong"

    copied = own.model_copy(update={"model_root": own.model_root.parent / "copy"})
    shutil.copytree(own.model_root, copied.model_root)
    assert findings(gather(copied, 7, backend_url=url))["model-folder-seen"].cause == "another-folder"
    wrong = own.model_copy(update={"basic_auth_password": SecretStr("other")})
    assert findings(gather(wrong, 7, backend_url=url))["backend-credentials"].cause == "refused"
    other = own.model_copy(update={"webhook_secret": SecretStr("other")})
    answer = gather(other, 7, backend_url=url).backend_hook
    assert answer is not None
    assert answer.status == 401

    process.terminate()
    process.wait(timeout=15)
    stopped = gather(own, 7, backend_url=url)
    assert findings(stopped)["backend-address"].cause in {"refused", "localhost-in-container"}


def test_an_open_backend_is_noticed(own: Settings) -> None:
    """The backend runs without the credentials that are set here."""
    bare = own.model_copy(update=dict.fromkeys(BASIC))
    app = create_app(bare)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    assert findings(gather(own, 7, backend_url=url))["backend-credentials"].cause == "not-required"
    assert findings(gather(bare, 7, backend_url=url))["backend-credentials"].verdict is Verdict.OK
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["helioloop"].connection.close()


def test_a_backend_on_an_ipv6_address_is_asked_there(own: Settings) -> None:
    """As it prints it: in brackets. Where it binds to all addresses, it is asked on this machine."""
    for host, url in (("::1", "http://[::1]:1"), ("::", "http://127.0.0.1:1"), ("127.0.0.2", "http://127.0.0.2:1")):
        facts = gather(own.model_copy(update={"backend_host": host, "backend_port": 1}), None)
        assert facts.backend_url == url
        assert findings(facts)["backend-address"].cause in {"refused", "localhost-in-container"}


def test_nothing_can_be_written(own: Settings) -> None:
    gone = own.model_copy(update={"model_root": own.model_root / "gone"})
    finding = findings(gather(gone, 7))["model-folder"]
    assert (finding.cause, "no such folder" in finding.seen) == ("not-writable", True)


# -- redis and workers --------------------------------------------------------------------------------


def read(settings: Settings) -> Facts:
    """The facts about Redis alone."""
    found: dict[str, Any] = {}
    read_redis(lambda **facts: found.update(facts), settings, timeout_seconds=2.0)
    return Facts(settings=settings, project=7, **found)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Redis with a password and without persistence, on a socket."""
    folder = Path("/tmp") / f"helioloop-{tmp_path_factory.mktemp('r').name}-{time.monotonic_ns()}"  # noqa: S108 - short
    folder.mkdir()
    place = folder / "r.sock"
    command = [
        str(redis_program()), "--port", "0", "--unixsocket", str(place), "--save", "", "--requirepass", "g00d",
        "--dir", str(folder),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not place.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield place
    server.terminate()
    server.wait(timeout=10)
    shutil.rmtree(folder)


def test_redis_with_a_password(settings: Settings, guarded: Path) -> None:
    """Right, wrong and missing; and what is wrong with its memory and persistence."""
    right = settings.model_copy(update={"redis_url": f"unix://:g00d@{guarded}"})
    found = findings(read(right))
    assert found["redis-password"].verdict is Verdict.OK
    assert found["redis-persistence"].cause == "off"
    assert found["redis-memory"].verdict is found["redis-version"].verdict is found["redis-clock"].verdict is Verdict.OK
    for url in (f"unix://:wr0ng@{guarded}", f"unix://{guarded}"):
        assert findings(read(settings.model_copy(update={"redis_url": url})))["redis"].cause == "credentials"
    with redis.Redis.from_url(right.redis_url) as connection:
        connection.config_set("maxmemory", "100mb")
        connection.config_set("maxmemory-policy", "allkeys-lru")
        connection.config_set("save", "3600 1")
        found = findings(read(right))
        assert found["redis-memory"].cause == "evicts"
        assert found["redis-persistence"].verdict is Verdict.OK
        connection.config_set("maxmemory-policy", "noeviction")
        connection.execute_command("ACL", "SETUSER", "reader", "on", ">g00d", "+ping", "+client|setinfo")
        limited = settings.model_copy(update={"redis_url": f"unix://reader:g00d@{guarded}"})
        assert findings(read(limited))["redis"].cause == "refuses"
        connection.execute_command("ACL", "SETUSER", "default", "nopass")
        assert findings(read(right))["redis-password"].cause == "not-required"


def test_redis_that_takes_no_writes(settings: Settings, guarded: Path) -> None:
    """A replica, one without its replicas, and users without rights; the key of the trial does not stay."""
    right = settings.model_copy(update={"redis_url": f"unix://:g00d@{guarded}"})
    with redis.Redis.from_url(right.redis_url) as connection:
        assert findings(read(right))["redis"].verdict is Verdict.OK
        assert connection.keys("helioloop:trial:*") == []
        connection.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert findings(read(right))["redis"].cause == "no-writes"
        connection.execute_command("REPLICAOF", "NO", "ONE")
        connection.config_set("min-replicas-to-write", 3)
        assert findings(read(right))["redis"].cause == "no-writes"
        connection.config_set("min-replicas-to-write", 0)
        for rights, cause in {
            ("~*", "&*", "+@all", "-@dangerous"): None,
            ("~*", "resetchannels", "+@all"): "no-channels",
            ("~helioloop:*", "&*", "+@all"): "refuses",
            ("~*", "&*", "+@read", "+@connection"): "refuses",
        }.items():
            connection.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">g00d", *rights)
            found = findings(read(settings.model_copy(update={"redis_url": f"unix://limited:g00d@{guarded}"})))
            assert found["redis"].cause == cause, rights


@pytest.mark.parametrize(
    ("host", "is_here"), [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("[2001:db8::1]", False)]
)
def test_whether_redis_is_reached_on_this_machine(host: str, is_here: bool) -> None:
    """Without a password on the network it is wrong; on this machine it is doubtful."""
    client = redis.Redis.from_url(f"redis://{host}:6379/0")
    assert gathering_redis.is_local(client) is is_here


def test_redis_that_is_not_there(settings: Settings) -> None:
    for url, cause in {"redis://127.0.0.1:1/0": "unreachable", "http://redis": "no-address"}.items():
        assert findings(read(settings.model_copy(update={"redis_url": url})))["redis"].cause == cause


def test_an_own_claim_that_nobody_uses_now_is_well(own: Settings, redis_connection: redis.Redis) -> None:
    """As after a weekend with all stopped."""
    claim = ServedRoot.here(own, str(make_root_identity(own.model_root)))
    redis_connection.set(KEY, json.dumps(asdict(replace(claim, used_at=time.time() - 86400.0))))
    found = findings(replace(read(own), folder=read_folder(own, None)))["redis-model-folder"]
    assert (found.verdict, found.seen) == (Verdict.OK, "no deployment uses it now")


def test_a_folder_on_a_full_disk_is_known_all_the_same(own: Settings, redis_connection: redis.Redis) -> None:
    """No stamp can be written, in whose place is a folder here; its identity is read and is that of the claim."""
    claim_redis(redis_connection, own, make_root_identity(own.model_root))
    (own.model_root / STAMP_NAME).mkdir()
    folder = read_folder(own, None)
    assert (folder.stamp, folder.fault is None) == (None, False)
    assert findings(replace(read(own), folder=folder))["redis-model-folder"].verdict is Verdict.OK


def test_a_folder_that_cannot_be_known_is_no_other_one(own: Settings, redis_connection: redis.Redis) -> None:
    """The file of its identity was cut off: nobody is told to empty Redis because of that."""
    claim_redis(redis_connection, own, make_root_identity(own.model_root))
    (own.model_root / ID_NAME).write_text("")
    found = findings(replace(read(own), folder=read_folder(own, None)))["redis-model-folder"]
    assert found.verdict is Verdict.NOT_TRIED


@pytest.mark.parametrize("there", ["an empty folder", "no folder"])
def test_a_disk_that_is_not_mounted_is_named_before_anything_was_written_in_its_place(
    own: Settings, redis_connection: redis.Redis, there: str
) -> None:
    """As where the doctor is the first command after a restart of the machine: Redis served what was there."""
    claim = ServedRoot.here(own, str(make_root_identity(own.model_root)))
    redis_connection.set(KEY, json.dumps(asdict(replace(claim, used_at=time.time() - 86400.0))))
    shutil.rmtree(own.model_root)
    if there == "an empty folder":
        own.model_root.mkdir()
    found = findings(replace(read(own), folder=read_folder(own, None)))["redis-model-folder"]
    assert (found.verdict, found.cause) == (Verdict.WRONG, "replaced-folder")
    assert found.remedy.startswith("Mount the disk of HELIOLOOP_MODEL_ROOT")
    assert not (own.model_root / ID_NAME).exists()


def test_workers_state_their_code_and_device(settings: Settings, redis_connection: redis.Redis) -> None:
    """Also after Redis was emptied, which the next heartbeat repairs; a suspended worker takes no job."""
    assert findings(read(settings))["worker-score"].cause == "none"
    worker = make_worker("score", Context(settings), "CPU")
    worker.register_birth()
    worker.heartbeat()
    facts = read(settings)
    assert facts.workers is not None
    (seen,) = facts.workers
    assert (seen.device, seen.queues) == ("CPU", ("helioloop-score", "helioloop-maintenance", "helioloop-bulk"))
    assert seen.silent_seconds is not None
    assert seen.silent_seconds < 5
    redis_connection.hset(worker.key, "last_heartbeat", "2999-01-01T00:00:00.000000Z")
    assert findings(gather(settings, None, backend_url="http://127.0.0.1:1"))["worker-score"].cause == "silent"
    worker.heartbeat()
    found = findings(gather(settings, None, backend_url="http://127.0.0.1:1"))
    assert found["worker-score"].verdict is found["worker-code"].verdict is Verdict.OK
    assert found["worker-train"].cause == "none"
    assert found["workers-suspended"].verdict is Verdict.OK
    redis_connection.flushall()
    worker.heartbeat()
    worker.run_maintenance_tasks()
    assert findings(read(settings))["worker-score"].verdict is Verdict.OK
    suspend(redis_connection)
    assert findings(read(settings))["workers-suspended"].cause == "suspended"
    worker.register_death()
    worker.connection.close()


# -- time ---------------------------------------------------------------------------------------------


def test_services_that_hang_take_no_longer_than_allowed(settings: Settings) -> None:
    """They take the connection and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hung = settings.model_copy(
            update={"label_studio_url": url, "redis_url": url.replace("http", "redis"), "label_studio_api_key": LEGACY}
        )
        began = time.monotonic()
        found = findings(gather(hung, 7, backend_url=url, total_seconds=2.0))
        assert time.monotonic() - began < 4.0
    assert found["label-studio-address"].cause == "no-answer"
    assert {found["redis"].cause, found["redis"].verdict} & {"unreachable", Verdict.NOT_TRIED}
    assert {found["backend-address"].cause, found["backend-address"].verdict} & {"no-answer", Verdict.NOT_TRIED}


def test_a_trickle_of_bytes_ends_in_time(label_studio: "Studio") -> None:
    """A server that sends a byte now and then never reaches the timeout of a single read."""
    label_studio.routes["GET /slow"] = "trickle"
    began = time.monotonic()
    with Prober(label_studio.url, deadline=began + 10) as prober:
        answer = prober.ask("GET", "/slow", timeout_seconds=0.5)
    assert time.monotonic() - began < 2.0
    assert answer is not None
    assert answer.fault is Fault.TIMEOUT


def test_https_where_there_is_none(label_studio: "Studio") -> None:
    with Prober(label_studio.url.replace("http:", "https:"), deadline=time.monotonic() + 5) as prober:
        answer = prober.ask("GET", "/health/")
    assert answer is not None
    assert answer.fault is Fault.NO_TLS


def test_the_packages_of_the_worker_are_here() -> None:
    assert missing_packages() == []


# -- Label Studio ---------------------------------------------------------------------------------------


@dataclass
class Studio:
    """A server that answers as Label Studio does; `routes` can be changed, and requests are recorded."""

    url: str
    routes: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    video: bytes = b""
    ranges: bool = True

    def sent(self, method: str, path: str) -> list[Any]:
        """Return the bodies of the requests to a route."""
        return [body for line, _, body in self.requests if line == f"{method} {path}"]


class Handler(BaseHTTPRequestHandler):
    """Answers from the routes of its studio."""

    studio: Studio
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length)) if length else None
        line = f"{self.command} {urlsplit(self.path).path}"
        self.studio.requests.append((line, self.headers.get("Authorization", ""), sent))
        given = self.studio.routes.get(line, (404, {"detail": "Not found."}))
        if given == "trickle":
            self.trickle()
        elif given == "video":
            self.send_video()
        else:
            status, body = given if isinstance(given, tuple) else (200, given)
            self.send(status, json.dumps(body).encode())

    do_GET = do_POST = do_PATCH = answer  # noqa: N815 - http.server's names

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def send_video(self) -> None:
        if self.studio.ranges and "Range" in self.headers:
            total = len(self.studio.video)
            self.send(206, self.studio.video[:1024], **{"Content-Range": f"bytes 0-1023/{total}"})
        else:
            self.send(200, self.studio.video)

    def trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(30):
            try:
                self.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real video of 24 frames."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    render_video(np.full((24, 8, 8), 0.5), path)
    return path.read_bytes()


@pytest.fixture
def label_studio(video_file: bytes, settings: Settings) -> Iterator[Studio]:
    """A sound Label Studio with project 7, whose backend is registered at an address where nothing answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        studio = Handler.studio = Studio(f"http://127.0.0.1:{listening.server_port}", video=video_file)
        backend = "http://127.0.0.1:1"
        data = {"video": f"{studio.url}/v.mp4", "curve": "/c", "reason": "/r"}
        refused = (400, {"detail": "Validation error"})
        studio.routes = {
            "GET /health/": {"status": "UP"},
            "GET /api/version/": {"label-studio-os-package": {"version": "1.23.2"}},
            "GET /api/current-user/whoami": {"email": "team@example.org"},
            "POST /api/token/refresh/": {"access": "short-lived"},
            "GET /api/projects/7/": PROJECT | {"model_version": None},
            "PATCH /api/projects/7/": refused,
            "GET /api/storages/localfiles/": [{"path": str(settings.media_dir(7))}],
            "POST /api/storages/localfiles/validate": {},
            "GET /api/webhooks/": [HOOK | {"url": f"{backend}/webhook"}],
            "GET /api/projects/7/model-versions/": {},
            "GET /api/tasks/": {"tasks": [{"id": 1, "data": data}]},
            "GET /api/ml/": [CARD | {"url": backend}],
            "POST /api/ml/": refused,
            "POST /api/webhooks/": refused,
            "GET /v.mp4": "video",
        }
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield studio
        listening.shutdown()
        thread.join()


def at(settings: Settings, label_studio: Studio, key: str = LEGACY) -> Settings:
    settings.model_root.mkdir(parents=True, exist_ok=True)
    return settings.model_copy(
        update={**BASIC, "label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(key)}
    )


@pytest.mark.parametrize("key", [LEGACY, token(exp=4e9)], ids=["legacy", "personal"])
def test_questions_change_nothing_in_label_studio(settings: Settings, label_studio: Studio, key: str) -> None:
    """Whatever is not a GET contains a value that must be refused, or is a validation."""
    facts = gather(at(settings, label_studio, key), 7)
    found = findings(facts)
    for check in ("label-studio-address", "token", "rights", "label-studio-answers", "storage", "video", "webhook"):
        assert found[check].verdict is Verdict.OK, found[check]
    assert found["video-frames"].cause == "frame-count"  # 24, and the profile mdi has 225
    changes = {line for line, _, _ in label_studio.requests if not line.startswith("GET")}
    refresh = {"POST /api/token/refresh/"} if "." in key else set()
    assert changes == refresh | {
        "PATCH /api/projects/7/", "POST /api/storages/localfiles/validate", "POST /api/ml/", "POST /api/webhooks/",
    }  # fmt: skip
    assert label_studio.sent("PATCH", "/api/projects/7/") == [{"sampling": "asked by helioloop doctor"}]
    assert label_studio.sent("POST", "/api/ml/")[0]["auth_method"] == "asked by helioloop doctor"
    assert label_studio.sent("POST", "/api/webhooks/")[0]["actions"] == ["asked by helioloop doctor"]
    used = {header for line, header, _ in label_studio.requests if "/api/projects" in line}
    assert used == {"Bearer short-lived" if "." in key else f"Token {LEGACY}"}


def test_a_disconnected_backend_is_saved_again_without_its_password(settings: Settings, label_studio: Studio) -> None:
    """Label Studio keeps the password that it has, where it is sent an empty one."""
    label_studio.routes["GET /api/ml/"] = [CARD | {"url": "http://localhost:9090", "state": "DI"}]
    said = "Can't connect to ML backend http://localhost:9090, health check failed. Connection refused"
    label_studio.routes["PATCH /api/ml/3"] = (400, {"validation_errors": {"non_field_errors": [said]}})
    found = findings(gather(at(settings, label_studio), 7))
    assert found["label-studio-to-backend"].cause == "localhost"
    assert "Connection refused" in found["label-studio-to-backend"].seen
    assert label_studio.sent("PATCH", "/api/ml/3") == [
        {
            "url": "http://localhost:9090", "project": 7, "auth_method": "BASIC_AUTH",
            "basic_auth_user": "label-studio", "basic_auth_pass": "",
        }
    ]  # fmt: skip


def test_another_origin_does_not_get_the_token(settings: Settings, label_studio: Studio) -> None:
    """The video's address is from a task, which anybody may import."""
    other = label_studio.url.replace("127.0.0.1", "localhost")
    label_studio.routes["GET /api/tasks/"] = {
        "tasks": [{"data": {"video": f"{other}/v.mp4?X-Amz-Signature=abc", "curve": "/c", "reason": "/r"}}]
    }
    found = findings(gather(at(settings, label_studio), 7))
    assert {header for line, header, _ in label_studio.requests if line == "GET /v.mp4"} == {""}
    assert found["video"].cause == "cross-origin"
    assert "abc" not in found["video"].seen


def test_a_video_is_fetched_with_a_range_and_decoded(settings: Settings, label_studio: Studio) -> None:
    label_studio.ranges = False
    assert findings(gather(at(settings, label_studio), 7))["video"].cause == "no-range"
    label_studio.ranges = True
    label_studio.video = label_studio.video[: len(label_studio.video) // 2]
    assert findings(gather(at(settings, label_studio), 7))["video-frames"].cause == "unreadable"
    label_studio.routes["GET /v.mp4"] = (404, {})
    assert findings(gather(at(settings, label_studio), 7))["video"].cause == "not-found"


def test_a_wrong_token_stops_what_needs_one(settings: Settings, label_studio: Studio) -> None:
    """And nothing is asked about the project with it."""
    label_studio.routes["GET /api/current-user/whoami"] = (401, {"detail": "Invalid token."})
    found = findings(gather(at(settings, label_studio), 7))
    assert found["token"].cause == "refused"
    assert found["rights"].seen == found["webhook"].seen == "because token is wrong"
    assert not any("/api/projects" in line for line, _, _ in label_studio.requests)
    expired = findings(gather(at(settings, label_studio, token(exp=1.0)), 7))
    assert expired["token"].cause == "expired"
