"""The names of a cube's files below a project's media folder.

Each name contains content and grid of the cube. A task's addresses therefore never change; the content of the files for
curve and reason does.
"""

from dataclasses import dataclass
from pathlib import Path

from helioloop.files.names import file_name
from helioloop.records.instrument import MDI, Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaNames:
    """The files of one cube below the media folder.

    Parameters
    ----------
    media : Path
        The project's media folder.
    release, cube, sha256 : str
        The cube; both names are plain (`helioloop.files.names`).
    instrument : Instrument
        The grid.
    """

    media: Path
    release: str
    cube: str
    sha256: str
    instrument: Instrument

    @property
    def video(self) -> Path:
        """The video."""
        return self._path("mp4")

    @property
    def facts(self) -> Path:
        """What is known about the cube without a model."""
        return self._path("facts.json")

    @property
    def curve(self) -> Path:
        """The masking curve and the flux, as the labelling screen reads them."""
        return self._path("curve.json")

    @property
    def reason(self) -> Path:
        """Why the task is shown and the facts, as HTML; a text file, so that no browser opens it as a page."""
        return self._path("reason.txt")

    def name(self, path: Path) -> str:
        """Return the name of a file below the media folder, such as ``project-1/release/cube.mp4``."""
        return f"{self.media.name}/{path.relative_to(self.media).as_posix()}"

    def _path(self, kind: str) -> Path:
        ending = f"-{self.sha256[:12]}{_grid_suffix(self.instrument)}.{kind}"
        return self.media / self.release / file_name(self.cube, ending)


def _grid_suffix(instrument: Instrument) -> str:
    """Return what the names of files on a grid contain; nothing for MDI's, as in projects without a profile."""
    cadence, n_frames, clip = instrument.cadence_seconds, instrument.n_frames, instrument.clip_gauss
    if (cadence, n_frames, clip) == (MDI.cadence_seconds, MDI.n_frames, MDI.clip_gauss):
        return ""
    return f"-{n_frames}x{cadence:.12g}s-{clip:.12g}G"
