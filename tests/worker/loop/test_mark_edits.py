"""Marks in few edits: they end as wanted, wherever they broke off before, and their number hardly grows."""

from collections.abc import Iterable

import pytest

from helioloop_worker.loop.mark_edits import Edit, mark_edits


def applied(edits: Iterable[Edit], fields: dict[int, str]) -> dict[int, str]:
    """Return the fields of tasks after the edits, by the rules of Label Studio."""
    found = dict(fields)
    for edit in edits:
        for task in edit.tasks:
            found[task] = edit.value if edit.replaced is None else found[task].replace(edit.replaced, edit.value)
    return found


def numbered(first: int, last: int) -> dict[str, list[int]]:
    """Return the marks of random checks, whose tasks have ids that are larger by a thousand."""
    return {f"random check {number:03d}": [1000 + number] for number in range(first, last + 1)}


def test_few_marks_are_set_one_by_one() -> None:
    """Of three marks two are alike and one has no number; a task is in one edit only."""
    wanted = {"tied": [5], "random check 007": [1, 2], "random check 010": [3]}
    assert mark_edits(wanted) == [
        Edit(tasks=(5,), value="tied"),
        Edit(tasks=(1, 2), value="random check 007"),
        Edit(tasks=(3,), value="random check 010"),
    ]


def test_many_numbered_marks_are_set_digit_by_digit() -> None:
    """Placeholders first, then 1 hundred's digit, 10 tens' digits and 10 ones' digits."""
    edits = mark_edits(numbered(0, 99))
    assert edits[0] == Edit(tasks=tuple(range(1000, 1100)), value="random check <0><1><2>")
    assert Edit(tasks=tuple(range(1030, 1040)), value="3", replaced="<1>") in edits
    assert len(edits) == 22


@pytest.mark.parametrize("last", [1, 40, 99, 100, 999, 1003, 2500])
def test_every_task_gets_its_mark(last: int) -> None:
    """Also where numbers have three and four digits; a mark may be on several tasks, and another may be empty."""
    wanted = {**numbered(1, last), "": [1, 2], "accepted emergence at 2% risk, v0003": [3, 4]}
    wanted["random check 001"].append(9)
    after = applied(
        mark_edits(wanted), dict.fromkeys([t for tasks in wanted.values() for t in tasks], "random check 5")
    )
    assert after == {task: mark for mark, tasks in wanted.items() for task in tasks}


def test_edits_that_broke_off_anywhere_can_be_made_again() -> None:
    """A task is left with placeholders; the next edits give it its mark all the same."""
    wanted = numbered(1, 60)
    edits, fields = mark_edits(wanted), {task: "" for tasks in wanted.values() for task in tasks}
    for done in range(len(edits)):
        again = applied(edits, applied(edits[:done], fields))
        assert again == {task: mark for mark, (task,) in wanted.items()}


def test_ten_thousand_marks_take_less_than_a_hundred_edits() -> None:
    """Of four digits and of five."""
    assert len(mark_edits({f"random check {number:03d}": [number] for number in range(1, 10_001)})) < 100


def test_a_text_with_the_signs_of_placeholders_is_set_as_it_is() -> None:
    """No digit of another mark may be replaced in it."""
    wanted = {f"<1> {number}": [number] for number in range(10, 99)}
    assert all(edit.replaced is None for edit in mark_edits(wanted))
