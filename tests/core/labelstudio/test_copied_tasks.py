"""Tasks whose addresses lead to the files of another project, and the answers that were given to them."""

from typing import Any

import pytest

from helioloop.labelstudio.copied_tasks import (
    given_answers,
    in_project,
    is_copied,
    project_of,
    without_blind_answers,
)

LOCAL = "/data/local-files/?d=helioloop/project-{}/made/cube01-0123.reason.txt"
ADDRESSES = [
    LOCAL,
    "/label-studio/data/local-files/?d=helioloop/project-{}/made%20here/cube%2001.reason.txt",
    "s3://bucket/project-{}/made/cube01.reason.txt",
    "s3://bucket/project-7/project-{}/made/cube01.reason.txt",
    "/data/local-files/?d=helioloop/project-{}/project-7/cube01.reason.txt",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_names_the_project_of_its_file(address: str) -> None:
    """A prefix or a release may be called like a project."""
    assert project_of(address.format(31)) == 31
    assert in_project(address.format(31), 4) == address.format(4)


@pytest.mark.parametrize(
    "address",
    [None, 3, "", "/a.txt", "/project-0/made/a.txt", "/project-x/made/a.txt", "/project-1/a.txt", "/project-1/a/b/c"],
)
def test_any_other_value_is_a_file_of_no_project(address: object) -> None:
    assert project_of(address) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"curve": LOCAL.format(1), "reason": LOCAL.format(2)}, True),
        ({"curve": LOCAL.format(2), "reason": LOCAL.format(1)}, True),
        ({"curve": LOCAL.format(2), "reason": LOCAL.format(2)}, False),
        ({"video": LOCAL.format(1)}, False),
        ({"curve": "/upload/2/a.json", "reason": 5}, False),
        (None, False),
    ],
    ids=["curve", "reason", "its own", "a task of before these files", "files elsewhere", "no data"],
)
def test_a_task_is_copied_where_curve_or_reason_is_of_another_project(data: object, *, expected: bool) -> None:
    assert is_copied(data, 2) is expected


def answer(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "prediction": {}, "import_id": None, **more}


def blind(entry: Any) -> list[int]:
    return [one["id"] for one in entry["annotations"] if isinstance(one, dict) and one.get("prediction") == {}]


def test_answers_that_were_given_to_a_copied_task_are_not_blind() -> None:
    """Those that were imported with it were given elsewhere; one with a prediction keeps it."""
    entry = {
        "data": {"reason": LOCAL.format(1)},
        "annotations": [answer(5), answer(6, import_id=60), answer(7, prediction={"id": 1}), "odd"],
    }
    assert given_answers(entry) == {"5", "7"}
    assert blind(without_blind_answers(entry, 2, before=frozenset())) == [6]
    assert without_blind_answers(entry, 2, before=frozenset())["annotations"][2:] == entry["annotations"][2:]
    assert without_blind_answers(entry, 1, before=frozenset()) is entry


def test_answers_from_before_a_task_showed_its_own_files_stay_not_blind() -> None:
    """An imported annotation has an id of this Label Studio, too, and is none of them."""
    entry = {"data": {"reason": LOCAL.format(2)}, "annotations": [answer(5), answer(6), answer(7, import_id=1)]}
    assert blind(without_blind_answers(entry, 2, before={"5", "7"})) == [6, 7]


@pytest.mark.parametrize("annotations", [None, "odd", []])
def test_annotations_that_are_no_list_stay_as_they_are(annotations: object) -> None:
    entry = {"data": {"reason": LOCAL.format(1)}, "annotations": annotations}
    assert without_blind_answers(entry, 2, before={"1"}) is entry
