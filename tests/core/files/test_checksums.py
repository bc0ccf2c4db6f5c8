"""A folder against its SHA256SUMS: what is missing, unlisted or different is named."""

import subprocess
from pathlib import Path

import pytest

from helioloop.files.checksums import checksum_problem


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("abc  labels.csv\n", "line 1, is not `hash  file`"),
        (f"{'0' * 64}  ../secret\n", "line 1, is not `hash  file`"),
        (f"{'0' * 64}  /etc/passwd\n", "line 1, is not `hash  file`"),
        (f"{'0' * 40}", "line 1, is not `hash  file`"),
    ],
)
def test_a_list_that_is_half_copied_or_leads_out_of_the_folder_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "SHA256SUMS").write_text(text)
    assert said in (checksum_problem(folder) or "")
