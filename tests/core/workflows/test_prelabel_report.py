"""The table and the sentences of a pre-labelled release."""

from dataclasses import replace

import pytest

from helioloop.data.frame_times import FrameTime
from helioloop.errors import WrongUsage
from helioloop.evaluation.calibration import IntervalCalibration, ProbabilityCalibration
from helioloop.evaluation.drift import Drift
from helioloop.evaluation.risk_control import RiskGuarantee
from helioloop.records.scores import CubeScore, Emergence
from helioloop.workflows.prelabel_report import (
    COLUMNS,
    Prelabel,
    Prelabelling,
    Targets,
    guarantee_in_words,
    no_guarantee_in_words,
)

FOUND = Prelabel(
    score=CubeScore(cube="a", sha256="0" * 64, p_emergence=0.96, p_spread=0.01, members=("fold0-0", "fold0-1")),
    p_calibrated=0.9,
    accepted=True,
    verified=False,
    emergence=Emergence(frame=100, frame_lo=90, frame_hi=112),
    coverage=0.9,
    time=FrameTime(utc="2001-01-01T00:00:00", tai="2001-01-01T00:00:32"),
)
UNCERTAIN = Prelabel(
    score=CubeScore(cube="b", sha256="1" * 64, p_emergence=0.4, p_spread=0.1, members=("fold1-0", "fold1-1")),
    p_calibrated=None,
    accepted=False,
    verified=False,
    emergence=None,
    coverage=None,
    time=None,
)
DONE = Prelabelling(
    version="v0003",
    cubes=(FOUND, UNCERTAIN),
    targets=Targets(rate=0.02, confidence=0.9, coverage=0.9),
    guarantee=RiskGuarantee(threshold=0.95, rate=0.02, confidence=0.9, n_calibration=200, n_accepted=150, n_wrong=0),
    smallest=None,
    n_sampled=200,
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


def test_the_sentences_contain_what_is_accepted_and_the_guarantee() -> None:
    """Counts, rate, confidence, threshold and the labels of the audit sample."""
    sentences = DONE.sentences()
    assert sentences[0] == "2 cubes scored by v0003: 1 accepted, 1 go to the human."
    assert sentences[1] == (
        "Of labels accepted in this way at most 2 % are wrong in the long run, with 90 % confidence; among the 1 "
        "accepted here none is expected to be. This holds if the release is like the one that the audit sample was "
        "drawn from."
    )
    assert sentences[2].endswith("at least 0.9500; of 200 labels in the audit sample 150 pass, 0 of these are wrong.")
    assert sentences[3:] == (
        "Probabilities: calibrated on 200 labels of the audit sample.",
        "Intervals: calibrated on 60 verified frames to contain the true frame in 90 % of cases.",
    )


def test_without_a_guarantee_the_sentences_contain_the_reason_and_the_smallest_rate() -> None:
    """Too few labels, or too many wrong ones; and if no rate is supported, the remedy."""
    small = RiskGuarantee(threshold=0.8, rate=0.055, confidence=0.9, n_calibration=50, n_accepted=45, n_wrong=0)
    few = replace(DONE, guarantee=None, smallest=small, n_sampled=50, probabilities=None, intervals=None, n_frames=4)
    sentences = few.sentences()
    assert (
        "50 labels of the audit sample do not support a guarantee of at most 2 % wrong with 90 % confidence"
        in sentences[1]
    )
    assert sentences[1].endswith("at least 114 labels are needed.")
    assert sentences[2].startswith("The smallest rate they support is 5.5 %, for about 90 % of the cubes.")
    assert sentences[3].startswith("Probabilities: uncalibrated")
    assert sentences[4] == "Intervals: uncalibrated, 4 verified frames are too few for 90 %."
    assert replace(few, n_sampled=300).sentences()[1].endswith("too many of the most certain ones are wrong.")
    assert replace(few, smallest=None).sentences()[2].startswith("They do not support a rate up to 30 % either")


@pytest.mark.parametrize(("rate", "either"), [(0.02, True), (0.295, True), (0.3, False), (0.45, False)])
def test_a_rate_beyond_those_that_were_tried_is_not_said_to_be_within_them(rate: float, *, either: bool) -> None:
    """Three labels support no rate at all; the largest that was tried is 30 %."""
    words = no_guarantee_in_words(rate=rate, confidence=0.9, n_sampled=3, smallest=None)
    assert ("They do not support a rate up to 30 % either" in words[1]) is either
    assert words[1].lower().endswith("verify more cubes drawn at random.")


def test_nothing_is_said_to_be_guaranteed_or_calibrated_where_drift_is_found_or_unknown() -> None:
    """Found drift also has what to do about it; what makes it unknown has its remedy itself."""
    withdrawn = replace(DONE, guarantee=None, probabilities=None, intervals=None)
    found = replace(withdrawn, drift=Drift(reasons=("noise 40.0 G, and 20.0 G",))).sentences()
    unknown = replace(withdrawn, drift=Drift(unknown="4 new regions are too few")).sentences()
    for said, first in ((found, "This release is not like those"), (unknown, "Whether this release is like those")):
        assert said[1].startswith(first)
        assert said[2].startswith("The risk guarantee is therefore withdrawn: nothing is accepted")
    assert (len(found), len(unknown)) == (4, 3)


def test_the_guarantee_says_up_to_how_many_of_the_accepted_labels_may_be_wrong() -> None:
    """Of fifty at 2 % two, which are 4 %. Nothing is said of none."""
    assert DONE.guarantee is not None
    assert "confidence; among the 50 accepted here up to 2 may be. This" in guarantee_in_words(
        DONE.guarantee, accepted=50
    )[0]  # fmt: skip
    assert "confidence. This" in guarantee_in_words(DONE.guarantee, accepted=0)[0]


@pytest.mark.parametrize(("n", "said"), [(1, "1 has a label that a human verified."), (2, "2 have a label")])
def test_cubes_with_a_verified_label_are_counted_apart(n: int, said: str) -> None:
    """They neither are accepted nor go to a human."""
    done = replace(DONE, cubes=(*DONE.cubes, *[replace(UNCERTAIN, verified=True)] * n))
    assert done.sentences()[0].startswith(f"{2 + n} cubes scored by v0003: 1 accepted, 1 go to the human, {said}")


def test_targets_are_between_0_and_1() -> None:
    """90 meant as 90 % is refused."""
    with pytest.raises(WrongUsage, match="coverage is 90"):
        Targets(rate=0.02, confidence=0.9, coverage=90)
