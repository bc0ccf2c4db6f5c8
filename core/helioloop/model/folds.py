"""Folds: which labelled cubes are held out from a member, so that it can speak on them.

Above the ground floor, used by `plan`; numpy only. A member that has seen the same region, or the same days of the same
instrument, would excuse a wrong label: regions stay whole, and folds are blocks of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from helioloop.errors import TooFewLabels
from helioloop.records import CubeInfo, Label

MIN_CUBES_PER_CLASS = 10
"""With fewer labelled cubes of a class nothing is trained."""

MONTH_BLOCKS = ((12, 1, 2), (3, 4), (5, 6), (7, 8), (9, 10, 11))
"""The authors' month pairs; their test months 11 and 12 join their neighbours, every labelled cube being trained on."""

MIN_BLOCK_SHARE = 0.5
"""Month blocks are taken where each holds at least this part of an even share of each class: 10 % for five folds."""

_CLASSES = tuple(Label)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Cubes that must stay together: those of one region, and copies of one content."""

    cubes: tuple[str, ...]
    counts: NDArray[np.int64]  # per class
    start: datetime | None

    @property
    def order(self) -> tuple[bool, datetime, str]:
        """Sort key: in order of time, undated ones last by name."""
        return self.start is None, self.start or datetime.min, self.cubes[0]


def assign_folds(cubes: Sequence[CubeInfo], n_folds: int = 5) -> dict[str, int]:
    """Put every labelled cube into one fold.

    With five folds these are `MONTH_BLOCKS` of calendar months, where every region is dated and every block holds
    enough of both classes (`MIN_BLOCK_SHARE`). Else they are blocks of time with equally many cubes, undated ones
    last by name; and where such a block would leave a class nothing to train on, regions are dealt out so that the
    classes are even. A region belongs, as a whole, where its earliest cube does; cubes of equal content do too.

    Parameters
    ----------
    cubes : sequence of CubeInfo
        Those without a label are passed over; their order does not matter.
    n_folds : int
        Number of folds, at least 2; with few regions some stay empty.

    Returns
    -------
    dict
        Cube name -> fold, 0 to n_folds − 1, by name.

    Raises
    ------
    TooFewLabels
        If a class has fewer than `MIN_CUBES_PER_CLASS` labelled cubes, or all of them follow one region.
    """
    labelled = sorted((cube for cube in cubes if cube.label is not None), key=lambda cube: cube.name)
    _check_counts(labelled)
    groups = sorted(_groups(labelled), key=lambda group: group.order)
    counts = np.array([group.counts for group in groups])
    months = [group.start.month if group.start else None for group in groups]
    for folds in (_by_month(months, counts, n_folds), _by_time(counts, n_folds), _dealt(counts, n_folds)):
        if folds is not None and _leaves_both_classes(folds, counts, n_folds):
            fold_of = {cube: int(fold) for group, fold in zip(groups, folds, strict=True) for cube in group.cubes}
            return dict(sorted(fold_of.items()))
    few = int(np.argmin((counts > 0).sum(axis=0)))
    raise TooFewLabels(
        f"all {counts[:, few].sum()} cubes labelled {_CLASSES[few]} follow one region or are copies of its cubes; a "
        "class needs at least two regions, one to learn from and one to judge: label more"
    )


def _check_counts(labelled: Sequence[CubeInfo]) -> None:
    for label in _CLASSES:
        count = sum(cube.label is label for cube in labelled)
        if count < MIN_CUBES_PER_CLASS:
            raise TooFewLabels(
                f"{count} cubes are labelled {label}; training needs at least {MIN_CUBES_PER_CLASS} of each class: "
                "label more"
            )


def _groups(labelled: Sequence[CubeInfo]) -> list[_Group]:
    """Return the connected components of the cubes, of which two are linked by the same region or content."""
    first: dict[tuple[str, str], int] = {}
    links = [
        (index, first.setdefault(key, index))
        for index, cube in enumerate(labelled)
        for key in (("content", cube.sha256), *([("region", cube.region)] if cube.region else []))
    ]
    graph = coo_array((np.ones(len(links)), np.array(links).T), shape=(len(labelled), len(labelled)))
    n_groups, group_of = connected_components(graph, directed=False)
    return [_group([labelled[k] for k in np.flatnonzero(group_of == group)]) for group in range(n_groups)]


def _group(members: Sequence[CubeInfo]) -> _Group:
    starts = [datetime.fromisoformat(cube.start) for cube in members if cube.start]
    return _Group(
        cubes=tuple(cube.name for cube in members),
        counts=np.array([sum(cube.label is label for cube in members) for label in _CLASSES]),
        start=min(starts, default=None),
    )


def _by_month(months: Sequence[int | None], counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64] | None:
    """Return the month block of each group; None where dates or classes do not allow."""
    if n_folds != len(MONTH_BLOCKS) or None in months:
        return None
    block_of = {month: block for block, block_months in enumerate(MONTH_BLOCKS) for month in block_months}
    folds = np.array([block_of[month] for month in months if month])
    held = _held(folds, counts, n_folds)
    return folds if (held >= MIN_BLOCK_SHARE * held.sum(axis=0) / n_folds).all() else None


def _by_time(counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Cut the groups, in order of time, into blocks of equally many cubes; a group goes where its middle lies."""
    sizes = counts.sum(axis=1)
    middles = np.cumsum(sizes) - sizes / 2.0
    folds: NDArray[np.int64] = np.minimum((middles * n_folds / sizes.sum()).astype(np.int64), n_folds - 1)
    return folds


def _dealt(counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Deal the groups out, largest first, each to the fold that holds least of its classes.

    A fold that so far has all of a class counts as full for it: with three folds or more, a class of two groups or
    more never ends in one fold.
    """
    folds = np.zeros(len(counts), dtype=np.int64)
    held = np.zeros((n_folds, len(_CLASSES)))
    shares = counts / counts.sum(axis=0)
    for index in np.argsort(-shares.sum(axis=1), kind="stable"):
        has_all = (held > 0) & ((held > 0).sum(axis=0) == 1)
        fold = int(np.argmin((held + has_all) @ (counts[index] > 0) + 1e-9 * held.sum(axis=1)))
        folds[index] = fold
        held[fold] += shares[index]
    return folds


def _held(folds: NDArray[np.int64], counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Return how many cubes of each class each fold holds, shape (n_folds, 2)."""
    return np.array([counts[folds == fold].sum(axis=0) for fold in range(n_folds)])


def _leaves_both_classes(folds: NDArray[np.int64], counts: NDArray[np.int64], n_folds: int) -> bool:
    """Return True where holding out any one fold leaves both classes to train on."""
    held = _held(folds, counts, n_folds)
    return bool((held < held.sum(axis=0)).all())
