"""Items made one ahead by another thread."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch

from helioloop.model.ahead import one_ahead


def test_items_are_those_of_the_iterator_in_its_order() -> None:
    """An empty iterator gives none."""
    assert list(one_ahead(iter([3, 1, 2]))) == [3, 1, 2]
    assert list(one_ahead(iter([]))) == []


def test_the_next_item_is_made_while_the_caller_has_the_one_before() -> None:
    """In another thread, with as many threads as the caller computes with; not the one after it."""
    made: list[tuple[int, int]] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for k in range(4):
            made.append((threading.get_ident(), torch.get_num_threads()))
            if k == 1:
                second.set()
            yield k

    with closing(one_ahead(items())) as ahead:
        assert next(ahead) == 0
        assert second.wait(10.0)
    assert {thread for thread, _ in made} != {threading.get_ident()}
    assert {number for _, number in made} == {torch.get_num_threads()}
    assert len(made) == 2


def test_an_error_comes_where_its_item_was_expected() -> None:
    """The items before it are there."""

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the second"):
        next(ahead)
