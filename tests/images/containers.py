"""Runs a service of the compose file from its image, as a container engine would, with namespaces and chroot.

Tried this way: the image's user, entry point, command and environment; a root file system that is mounted read-only;
no capabilities and no new privileges; volumes, secrets, health checks, process ids of its own. Not tried: seccomp,
cgroups (memory, devices), user namespaces, a network per container. All services share one network namespace, in which
their names are 127.0.0.1.
"""

import ctypes
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.images.engine import Engine, ImageConfig

CLONE_NEWNET = 0x40000000
STOP_SECONDS = 60
INIT = "/usr/bin/tini-static"
"""Process 1 of services with ``init: true``; the same program as Docker's, from Debian's package tini."""


@contextmanager
def own_network() -> Iterator[None]:
    """Put this thread, and the processes it starts, into a network namespace with nothing but its loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "no network namespace could be made; these tests need root")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder or file of this machine at a place in the container."""

    source: Path
    target: str
    read_only: bool


@dataclass(slots=True)
class Container:
    """A service of the compose file, in a container of its image."""

    engine: Engine
    name: str
    service: Mapping[str, Any]
    volumes: Sequence[Volume]
    log: Path
    hosts: Path
    _config: ImageConfig = field(init=False, repr=False)
    _container: str = field(init=False, repr=False)
    _root: Path = field(init=False, repr=False)
    process: "subprocess.Popen[bytes]" = field(init=False, repr=False)

    def __enter__(self) -> Self:
        self._config = self.engine.config(self.service["image"])
        self._container, self._root = self.engine.mount(self.service["image"])
        self._make_places()
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "process"):
            self.stop()
        self.engine.remove(self._container)

    # -- running ---------------------------------------------------------------------------------

    def start(self, *arguments: str) -> None:
        """Start the service's process, or its image's with other arguments."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._isolated(self._command(arguments)), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def run(self, *arguments: str, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
        """Run the image's entry point with other arguments in this container, to its end."""
        return subprocess.run(
            self._isolated(self._command(arguments)), capture_output=True, text=True, timeout=timeout, check=False
        )

    def execute(self, *command: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command beside the running process, as health checks are."""
        target = self._inner_pid()
        user, group = self._ids()
        enter = [
            "nsenter", "--target", str(target), "--mount", "--pid", "--root", "--wd", "--setuid", str(user), "--setgid",
            str(group), "--",
        ]  # fmt: skip
        return subprocess.run(
            [*enter, *self._with_environment(command)], capture_output=True, text=True, timeout=timeout, check=False
        )

    def healthy(self) -> bool:
        """Return True if the health check of the compose file succeeds now."""
        kind, *test = self.service["healthcheck"]["test"]
        command = ["sh", "-c", test[0].replace("$$", "$")] if kind == "CMD-SHELL" else test
        return self.execute(*command).returncode == 0

    def wait_until_healthy(self, seconds: float) -> float:
        """Wait for the health check to succeed, and return how many seconds it took."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            assert self.process.poll() is None, f"{self.name} ended:\n{self.tail()}"
            if self._started() and self.healthy():
                return time.monotonic() - began
            time.sleep(1)
        raise AssertionError(f"{self.name} is not healthy after {seconds:.0f} s:\n{self.tail()}")

    def stop(self) -> int:
        """Send SIGTERM to the process, as `docker stop` does, and return its exit status."""
        if self.process.poll() is None and self._started():
            os.kill(self._inner_pid(), 15)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()  # and with it all in its namespaces
            self.process.wait(STOP_SECONDS)
            raise

    def tail(self, lines: int = 30) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def image_folder(self, path: str) -> Path:
        """Return where a path of the image is on this machine."""
        return self._root / path.lstrip("/")

    # -- isolation -------------------------------------------------------------------------------

    def _make_places(self) -> None:
        if self.service.get("init"):
            shutil.copy(INIT, self.image_folder("/sbin/docker-init"))
        for volume in [*self.volumes, Volume(source=self.hosts, target="/etc/hosts", read_only=True)]:
            place = self.image_folder(volume.target)
            if volume.source.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()

    def _isolated(self, command: Sequence[str]) -> list[str]:
        root = shlex.quote(str(self._root))
        lines = [f"mount --bind {root} {root}"]
        for volume in [*self.volumes, Volume(source=self.hosts, target="/etc/hosts", read_only=True)]:
            source, target = shlex.quote(str(volume.source)), shlex.quote(str(self.image_folder(volume.target)))
            lines.append(f"mount --bind {source} {target}")
            if volume.read_only:
                lines.append(f"mount -o remount,bind,ro {target}")
        lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
        lines += [f"mount --bind /sys {root}/sys", f"mount -o remount,bind,ro {root}/sys"]
        tmpfs = self.service.get("tmpfs") or ()
        lines += [f"mount -t tmpfs -o mode=1777 tmpfs {root}{place}" for place in tmpfs]
        if self.service.get("read_only"):
            lines.append(f"mount -o remount,bind,ro {root}")
        user, group = self._ids()
        limits = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        if "no-new-privileges:true" in (self.service.get("security_opt") or ()):
            limits.append("--no-new-privs")
        if "ALL" in (self.service.get("cap_drop") or ()):
            limits += ["--bounding-set=-all", "--inh-caps=-all"]
        init = ["/sbin/docker-init", "--"] if self.service.get("init") else []
        # inside, because chroot needs a capability; every Debian has setpriv
        lines.append(
            "exec " + shlex.join(["chroot", str(self._root), *limits, *self._with_environment([*init, *command])])
        )
        isolate = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        return [*isolate, "sh", "-ec", "\n".join(lines)]

    def _command(self, arguments: Sequence[str]) -> list[str]:
        own_entry = self.service.get("entrypoint")
        entry = list(own_entry or self._config.entrypoint)
        if arguments:
            return [*entry, *arguments]
        command = self.service.get("command")
        if command is None:
            command = [] if own_entry else list(self._config.command)
        return [word.replace("$$", "$") for word in [*entry, *command]]

    def _with_environment(self, command: Sequence[str]) -> list[str]:
        path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        variables = path | dict(self._config.environment) | dict(self.service.get("environment") or {})
        return ["env", "-i", f"--chdir={self._config.workdir}", *(f"{k}={v}" for k, v in variables.items()), *command]

    def _ids(self) -> tuple[int, int]:
        """User and group in numbers, from the compose file or the image."""
        user, _, group = str(self.service.get("user") or self._config.user).partition(":")
        if user.isdigit():
            return int(user), int(group or 0)
        rows = (line.split(":") for line in self.image_folder("/etc/passwd").read_text().splitlines())
        return next((int(row[2]), int(row[3])) for row in rows if row[0] == user)

    def _started(self) -> bool:
        return bool(_children(self.process.pid))

    def _inner_pid(self) -> int:
        """The id, on this machine, of the process that has id 1 in the container."""
        return _children(self.process.pid)[0]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
