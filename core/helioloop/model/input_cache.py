"""Prepared network inputs kept in a folder, for all members of a version and later rounds."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helioloop.files import atomic
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.inputs import FloatArray, Load
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

    def __call__(self, cube: CubeInfo) -> FloatArray:
        """Return the input of one cube, without the batch axis."""
        path = self._path(cube)
        kept = None if path is None else _read(path)
        if kept is not None:
            return kept
        inputs = self.architecture.prepare(self.load(cube), self.instrument)
        if path is not None:
            _write(path, inputs)
        return inputs

    def _path(self, cube: CubeInfo) -> Path | None:
        input_format = self.architecture.input_format
        if self.folder is None or input_format is None:
            return None
        key = hashlib.sha256(f"{input_format} {self.instrument.as_dict()}".encode()).hexdigest()[:12]
        return self.folder / f"{self.architecture.name}-{key}" / f"{cube.sha256}.npy"


def _read(path: Path) -> FloatArray | None:
    """Return a kept input; None where the file is missing or damaged."""
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    except (OSError, ValueError, EOFError):
        return None


def _write(path: Path, inputs: FloatArray) -> None:
    """Write an input, in half precision where that changes no value."""
    with np.errstate(over="ignore"):
        half = inputs.astype(np.float16)
    content = io.BytesIO()
    np.save(content, half if np.array_equal(half, inputs, equal_nan=True) else inputs)
    atomic.write_bytes(path, content.getvalue())
