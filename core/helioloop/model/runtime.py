"""The resources of training and scoring: cubes, device, folders, progress."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from helioloop.errors import CubeError
from helioloop.model.device import Device
from helioloop.progress import Report, silent
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.profiles import Profile

if TYPE_CHECKING:  # training does not need astropy, which reads files
    from helioloop.data.cubes import CubeFiles


class CubeLoader(Protocol):
    """Returns cubes on the grid: known cubes by their record, others from their files. See `data.loader.Loader`."""

    def __call__(self, cube: CubeInfo, /) -> npt.NDArray[np.floating]:
        """Return a cube on the grid."""

    def read_files(self, release: str, name: str) -> "CubeFiles":
        """Return the content of a cube's files."""

    def parse(
        self, files: "CubeFiles", *, label: Label | None = None, verified: bool = False
    ) -> tuple[CubeInfo, npt.NDArray[np.floating]]:
        """Return the record of a cube and its frames on the grid."""


OnExcluded = Callable[[str, CubeError], None]
"""Called with the name of an excluded cube and the reason; the work goes on with the other cubes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The resources of training and scoring, passed on by everything that trains or scores.

    Parameters
    ----------
    instrument : Instrument
        The grid.
    profile : Profile or None
        The release's profile, for the records of plans; None where cubes come from no single release.
    load : CubeLoader
        Returns a gridded cube; picklable if several processes are used.
    device : Device
        Where networks run.
    inputs : Path or None
        Folder of prepared network inputs, shared by members and rounds; None prepares them again each time.
    report : Report
        Called with the progress.
    on_excluded : OnExcluded or None
        Called for each cube that cannot be read. With None the first such cube ends the work with its error.
    """

    instrument: Instrument
    load: CubeLoader
    device: Device
    profile: Profile | None = None
    inputs: Path | None = None
    report: Report = silent
    on_excluded: OnExcluded | None = None
