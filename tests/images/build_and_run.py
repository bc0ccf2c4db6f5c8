"""The images are built and run: `make test-images`, 10 to 25 minutes, as root.

Built with buildah and chroot isolation. The published images of Python, Redis, PostgreSQL and Label Studio have
stand-ins from Debian's packages and the package index, because registries of images may be out of reach; `containers`
lists what of a container engine is tried. The CUDA image is not built.
"""

import base64
import json
import os
import stat
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import CANARY, Deployment, say
from tests.images.containers import Container, Volume
from tests.images.engine import PYTHON_IMAGE, Engine

IMAGES = ("helioloop-backend", "helioloop-worker:cpu")
ADDED_MB = {"helioloop-backend": 200, "helioloop-worker:cpu": 2000}
"""Most megabytes that an image may add to its base."""
USER = 10001
CUBES = 40


def request(url: str, body: Any = None, *, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Send a request in the network of the services; return status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(  # noqa: S310 - always a loopback address
        url, data, {"Content-Type": "application/json", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def secret(deployment: Deployment, name: str) -> str:
    """Return a secret of the deployment."""
    return Path(deployment.compose["secrets"][name]["file"]).read_text()


def python(deployment: Deployment, name: str, code: str) -> str:
    """Return what a line of Python prints in a service's container."""
    with deployment.container(name) as container:
        container.service = {**container.service, "entrypoint": ["python3", "-c", code], "command": None}
        run = container.run()
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()


# -- what is in the images ------------------------------------------------------------------------


@pytest.mark.parametrize("image", IMAGES)
def test_no_secret_of_the_checkout_is_in_a_layer(images: Engine, image: str) -> None:
    """Neither in a file, nor in the configuration or the history; and the search finds what is there."""
    found, known, count = [], False, 0
    for member, file in images.files(image):
        count += 1
        if file is not None:
            text = file.read()
            known = known or b'"""Builds' in text or b"helioloop" in text
            if CANARY.encode() in text:
                found.append(member.name)
    assert found == []
    assert known
    assert count > 1000
    assert CANARY not in images.description(image)


@pytest.mark.parametrize("image", IMAGES)
def test_the_process_is_not_root_and_owns_nothing_that_it_runs(images: Engine, image: str) -> None:
    """User 10001; what is installed belongs to root and nobody else may write it; nothing has the setuid bit."""
    assert images.config(image).user == f"{USER}:{USER}"
    container, root = images.mount(image)
    try:
        for path in (root / "opt" / "helioloop").rglob("*"):
            found = path.lstat()
            assert found.st_uid == 0, path
            if not stat.S_ISLNK(found.st_mode):
                assert not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), path
        assert (root / "data" / "models").stat().st_uid == USER
    finally:
        images.remove(container)


@pytest.mark.parametrize("image", IMAGES)
def test_sizes(images: Engine, image: str) -> None:
    """What an image adds to its base; the base itself is the stand-in here."""
    added = images.size_mb(image) - images.size_mb(PYTHON_IMAGE)
    say(f"{image} adds {added:.0f} MB to its base of {images.size_mb(PYTHON_IMAGE):.0f} MB")
    assert 0 < added < ADDED_MB[image]


def test_the_backend_has_neither_torch_nor_astropy_nor_a_compiler(deployment: Deployment) -> None:
    """They are not installed at all."""
    code = (
        "import importlib.util as u, shutil; "
        "print([n for n in ('torch', 'astropy', 'scipy', 'uv', 'pip') if u.find_spec(n)], shutil.which('gcc'))"
    )
    assert python(deployment, "backend", code) == "[] None"


@pytest.mark.parametrize("service", ["backend", "worker-score"])
def test_the_root_file_system_is_read_only(deployment: Deployment, service: str) -> None:
    """Only /tmp and, for workers, the volumes can be written; the process has no capability and gets no new ones."""
    code = (
        "import os, json\n"
        "def writable(folder):\n"
        "    try:\n"
        "        open(folder + '/probe', 'w').close(); os.remove(folder + '/probe'); return True\n"
        "    except OSError: return False\n"
        "lines = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
        "folders = ['/', '/opt/helioloop', '/data', '/etc', '/run', '/tmp', '/data/models']\n"
        "print(json.dumps([os.getuid(), [f for f in folders if writable(f)], "
        "lines['CapEff'].strip(), lines['CapBnd'].strip(), lines['NoNewPrivs'].strip()]))"
    )
    with deployment.container("storage") as storage:
        assert storage.run().returncode == 0
    user, writable, effective, bounding, no_new = json.loads(python(deployment, service, code))
    assert user == USER
    assert writable == ["/tmp"] + (["/data/models"] if service == "worker-score" else [])  # noqa: S108
    assert int(effective, 16) == int(bounding, 16) == 0
    assert no_new == "1"


def test_help_runs_without_any_setting(deployment: Deployment) -> None:
    """`docker run helioloop-worker --help`."""
    with deployment.container("helioloop") as container:
        container.service = {**container.service, "environment": {}, "command": None}
        run = container.run("--help")
    assert run.returncode == 0, run.stderr
    assert "helioloop" in run.stdout


# -- the services of the compose file -------------------------------------------------------------


def test_redis_needs_its_password(running: Deployment) -> None:
    """Without one nothing is answered, and the password is in no command line."""
    redis = running.running["redis"]
    refused = redis.execute("redis-cli", "ping")
    assert "NOAUTH" in refused.stdout + refused.stderr
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(secret(running, "redis_password").encode() in line for line in lines)


@pytest.mark.usefixtures("running")
def test_the_backend_answers_and_asks_for_credentials() -> None:
    """/health is open for probes, /predict is not."""
    status, body = request("http://127.0.0.1:9090/health")
    assert (status, body["status"]) == (200, "UP")
    status, _ = request("http://127.0.0.1:9090/predict", {"tasks": [], "project": "1.1"})
    assert status == 401


def test_a_release_goes_through_the_whole_loop(running: Deployment) -> None:
    """From `init` to predictions, with Label Studio on PostgreSQL and a token that was made before its first start.

    The release is made, ingested, trained on, and its cubes come back from /predict.
    """
    with running.container("helioloop") as making:
        making.volumes = [*(v for v in making.volumes if v.target != "/data/releases"), _writable_releases(running)]
        made = making.run("make-release", "--out", "/data/releases/first", "--n", str(CUBES), "--seed", "1")
        assert made.returncode == 0, made.stderr
    with running.container("helioloop") as command:
        told = command.run("init", "--title", "Release 1")
        assert told.returncode == 0, told.stderr + running.running["label-studio"].tail()
        assert "project 1 is set up" in told.stdout
        again = command.run("init", "--title", "Release 1")
        assert "project 1 is set up" in again.stdout
        ingested = command.run("ingest", "/data/releases/first", "--project", "1")
        assert ingested.returncode == 0, ingested.stderr
        version = _wait_for_version(command)
    token = {"Authorization": f"Token {secret(running, 'label_studio_token')}"}
    _, tasks = request(
        "http://127.0.0.1:8080/api/projects/1/export?exportType=JSON&download_all_tasks=true", headers=token
    )
    assert len(tasks) == CUBES
    credentials = base64.b64encode(f"label-studio:{secret(running, 'backend_password')}".encode()).decode()
    body = {"tasks": tasks, "project": "1.1", "label_config": None, "params": {}}
    status, answer = request("http://127.0.0.1:9090/predict", body, headers={"Authorization": f"Basic {credentials}"})
    assert status == 200
    predicted = [entry for entry in answer["results"] if entry]
    assert len(answer["results"]) == CUBES
    assert len(predicted) >= CUBES * 3 // 4  # random checks have none
    assert {entry["model_version"] for entry in predicted} == {version}


def _writable_releases(running: Deployment) -> Volume:
    folder = running.folder / "releases"
    os.chown(folder, USER, USER)
    return Volume(source=folder, target="/data/releases", read_only=False)


def _wait_for_version(command: Container, seconds: float = 600) -> str:
    """Wait until a version is published, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = command.run("status", "--project", "1", "--json")
        published = json.loads(status.stdout)["published"] if status.returncode == 0 else None
        if published is not None:
            return str(published["version"])
        time.sleep(5)
    raise AssertionError(f"no version is published after {seconds:.0f} s:\n{status.stdout}")
