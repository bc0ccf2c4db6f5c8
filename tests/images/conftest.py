"""Builds the images once, and runs the services of the compose file from them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images.containers import Container, Volume, own_network
from tests.images.engine import ROOT, Engine

CANARY = "canary-5f1d0c3b9a"
"""Text of the secrets that lie in the checkout while the images are built; no layer may contain it."""
PLANTED = (
    ".env",
    "helioloop.env",
    "docker/secrets/redis_password",
    "core/helioloop/.env",
    "backend/secrets/token",
    "worker/helioloop_worker/demo.env",
    "demo-data/login.json",
)
HERE = Path(__file__).parent


def say(measured: str) -> None:
    """Print a measurement; `make test-images` shows what tests print."""
    sys.stdout.write(f"\n{measured}\n")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Buildah with its store in the folder .images of the checkout."""
    assert os.getuid() == 0, "make test-images needs root: it builds and runs images without a daemon"
    for program in ("buildah", "debootstrap", "docker-compose", "tini-static"):
        assert shutil.which(program), f"{program} is missing; apt-get install buildah debootstrap docker-compose tini"
    return Engine(ROOT / ".images")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with secrets in it, as an operator's has."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(CANARY)
    return folder


@pytest.fixture(scope="session")
def images(engine: Engine, checkout: Path) -> Engine:
    """The engine, after it built the images of backend and worker for CPUs."""
    engine.make_stand_in()
    docker = checkout / "docker"
    engine.build("helioloop-backend", docker / "backend.Dockerfile", context=checkout)
    engine.build("helioloop-worker:cpu", docker / "worker.Dockerfile", context=checkout, TORCH="wheel")
    return engine


@pytest.fixture(scope="session")
def all_images(images: Engine, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The engine, after it also built stand-ins under the names of the published images in the compose file."""
    context = tmp_path_factory.mktemp("stand-ins")
    for file in [*HERE.glob("*.sh"), ROOT / "constraints-label-studio.txt"]:
        shutil.copy2(file, context / file.name)
    services = yaml.safe_load((ROOT / "docker" / "compose.yml").read_text())["services"]
    for name in ("redis", "postgres", "label-studio"):
        images.build(services[name]["image"], HERE / f"{name}.Dockerfile", context=context)
    return images


@dataclass
class Deployment:
    """The services of the compose file, as `docker-compose config` prints them, with their volumes on this machine."""

    engine: Engine
    folder: Path
    compose: Mapping[str, Any]
    running: dict[str, Container] = field(default_factory=dict)

    def container(self, name: str, **environment: str) -> Container:
        """Return a service in a container that is not started yet."""
        service = dict(self.compose["services"][name])
        service["environment"] = {k: v.replace("$$", "$") for k, v in (service.get("environment") or {}).items()}
        service["environment"] |= environment
        (self.folder / "logs").mkdir(exist_ok=True)
        hosts = self.folder / "hosts"
        aliases = [
            alias
            for other in self.compose["services"].values()
            for alias in ((other.get("networks") or {}).get("default") or {}).get("aliases") or ()
        ]
        hosts.write_text(" ".join(["127.0.0.1 localhost", *self.compose["services"], *aliases]) + "\n")
        return Container(
            self.engine, name, service, list(self._volumes(service)), self.folder / "logs" / f"{name}.log", hosts
        )

    def _volumes(self, service: Mapping[str, Any]) -> Iterator[Volume]:
        for entry in service.get("volumes") or ():
            source, target, *mode = entry.split(":")
            place = Path(source) if source.startswith("/") else self._named(source, target, service["image"])
            yield Volume(source=place, target=target, read_only=mode == ["ro"])
        for secret in service.get("secrets") or ():
            file = Path(self.compose["secrets"][secret["source"]]["file"])
            yield Volume(source=file, target=f"/run/secrets/{secret['source']}", read_only=True)

    def _named(self, name: str, target: str, image: str) -> Path:
        """Return the folder of a named volume; a new one gets the owner that the image's folder has, as in Docker."""
        place = self.folder / "volumes" / name
        if not place.exists():
            place.mkdir(parents=True)
            container, root = self.engine.mount(image)
            folder = root / target.lstrip("/")
            if folder.is_dir():
                found = folder.stat()
                os.chown(place, found.st_uid, found.st_gid)
                place.chmod(found.st_mode & 0o7777)
            self.engine.remove(container)
        return place


@pytest.fixture(scope="session")
def deployment(all_images: Engine, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The compose file with new secrets and empty volumes, read by docker-compose; nothing is started."""
    docker = checkout / "docker"
    shutil.rmtree(docker / "secrets")
    subprocess.run([docker / "make-secrets.sh"], check=True)
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "releases").mkdir()
    read = subprocess.run(
        ["docker-compose", "--file", docker / "compose.yml", "--profile", "command", "config"],
        env={**os.environ, "RELEASES": str(folder / "releases")},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return Deployment(all_images, folder, yaml.safe_load(read.stdout))


@pytest.fixture(scope="session")
def running(deployment: Deployment) -> Iterator[Deployment]:
    """All services in a network of their own, started in the order and under the conditions of the compose file."""
    waiting = {
        "redis": 60,
        "postgres": 120,
        "label-studio": 420,
        "backend": 60,
        "worker-score": 120,
        "worker-train": 120,
    }
    with own_network(), ExitStack() as stack:
        storage = stack.enter_context(deployment.container("storage"))
        made = storage.run()
        assert made.returncode == 0, made.stderr
        for name, seconds in waiting.items():
            extra = {"HELIOLOOP_EPOCHS": "1"} if name == "worker-train" else {}
            service = stack.enter_context(deployment.container(name, **extra))
            deployment.running[name] = service
            service.start()
            if name != "postgres":  # starts beside Redis
                say(f"{name} is healthy after {service.wait_until_healthy(seconds):.0f} s")
            if name == "label-studio":
                assert deployment.running["postgres"].healthy()
        yield deployment
