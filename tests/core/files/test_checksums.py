"""A folder against its SHA256SUMS: what is missing, unlisted or different is named."""

import os
import subprocess
from pathlib import Path

import pytest

from helioloop.files.checksums import WRITE_AGAIN, checksum_problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files and the list that the real program writes."""
    (tmp_path / "a b.fits").write_text("one")
    (tmp_path / "labels.csv").write_text("two")
    listed = subprocess.run(
        ["sha256sum", "a b.fits", "labels.csv"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (tmp_path / "SHA256SUMS").write_text(listed.stdout)
    return tmp_path


def test_the_list_of_sha256sum_is_read_and_fits(folder: Path) -> None:
    assert checksum_problem(folder, needed=["a b.fits", "labels.csv"]) is None


def test_what_does_not_fit_is_named(folder: Path) -> None:
    (folder / "labels.csv").write_text("tw")
    assert checksum_problem(folder) == (
        "labels.csv has another hash than in SHA256SUMS: copy the file, or write the list, again"
    )
    (folder / "labels.csv").unlink()
    assert checksum_problem(folder) == "SHA256SUMS lists labels.csv, which is not there: copy it"
    assert "does not list c.fits and 1 more" in (checksum_problem(folder, needed=["c.fits", "d.fits"]) or "")


def run(folder: Path, command: str) -> None:
    """Run a line of shell in a folder."""
    subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=True)


@pytest.mark.parametrize(
    "command",
    [
        "sha256sum * > SHA256SUMS",  # the second time: the list is in its own folder
        "find . -type f -exec sha256sum {} + > SHA256SUMS",
        "sha256sum --tag * > SHA256SUMS",
        "openssl dgst -sha256 *.fits *.csv > SHA256SUMS",
        "{ printf '\\xef\\xbb\\xbf# by hand\\n\\n'; sha256sum --binary *.fits *.csv; echo; } > SHA256SUMS",
        "sha256sum *.fits *.csv | sed 's/$/\\r/' > SHA256SUMS",
        WRITE_AGAIN.split("`")[1],
    ],
)
def test_what_people_write_as_a_list_is_read(folder: Path, command: str) -> None:
    """Its own entry counts for nothing: its hash was computed before the list was whole."""
    run(folder, command)
    assert checksum_problem(folder, needed=["a b.fits", "labels.csv"]) is None
    (folder / "labels.csv").write_text("tw")
    assert "labels.csv has another hash" in (checksum_problem(folder) or "")


def test_the_remedy_lists_links_and_subfolders_and_satisfies_sha256sum_too(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "c.fits").symlink_to(folder / "a b.fits")
    needed = ["a b.fits", "labels.csv", "sub/c.fits"]
    problem = checksum_problem(folder, needed=needed) or ""
    assert problem.startswith("SHA256SUMS does not list sub/c.fits")
    run(folder, problem.split("`")[1])
    assert checksum_problem(folder, needed=needed) is None
    run(folder, "sha256sum --check SHA256SUMS")


def test_a_name_that_is_no_text_is_compared_byte_by_byte(folder: Path) -> None:
    name = os.fsdecode(b"M\xe4rz.fits")
    (folder / name).write_text("three")
    run(folder, WRITE_AGAIN.split("`")[1])
    assert checksum_problem(folder, needed=[name]) is None


def test_what_is_listed_and_is_no_file_is_named(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    os.mkfifo(folder / "labels.csv")
    assert (checksum_problem(folder) or "").startswith("SHA256SUMS lists labels.csv, which is a pipe")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lists no file"),
        ("# nothing yet\n", "lists no file"),
        (f"{'0' * 64}  SHA256SUMS\n", "lists no file"),
        ("# list\nabc  labels.csv\n", "line 2, is 'abc  labels.csv' and not `hash  file`"),
        (f"{'0' * 40}", "line 1, is '0000"),
        (f"{'0' * 40}  labels.csv", "line 1, is '0000"),
        (f"{'0' * 64}  ../secret\n", "line 1, lists ../secret; names must be paths below the folder of the list"),
        (f"{'0' * 64}  /etc/passwd\n", "line 1, lists /etc/passwd; names must be paths below"),
    ],
)
def test_a_list_that_is_half_copied_or_leads_out_of_the_folder_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "SHA256SUMS").write_text(text)
    problem = checksum_problem(folder) or ""
    assert said in problem
    assert problem.endswith(WRITE_AGAIN)
