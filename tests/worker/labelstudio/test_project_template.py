"""The instruction of a new project: complete, and with stills of synthetic cubes."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helioloop.data.cubes import Cube
from helioloop.data.gridding import to_grid
from helioloop.records.instrument import MDI
from helioloop.synthetic import make_cube
from helioloop_worker.labelstudio.project_template import copy_stills, instruction
from helioloop_worker.loop.video import still

SEED = 3
STILLS = {"emergence": (7, (75, 98, 150)), "non-emergence": (18, (24, 40, 110))}
"""Cube and frames of each row of stills."""
SHIPPED = Path(__file__).parents[3] / "labeling_config" / "stills"


@pytest.mark.parametrize("name", STILLS)
def test_the_stills_show_synthetic_cubes(name: str) -> None:
    """With HELIOLOOP_STILLS=1 they are drawn again; without, the shipped ones are compared with the cubes."""
    index, frames = STILLS[name]
    made = make_cube(SEED, index, MDI)
    assert made.truth.label.value == name
    gridded = to_grid(
        Cube(
            name=made.name,
            start=made.start,
            start_scale="utc",
            region=made.region,
            observed_gauss=made.observed_gauss,
            seconds=made.seconds,
        ),
        MDI,
    )
    for number, frame in enumerate(frames, start=1):
        path = SHIPPED / f"{name}-{number}.png"
        expected = still(gridded[frame]) // 17
        if os.environ.get("HELIOLOOP_STILLS") == "1":
            image = Image.fromarray(expected * 17)
            image.quantize(16, dither=Image.Dither.NONE).save(path, optimize=True)
        shown = np.asarray(Image.open(path).convert("L"))
        assert np.mean(np.abs(shown / 17.0 - expected) > 1.5) < 0.01


def test_the_pictures_of_the_instruction_are_those_that_are_copied(tmp_path: Path) -> None:
    """Each is served from the project's folder; without an address the text has none."""
    copy_stills(tmp_path / "stills")
    sources = re.findall(r'src="([^"]*)"', instruction("/address"))
    assert sorted(sources) == sorted(f"/address/{path.name}" for path in (tmp_path / "stills").iterdir())
    assert len(sources) == 6
    assert "img" not in instruction(None)


def test_the_instruction_has_the_words_of_the_project() -> None:
    """Also with characters that HTML does not take; the keys stay, and so does the text about the phenomenon."""
    text = instruction(None, emergence="ja <1>", non_emergence="nein")
    assert "<strong>Ja &lt;1&gt;:</strong>" in text
    assert "<strong>Nein:</strong>" in text
    assert "<strong>e</strong> ja &lt;1&gt;, <strong>n</strong> nein." in text
    assert "If you change the class to nein," in text
    assert "non-emergence" not in text.lower()
    assert "for an emergence put the start" in text
    assert instruction(None) == instruction(None, emergence="emergence", non_emergence="non-emergence")


@pytest.mark.parametrize(
    "said",
    [
        "A second press of the same key takes the choice away",
        "step by 10 frames",
        "hop size",
        "does not count",
        "skips",
    ],
)
def test_the_instruction_says_what_surprises(said: str) -> None:
    """What annotators ran into: a second press, the hop size, a range left behind, the key that skips."""
    assert said in instruction(None)
