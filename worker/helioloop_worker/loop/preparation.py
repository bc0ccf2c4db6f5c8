"""Prepares one cube of a release for import: its files are inspected, its video is rendered, its task data are made."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helioloop.archive.release_files import inspect_file
from helioloop.data.cube_facts import CubeFacts, cube_facts
from helioloop.data.cube_report import CubeReport
from helioloop.data.inspection import inspect_files, refused
from helioloop.data.loader import Loader
from helioloop.errors import CubeError, VideoError
from helioloop.labelstudio.config import FPS
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN, Profile
from helioloop_worker.loop.captions import captions_of
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.screen_files import read_facts, serve_screen, write_facts, write_first_screen
from helioloop_worker.loop.video import check_video, render_video
from helioloop_worker.media.folder import FolderMedia
from helioloop_worker.media.port import Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a process needs to prepare one cube.

    Parameters
    ----------
    release, cube : str
        Name of the release's folder and of the cube.
    known : str or None
        Content hash of the cube's task; None where it has no task.
    task_release : str or None
        Release of the cube's task, which the addresses in it contain; None where it has no task.
    loader : Loader
        Reads and grids the cube.
    media : Path
        Folder of the project's videos.
    class_names : mapping
        Class -> name in the labelling configuration.
    video_field : str
        Field of the task's data that has the address of the video.
    served : Media
        From where Label Studio gets the files.
    """

    release: str
    cube: str
    known: str | None
    loader: Loader
    media: Path
    class_names: Mapping[Label, str] = field(default_factory=lambda: {label: label.value for label in Label})
    video_field: str = "video"
    served: Media = field(default_factory=FolderMedia)
    task_release: str | None = None

    def names(self, sha256: str) -> MediaNames:
        """Return the names of the cube's files below `media`: of a known cube, those that its task shows."""
        return MediaNames(
            media=self.media,
            release=self.release if self.task_release is None else self.task_release,
            cube=self.cube,
            sha256=sha256,
            instrument=self.loader.instrument,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A cube that was prepared.

    Parameters
    ----------
    report : CubeReport
        What was read from its files; refused if it cannot be ingested, with the reason.
    data : mapping or None
        The data of the task to import, without the crude label; None where the cube has its task already or is refused.
    """

    report: CubeReport
    data: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFile:
    """A FITS file in the folder of a release that is not read as a cube, and the profile of the release."""

    folder: Path
    path: Path
    profile: Profile


def inspect_other(file: OtherFile) -> CubeReport:
    """Return what a file is, as ``helioloop check`` does."""
    return inspect_file(file.folder, file.path, file.profile.instrument, file.profile)


def other_died(file: OtherFile) -> CubeReport:
    """Return the report of a file at which its process died."""
    return refused(str(file.path.relative_to(file.folder)), "the process that read it died: make the file again")


def prepare(preparation: Preparation) -> Prepared:
    """Inspect a cube and render its video, unless a whole video is there; whatever goes wrong is in the report."""
    cube = preparation.cube
    try:
        return _prepare(preparation)
    except (CubeError, VideoError) as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever happens to one cube, the others are ingested
        problem = str(error).split("\n", 1)[0]
        reason = f"it cannot be prepared ({type(error).__name__}: {problem}); remove the cause, then ingest again"
    return Prepared(report=refused(cube, reason))


def died(preparation: Preparation) -> Prepared:
    """Return the refusal of a cube at which its process died."""
    reason = "the process that prepared it died, perhaps of lack of memory; make the file smaller or the memory larger"
    return Prepared(report=refused(preparation.cube, reason))


def other_content(cube: str) -> CubeReport:
    """Return the refusal of a changed file whose name has a task already."""
    return refused(
        cube,
        "the project has a cube of this name with other content, and the content of a task cannot be changed; rename "
        "the new file",
    )


def copied_content(cube: str, other: str, *, label: str, other_label: str) -> CubeReport:
    """Return the refusal of a file whose content has a task under another name; labels that differ are named.

    Parameters
    ----------
    cube, other : str
        Names of the refused cube and of that with the task.
    label, other_label : str
        Their crude labels, empty where there is none.
    """
    labels = (
        ""
        if label == other_label
        else f"; their labels differ: {label or 'none'} of {cube} is not used, {other_label or 'none'} of {other} is"
    )
    return refused(
        cube,
        f"it has the content of cube {other}, which has a task already, and one video counts once; remove the copy, or "
        f"if the file was renamed, name it {other}.fits again{labels}",
    )


def _prepare(preparation: Preparation) -> Prepared:
    known, loader = preparation.known, preparation.loader
    files = loader.read_files(preparation.release, preparation.cube)
    report, cube = inspect_files(files, loader.instrument, loader.profile)
    if cube is None:  # read again, for what the file is instead
        return Prepared(report=inspect_file(files.path.parent, files.path, loader.instrument, loader.profile))
    if known is not None and known == files.sha256 and _complete(preparation.names(known)):
        serve_screen(preparation.names(known), preparation.served, video_field=preparation.video_field)
        return Prepared(report=report)
    info, gridded = loader.parse(files, cube=cube)
    if known is not None and known != info.sha256:
        return Prepared(report=other_content(preparation.cube))
    names = preparation.names(info.sha256)
    patch_deg = BUILT_IN["mdi"].patch_deg if loader.profile is None else loader.profile.patch_deg
    facts = cube_facts(files, cube, gridded, instrument=loader.instrument, patch_deg=patch_deg)
    _ensure_video(names.video, gridded, facts, patch_deg=patch_deg)
    write_facts(names, facts)
    write_first_screen(names, facts, class_names=preparation.class_names)
    addresses = serve_screen(names, preparation.served, video_field=preparation.video_field)
    if known is not None:
        return Prepared(report=report)
    return Prepared(
        report=report,
        data={
            **addresses,
            "cube": preparation.cube,
            "release": preparation.release,
            "region": info.region or "",
            "start": f"{info.start}Z" if info.start else "",
            "sha256": info.sha256,
        },
    )


def _complete(names: MediaNames) -> bool:
    there = all(path.exists() for path in (names.video, names.curve, names.reason))
    return there and read_facts(names) is not None


def _ensure_video(path: Path, gridded: npt.NDArray[np.float16], facts: CubeFacts, *, patch_deg: float) -> None:
    """Render a video unless a whole one is there, also one without captions; a damaged one is rendered again."""
    with suppress(VideoError):
        if path.exists() and check_video(path).n_frames == facts.n_frames:
            return
    render_video(gridded, path, fps=FPS, captions=captions_of(facts, patch_deg=patch_deg))
