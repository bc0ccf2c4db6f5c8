"""Which cube a task is about: one rule, which trusts a task's data no further than the release roots do."""

from pathlib import Path
from typing import Any

import pytest

from helioloop.data.release import ReleaseRoots
from helioloop.errors import HelioloopError
from helioloop.labelstudio.tasks import annotation_stamps, cube_of, cube_tasks
from helioloop.records.cubes import CubeInfo

DATA = {
    "video": "/x.mp4", "cube": "BARD0001", "release": "r", "sha256": "a" * 64, "region": "AR 1",
    "start": "1998-12-06T00:00:00Z", "crude_label": "emergence",
}  # fmt: skip


def test_a_task_of_ours_names_its_cube_and_where_and_when_it_is() -> None:
    """The start loses the zone it has in Label Studio; the label is not the task's to say."""
    assert cube_of(DATA) == CubeInfo(
        release="r", name="BARD0001", sha256="a" * 64,
        start="1998-12-06T00:00:00", region="AR 1", label=None, verified=False,
    )  # fmt: skip


@pytest.mark.parametrize("value", [None, "", 7, ["AR 1"], "x" * 201], ids=repr)
def test_what_is_no_word_is_no_region(value: Any) -> None:
    """A cube without region, or with something else in its place, is a cube all the same."""
    found = cube_of(DATA | {"region": value})
    assert found is not None
    assert found.region is None


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ("1998-12-06T00:00:00", "1998-12-06T00:00:00"),
        ("1998-12-06T02:00:00+02:00", "1998-12-06T00:00:00"),
        ("1998-12-06", "1998-12-06"),
        ("6 December 1998", None),
        ("1998-13-06T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (1998, None),
        (["1998-12-06"], None),
    ],
    ids=repr,
)
def test_a_start_that_is_not_iso_8601_is_unknown(value: Any, start: str | None) -> None:
    """Someone edited the task's data: the cube is planned as one without a date, and nothing fails."""
    found = cube_of(DATA | {"start": value})
    assert found is not None
    assert found.start == start


@pytest.mark.parametrize("data", [None, "text", [], {}, {"text": "hello"}, {"sha256": "a" * 64}, {"cube": "BARD0001"}])
def test_a_foreign_task_is_about_no_cube(data: Any) -> None:
    """One with a hash and no cube is as foreign as any other."""
    assert cube_of(data) is None


@pytest.mark.parametrize("sha256", ["a" * 63, "A" * 64, "a" * 64 + "\n", 7, None], ids=repr)
def test_a_hash_that_is_none_names_no_cube(sha256: Any) -> None:
    """64 lower-case hex digits."""
    assert cube_of(DATA | {"sha256": sha256}) is None


@pytest.mark.parametrize(
    "name", ["c", "x" * 200, "x" * 201, "a b", "..", ".hidden", "a/b", "a\\b", "/etc", "a\x00b", "a\n"], ids=repr
)
def test_a_task_names_what_the_release_roots_would_open(tmp_path: Path, name: str) -> None:
    """Neither asks for what the other refuses, for cubes and for releases."""
    roots = ReleaseRoots([tmp_path])

    def allowed(release: str, cube: str) -> bool:
        try:
            roots.path(release, cube)
        except HelioloopError as error:
            return "is not allowed" not in str(error)
        return True

    assert (cube_of(DATA | {"cube": name}) is not None) == allowed("r", name)
    assert (cube_of(DATA | {"release": name}) is not None) == allowed(name, "c")


# -- the tasks of a cube ---------------------------------------------------------------------------


def task(number: int, *annotations: int, **data: str) -> dict[str, Any]:
    """An exported task of the cube BARD0001, with annotations of these ids."""
    stamped = [{"id": annotation, "updated_at": f"t{annotation}"} for annotation in annotations]
    return {"id": number, "data": DATA | data, "annotations": stamped}


def test_tasks_of_one_cube_are_merged_oldest_first() -> None:
    """The data are those of the oldest, the annotations those of all; the order of the export does not matter."""
    oldest, younger = task(3, 30, 31, crude_label="emergence"), task(8, 80, crude_label="non-emergence")
    for exported in ([oldest, younger], [younger, oldest]):
        (found,) = cube_tasks(exported).values()
        assert (found.cube, found.ids) == (cube_of(DATA), (3, 8))
        assert found.exported["data"]["crude_label"] == "emergence"
        assert [annotation["id"] for annotation in found.exported["annotations"]] == [30, 31, 80]


def test_the_older_of_two_contents_counts() -> None:
    """A task with other content under the same name is left out, with its annotations."""
    (found,) = cube_tasks([task(8, 80, sha256="b" * 64), task(3, 30), task(9, 90)]).values()
    assert (found.cube.sha256, found.ids) == ("a" * 64, (3, 9))
    assert [annotation["id"] for annotation in found.exported["annotations"]] == [30, 90]


def test_cubes_are_in_the_order_of_import_and_tasks_without_a_cube_are_left_out() -> None:
    """Whatever their data and ids are; annotations may be missing."""
    exported = [
        {"id": 4, "data": DATA | {"cube": "second"}},
        {"id": 2, "data": {"text": "not ours"}},
        {"id": None, "data": DATA},
        {"data": DATA},
        task(1, cube="first"),
        {"id": 5, "data": DATA | {"cube": "third"}, "annotations": None},
    ]
    assert list(cube_tasks(exported)) == ["first", "second", "third"]
    assert cube_tasks(exported)["third"].exported["annotations"] == []


def test_stamps_are_those_of_all_annotations() -> None:
    """Of tasks without a cube too: reconciliation compares two exports."""
    other = {"id": 7, "data": {}, "annotations": [{"id": 70, "updated_at": "t70"}]}
    assert annotation_stamps([task(1, 10, 11), other, {"id": 8}]) == {"10": "t10", "11": "t11", "70": "t70"}
