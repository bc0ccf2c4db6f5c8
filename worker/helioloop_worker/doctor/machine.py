"""Checks of this machine: disk space, release folders, installed packages."""

from typing import Final

from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, ok, out_of_time
from helioloop_worker.doctor.folders import silent_folder

DISK: Final = "disk"
RELEASES: Final = "release-folders"
PACKAGES: Final = "packages"

FULL_BYTES: Final = 2**30
"""Less free space is wrong: a version of ten members has some tens of MB, the cache of a release some GB."""
LOW_BYTES: Final = 5 * 2**30
"""Less free space is doubtful."""
FEW_FILES: Final = 10_000
"""Fewer free inodes are doubtful: a cube has four files."""

_NO_FOLDER = Cause(
    check=DISK,
    name="no-folder",
    doubtful=True,
    remedy="Correct HELIOLOOP_MEDIA_ROOT, HELIOLOOP_MODEL_ROOT or HELIOLOOP_CACHE_ROOT, or create the folder with "
    "`helioloop init`.",
)
_SILENT = silent_folder(DISK)
_FREE: Final = "Free space there; the cache (HELIOLOOP_CACHE_ROOT) may be deleted at any time."
_FULL = Cause(check=DISK, name="full", remedy=_FREE)
_LOW = Cause(check=DISK, name="low", doubtful=True, remedy=_FREE)
_NO_ROOTS = Cause(
    check=RELEASES,
    name="none",
    doubtful=True,
    remedy="Set HELIOLOOP_RELEASE_ROOTS to a JSON list of folders, such as '[\"/data/releases\"]'; without it "
    "nothing can be "
    "ingested here.",
)
_ROOT_MISSING = Cause(
    check=RELEASES, name="missing", remedy="Mount or correct the folders that HELIOLOOP_RELEASE_ROOTS names."
)
_PACKAGE_MISSING = Cause(
    check=PACKAGES, name="missing", remedy="Run `uv pip install 'helioloop[worker]'` in this environment."
)
_CPU_TORCH = Cause(
    check=PACKAGES,
    name="torch-without-cuda",
    doubtful=True,
    remedy="Install the CUDA build of torch (`uv pip install --torch-backend auto torch`), or set "
    "HELIOLOOP_DEVICE=cpu.",
)

CAUSES: Final = (_SILENT, _NO_FOLDER, _FULL, _LOW, _NO_ROOTS, _ROOT_MISSING, _PACKAGE_MISSING, _CPU_TORCH)


def _check_disk(facts: Facts) -> Finding:
    if facts.machine is None:
        return out_of_time(DISK)
    silent = [f"{disk.folder} {disk.fault}" for disk in facts.machine.disks if disk.is_silent]
    if silent:
        return _SILENT.found(facts, ", ".join(silent))
    readable = [disk for disk in facts.machine.disks if disk.fault is None]
    full = [f"{disk.folder} has {_gib(disk.free_bytes)} left" for disk in readable if disk.free_bytes < FULL_BYTES]
    if full:
        return _FULL.found(facts, ", ".join(full))
    low = [f"{disk.folder} has {_gib(disk.free_bytes)} left" for disk in readable if disk.free_bytes < LOW_BYTES]
    low += [
        f"{disk.folder} has room for {disk.free_files} files"
        for disk in readable
        if disk.free_files is not None and disk.free_files < FEW_FILES
    ]
    missing = [f"{disk.folder} {disk.fault}" for disk in facts.machine.disks if disk.fault is not None]
    if missing:
        return _NO_FOLDER.found(facts, ", ".join([*missing, *low]))
    if low:
        return _LOW.found(facts, ", ".join(low))
    least = min((disk.free_bytes for disk in readable), default=0)
    return ok(DISK, f"at least {_gib(least)} are free in each folder")


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"


def _check_releases(facts: Facts) -> Finding:
    if facts.machine is None:
        return out_of_time(RELEASES)
    if not facts.settings.release_roots:
        return _NO_ROOTS.found(facts, "HELIOLOOP_RELEASE_ROOTS is not set")
    if facts.machine.missing_roots:
        return _ROOT_MISSING.found(
            facts, f"not a folder that can be read here: {', '.join(map(str, facts.machine.missing_roots))}"
        )
    return ok(RELEASES, ", ".join(map(str, facts.settings.release_roots)))


def _check_packages(facts: Facts) -> Finding:
    machine = facts.machine
    if machine is None:
        return out_of_time(PACKAGES)
    if machine.missing_packages:
        return _PACKAGE_MISSING.found(facts, f"not installed as required: {', '.join(machine.missing_packages)}")
    wants_gpu = facts.settings.device == "cuda" or (facts.settings.device == "auto" and machine.has_gpu)
    if wants_gpu and "+cpu" in (machine.torch or ""):
        return _CPU_TORCH.found(facts, f"torch {machine.torch} runs on the CPU only, and there is a GPU to use")
    return ok(PACKAGES, f"all packages of the extra [worker] are there, torch {machine.torch}")


CHECKS: Final = (
    Check(name=DISK, run=_check_disk),
    Check(name=RELEASES, run=_check_releases),
    Check(name=PACKAGES, run=_check_packages),
)
