"""The figures of a version, on scores that can be checked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from helioloop.data.truth import TrueCube
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.member_curves import MemberCurves
from helioloop.records.scores import CubeScore, Emergence
from helioloop.synthetic import Generator
from helioloop.synthetic.making import draw
from tests.benchmarks.bench import MEASURED_ON
from tests.benchmarks.emerging_flux import WEAK_FLUX_MX, emerging_flux_mx
from tests.benchmarks.frame_figures import authors_scores, calibrated_coverage, frames_by, interval_frames
from tests.benchmarks.probability_figures import calibration_error, error_when_calibrated
from tests.benchmarks.version_figures import of_kind, shares

EMERGES, NOT = Label.EMERGENCE, Label.NON_EMERGENCE
INSIDE = "emerging inside a region"


def score(cube: str, p: float, *, frame: int | None = None, width: int = 2) -> CubeScore:
    """A score, with a frame and its interval or without."""
    found = None if frame is None else Emergence(frame=frame, frame_lo=frame - width // 2, frame_hi=frame + width // 2)
    return CubeScore(cube=cube, sha256="", p_emergence=p, p_spread=None, members=("m",), emergence=found)


def true(cube: str, *, frame: int | None, kind: str = "") -> TrueCube:
    """An emergence if there is a frame."""
    return TrueCube(cube=cube, label=NOT if frame is None else EMERGES, frame=frame, kind=kind)


SCORES = [
    score("weak", 0.3),
    score("weak-found", 0.6, frame=100),
    score("strong", 0.2, frame=130, width=20),
    score("inside", 0.7, frame=104),
    score("inside-missed", 0.4),
    score("inside-right", 0.4),
    score("quiet", 0.1),
    score("growing", 0.8, frame=40),
    score("growing-late", 0.3, frame=50),
]
TRUTH = {
    "weak": true("weak", frame=100),
    "weak-found": true("weak-found", frame=100),
    "strong": true("strong", frame=100),
    "inside": true("inside", frame=100, kind=INSIDE),
    "inside-missed": true("inside-missed", frame=100, kind=INSIDE),
    "inside-right": true("inside-right", frame=100, kind=INSIDE),
    "quiet": true("quiet", frame=None),
    "growing": true("growing", frame=None, kind="growing"),
    "growing-late": true("growing-late", frame=None, kind="growing"),
}
LABELS = dict.fromkeys(TRUTH, EMERGES) | {"inside": NOT, "inside-missed": NOT}


def test_failures_are_counted_among_the_cubes_that_they_can_happen_to() -> None:
    """Weak emergences, wrong labels inside older regions, emergences without a frame, non-emergences with one."""
    flux = {"weak": 3e20, "weak-found": 6.9e20, "strong": 7e20, "inside": 1e21}
    found = shares(SCORES, TRUTH, LABELS, flux_mx=flux)
    assert found["weak_class_wrong"] == {"count": 1, "of": 2, "share": 0.5}
    assert found["inside_contradicted"] == {"count": 1, "of": 2, "share": 0.5}
    assert found["no_frame"] == {"count": 3, "of": 6, "share": 0.5}
    assert found["frame_given"] == {"count": 2, "of": 3, "share": pytest.approx(2 / 3)}
    assert shares(SCORES, TRUTH, LABELS, flux_mx={})["weak_class_wrong"] == {"count": 0, "of": 0, "share": None}


def test_kinds_count_frames_of_emergences_and_of_non_emergences() -> None:
    """A frame of a non-emergence does not count as near, and has a count of its own."""
    steepest = [replace(one, emergence=None) for one in SCORES]
    inside = of_kind(INSIDE, SCORES, TRUTH, LABELS, steepest=steepest)
    assert inside == {
        "wrong_seen": 1, "frames": 3, "frames_near": 1, "authors_near": 0, "no_frame": 2, "non_emergences": 0,
        "frame_given": 0,
    }  # fmt: skip
    growing = of_kind("growing", SCORES, TRUTH, LABELS, steepest=steepest)
    assert growing == {
        "wrong_seen": 1, "frames": 0, "frames_near": 0, "authors_near": 0, "no_frame": 0, "non_emergences": 2,
        "frame_given": 2,
    }  # fmt: skip


def test_raw_intervals_are_those_of_located_true_emergences() -> None:
    """Widths 2, 20 and 2: the median is 2, whatever non-emergences have."""
    assert interval_frames(SCORES, TRUTH) == 2.0
    assert interval_frames([SCORES[2]], TRUTH) == 20.0
    assert interval_frames(SCORES[-2:], TRUTH) is None


def test_the_authors_estimate_is_the_steepest_frame_of_located_emergences() -> None:
    """Members that rise at 97, 100 and 160: the median is 100; without a located frame there is no estimate."""
    rises = np.zeros((3, MDI.n_frames), dtype=np.float32)
    for member, frame in enumerate((97, 100, 160)):
        rises[member, frame:] = 1.0
    curves = MemberCurves.pack(rises.tolist())
    located = replace(score("a", 0.9, frame=130), member_curves=curves)
    unlocated = replace(score("b", 0.1), member_curves=curves)
    truth = {name: true(name, frame=100) for name in ("a", "b")}
    found = authors_scores([located, unlocated], start=MDI.frozen_frames)
    assert found[0].emergence is not None
    assert found[0].emergence.frame in {99, 100}  # the gradient is equal on both sides of a step
    assert found[1].emergence is None
    assert frames_by([located, unlocated], truth, start=MDI.frozen_frames)["steepest"]["frame_near"] == 0.5


def test_the_calibration_error_weighs_the_bins_with_their_cubes() -> None:
    """Two cubes at .05, neither emerges; two at .95, one of them emerges: (2 × .05 + 2 × .45) / 4."""
    p, emergence = np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, False, True, False])
    assert calibration_error(p, emergence) == pytest.approx(0.25)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0.0
    # errors of opposite sign cancel within a bin, not between bins
    assert calibration_error(np.array([0.5, 0.5]), np.array([True, False])) == 0.0
    assert calibration_error(np.array([0.4, 0.6]), np.array([True, False])) == pytest.approx(0.6)


def test_random_labels_correct_probabilities_that_are_too_certain() -> None:
    """Where .99 emerges in 70 % and .01 in 30 %, a hundred labels leave less than a third of the error."""
    rng = np.random.default_rng(0)
    p = np.where(np.arange(600) % 2 == 0, 0.99, 0.01)
    emergence = rng.random(600) < np.where(p > 0.5, 0.7, 0.3)
    before = calibration_error(p, emergence)
    after = error_when_calibrated(p, emergence, repeats=5)
    assert before == pytest.approx(0.29, abs=0.04)
    assert after is not None
    assert after < before / 3
    assert error_when_calibrated(p[:199], emergence[:199], repeats=5) is None


def test_the_flux_is_that_of_the_region_that_emerges() -> None:
    """Not of the older one that it emerges in; non-emergences have none."""
    for generator in MEASURED_ON:
        drawn = {one.name: one for one in (draw(generator, 11, index, MDI) for index in range(60))}
        flux = emerging_flux_mx(generator, seed=11, n=60, instrument=MDI)
        assert flux.keys() == {name for name, one in drawn.items() if one.truth.label is EMERGES}
        for name, value in flux.items():
            kind = drawn[name].truth.kind
            if kind == "weak emergence":
                assert value < (WEAK_FLUX_MX if generator is Generator.FLUX_TRANSPORT else 10**20.85 + 1e12)
            if generator is Generator.ELEMENTS and kind == INSIDE:
                assert 10**21.1 <= value <= 10**22.4


def test_calibrated_intervals_have_the_required_coverage() -> None:
    """Half widths of one frame and errors of up to ten frames: stretched until nine in ten are inside."""
    rng = np.random.default_rng(0)
    scores, truth = [], {}
    for k in range(200):
        name, frame = f"cube{k:03d}", 100 + int(rng.integers(-10, 11))
        scores.append(
            CubeScore(cube=name, sha256="", p_emergence=0.9, p_spread=None, members=("m",),
                      emergence=Emergence(frame=100, frame_lo=99, frame_hi=101))
        )  # fmt: skip
        truth[name] = TrueCube(cube=name, label=Label.EMERGENCE, frame=frame, kind="")
    found = calibrated_coverage(scores, truth, instrument=MDI)
    assert found is not None
    assert found["coverage"] == pytest.approx(0.9, abs=0.06)
    assert interval_frames(scores, truth) == 2
    assert 18 <= found["width_frames"] <= 20
    assert calibrated_coverage(scores[:10], truth, instrument=MDI) is None
