"""The file from which the labelling screen draws the masking curve: columns of equal length as JSON.

Label Studio draws lines only. A band is therefore a line that runs up and down between its edges, and an interval is a
line around a rectangle. JSON, because Label Studio reads an empty cell of a CSV as 0.
"""

import json
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from helioloop.data.cube_facts import CubeFacts
from helioloop.labelstudio.config import FPS
from helioloop.records.scores import CubeScore

COLUMNS = ("p", "spread", "interval", "flux")
"""The columns beside ``t`` and ``clock``; see `curve_json`."""

WINDOW_SECONDS = 0.01
"""Length of the time axis of the curves, and of the window of the play head.

Label Studio restores the window of one time series into the others of a task, so both have the same one. It is shorter
than a frame, because a time series moves the video to the middle of its window when it is loaded.
"""

_STEPS_PER_FRAME = 2  # of the band's line, so that it looks filled
_BESIDE_FRAMES = 0.02  # between rows at one frame: Label Studio wants times that increase

Value = float | None


@dataclass(slots=True)
class _Rows:
    """Rows in any order, each with its frame and the columns that have a value in it."""

    rows: list[tuple[float, dict[str, Value]]] = field(default_factory=list)

    def add(self, frame: float, **values: Value) -> None:
        self.rows.append((frame, values))

    def columns(self, n_frames: int) -> dict[str, list[Value]]:
        ordered = sorted(self.rows, key=lambda row: row[0])
        scale = WINDOW_SECONDS / n_frames
        columns: dict[str, list[Value]] = {"t": [round(frame * scale, 8) for frame, _ in ordered]}
        return columns | {name: [values.get(name) for _, values in ordered] for name in COLUMNS}


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
    rows = _Rows()
    score = None if blind else score
    for frame, flux in enumerate(facts.flux):
        p = score.curve[frame] if score is not None and score.curve is not None else None
        rows.add(frame, flux=flux, p=None if p is None else round(p, 3))
    if score is not None:
        _add_spread(rows, score)
        _add_interval(rows, score)
    rows.add(facts.n_frames)
    columns = rows.columns(facts.n_frames)
    n_rows = len(columns["t"])
    columns["clock"] = [0.0, *[WINDOW_SECONDS] * (n_rows - 2), facts.n_frames / FPS]
    return json.dumps(columns, separators=(",", ":"), allow_nan=False) + "\n"


def _add_spread(rows: _Rows, score: CubeScore) -> None:
    if score.curve is None or score.curve_spread is None:
        return
    frames = np.arange(_STEPS_PER_FRAME * (len(score.curve) - 1) + 1) / _STEPS_PER_FRAME
    mean, spread = _between(score.curve, frames), _between(score.curve_spread, frames)
    low, high = np.clip(mean - spread, 0.0, 1.0), np.clip(mean + spread, 0.0, 1.0)
    for step, frame in enumerate(frames):
        edges = (low[step], high[step]) if step % 2 == 0 else (high[step], low[step])
        for place, edge in enumerate(edges):
            rows.add(float(frame) + (1 + place) * _BESIDE_FRAMES, spread=round(float(edge), 3))


def _add_interval(rows: _Rows, score: CubeScore) -> None:
    if score.emergence is None:
        return
    corners = ((score.emergence.frame_lo, 0.0, 1.0), (score.emergence.frame_hi, 1.0, 0.0))
    for corner, (frame, first, second) in enumerate(corners):
        for place, value in enumerate((first, second)):
            rows.add(frame + (3 + 2 * corner + place) * _BESIDE_FRAMES, interval=value)


def _between(values: tuple[float, ...], frames: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(frames, np.arange(len(values)), values)
