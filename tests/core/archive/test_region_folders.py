"""Which folders can name a region."""

from pathlib import Path

import pytest

from helioloop.archive.region_folders import region_folder, why_not_regions


def test_a_link_belongs_to_the_folder_that_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links to files and to folders are not followed, nor where the place is given from the current folder."""
    target = tmp_path / "annex" / "0123" / "m.fits"
    target.parent.mkdir(parents=True)
    target.touch()
    (tmp_path / "AR11158").mkdir()
    (tmp_path / "AR11158" / "m.fits").symlink_to(target)
    (tmp_path / "latest").symlink_to(tmp_path / "AR11158")
    assert region_folder(str(tmp_path / "AR11158" / "m.fits")) == tmp_path / "AR11158"
    assert region_folder(str(tmp_path / "latest" / "m.fits")) == tmp_path / "latest"
    monkeypatch.chdir(tmp_path / "AR11158")
    assert region_folder("m.fits") == tmp_path / "AR11158"


def test_folders_with_names_of_their_own_name_regions() -> None:
    """HARP 9393 is another region than NOAA 9393; files of one folder are of one region."""
    folders = [Path("/a/NOAA9393"), Path("/a/HARP9393"), Path("/b/Fleck Ä β"), Path("/a/NOAA9393")]
    assert why_not_regions(folders) == {}


@pytest.mark.parametrize(
    ("first", "second"), [("fits", "fits"), ("AR 9393", "noaa_09393"), ("ar1", "AR1"), ("9393", "AR9393")]
)
def test_of_folders_with_one_name_none_names_a_region(first: str, second: str) -> None:
    """Each reason names the other folder; a third folder is a region."""
    folders = [Path("/d/x", first), Path("/d/y", second), Path("/d/AR11160")]
    reasons = why_not_regions(folders)
    assert list(reasons) == folders[:2]
    assert f"its region '{first}', and folder '/d/y/{second}' has the same name" in reasons[folders[0]]
    assert f"its region '{second}', and folder '/d/x/{first}' has the same name" in reasons[folders[1]]
    assert "rename one of them, or put the files of one region into one folder" in reasons[folders[0]]


@pytest.mark.parametrize("name", [".hid", "a\nb", "a\\b", "x" * 192, "ж" * 116, "m_\udce9", "\u202ea"])
def test_a_folder_with_a_name_that_no_cube_can_have_names_no_region(name: str) -> None:
    """The reason is one line that can be written as UTF-8."""
    (reason,) = why_not_regions([Path("/d", name)]).values()
    assert reason.startswith("it has no HARPNUM or TARPNUM, so its folder names its region, and the folder's name is ")
    assert reason.endswith("without slashes, control characters or a leading dot: rename it")
    assert reason.isprintable()
    assert reason.encode()


@pytest.mark.parametrize("name", ["0", "nan", "None", "-1", "NOAA nan"])
def test_a_folder_with_the_code_of_a_missing_number_names_no_region(name: str) -> None:
    """Scripts that make a folder per NOAA number write these for patches without one."""
    (reason,) = why_not_regions([Path("/d", name)]).values()
    assert f"the folder's name is '{name}', which names no region" in reason


def test_the_root_of_a_disk_names_no_region() -> None:
    assert "the folder's name is ''" in why_not_regions([region_folder("/m.fits")])[Path("/")]
