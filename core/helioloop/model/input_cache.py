"""Prepared network inputs and local growths kept in a folder, for all members of a version and later rounds."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from helioloop.files import cache_files
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.architectures import find_architecture
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray, Load
from helioloop.model.local_growth import GROWTH_FORMAT, local_growth
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCache:
    """Returns the network input of a cube: read from the folder where possible, otherwise prepared from the cube.

    Parameters
    ----------
    architecture : Architecture
        Prepares the inputs. Only the inputs of an architecture with an `input_format` are kept.
    instrument : Instrument
        The grid.
    load : Load
        Returns the gridded cube.
    folder : Path or None
        Where inputs are kept; may be deleted at any time. None keeps nothing.
    """

    architecture: AnyArchitecture
    instrument: Instrument
    load: Load
    folder: Path | None = None

    @classmethod
    def of(cls, plan: Plan, runtime: Runtime) -> Self:
        """Return the inputs of the network that a plan's recipe names."""
        architecture = find_architecture(plan.recipe.network)
        return cls(architecture=architecture, instrument=plan.instrument, load=runtime.load, folder=runtime.inputs)

    def __call__(self, cube: CubeInfo) -> FloatArray:
        """Return the input of one cube, without the batch axis."""
        path = self._path(cube)
        kept = None if path is None else _read(path)
        if kept is not None:
            return kept
        inputs = self.architecture.prepare(FieldVideo(self.load(cube), self.instrument))
        if path is not None:
            _write(path, inputs)
        return inputs

    def _path(self, cube: CubeInfo) -> Path | None:
        input_format = self.architecture.input_format
        if self.folder is None or input_format is None:
            return None
        return _path(self.folder, self.architecture.name, f"{input_format} {self.instrument.as_dict()}", cube)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthCache:
    """Returns the local growth of a cube: read from the folder where possible, otherwise measured in the cube.

    Parameters
    ----------
    instrument : Instrument
        The grid.
    patch_deg : float
        Side of the patch in heliographic degrees.
    load : Load
        Returns the gridded cube.
    folder : Path or None
        Where growths are kept, beside prepared inputs; may be deleted at any time. None keeps nothing.
    """

    instrument: Instrument
    patch_deg: float
    load: Load
    folder: Path | None = None

    @classmethod
    def of(cls, plan: Plan, runtime: Runtime) -> Self:
        """Return the growths on the grid of a plan."""
        return cls(instrument=plan.instrument, patch_deg=plan.patch_deg, load=runtime.load, folder=runtime.inputs)

    def __call__(self, cube: CubeInfo) -> float | None:
        """Return the local growth of one cube; None where it cannot be measured, which is kept as NaN."""
        path = None
        if self.folder is not None:
            of = f"{GROWTH_FORMAT} {self.instrument.as_dict()} {self.patch_deg}"
            path = _path(self.folder, "local-growth", of, cube)
        kept = None if path is None else _read_array(path)
        if kept is not None and kept.shape == () and kept.dtype == np.float64:
            return None if np.isnan(kept) else float(kept)
        growth = local_growth(FieldVideo(self.load(cube), self.instrument), patch_deg=self.patch_deg)
        if path is not None:
            _write_array(path, np.array(np.nan if growth is None else growth))
        return growth


def _path(folder: Path, kind: str, of: str, cube: CubeInfo) -> Path:
    """Return the file of a cube; `of` is everything else that its content depends on."""
    key = hashlib.sha256(of.encode()).hexdigest()[:12]
    return folder / f"{kind}-{key}" / f"{cube.sha256}.npy"


def _read(path: Path) -> FloatArray | None:
    """Return a kept input; None where the file is missing or damaged."""
    kept = _read_array(path)
    return None if kept is None else np.asarray(kept, dtype=np.float32)


def _read_array(path: Path) -> npt.NDArray[np.generic] | None:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None


def _write(path: Path, inputs: FloatArray) -> None:
    """Write an input, in half precision where that changes no value."""
    with np.errstate(over="ignore"):
        half = inputs.astype(np.float16)
    _write_array(path, half if np.array_equal(half, inputs, equal_nan=True) else inputs)


def _write_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    content = io.BytesIO()
    np.save(content, array)
    cache_files.write(path.parent.parent, path, content.getvalue())
