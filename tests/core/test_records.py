"""Records and atomic files: what crosses boundaries comes back as it went."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from helioloop import atomic
from helioloop.records import CubeScore, CurrentLabel, Emergence, Label, LabelSource, VerifiedFrame


def _score(p: float) -> CubeScore:
    return CubeScore(cube="A", sha256="a" * 64, p_emergence=p, p_spread=None, members=("f0s0",))


@pytest.mark.parametrize("p", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_probability_lies_between_0_and_1(p: float) -> None:
    """A score that is no probability is refused with the cube's name."""
    with pytest.raises(ValueError, match="p_emergence of cube A"):
        _score(p)


@pytest.mark.parametrize(("p", "predicted"), [(0.0, "non-emergence"), (0.49, "non-emergence"), (0.5, "emergence")])
def test_even_odds_are_an_emergence(p: float, predicted: str) -> None:
    """The ensemble gives emergence at 0.5 and above."""
    assert _score(p).predicted == predicted


def test_agreement_is_the_probability_of_the_current_label() -> None:
    """Agreement is p for an emergence and 1 - p for a non-emergence: one minus the disagreement."""
    assert _score(0.25).agreement(Label.EMERGENCE) == 0.25
    assert _score(0.25).agreement(Label.NON_EMERGENCE) == 0.75


def test_a_score_survives_json() -> None:
    """A score written as JSON is read back equal, with its curve as a tuple."""
    score = CubeScore(
        cube="A",
        sha256="a" * 64,
        p_emergence=0.75,
        p_spread=0.125,
        members=("f0s0", "f0s1"),
        emergence=Emergence(frame=91, frame_lo=88, frame_hi=95),
        curve=(0.25, 0.5),
    )
    assert CubeScore.from_dict(json.loads(json.dumps(score.as_dict()))) == score


@pytest.mark.parametrize(
    "label",
    [
        CurrentLabel(cube="A", label=None),
        CurrentLabel(
            cube="A",
            label=Label.EMERGENCE,
            verified=True,
            source=LabelSource.MAJORITY,
            verified_frame=VerifiedFrame(frame=91, annotator="3", at="2026-01-01T00:00:00Z"),
            contradiction="annotator 3 said two things",
            crude=Label.NON_EMERGENCE,
        ),
    ],
    ids=["empty", "full"],
)
def test_a_current_label_survives_json(label: CurrentLabel) -> None:
    """A current label written as JSON is read back equal."""
    assert CurrentLabel.from_dict(json.loads(json.dumps(label.as_dict()))) == label


def test_a_label_without_its_crude_one_still_reads() -> None:
    """A snapshot from before crude labels were kept beside the current ones is read; there the crude one is unknown."""
    values = CurrentLabel(cube="A", label=Label.EMERGENCE, verified=True, crude=Label.EMERGENCE).as_dict()
    del values["crude"]
    assert CurrentLabel.from_dict(values) == CurrentLabel(cube="A", label=Label.EMERGENCE, verified=True)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Readers during many replacements see one of the versions written, never a part or nothing."""
    path = tmp_path / "value.json"
    atomic.write_json(path, ["x" * 10_000])
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "yz" * 20:
        atomic.write_json(path, [letter * 10_000])
    done.set()
    reader.join()
    assert seen <= {json.dumps([letter * 10_000], indent=1) + "\n" for letter in "xyz"}


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    """What cannot be written (NaN is no JSON) leaves the file as it was and the folder clean."""
    path = tmp_path / "value.json"
    atomic.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.json"]


def test_a_full_disk_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full when the file is flushed leaves the old file and no temporary one."""
    path = tmp_path / "value.txt"
    atomic.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.txt"]


def test_folders_are_made_and_others_may_read(tmp_path: Path) -> None:
    """Missing folders are made; the web side, perhaps another user, may read what the worker wrote."""
    path = tmp_path / "a" / "b" / "lines.jsonl"
    atomic.write_json_lines(path, [{"a": 1}, {"b": "é"}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"b": "é"}]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
