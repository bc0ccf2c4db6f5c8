"""Crude labels of a release: its two tables."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.table import Table
from tests.core.data.passing import CARRINGTON, PROFILE, write_passing
from tests.other_user import FIRST, needs_root, run_as, team_folder

from helioloop.archive.labelling import LabelledRelease, label_release, lacks_crude_labels
from helioloop.data.release import read_labels
from helioloop.data.release_profile import write_release_profile
from helioloop.errors import ReleaseError
from helioloop.records.labels import Label


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of three cubes: an emergence, a region that rotates in, and nothing."""
    folder = tmp_path_factory.mktemp("made")
    for name, emerges_at, gauss in (("A", -20.0, 200.0), ("B", None, 200.0), ("C", None, 0.0)):
        write_passing(
            folder / f"{name}_20010307.fits", emerges_at=emerges_at, gauss=gauss, region=name, cards=CARRINGTON
        )
    write_release_profile(folder, PROFILE)
    return folder


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "release"))


def label(release: Path, **options: object) -> LabelledRelease:
    return label_release(release, processes=1, **options)  # type: ignore[arg-type]


def labels(release: Path) -> dict[str, str]:
    return {row.cube[0]: row.label or "" for row in read_labels(release / "labels.csv").values()}


def test_a_release_without_a_label_table_gets_one(release: Path) -> None:
    labelled = label(release)
    assert labels(release) == {"A": "emergence", "B": "non-emergence", "C": ""}
    assert labelled.changes == ()
    assert not any(row.verified for row in read_labels(release / "labels.csv").values())


def test_the_ecsv_has_units_settings_and_one_row_per_cube(release: Path) -> None:
    """What is unknown is masked or empty; the settings of rule and detector are in the header."""
    label(release)
    table = Table.read(release / "crude-labels.ecsv")
    assert list(table["cube"]) == ["A_20010307", "B_20010307", "C_20010307"]
    assert list(table["rule"]) == ["pixels"] * 3
    assert table["longitude"].unit == table["threshold"].unit == units.deg
    assert list(np.ma.getmaskarray(table["longitude"])) == [False, False, True]
    assert list(np.ma.getmaskarray(table["frame"])) == [False, False, True]
    assert set(table["threshold"]) == {-56.0}
    assert table["frame"][0] * 21600.0 == table["seconds"][0]
    assert table["first_detection"][0].endswith("Z")
    assert "no bipolar region" in table["reason"][2]
    assert table.meta["detector"]["field_gauss"] == 50.0
    assert table.meta["profile"]["name"] == "small"


def test_verified_rows_order_and_other_columns_stay(release: Path) -> None:
    """Labels that differ are returned; a cube without a crude label keeps the one that it had."""
    (release / "labels.csv").write_text(
        "note,cube,label,verified\nby Anna,B_20010307,emergence,1\n"
        ",C_20010307,emergence,0\n,A_20010307,non-emergence,0\n"
    )
    labelled = label(release)
    assert (release / "labels.csv").read_text() == (
        "cube,label,verified,note\nB_20010307,emergence,1,by Anna\nC_20010307,emergence,0,\nA_20010307,emergence,0,\n"
    )
    changes = {change.cube[0]: (change.had, change.crude, change.verified) for change in labelled.changes}
    assert changes == {
        "B": (Label.EMERGENCE, Label.NON_EMERGENCE, True),
        "C": (Label.EMERGENCE, None, False),
        "A": (Label.NON_EMERGENCE, Label.EMERGENCE, False),
    }


def test_a_table_that_a_spreadsheet_saved_is_updated_and_its_doubts_are_said_once(release: Path) -> None:
    """It is written with commas and the names of the files; the verified row and the note stay."""
    (release / "labels.csv").write_text(
        "Cube;Label;Verified;note\nother/B_20010307.fits;Emergence;WAHR;by Anna\nA_20010307.fits;;0;\n"
    )
    doubts: list[str] = []
    label(release, on_doubt=doubts.append)
    assert (release / "labels.csv").read_text() == (
        "cube,label,verified,note\nB_20010307,emergence,1,by Anna\nA_20010307,emergence,0,\nC_20010307,,0,\n"
    )
    assert ["another folder" in doubt for doubt in doubts] == [True]


def test_comments_and_permissions_stay_and_a_link_is_followed(release: Path, tmp_path: Path) -> None:
    """The link stays a link, and the file to which it leads is replaced."""
    kept = tmp_path / "kept" / "table.csv"
    kept.parent.mkdir()
    kept.write_text('# from Anna, 2001\n# second\ncube,label,verified,note\nA_20010307,,0,"a, b"\n')
    kept.chmod(0o664)
    (release / "labels.csv").symlink_to(kept)
    label(release)
    assert (release / "labels.csv").readlink() == kept
    assert kept.read_text() == (
        "# from Anna, 2001\n# second\ncube,label,verified,note\n"
        'A_20010307,emergence,0,"a, b"\nB_20010307,non-emergence,0,\nC_20010307,,0,\n'
    )
    assert stat.S_IMODE(kept.stat().st_mode) == 0o664
    assert [path.name for path in kept.parent.iterdir()] == ["table.csv"]


def test_a_table_with_a_header_only_keeps_its_columns(release: Path) -> None:
    (release / "labels.csv").write_text("cube,label,verified,note\n")
    label(release)
    assert (release / "labels.csv").read_text().splitlines()[:2] == [
        "cube,label,verified,note",
        "A_20010307,emergence,0,",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cube,label,verified,note,note\nA_20010307,,0,x,y\n", "column 'note' is there twice"),
        ("cube,label,verified\nA_20010307,,0,by Anna\n", "line 2: there are cells under no column name"),
    ],
)
def test_a_table_that_would_lose_something_is_refused_before_any_work(release: Path, text: str, reason: str) -> None:
    (release / "labels.csv").write_text(text)
    reports: list[tuple[int, int, str]] = []
    with pytest.raises(ReleaseError, match=reason):
        label(release, report=lambda *values: reports.append(values))
    assert reports == []
    assert (release / "labels.csv").read_text() == text
    assert not (release / "crude-labels.ecsv").exists()


def test_a_label_table_that_is_no_file_is_refused_and_stays(release: Path) -> None:
    """A link that leads nowhere, one that leads back to itself, and a pipe."""
    path = release / "labels.csv"
    for make, reason in (
        (lambda: path.symlink_to("gone.csv"), "labels.csv is a link to a file that does not exist: restore"),
        (lambda: path.symlink_to("labels.csv"), "labels.csv is a link that leads back to itself"),
        (lambda: os.mkfifo(path), "labels.csv is a pipe"),
    ):
        make()
        with pytest.raises(ReleaseError, match=reason):
            label(release)
        assert os.path.lexists(path)
        assert not path.is_file()
        path.unlink()


@needs_root
@pytest.mark.parametrize("closed", ["release", "labels"])
def test_a_release_whose_tables_may_not_be_written_is_refused_before_any_work(made: Path, closed: str) -> None:
    """As one of another account, or on a read-only disk; the label table may be a link into such a folder."""
    with team_folder() as place:
        folders = {name: Path(shutil.copytree(made, place / name)) for name in ("release", "labels")}
        (folders["labels"] / "labels.csv").write_text("cube,label,verified\n")
        (folders["release"] / "labels.csv").symlink_to(folders["labels"] / "labels.csv")
        for name, folder in folders.items():
            folder.chmod(0o755 if name == closed else 0o777)

        def refused() -> list[object]:
            done: list[int] = []
            try:
                label_release(folders["release"], report=lambda count, _, __: done.append(count), processes=1)
            except PermissionError as error:
                return [done, str(error)]
            return [done, ""]

        done, why = run_as(FIRST, refused)
        assert done == []
        assert f"{folders[closed]}/" in why


@needs_root
def test_a_label_table_that_has_all_labels_and_is_to_stay_need_not_be_writable(made: Path) -> None:
    """A watch leaves labels as they are; the table may be one that several releases share."""
    with team_folder() as place:
        release = Path(shutil.copytree(made, place / "release"))
        release.chmod(0o777)
        (place / "shared").mkdir()
        rows = "".join(f"{name}_20010307,emergence,0\n" for name in "ABC")
        (place / "shared/labels.csv").write_text(f"cube,label,verified\n{rows}")
        (release / "labels.csv").symlink_to(place / "shared/labels.csv")
        assert run_as(FIRST, lambda: len(label(release, keep_labels=True).labels)) == 3


def test_a_row_that_is_verified_meanwhile_stays(release: Path) -> None:
    """The table is read again after the last cube."""

    def verify(done: int, total: int, what: str) -> None:
        if done == total:
            (release / "labels.csv").write_text(f"cube,label,verified\nA_20010307,non-emergence,{int(bool(what))}\n")

    label(release, report=verify)
    assert labels(release)["A"] == "non-emergence"


def test_repeating_changes_nothing(release: Path) -> None:
    """Both tables are the same, byte for byte."""
    label(release)
    before = {name: (release / name).read_bytes() for name in ("labels.csv", "crude-labels.ecsv")}
    assert label(release).changes == ()
    assert {name: (release / name).read_bytes() for name in before} == before


def test_an_interrupted_run_leaves_no_half_table(release: Path) -> None:
    (release / "labels.csv").write_text("cube,label,verified\nA_20010307,,0\n")

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 2:
            raise KeyboardInterrupt(what, total)

    with pytest.raises(KeyboardInterrupt):
        label(release, report=interrupt)
    assert (release / "labels.csv").read_text() == "cube,label,verified\nA_20010307,,0\n"
    assert not (release / "crude-labels.ecsv").exists()


def test_a_table_of_regions_counts_before_the_pixels(release: Path, tmp_path: Path) -> None:
    """A was seen near the limb; Z is in no cube; the table's name and hash are recorded."""
    table = tmp_path / "regions.csv"
    table.write_text(
        "region,carrington_lon,carrington_lat,first_seen\nA,345.2,12,2001-03-09T00:00:00\nB,345.2,12,\nZ,10,10,\n"
    )
    labelled = label(release, regions_table=table)
    assert labels(release) == {"A": "non-emergence", "B": "non-emergence", "C": ""}
    assert labelled.unused_regions == ("Z",)
    written = Table.read(release / "crude-labels.ecsv")
    assert list(written["rule"]) == ["first_seen", "pixels", "pixels"]
    assert written.meta["regions_table"] == "regions.csv"
    assert len(written.meta["regions_table_sha256"]) == 64


def test_where_nothing_can_be_labelled_the_label_table_is_not_written(release: Path) -> None:
    for name in ("A", "B"):
        (release / f"{name}_20010307.fits").write_text("<html>")
    labelled = label(release)
    assert [crude.label for crude in labelled.labels] == [None] * 3
    assert not (release / "labels.csv").exists()
    assert len(Table.read(release / "crude-labels.ecsv")) == 3


def test_a_row_without_a_file_is_listed(release: Path) -> None:
    (release / "labels.csv").write_text("cube,label,verified\nGONE,,0\n")
    labelled = label(release)
    assert [crude.cube[0] for crude in labelled.labels] == ["G", "A", "B", "C"]
    assert "restore it or remove it" in labelled.labels[0].reason


def test_a_folder_without_cubes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="contains no cube"):
        label(tmp_path)
    with pytest.raises(ReleaseError, match="is not a folder"):
        label(tmp_path / "absent")


@pytest.mark.parametrize("with_table", [False, True])
def test_a_cube_whose_name_no_table_may_have_is_left_out_and_said(release: Path, with_table: bool) -> None:
    """A line end in a name would make the table one that every command refuses; the others are labelled."""
    for name in ("B\n_20010307.fits", "C_\udce9_20010307.fits"):
        shutil.copy(release / "A_20010307.fits", release / name)
    if with_table:
        (release / "labels.csv").write_text("cube,label,verified\nA_20010307,,0\n")
    doubts: list[str] = []
    label(release, on_doubt=doubts.append)
    assert labels(release) == {"A": "emergence", "B": "non-emergence", "C": ""}
    assert list(Table.read(release / "crude-labels.ecsv")["cube"]) == ["A_20010307", "B_20010307", "C_20010307"]
    (doubt,) = doubts
    assert doubt.startswith(f"2 cubes are left out of the tables of {release}: the cube name 'B\\n_20010307' is not ")
    assert doubt.endswith("rename it")
    assert not lacks_crude_labels(release)


def test_a_release_and_a_table_of_regions_with_names_that_are_not_text_are_labelled(
    release: Path, tmp_path: Path
) -> None:
    """In the header of the crude labels their bytes are escapes."""
    moved = release.rename(tmp_path / "r_\udce9")
    table = tmp_path / "t_\udce9.csv"
    table.write_text("region,carrington_lon,carrington_lat\nA,345.2,12\n")
    label(moved, regions_table=table)
    meta = Table.read(moved / "crude-labels.ecsv").meta
    assert (meta["release"], meta["regions_table"]) == (r"r_\udce9", r"t_\udce9.csv")


def test_a_release_of_which_no_cube_has_a_name_for_tables_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "A_20010307.fits", tmp_path / "A\n.fits")
    with pytest.raises(ReleaseError, match=r"contains no cube that can be labelled: the cube name 'A\\n' is not"):
        label(tmp_path)
    assert not (tmp_path / "labels.csv").exists()
