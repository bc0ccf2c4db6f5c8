"""The resources of training and scoring: cubes, device, folders, progress."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import CubeError
from helioloop.instrument import Instrument
from helioloop.model.device import Device
from helioloop.model.inputs import Load
from helioloop.progress import Report, silent

OnExcluded = Callable[[str, CubeError], None]
"""Called with the name of an excluded cube and the reason; the work goes on with the other cubes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The resources of training and scoring, passed on by everything that trains or scores.

    Parameters
    ----------
    instrument : Instrument
        The grid.
    load : Load
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
    load: Load
    device: Device
    inputs: Path | None = None
    report: Report = silent
    on_excluded: OnExcluded | None = None
