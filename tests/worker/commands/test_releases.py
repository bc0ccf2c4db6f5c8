"""``helioloop make-release`` and the releases it makes, and ``helioloop crude-labels``."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import click
import pytest
from astropy.table import Table
from tests.core.data.passing import CARRINGTON, PROFILE, write_passing
from tests.worker.shell import read_table, run_one_of

from helioloop.data.cubes import read_cube
from helioloop.data.release import read_labels
from helioloop.data.release_profile import write_release_profile
from helioloop.errors import ReleaseError
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN
from helioloop.synthetic import CrudeRule, Generator, make_release
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


def test_every_generator_can_be_chosen() -> None:
    """The command's help must not import them, so it has a list of its own."""
    (command,) = [one for one in commands() if one.name == "make-release"]
    (option,) = [one for one in command.params if one.name == "generator"]
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(Generator)


def test_a_release_that_is_made_again_keeps_corrected_labels(release: Path, tmp_path: Path) -> None:
    """A cube that is missing is made again; without the table, that is made again, too."""
    out = tmp_path / "release"
    shutil.copytree(release, out)
    labels, crude = out / "labels.csv", (release / "labels.csv").read_text()
    corrected = crude.replace("non-emergence,0", "emergence,1")
    assert corrected != crude
    labels.write_text(corrected)
    next(out.glob("*.fits")).unlink()
    assert make_release(out, n=N, seed=1, instrument=SMALL).had_labels
    assert labels.read_text() == corrected
    assert content(out) == content(release)
    labels.unlink()
    assert not make_release(out, n=N, seed=1, instrument=SMALL).had_labels
    assert labels.read_text() == crude


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
    result = run_one_of(commands(), "make-release", "--out", tmp_path / "r", "--n", "1", "--seed", "1")
    assert result.exit_code == 0, result.output
    assert "1 cube," in result.output
    assert "of 1 crude labels" in result.output
    assert len(read_labels(tmp_path / "r" / "labels.csv")) == len(content(tmp_path / "r")) == 1
    assert "helioloop make-release --out demo" in run_one_of(commands(), "make-release", "--help").output


def test_a_release_keeps_its_generator(release: Path, tmp_path: Path) -> None:
    """`--generator flux-transport` makes cubes of the second kind; a release begun with the first is not completed."""
    out = tmp_path / "sft"
    args = ("make-release", "--out", out, "--n", "1", "--seed", "1", "--generator", "flux-transport")
    result = run_one_of(commands(), *args)
    assert result.exit_code == 0, result.output
    assert [row.cube.startswith("SFT00001_") for row in read_labels(out / "labels.csv").values()] == [True]
    with pytest.raises(ReleaseError, match="other values of generator, kind"):
        make_release(release, n=N, seed=1, instrument=SMALL, generator=Generator.FLUX_TRANSPORT)


def test_labels_by_the_pixels_are_those_that_crude_labels_gives(release: Path, tmp_path: Path) -> None:
    """The fraction of wrong labels is returned. A release keeps its rule: the other one is refused, either way."""
    out, by_hand = (Path(shutil.copytree(release, tmp_path / name)) for name in ("pixels", "by-hand"))
    with pytest.raises(ReleaseError, match="other values of crude_rule"):
        make_release(out, n=N, seed=1, instrument=SMALL, crude_rule=CrudeRule.PIXELS)
    begun = json.loads((out / "made-with.json").read_text())
    (out / "made-with.json").write_text(json.dumps({**begun, "crude_rule": "pixels"}))
    (out / "labels.csv").unlink()
    made = make_release(
        out, n=N, seed=1, truth=tmp_path / "t.csv", workers=1, instrument=SMALL, crude_rule=CrudeRule.PIXELS
    )
    with pytest.raises(ReleaseError, match="other values of crude_rule"):
        make_release(out, n=N, seed=1, instrument=SMALL)
    written = {cube: row.label for cube, row in read_labels(out / "labels.csv").items()}
    assert written == made.crude
    truth = {row["cube"]: row["label"] for row in read_table(tmp_path / "t.csv")}
    assert made.n_wrong == sum(label is not None and label != truth[cube] for cube, label in written.items())
    assert made.n_labelled == sum(label is not None for label in written.values()) > 0
    write_release_profile(by_hand, replace(BUILT_IN["mdi"], name="small", instrument=SMALL))
    assert run_one_of(commands(), "crude-labels", by_hand, "--processes", "1").exit_code == 0
    tables = (Table.read(folder / "crude-labels.ecsv") for folder in (by_hand, out))
    again, first = (list(table["label"].filled("")) for table in tables)
    assert again == first == [label or "" for label in written.values()]


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """A release of two cubes with Carrington coordinates: A emerges at −20°, B rotates in."""
    folder = tmp_path / "painted"
    for name, emerges_at in (("A", -20.0), ("B", None)):
        write_passing(folder / f"{name}_20010307.fits", emerges_at=emerges_at, region=name, cards=CARRINGTON)
    write_release_profile(folder, PROFILE)
    return folder


def test_crude_labels_prints_what_it_labelled_and_what_differs(painted: Path) -> None:
    """A verified label stays, an earlier crude one changes; both are printed."""
    (painted / "labels.csv").write_text("cube,label,verified\nA_20010307,non-emergence,0\nB_20010307,emergence,1\n")
    result = run_one_of(commands(), "crude-labels", painted, "--processes", "1")
    assert result.exit_code == 0, result.output
    assert "A_20010307: non-emergence is now emergence" in result.output
    assert "B_20010307: keeps its verified label emergence; the crude label is non-emergence" in result.output
    assert "1 emergence, 1 non-emergence, 0 without a crude label; 2 by pixels" in result.output
    assert (painted / "labels.csv").read_text() == (
        "cube,label,verified\nA_20010307,emergence,0\nB_20010307,emergence,1\n"
    )


def test_crude_labels_lists_cubes_without_a_label_and_regions_without_a_cube(painted: Path, tmp_path: Path) -> None:
    (painted / "B_20010307.fits").write_text("<html>")
    table = tmp_path / "regions.csv"
    table.write_text("region,carrington_lon,carrington_lat,first_seen\nA,345.2,12,2001-03-12\nZ,1,1,\n")
    result = run_one_of(commands(), "crude-labels", painted, "--regions", table, "--processes", "1")
    assert result.exit_code == 0, result.output
    assert "B_20010307: no crude label, it begins with b'<html>'" in result.output
    assert "regions of the table that no cube follows: Z" in result.output
    assert "1 emergence, 0 non-emergence, 1 without a crude label; 1 by first_seen" in result.output


def test_crude_labels_ends_with_1_where_nothing_could_be_labelled(painted: Path) -> None:
    """The most frequent reason comes first."""
    for name in ("A", "B"):
        (painted / f"{name}_20010307.fits").write_text("<html>")
    result = run_one_of(commands(), "crude-labels", painted, "--processes", "1")
    assert result.exit_code == 1
    assert result.output.lstrip().startswith(f"no cube of {painted} could be labelled; the reason of 2 of 2: it begins")


def test_the_threshold_is_an_option_and_the_help_shows_examples(painted: Path) -> None:
    result = run_one_of(commands(), "crude-labels", painted, "--threshold", "-10", "--processes", "1")
    assert "0 emergence, 2 non-emergence" in result.output
    assert run_one_of(commands(), "crude-labels", painted, "--threshold", "20").exit_code == 2
    help_text = run_one_of(commands(), "crude-labels", "--help").output
    assert "helioloop crude-labels releases/december-1999 --regions regions.csv" in help_text
    assert "first_detection        time, UTC; first_detection_tai: TAI" in help_text
