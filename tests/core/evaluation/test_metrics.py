"""Metrics against the truth, on arrays one can check by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from helioloop.data.truth import TrueCube, read_truth
from helioloop.errors import ReleaseError
from helioloop.evaluation.metrics import Evaluation, KindErrors, evaluate, frame_errors, precision_at_k, true_skill
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore, Emergence

E, NON = Label.EMERGENCE, Label.NON_EMERGENCE


def score(cube: str, p: float, frames: tuple[int, int, int] | None = None) -> CubeScore:
    found = None if frames is None else Emergence(frame_lo=frames[0], frame=frames[1], frame_hi=frames[2])
    return CubeScore(cube=cube, sha256="", p_emergence=p, p_spread=None, members=("m",), emergence=found)


def true(cube: str, label: Label, frame: int | None = None, kind: str = "") -> tuple[str, TrueCube]:
    return cube, TrueCube(cube=cube, label=label, frame=frame, kind=kind)


TRUTH = dict(
    [true("a", E, 100, "weak"), true("b", E, 50, "plain"), true("c", E, 60, "plain"), true("d", NON), true("e", NON)]
)
SCORES = [score("a", 0.9, (95, 104, 110)), score("b", 0.6, (60, 70, 80)), score("c", 0.2), score("d", 0.3),
          score("e", 0.7, (1, 2, 3))]  # fmt: skip
LABELS = {"a": NON, "b": E, "c": E, "d": E, "e": NON}


def test_an_evaluation_worked_by_hand() -> None:
    """Five cubes: two labels (a, d) wrong, two classes (c, e) wrong, one emergence near, one far, one without frame."""
    found = evaluate(SCORES, TRUTH, labels=LABELS)
    # p: emergences .9 .6 .2 against .3 .7: (2 + 1 + 0) of 6 pairs.
    # disagreement: a .9, b .4, c .8, d .7, e .7; wrong a, d: a beats three, d beats b and ties e.
    assert found == Evaluation(
        cubes=5,
        wrong_labels=2,
        auroc=3 / 6,
        error_auroc=(3 + 1.5) / 6,
        precision_at_k=1 / 2,
        accuracy=3 / 5,
        true_skill=pytest.approx(2 / 3 - 1 / 2),
        frame_error_frames=20.0,
        frame_near=pytest.approx(1 / 3),
        interval_coverage=1 / 2,
        kinds=(
            KindErrors(kind="plain", cubes=2, wrong_labels=0, wrong_classes=1),
            KindErrors(kind="weak", cubes=1, wrong_labels=1, wrong_classes=0),
        ),
    )
    assert list(found.figures()) == [
        "cubes", "wrong_labels", "auroc", "error_auroc", "precision_at_k", "accuracy", "true_skill",
        "frame_error_frames", "frame_near", "interval_coverage",
    ]  # fmt: skip


def test_wrong_labels_are_searched_among_the_labels_given() -> None:
    """The classes are evaluated on all cubes."""
    found = evaluate(SCORES, TRUTH, labels={"b": E, "d": E})
    assert (found.cubes, found.wrong_labels, found.error_auroc, found.precision_at_k) == (5, 1, 1.0, 1.0)


def test_undefined_figures_are_none() -> None:
    """One class, no wrong label, no known frame; nothing at all."""
    found = evaluate([score("d", 0.3)], TRUTH, labels={"d": NON})
    assert (found.auroc, found.error_auroc, found.precision_at_k, found.true_skill) == (None, None, None, None)
    assert (found.accuracy, found.frame_error_frames, found.frame_near, found.interval_coverage) == (
        1.0,
        None,
        None,
        None,
    )
    assert evaluate([], TRUTH, labels={}).accuracy is None


def test_an_emergence_without_a_frame_is_infinitely_far() -> None:
    """It counts in the median and in the fraction; non-emergences and unknown frames do not."""
    error, covered = frame_errors([*SCORES, score("f", 0.9, (1, 2, 3))], TRUTH | dict([true("f", E)]))
    assert error.tolist() == [4, 20, math.inf]
    assert covered.tolist() == [True, False]
    found = evaluate([score("b", 0.2), score("c", 0.2)], TRUTH, labels={})
    assert (found.frame_error_frames, found.frame_near) == (math.inf, 0.0)


def test_precision_at_k_shares_ties_at_the_cut() -> None:
    """Two positives: one is above, the other ties with one negative for the second place."""
    values, positive = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert precision_at_k(values, positive) == 0.75
    assert precision_at_k(values, np.array([False, False, False, True])) == 0.0


def test_true_skill_is_true_positive_rate_minus_false_positive_rate() -> None:
    """The authors' published counts (TP 199, TN 150, FP 40, FN 33) give their .647."""
    predicted = np.repeat([True, False, True, False], [199, 150, 40, 33])
    truly = np.repeat([True, False, False, True], [199, 150, 40, 33])
    assert true_skill(predicted, truly) == pytest.approx(0.647, abs=5e-4)


def test_a_truth_table_needs_cube_and_label_alone(tmp_path: Path) -> None:
    """Frame and kind are read if the table has them."""
    table = tmp_path / "truth.csv"
    table.write_text("cube,label\na,emergence\n")
    assert read_truth(table) == {"a": TrueCube(cube="a", label=E, frame=None, kind="")}
    table.write_text(
        "cube,label,emergence_frame,kind,region,start\na,emergence,90,weak emergence,R,\nb,non-emergence,,,,\n"
    )
    assert read_truth(table)["a"] == TrueCube(cube="a", label=E, frame=90, kind="weak emergence")
    assert read_truth(table)["b"].frame is None


def test_a_truth_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """Semicolons, other case, lost zeros and frames with a decimal point; names are those of the given cubes."""
    table = tmp_path / "truth.csv"
    table.write_text("Cube;Label;Emergence frame\n7;Emergence;90.0\nb.fits;Non-Emergence;\n")
    doubts: list[str] = []
    assert read_truth(table, cubes=["0007", "b", "c"], on_doubt=doubts.append) == {
        "0007": TrueCube(cube="0007", label=E, frame=90, kind=""),
        "b": TrueCube(cube="b", label=Label.NON_EMERGENCE, frame=None, kind=""),
    }
    assert ["leading zeros" in doubt for doubt in doubts] == [True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cube\na\n", "no column 'label'"),
        ("cube,label\na,maybe\n", "line 2: label is 'maybe'"),
        ("cube,label,emergence_frame\na,emergence,-4\n", "emergence_frame is '-4'"),
        ("cube,label\na,emergence\na,emergence\n", "line 3: cube 'a' is there twice"),
        ('cube,label\n"a,emergence\n', "not CSV"),
    ],
)
def test_a_wrong_truth_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message contains line and value."""
    (tmp_path / "truth.csv").write_text(text)
    with pytest.raises(ReleaseError, match=message):
        read_truth(tmp_path / "truth.csv")
    with pytest.raises(ReleaseError, match="is missing"):
        read_truth(tmp_path / "absent.csv")
