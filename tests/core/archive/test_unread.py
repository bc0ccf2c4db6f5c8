"""FITS files of an archive's folder that cannot be read are named, and nothing else is."""

import gzip
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.archive.making import find_files
from helioloop.archive.observation import read_observation
from helioloop.archive.unread import unread_files, unread_sentences
from helioloop.errors import MagnetogramError


def test_what_is_passed_over_in_a_folder_has_its_reason(tmp_path: Path) -> None:
    """Each FITS file is either found or named; hidden files, tables and what is in lost+found are neither."""
    for name in ("sub", "lost+found", ".hidden"):
        (tmp_path / name).mkdir()
    read = ["a.fits", "b.fts.gz", "c.FITS", "sub/d.fz"]
    for name in (*read, "e.fits.Z", "f.fits.bz2", "sub/g.fits.part", "h.fits~"):
        (tmp_path / name).touch()
    for name in ("lost+found/x.fits.Z", ".hidden/y.fits.Z", "._a.fits.Z", "regions.csv", "README"):
        (tmp_path / name).touch()
    (tmp_path / "i.fits").symlink_to("nowhere")
    os.mkfifo(tmp_path / "j.fits")
    found = {str(Path(name).relative_to(tmp_path)): reason for name, reason in unread_files([str(tmp_path)]).items()}
    assert list(found) == ["e.fits.Z", "f.fits.bz2", "h.fits~", "i.fits", "j.fits", "sub/g.fits.part"]
    assert [Path(name).name for name in find_files([str(tmp_path)])] == [Path(name).name for name in read]
    words = ["compressed as Z", "compressed as bz2", "earlier state", "does not exist", "is a pipe", "unfinished"]
    assert [word in reason for word, reason in zip(words, found.values(), strict=True)] == [True] * 6
    assert unread_files([str(tmp_path / "a.fits"), "s3://bucket/x.fits.Z", "", str(tmp_path / "no*such")]) == {}


def test_fits_files_of_any_name_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    """As wget, browsers and archives name them; headers saved as text, pictures, tables and pipes are none."""
    image = fits.PrimaryHDU(np.zeros((2, 2)))
    image.writeto(tmp_path / "a.fits")
    content = (tmp_path / "a.fits").read_bytes()
    named = ["noending", "a.mag", "a.fits.1", "a.fits (1)", "a.fits?download=1", "A.FITS;1", "cut.off"]
    for name in named:
        (tmp_path / name).write_bytes(content if name != "cut.off" else content[:4000])
    (tmp_path / "b.mag.gz").write_bytes(gzip.compress(content))
    lines = image.header.tostring(sep="\n", padding=False) + "\n" * 2880
    (tmp_path / "a.header").write_text(lines)
    (tmp_path / "a.header.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(content)[:20])
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b\x08\x00" + 40 * b"\xff")
    (tmp_path / "short").write_bytes(content[:100])
    for name in ("regions.csv", "quicklook.jpg", "empty"):
        (tmp_path / name).write_bytes(b"\xff\xd8" if name.endswith("jpg") else b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    found = {Path(name).name: reason for name, reason in unread_files([str(tmp_path)]).items()}
    assert sorted(found) == sorted([*named, "b.mag.gz"])
    assert len(set(found.values())) == 1
    assert found["noending"].startswith("it is FITS and its name has another ending than .fits, ")


@pytest.mark.parametrize("name", ["more.tar", "t.tgz", "u.tar.gz", "V.TAR.BZ2", "w.zip"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / name, "w"):
        pass
    (reason,) = unread_files([str(tmp_path)]).values()
    assert reason.startswith("it is an archive, and only files outside of archives are read: unpack it")


def test_files_of_one_reason_share_a_sentence(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.fits.Z").touch()
    (sentence,) = unread_sentences(unread_files([str(tmp_path)]))
    assert sentence.startswith(f"{tmp_path}/a.fits.Z (and 2 more) is not read: it is compressed as Z")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who can list every folder."""
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert unread_files([str(tmp_path)]) == {
        str(tmp_path / "closed"): "its folder cannot be listed (Permission denied): let this user read it"
    }


def test_a_pipe_that_is_named_itself_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.fits")
    with pytest.raises(MagnetogramError, match="it is a pipe"):
        read_observation(str(tmp_path / "a.fits"))
