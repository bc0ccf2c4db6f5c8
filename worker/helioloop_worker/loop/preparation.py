"""Prepares one cube of a release for import: its files are checked, its video is rendered, its task data are made."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from helioloop.data.loader import Loader
from helioloop.errors import CubeError, VideoError
from helioloop.labelstudio.config import FPS
from helioloop.records.instrument import MDI, Instrument
from helioloop_worker.loop.video import check_video, render_video


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a process needs to prepare one cube.

    Parameters
    ----------
    release, cube : str
        Name of the release's folder and of the cube.
    known : str or None
        Content hash of the cube's task; None where it has no task.
    loader : Loader
        Reads and grids the cube.
    media : Path
        Folder of the project's videos.
    """

    release: str
    cube: str
    known: str | None
    loader: Loader
    media: Path

    def video(self, sha256: str) -> str:
        """Return the path of the video below `media`; it names content and grid, so a task's video never changes."""
        return f"{self.release}/{self.cube}-{sha256[:12]}{_grid_suffix(self.loader.instrument)}.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedCube:
    """A cube that cannot be ingested, and why."""

    cube: str
    reason: str


def _grid_suffix(instrument: Instrument) -> str:
    """Return what the names of videos on a grid end with; nothing for MDI's, as in projects without a profile."""
    cadence, n_frames, clip = instrument.cadence_seconds, instrument.n_frames, instrument.clip_gauss
    if (cadence, n_frames, clip) == (MDI.cadence_seconds, MDI.n_frames, MDI.clip_gauss):
        return ""
    return f"-{n_frames}x{cadence:.12g}s-{clip:.12g}G"


def prepare(preparation: Preparation) -> dict[str, str] | ExcludedCube | None:
    """Check a cube and render its video, unless a whole video is there.

    Returns
    -------
    dict, ExcludedCube or None
        The data of the task to import, without the crude label; None where the cube has its task already.
    """
    known, media, cube = preparation.known, preparation.media, preparation.cube
    try:
        files = preparation.loader.read_files(preparation.release, cube)
        if known is not None and known == files.sha256 and (media / preparation.video(known)).exists():
            return None
        info, gridded = preparation.loader.parse(files)
        if known is not None and known != info.sha256:
            return other_content(cube)
        video = preparation.video(info.sha256)
        _ensure_video(media / video, gridded, n_frames=preparation.loader.instrument.n_frames)
    except (CubeError, VideoError) as error:
        return ExcludedCube(cube=cube, reason=str(error))
    if known is not None:
        return None
    return {
        "video": f"/data/local-files/?d={quote(f'helioloop/{media.name}/{video}')}",
        "cube": cube,
        "release": preparation.release,
        "region": info.region or "",
        "start": f"{info.start}Z" if info.start else "",
        "sha256": info.sha256,
    }


def other_content(cube: str) -> ExcludedCube:
    """Return the exclusion of a changed file whose name has a task already."""
    return ExcludedCube(
        cube=cube,
        reason="the project has a cube of this name with other content, and the data of a task cannot be changed; "
        "rename the new file",
    )


def _ensure_video(path: Path, gridded: npt.NDArray[np.float16], *, n_frames: int) -> None:
    """Render a video unless a whole one is there; a damaged one is rendered again."""
    with suppress(VideoError):
        if path.exists() and check_video(path).n_frames == n_frames:
            return
    render_video(gridded, path, fps=FPS)
