"""Which cube a task is about: one rule, which trusts a task's data no further than the release roots do."""

from pathlib import Path
from typing import Any

import pytest

from helioloop.data.release import ReleaseRoots
from helioloop.errors import HelioloopError
from helioloop.labelstudio.tasks import cube_of
from helioloop.records import CubeInfo

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
