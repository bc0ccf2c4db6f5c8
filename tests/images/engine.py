"""Builds images with buildah, without a daemon, in a store of its own, and reads what is in them."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
STAND_IN_PACKAGES = "ca-certificates,python3,python3-venv"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says about the process that runs in it."""

    user: str
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    workdir: str


@dataclass(frozen=True, slots=True)
class Engine:
    """Buildah with its images in one folder, as root and with chroot isolation.

    Parameters
    ----------
    folder : Path
        Holds images, layers and the stand-in for the Python image; kept between runs, so unchanged layers are reused.
    """

    folder: Path

    def buildah(self, *arguments: str, **more: Any) -> str:
        """Run buildah and return what it prints."""
        store = ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run")]
        run = subprocess.run(["buildah", *store, *arguments], stdout=subprocess.PIPE, text=True, check=True, **more)
        return run.stdout.strip()

    def make_stand_in(self) -> None:
        """Make an image of Debian 12 with its Python 3.11, and give it the name of the published Python image.

        For machines that reach Debian's packages but no registry of images.
        """
        if self.has(PYTHON_IMAGE):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        tree, archive = self.folder / "debian", self.folder / "debian.tar"
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={STAND_IN_PACKAGES}", "bookworm", tree], check=True
        )
        subprocess.run(["tar", "-C", tree, "--exclude=./var/cache/apt/archives/*.deb", "-cf", archive, "."], check=True)
        container = self.buildah("from", "scratch")
        self.buildah("add", container, str(archive), "/")
        self.buildah("commit", "--format", "docker", container, PYTHON_IMAGE)
        self.buildah("rm", container)
        shutil.rmtree(tree)
        archive.unlink()

    def build(self, name: str, dockerfile: Path, *, context: Path, **arguments: str) -> None:
        """Build an image; the package index, wheels and certificates are those of this machine."""
        options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        for place in self._index_of_this_machine():
            options += ["--volume", place]
        self.buildah(
            "bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "--layers", *options,
            "--file", str(dockerfile), "--tag", name, str(context),
        )  # fmt: skip

    def _index_of_this_machine(self) -> Iterator[str]:
        """Mounts for a build: certificates, and the configuration of pip and uv with the folders that it names."""
        wheels = _find_links()
        certificates = Path("/etc/ssl/certs/ca-certificates.crt")
        uv, pip = self.folder / "uv.toml", self.folder / "pip.conf"
        uv.write_text(f"system-certs = true\nfind-links = {json.dumps([str(place) for place in wheels])}\n")
        pip.write_text(f"[global]\ncert = {certificates}\n")
        yield f"{certificates}:{certificates}:ro"
        yield f"{uv}:/etc/uv/uv.toml:ro"
        yield f"{pip}:/etc/pip.conf:ro"
        for place in wheels:
            yield f"{place}:{place}:ro"

    def has(self, name: str) -> bool:
        """Return True if the store has an image of this name."""
        try:
            self.buildah("inspect", "--type", "image", name, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            return False
        return True

    def config(self, name: str) -> ImageConfig:
        """Return what an image says about its process."""
        config = json.loads(self.buildah("inspect", "--type", "image", name))["Docker"]["config"]
        return ImageConfig(
            user=config.get("User") or "0",
            environment=dict(entry.split("=", 1) for entry in config.get("Env") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            workdir=config.get("WorkingDir") or "/",
        )

    def description(self, name: str) -> str:
        """Return everything that an image records beside its files: configuration and history."""
        return self.buildah("inspect", "--type", "image", name)

    def files(self, name: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Yield each file of each layer of an image, also those that a later layer hides."""
        place = self.folder / "saved"
        shutil.rmtree(place, ignore_errors=True)
        self.buildah("push", "--quiet", "--disable-compression", name, f"dir:{place}")
        try:
            manifest = json.loads((place / "manifest.json").read_text())
            for layer in manifest["layers"]:
                with tarfile.open(place / layer["digest"].removeprefix("sha256:")) as archive:
                    for member in archive:
                        yield member, archive.extractfile(member) if member.isreg() else None
        finally:
            shutil.rmtree(place)

    def size_mb(self, name: str) -> float:
        """Return the size of an image's files in megabytes (1e6 bytes), uncompressed."""
        rows = json.loads(self.buildah("images", "--json", name))
        size = str(rows[0]["size"])
        number, unit = size.split()
        return float(number) * {"KB": 1e-3, "MB": 1.0, "GB": 1e3}[unit]

    def mount(self, name: str) -> tuple[str, Path]:
        """Return a new container of an image, and the folder in which its root file system is."""
        container = self.buildah("from", "--pull-never", name)
        return container, Path(self.buildah("mount", container))

    def remove(self, container: str) -> None:
        """Delete a container."""
        self.buildah("rm", container)


def _find_links() -> Sequence[Path]:
    """Folders of wheels that pip is configured with on this machine."""
    run = subprocess.run(
        ["python3", "-m", "pip", "config", "get", "global.find-links"], capture_output=True, text=True, check=False
    )
    named = [*os.environ.get("PIP_FIND_LINKS", "").split(), *run.stdout.split()]
    return sorted({Path(place) for place in named if Path(place).is_dir()})
