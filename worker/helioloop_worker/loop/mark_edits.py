"""Plans few edits of task data that give many tasks a mark each, also where the marks differ in their numbers.

Label Studio sets a field of any number of tasks to one value in a call, and replaces a text in it. A call for each of
thousands of numbered marks would take many minutes. So all of them get the same text first, with a placeholder for each
digit, and then one call for each place and digit replaces the placeholder in the tasks with this digit there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_NUMBERED: Final = re.compile(r"([^<>]*?)([0-9]+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of the field of some tasks: it becomes `value`, or `value` replaces the text `replaced` in it."""

    tasks: tuple[int, ...]
    value: str
    replaced: str | None = None


def mark_edits(wanted: Mapping[str, Sequence[int]]) -> list[Edit]:
    """Return the edits that give tasks their marks, in order; they can be made again after any of them.

    Parameters
    ----------
    wanted : mapping of str to sequence of int
        Mark -> tasks.

    Notes
    -----
    The number of edits of n numbered marks is about the smaller of n and 10 log10(n).
    """
    found: list[Edit] = []
    alike: dict[tuple[str, int], dict[str, Sequence[int]]] = {}
    for mark, tasks in sorted(wanted.items()):
        numbered = _NUMBERED.fullmatch(mark)
        if numbered is None:
            found.append(Edit(tasks=tuple(tasks), value=mark))
        else:
            alike.setdefault((numbered[1], len(numbered[2])), {})[numbered[2]] = tasks
    for (text, length), numbers in alike.items():
        single = [Edit(tasks=tuple(tasks), value=text + digits) for digits, tasks in numbers.items()]
        by_digit = _by_digit(text, length, numbers)
        found += by_digit if len(by_digit) < len(single) else single
    return found


def _by_digit(text: str, length: int, numbers: Mapping[str, Iterable[int]]) -> list[Edit]:
    """Return the edits of marks with a number of `length` digits: the text with placeholders, then digit by digit."""
    places = [f"<{place}>" for place in range(length)]
    with_digit: dict[tuple[str, str], list[int]] = {}
    for digits, tasks in numbers.items():
        for place, digit in zip(places, digits, strict=True):
            with_digit.setdefault((place, digit), []).extend(tasks)
    every = tuple(task for tasks in numbers.values() for task in tasks)
    return [
        Edit(tasks=every, value=text + "".join(places)),
        *(
            Edit(tasks=tuple(tasks), value=digit, replaced=place)
            for (place, digit), tasks in sorted(with_digit.items())
        ),
    ]
