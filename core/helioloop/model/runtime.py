"""What training and scoring work with, made once and passed on: cubes, device, folders, progress."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import CubeError
from helioloop.instrument import Instrument
from helioloop.model.device import Device
from helioloop.model.inputs import Load
from helioloop.progress import Report, silent

OnExcluded = Callable[[str, CubeError], None]
"""Called with the name of a cube that cannot be read, and why; the other cubes go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What training and scoring work with, whatever the release or project.

    Parameters
    ----------
    instrument : Instrument
        The grid.
    load : Load
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
    load: Load
    device: Device
    inputs: Path | None = None
    report: Report = silent
    on_excluded: OnExcluded | None = None
