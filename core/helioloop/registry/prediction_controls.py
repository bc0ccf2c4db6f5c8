"""Which controls each version's predictions fitted when all were looked at: ``prediction-controls.json``.

A team may change the labelling configuration while a version is trained or shown. With this note in the model folder
a change is noticed, and named in the status, without reading all predictions. Which of them are written again depends
on what each names, and not on the note: a project of an older helioloop has none.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from helioloop.files import atomic
from helioloop.records.controls import Controls

PREDICTION_CONTROLS: Final = "prediction-controls.json"


def read_prediction_controls(model_dir: Path) -> dict[str, Controls]:
    """Return version -> controls of its predictions in Label Studio; empty before the first.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        Where the file is damaged.
    """
    try:
        values = json.loads((model_dir / PREDICTION_CONTROLS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {str(version): Controls.from_dict(entry) for version, entry in values.items()}


def write_prediction_controls(model_dir: Path, version: str, controls: Controls, *, versions: Collection[str]) -> None:
    """Note the controls of a version's predictions; those of versions that are not among `versions` are forgotten."""
    before = read_prediction_controls(model_dir)
    if (known := before.get(version)) is not None and known.as_dict() == controls.as_dict():
        return
    kept = {name: entry for name, entry in before.items() if name in versions}
    values = {name: entry.as_dict() for name, entry in {**kept, version: controls}.items()}
    atomic.write_json(model_dir / PREDICTION_CONTROLS, values)
