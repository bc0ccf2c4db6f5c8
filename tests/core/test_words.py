"""Numbers and their nouns."""

import pytest

from helioloop.words import count, times


@pytest.mark.parametrize(
    ("n", "cubes", "often"), [(0, "0 cubes", "0 times"), (1, "1 cube", "once"), (2, "2 cubes", "2 times")]
)
def test_one_is_singular(n: int, cubes: str, often: str) -> None:
    assert (count(n, "cube"), times(n)) == (cubes, often)
