"""The file from which the labelling screen draws the masking curve: columns of equal length as JSON.

Label Studio draws lines only. A band is therefore a line that runs up and down between its edges, and an interval is a
line around a rectangle. JSON, because Label Studio reads an empty cell of a CSV as 0.
"""

import json

import numpy as np
from numpy.typing import NDArray

from helioloop.data.cube_facts import CubeFacts
from helioloop.labelstudio.config import FPS
from helioloop.records.scores import CubeScore, Emergence

COLUMNS = ("p", "spread", "interval", "flux")
"""The columns beside ``t`` and ``clock``; see `curve_json`."""

WINDOW_SECONDS = 0.01
"""Length of the time axis of the curves, and of the window of the play head.

Label Studio restores the window of one time series into the others of a task, so both have the same one. It is shorter
than a frame, because a time series moves the video to the middle of its window when it is loaded.
"""

_STEPS_PER_FRAME = 2  # of the band's line, so that it looks filled
_BESIDE_FRAMES = 0.02  # between rows at one frame: Label Studio wants times that increase

_DIGITS = 3
_DIGITS_OF_TIME = 8
_NEAR_HALF = 1e-6

Value = float | None
FloatArray = NDArray[np.float64]
Rows = tuple[FloatArray, dict[str, list[Value]]]
"""The frame of each row, in order, and the columns that have values in these rows."""


def curve_json(facts: CubeFacts, score: CubeScore | None, *, blind: bool = False) -> str:
    """Return the file for a cube.

    Parameters
    ----------
    facts : CubeFacts
        Of the cube, with its flux.
    score : CubeScore or None
        With the masking curve and the emergence interval; what it lacks is left out.
    blind : bool
        True for a random check that nobody has answered: the flux alone is shown.

    Returns
    -------
    str
        A JSON object of columns. ``t`` is the place of a row, from 0 at the first frame to `WINDOW_SECONDS` at the
        end. ``p`` is the masking curve, ``spread`` runs between mean ± standard deviation of the members, ``interval``
        around the emergence interval, ``flux`` is in 10²¹ Mx; null where a row has no value. ``clock`` is the time axis
        of the play head: 0, then `WINDOW_SECONDS`, and in the last row the length of the video in seconds.
    """
    score = None if blind else score
    n_frames = facts.n_frames
    first: dict[str, list[Value]] = {"flux": list(facts.flux)}
    parts: list[Rows] = [(np.arange(n_frames, dtype=np.float64), first)]
    if score is not None and score.curve is not None:
        first["p"] = _rounded(np.asarray(score.curve[:n_frames]), _DIGITS).tolist()
    if score is not None and score.curve is not None and score.curve_spread is not None:
        parts.append(_spread(score.curve, score.curve_spread))
    if score is not None and score.emergence is not None:
        parts.append(_interval(score.emergence))
    parts.append((np.array([float(n_frames)]), {}))
    columns = _columns(parts, n_frames)
    n_rows = len(columns["t"])
    columns["clock"] = [0.0, *[WINDOW_SECONDS] * (n_rows - 2), n_frames / FPS]
    return json.dumps(columns, separators=(",", ":"), allow_nan=False) + "\n"


def _columns(parts: list[Rows], n_frames: int) -> dict[str, list[Value]]:
    """Return the columns with the rows of all parts in the order of their frames."""
    frames = np.concatenate([frames for frames, _ in parts])
    order = np.argsort(frames, kind="stable")
    columns = {"t": _rounded(frames[order] * (WINDOW_SECONDS / n_frames), _DIGITS_OF_TIME).tolist()}
    for name in COLUMNS:
        values, start = np.full(len(frames), None, dtype=object), 0
        for of_part, given in parts:
            if name in given:
                values[start : start + len(of_part)] = given[name]
            start += len(of_part)
        columns[name] = values[order].tolist()
    return columns


def _spread(curve: tuple[float, ...], deviation: tuple[float, ...]) -> Rows:
    frames = np.arange(_STEPS_PER_FRAME * (len(curve) - 1) + 1) / _STEPS_PER_FRAME
    mean, spread = _between(curve, frames), _between(deviation, frames)
    edges = np.clip(np.stack([mean - spread, mean + spread], axis=1), 0.0, 1.0)
    edges[1::2] = edges[1::2, ::-1]
    places = np.stack([frames + _BESIDE_FRAMES, frames + 2 * _BESIDE_FRAMES], axis=1)
    return places.ravel(), {"spread": _rounded(edges.ravel(), _DIGITS).tolist()}


def _interval(emergence: Emergence) -> Rows:
    lo, hi = emergence.frame_lo, emergence.frame_hi
    frames = [frame + k * _BESIDE_FRAMES for frame, k in ((lo, 3), (lo, 4), (hi, 5), (hi, 6))]
    return np.array(frames), {"interval": [0.0, 1.0, 1.0, 0.0]}


def _between(values: tuple[float, ...], frames: FloatArray) -> FloatArray:
    return np.interp(frames, np.arange(len(values)), values)


def _rounded(values: FloatArray, digits: int) -> FloatArray:
    """Return what Python's `round` returns for each value; numpy's differs where a product is rounded to a half."""
    scaled = values * 10.0**digits
    found = np.rint(scaled) / 10.0**digits
    for k in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR_HALF):
        found[k] = round(float(values[k]), digits)
    return found
