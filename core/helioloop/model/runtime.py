"""What training and scoring work with, made once and passed on: cubes, device, folders, progress."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from helioloop.data.cubes import CubeFiles
from helioloop.errors import CubeError
from helioloop.instrument import Instrument
from helioloop.model.device import Device
from helioloop.progress import Report, silent
from helioloop.records import CubeInfo, Label


class CubeLoader(Protocol):
    """Returns cubes on the grid: known cubes by their record, others from their files. See `data.loader.Loader`."""

    def __call__(self, cube: CubeInfo, /) -> npt.NDArray[np.floating]:
        """Return a cube on the grid."""

    def read_files(self, release: str, name: str) -> CubeFiles:
        """Return the content of a cube's files."""

    def parse(
        self, files: CubeFiles, *, label: Label | None = None, verified: bool = False
    ) -> tuple[CubeInfo, npt.NDArray[np.floating]]:
        """Return the record of a cube and its frames on the grid."""


OnExcluded = Callable[[str, CubeError], None]
"""Called with the name of a cube that cannot be read, and why; the other cubes go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What training and scoring work with, whatever the release or project.

    Parameters
    ----------
    instrument : Instrument
        The grid.
    load : CubeLoader
        Returns a cube on the grid; picklable where several processes are used.
    device : Device
        Where networks run.
    inputs : Path or None
        Folder that keeps prepared network inputs between members and rounds; None prepares them anew.
    report : Report
        Called with the progress.
    on_excluded : OnExcluded or None
        Called for each cube that cannot be read; None lets its error end the call.
    """

    instrument: Instrument
    load: CubeLoader
    device: Device
    inputs: Path | None = None
    report: Report = silent
    on_excluded: OnExcluded | None = None
