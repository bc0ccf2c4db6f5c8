"""A table that a command writes replaces none of the files that it reads."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import click
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner, Result

from helioloop.cli import ENTRY_POINTS, CommandLine
from helioloop.data.crude_label_tables import CRUDE_LABELS_FILE
from helioloop.data.release import LABELS_FILE
from helioloop.data.release_profile import PROFILE_FILE
from helioloop_worker.commands.options import FiniteRange
from helioloop_worker.commands.written_table import OF_RELEASES, WritingCommand, WrittenTable

ROWS = "cube,label,verified\nA,emergence,1\n"


def commands() -> Iterator[click.Command]:
    for entry in entry_points(group=ENTRY_POINTS):
        yield from entry.load()()


def run(*words: str | Path) -> Result:
    group = CommandLine(commands={str(command.name): command for command in commands()})
    return CliRunner().invoke(group, [str(word) for word in words])


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release whose files hold something that one recognises."""
    folder = tmp_path / "release-1"
    folder.mkdir()
    for name in ("A.fits", "labels.csv", "release.toml"):
        (folder / name).write_text(ROWS)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "published.json").write_text(ROWS)
    (tmp_path / "sample.csv").write_text(ROWS)
    (tmp_path / "link.csv").symlink_to("sample.csv")
    return folder


def check_refused(found: Result, path: Path, words: str) -> None:
    assert found.exit_code == 2, found.output
    assert words in found.output
    assert path.read_text() == ROWS


@pytest.mark.parametrize("name", ["A.fits", "labels.csv", "release.toml"])
@pytest.mark.parametrize("command", ["check", "score", "triage"])
def test_a_file_of_the_release_is_not_replaced(release: Path, command: str, name: str) -> None:
    models = release.parent / "models"
    more: Sequence[str | Path] = {
        "check": [],
        "score": ["--model-dir", models],
        "triage": ["--model-dir", models, "--random", release.parent / "sample.csv"],
    }[command]
    check_refused(run(command, release, *more, "--out", release / name), release / name, "would replace a file of")


@pytest.mark.parametrize("name", ["sample.csv", "link.csv", "release-1/../sample.csv"])
def test_a_table_that_is_read_is_not_replaced(release: Path, name: str) -> None:
    """By its name, through a link, and by another path."""
    folder, sample = release.parent, release.parent / "sample.csv"
    words = ("--out", folder / name, "--model-dir", folder / "models")
    check_refused(run("triage", release, *words, "--random", sample), sample, "is also what --random names")
    check_refused(run("score", release, *words, "--labels", sample), sample, "is also what --labels names")
    check_refused(run("campaign", release, *words, "--truth", sample), sample, "is also what --truth names")
    check_refused(run("catalogue", "--project", "1", "--out", sample, "--draw", folder / name), sample, "--draw names")


def test_a_file_of_the_models_is_not_replaced(release: Path) -> None:
    published = release.parent / "models" / "published.json"
    check_refused(
        run("score", release, "--model-dir", published.parent, "--out", published), published, "would replace"
    )


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("scores.fits", "scores.csv"),
        ("scores.ECSV", "scores.csv"),
        ("scores.2.parquet", "scores.2.csv"),
        ("scores.csv.gz", "scores.csv"),
        ("-", "/dev/stdout"),
    ],
)
def test_csv_is_not_written_under_the_name_of_another_format(
    release: Path, name: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor into a file called `-`; what to give instead is named."""
    monkeypatch.chdir(release.parent)
    found = run("score", release, "--model-dir", release.parent / "models", "--out", name)
    assert found.exit_code == 2, found.output
    assert f"give --out {remedy}" in found.output
    assert not Path(name).exists()


@pytest.mark.parametrize("name", ["labels.csv", "crude-labels.ecsv", "catalogue.fits"])
def test_nothing_becomes_a_part_of_a_release_that_the_command_does_not_read(release: Path, name: str) -> None:
    """A catalogue replaced the label table of a release, or became a cube of it; no parameter names its folder."""
    found = run("catalogue", "--project", "1", "--out", release / name)
    assert found.exit_code == 2, found.output
    assert f"would be read as a part of the release in {release}; give --out another name" in found.output
    assert (release / "labels.csv").read_text() == ROWS
    other = release.parent / "release-2"
    other.mkdir()
    found = run("score", other, "--model-dir", release.parent / "models", "--out", release / "labels.csv")
    assert "would be read as a part of the release" in found.output


@pytest.mark.parametrize("name", ["labels.csv", "exports/catalogue.fits", "release-1/catalogue.ecsv"])
def test_the_same_names_are_free_where_no_release_is(release: Path, name: str) -> None:
    """A folder of tables is none, nor one of a team's exports; the command goes on, and lacks its settings."""
    (release.parent / "exports").mkdir()
    for other in ("labels.csv", "catalogue-1.fits", "catalogue.fits"):
        fits.BinTableHDU.from_columns([fits.Column("cube", "3A", array=["A"])]).writeto(
            release.parent / "exports" / other
        )
    found = run("catalogue", "--project", "1", "--out", release.parent / name)
    assert found.exit_code == 1
    assert "LABEL_STUDIO" in found.output


def test_no_cube_is_replaced_by_a_catalogue(tmp_path: Path) -> None:
    """Also in a folder that nothing else shows to be a release."""
    fits.PrimaryHDU(np.zeros((2, 3, 3), np.float32)).writeto(tmp_path / "A.fits")
    found = run("catalogue", "--project", "1", "--out", tmp_path / "A.fits")
    assert found.exit_code == 2
    assert "would replace an image, as a cube is; give --out another name" in found.output
    assert fits.getdata(tmp_path / "A.fits").shape == (2, 3, 3)


def test_another_table_in_the_folder_of_the_release_may_be_written(release: Path) -> None:
    """The command goes on, and finds that the cube is none."""
    found = run("check", release, "--out", release / "check.csv")
    assert "would replace" not in found.output


def test_a_table_that_cannot_be_written_is_found_before_the_work(release: Path) -> None:
    """It was found after hours of scoring, whose result was lost. The release, which is none, is not even opened."""
    found = run("score", release, "--model-dir", release.parent / "models", "--out", "/proc/scores.csv")
    assert found.exit_code == 1
    assert found.stderr.startswith("helioloop: /proc/scores.csv cannot be used (")
    assert "release-1" not in found.stderr


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_has_the_table_alone(release: Path, tmp_path: Path, place: str) -> None:
    """What the command says was the last row of the table. The outcome is that of a table in a file."""
    (release / "release.toml").unlink()
    command = [sys.executable, "-m", "helioloop", "check", str(release), "--out"]
    piped = subprocess.run([*command, place], capture_output=True, text=True, check=False)
    filed = subprocess.run([*command, str(tmp_path / "out.csv")], capture_output=True, text=True, check=False)
    assert (piped.returncode, filed.returncode) == (1, 1)
    assert piped.stdout == (tmp_path / "out.csv").read_text()
    assert piped.stdout.startswith("cube,verdict,")
    assert "0 ok, 0 warned, 1 refused" in filed.stdout
    assert filed.stdout in piped.stderr


def test_each_command_with_such_a_table_is_checked() -> None:
    assert {LABELS_FILE, PROFILE_FILE, CRUDE_LABELS_FILE} == set(OF_RELEASES)
    found = {
        str(command.name): isinstance(command, WritingCommand)
        for command in commands()
        if any(isinstance(param.type, WrittenTable) for param in command.params)
    }
    assert found == dict.fromkeys(("campaign", "catalogue", "check", "compare", "score", "triage"), True)


@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-inf", "1e999"])
def test_no_option_takes_a_number_that_is_not_finite(number: str) -> None:
    """Each option with a range of numbers, of each command."""
    options = [
        (command, param)
        for command in commands()
        for param in command.params
        if isinstance(param.type, click.FloatRange)
    ]
    assert len(options) > 8
    for command, param in options:
        assert isinstance(param.type, FiniteRange), (command.name, param.name)
        with pytest.raises(click.BadParameter, match=r"finite|range"):
            param.type.convert(number, param, None)


def test_a_seed_that_is_too_large_is_a_sentence(release: Path) -> None:
    found = run("train", release, "--model-dir", release.parent / "models", "--seed", "99999999999999999999999999")
    assert found.exit_code == 2
    assert "is not in the range 0<=x<=4294967296" in found.output
