"""What a pre-labelled release says of itself."""

from dataclasses import replace

import pytest

from helioloop.data.frame_times import FrameTime
from helioloop.errors import WrongUsage
from helioloop.evaluation.calibration import IntervalCalibration, ProbabilityCalibration
from helioloop.evaluation.risk_control import RiskGuarantee
from helioloop.records import CubeScore, Emergence
from helioloop.workflows.prelabel import COLUMNS, Asked, Prelabel, Prelabelling

FOUND = Prelabel(
    score=CubeScore(cube="a", sha256="0" * 64, p_emergence=0.96, p_spread=0.01, members=("fold0-0", "fold0-1")),
    p_calibrated=0.9,
    accepted=True,
    found=Emergence(frame=100, frame_lo=90, frame_hi=112),
    coverage=0.9,
    time=FrameTime(utc="2001-01-01T00:00:00", tai="2001-01-01T00:00:32"),
)
UNSURE = Prelabel(
    score=CubeScore(cube="b", sha256="1" * 64, p_emergence=0.4, p_spread=0.1, members=("fold1-0", "fold1-1")),
    p_calibrated=None,
    accepted=False,
    found=None,
    coverage=None,
    time=None,
)
DONE = Prelabelling(
    version="v0003",
    cubes=(FOUND, UNSURE),
    asked=Asked(rate=0.02, confidence=0.9, coverage=0.9),
    promise=RiskGuarantee(threshold=0.95, rate=0.02, confidence=0.9, n_calibration=200, n_accepted=150, n_wrong=0),
    smallest=None,
    n_random=200,
    probabilities=ProbabilityCalibration(shift=0.0, slope=1.0, n_labels=200),
    intervals=IntervalCalibration(factor=1.5, coverage=0.9, n_frames=60),
    n_frames=60,
)


def test_a_row_has_every_column_and_leaves_the_unknown_empty() -> None:
    """Whether or not there is an emergence, in the order of the columns."""
    rows = [cube.row("v0003") for cube in DONE.cubes]
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]
    assert list(rows[0].values()) == [
        "a", "emergence", "0.960000", "0.900000", 1, 100, 90, 112, "calibrated 0.9",
        "2001-01-01T00:00:00", "2001-01-01T00:00:32", "v0003",
    ]  # fmt: skip
    assert list(rows[1].values()) == ["b", "non-emergence", "0.400000", "", 0, "", "", "", "", "", "", "v0003"]
    assert replace(FOUND, coverage=None).row("v0003")["interval"] == "uncalibrated"


def test_it_says_what_it_accepts_and_under_which_promise() -> None:
    """Counts, rate, confidence, threshold and the labels they were made from."""
    said = DONE.sentences()
    assert said[0] == "2 cubes scored by v0003: 1 accepted, 1 go to the human."
    assert said[1].startswith("Of the accepted labels at most 2 % are wrong, with 90 % confidence, where this release")
    assert said[2].endswith("at least 0.9500; of 200 random labels 150 pass it, 0 of them wrong.")
    assert said[3:] == (
        "Probabilities: calibrated on 200 labels of the audit sample.",
        "Intervals: calibrated on 60 verified frames to contain the true frame in 90 % of cases.",
    )


def test_without_a_promise_it_says_why_and_which_rate_there_is() -> None:
    """Too few labels, or too many wrong ones; and with nothing to offer, what helps."""
    small = RiskGuarantee(threshold=0.8, rate=0.055, confidence=0.9, n_calibration=50, n_accepted=45, n_wrong=0)
    few = replace(DONE, promise=None, smallest=small, n_random=50, probabilities=None, intervals=None, n_frames=4)
    said = few.sentences()
    assert "50 random labels do not bear the promise of at most 2 % wrong with 90 % confidence" in said[1]
    assert said[1].endswith("it takes 114 at least.")
    assert said[2].startswith("The smallest rate they bear is 5.5 %, for about 90 % of the cubes.")
    assert said[3].startswith("Probabilities: uncalibrated")
    assert said[4] == "Intervals: uncalibrated, 4 verified frames are too few for 90 %."
    assert replace(few, n_random=300).sentences()[1].endswith("too many of the sure ones are wrong.")
    assert replace(few, smallest=None).sentences()[2].startswith("They bear none up to 30 % either")


def test_what_is_asked_lies_between_0_and_1() -> None:
    """90 meant as 90 % is refused."""
    with pytest.raises(WrongUsage, match="coverage is 90"):
        Asked(rate=0.02, confidence=0.9, coverage=90)
