"""``helioloop make-release`` and the releases it makes."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from helioloop.data.cubes import read_cube
from helioloop.data.release import read_labels
from helioloop.errors import ReleaseError
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.synthetic import make_release
from helioloop_worker.commands.releases import commands

N = 3
SMALL = replace(MDI, size_px=30)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "release"
    make_release(out, n=N, seed=1, truth=out.parent / "truth.csv", instrument=SMALL)
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.fits")}


def test_a_release_is_cubes_and_a_label_table(release: Path) -> None:
    """Each row of labels.csv names a readable, unverified cube of its region."""
    rows = read_labels(release / "labels.csv")
    assert len(rows) == N
    for name, row in rows.items():
        cube = read_cube(release / f"{name}.fits")
        assert not row.verified
        assert row.label in set(Label)
        assert cube.region == name.partition("_")[0]
        assert cube.observed_gauss.shape[1:] == (30, 30)


def test_the_truth_is_written_outside_the_release(release: Path) -> None:
    """The truth table names the same cubes; an emergence has a frame, a non-emergence has none."""
    with (release.parent / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["cube"] for row in rows] == list(read_labels(release / "labels.csv"))
    assert list(rows[0]) == ["cube", "label", "emergence_frame", "kind", "region", "start"]
    assert all((row["label"] == "emergence") == row["emergence_frame"].isdigit() for row in rows)
    assert not list(release.glob("*truth*"))


def test_cubes_do_not_depend_on_the_number_of_processes_or_cubes(release: Path, tmp_path: Path) -> None:
    """A smaller release made by one process has the same first cubes, byte for byte."""
    make_release(tmp_path / "small", n=2, seed=1, workers=1, instrument=SMALL)
    small = content(tmp_path / "small")
    assert len(small) == 2
    assert small.items() <= content(release).items()


def test_an_interrupted_release_is_finished(release: Path, tmp_path: Path) -> None:
    """A run that stops at its first cube leaves no table; the same call makes only the missing files."""
    out = tmp_path / "release"

    def interrupt(done: int, total: int, what: str) -> None:
        if done:
            raise KeyboardInterrupt(what, total)

    with pytest.raises(KeyboardInterrupt):
        make_release(out, n=N, seed=1, report=interrupt, workers=1, instrument=SMALL)
    assert not (out / "labels.csv").exists()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.fits")}
    assert before
    make_release(out, n=N, seed=1, instrument=SMALL)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert content(out) == content(release)
    assert (out / "labels.csv").read_bytes() == (release / "labels.csv").read_bytes()


def test_other_arguments_and_foreign_folders_are_refused(release: Path, tmp_path: Path) -> None:
    """A folder made with another seed or grid, or with other files in it, is refused."""
    with pytest.raises(ReleaseError, match="other values of seed"):
        make_release(release, n=N, seed=2, instrument=SMALL)
    with pytest.raises(ReleaseError, match="instrument"):
        make_release(release, n=N, seed=1, instrument=MDI)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReleaseError, match="not empty"):
        make_release(tmp_path, n=N, seed=1)


def test_truth_inside_the_release_is_refused(tmp_path: Path) -> None:
    """A release contains no truth; the error comes before anything is made."""
    with pytest.raises(ReleaseError, match="write it elsewhere"):
        make_release(tmp_path / "r", n=1, seed=1, truth=tmp_path / "r" / "truth.csv")
    assert not (tmp_path / "r").exists()


def test_the_command_makes_a_release_and_prints_a_summary(tmp_path: Path) -> None:
    """It writes cube and table; its help shows an example."""
    (command,) = commands()
    result = CliRunner().invoke(command, ["--out", str(tmp_path / "r"), "--n", "1", "--seed", "1"])
    assert result.exit_code == 0, result.output
    assert "1 cube," in result.output
    assert len(read_labels(tmp_path / "r" / "labels.csv")) == len(content(tmp_path / "r")) == 1
    assert "helioloop make-release --out demo" in CliRunner().invoke(command, ["--help"]).output
