"""Reads the facts of this machine: folders, disk space, packages, container, GPU."""

import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from helioloop.environment.answering import what_is_wrong
from helioloop.errors import HelioloopError
from helioloop.files.access import is_folder
from helioloop.files.release_folders import missing_releases
from helioloop.model.provenance import code_version
from helioloop.registry.project_profile import read_project_profile
from helioloop.registry.project_stamp import ProjectStamp
from helioloop.registry.root_identity import lacks_root_identity, read_root_identity
from helioloop.registry.stamp import write_stamp
from helioloop.registry.unusable import unusable_versions
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.workflows.learning_code import is_of_this_code
from helioloop_worker.doctor.facts import DiskFacts, FolderFacts, MachineFacts

EXTRA: Final = "worker"
_CONTAINER_MARKS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
_GPU_MARKS: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))


def read_machine(settings: Settings, silent: Collection[Path] = ()) -> MachineFacts:
    """Return the facts of this machine; `silent` are folders that do not answer, which are not looked at."""
    folders = (settings.model_root, settings.media_root, settings.cache_root)
    silent_roots = [root for root in settings.release_roots if root in silent]
    return MachineFacts(
        in_container=any(mark.exists() for mark in _CONTAINER_MARKS) or "KUBERNETES_SERVICE_HOST" in os.environ,
        disks=tuple(_disk(folder, silent) for folder in dict.fromkeys((*folders, *silent_roots))),
        missing_roots=tuple(root for root in settings.release_roots if root not in silent and not is_folder(root)),
        missing_packages=tuple(missing_packages()),
        torch=_installed("torch"),
        has_gpu=any(mark.exists() for mark in _GPU_MARKS),
        code=code_version(),
    )


def _disk(folder: Path, silent: Collection[Path]) -> DiskFacts:
    """Return the free space for a folder; of the nearest folder above it, where it is not there yet."""
    if folder in silent:
        return DiskFacts(folder=folder, fault=f"gives {what_is_wrong()}", is_silent=True)
    place = folder.absolute()
    try:
        if not place.exists():
            parents = [parent for parent in place.parents if parent.exists()]
            if len(parents[0].parts) < 2:  # nothing but the root directory is there
                return DiskFacts(folder=folder, fault="is missing, and so is the folder above it")
            place = parents[0]
        free, space = shutil.disk_usage(place).free, os.statvfs(place)
    except OSError as error:
        return DiskFacts(folder=folder, fault=f"cannot be read ({error.strerror})")
    return DiskFacts(folder=folder, free_bytes=free, free_files=space.f_favail if space.f_files else None)


def missing_packages() -> list[str]:
    """Return the requirements of the extra [worker] that are not met in this environment."""
    missing = []
    for line in requires("helioloop") or ():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": EXTRA}):
            continue
        found = _installed(wanted.name)
        if found is None or not wanted.specifier.contains(found, prereleases=True):
            missing.append(f"{wanted.name}{wanted.specifier} (found: {found or 'nothing'})")
    return missing


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def read_folder(settings: Settings, project: int | None, silent: Collection[Path] = ()) -> FolderFacts:
    """Return the facts of the model root, after writing a new stamp into it; folders in `silent` do not answer."""
    root = settings.model_root
    if root in silent:
        return FolderFacts(root=root, fault=f"gives {what_is_wrong()}", is_silent=True)
    seen = FolderFacts(root=root, identity=read_root_identity(root), lacks_identity=lacks_root_identity(root))
    try:
        stamp = write_stamp(root)
    except OSError as error:
        return replace(seen, fault=error.strerror or str(error))
    if project is None:
        return replace(seen, stamp=stamp)
    folder = settings.model_dir(project)
    try:
        registry = Registry(folder)
        published = registry.published()
        card = None if published is None else registry.card(published)
        n_frames = read_project_profile(folder).instrument.n_frames
        owner = ProjectStamp.read(folder, kind="model")
        is_silent = settings.media_root in silent
        media_owner = None if is_silent else ProjectStamp.read(settings.media_dir(project), kind="media")
        unusable = unusable_versions(registry)
    except HelioloopError as error:
        return replace(seen, stamp=stamp, fault=str(error))
    return replace(
        seen,
        stamp=stamp,
        published=published,
        code=None if card is None or is_of_this_code(card) else card.code_version,
        n_frames=n_frames,
        unusable=unusable,
        owner=owner,
        media_owner=media_owner,
        missing_releases=() if card is None or silent else missing_releases(settings.release_roots, card.releases),
    )
