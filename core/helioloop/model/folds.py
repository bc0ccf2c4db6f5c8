"""Folds: the labelled cubes that a member is not trained on, so that it can score them out of fold.

A member trained on the same region, or on the same days of the same instrument, would tend to reproduce a wrong label.
So a region is never split, and folds are blocks of time. Needs numpy and scipy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from helioloop.errors import TooFewLabels
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label

MIN_CUBES_PER_CLASS = 10
"""Fewest labelled cubes of each class with which members are trained."""

MONTH_BLOCKS = ((12, 1, 2), (3, 4), (5, 6), (7, 8), (9, 10, 11))
"""The authors' pairs of months. Their test months 11 and 12 join the neighbouring pairs, since all labelled cubes are
trained on."""

MIN_BLOCK_FRACTION = 0.5
"""Month blocks are used if each has at least this fraction of an equal division of each class: 10 % for five folds."""

_CLASSES = tuple(Label)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Cubes that must be in one fold: those of one region, and copies of the same content."""

    cubes: tuple[str, ...]
    counts: NDArray[np.int64]  # per class
    start: datetime | None

    @property
    def order(self) -> tuple[bool, datetime, str]:
        """Sort key: by time; undated groups last, by name."""
        return self.start is None, self.start or datetime.min, self.cubes[0]


def assign_folds(cubes: Sequence[CubeInfo], n_folds: int = 5) -> dict[str, int]:
    """Return the fold of every labelled cube.

    The first of these rules that leaves both classes to train on outside every fold is used:

    1. `MONTH_BLOCKS` of calendar months, if there are five folds, every group is dated, and every block contains enough
       of both classes (`MIN_BLOCK_FRACTION`);
    2. blocks of time with equally many cubes, undated cubes last by name;
    3. groups distributed so that the classes are balanced.

    Cubes of one region and cubes of the same content are one group, dated by its earliest cube. A group is never split.

    Parameters
    ----------
    cubes : sequence of CubeInfo
        Cubes without a label are ignored; the order does not matter.
    n_folds : int
        Number of folds, at least 2; with few regions some folds are empty.

    Returns
    -------
    dict
        Fold of each cube, 0 to n_folds − 1, by name, in the order of names.

    Raises
    ------
    TooFewLabels
        If a class has fewer than `MIN_CUBES_PER_CLASS` labelled cubes, or all of its cubes are one group.
    """
    labelled = sorted((cube for cube in cubes if cube.label is not None), key=lambda cube: cube.name)
    _check_counts(labelled)
    groups = sorted(_groups(labelled), key=lambda group: group.order)
    counts = np.array([group.counts for group in groups])
    months = [group.start.month if group.start else None for group in groups]
    for folds in (_by_month(months, counts, n_folds), _by_time(counts, n_folds), _balanced(counts, n_folds)):
        if folds is not None and _leaves_both_classes(folds, counts, n_folds):
            fold_of = {cube: int(fold) for group, fold in zip(groups, folds, strict=True) for cube in group.cubes}
            return dict(sorted(fold_of.items()))
    few = int(np.argmin((counts > 0).sum(axis=0)))
    raise TooFewLabels(
        f"all {counts[:, few].sum()} cubes labelled {_CLASSES[few]} follow one region or are copies of its cubes; a "
        "class needs at least two regions, one to train on and one to score: label more"
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
    """Return the connected components of the graph that links cubes of the same region or the same content."""
    first: dict[tuple[str, str], int] = {}
    links = [
        (index, first.setdefault(key, index))
        for index, cube in enumerate(labelled)
        for key in (("content", cube.sha256), *([("region", cube.region_key)] if cube.region_key else []))
    ]
    graph = coo_array((np.ones(len(links)), np.array(links).T), shape=(len(labelled), len(labelled)))
    n_groups, group_of = connected_components(graph, directed=False)
    by_group = np.argsort(group_of, kind="stable")
    ends = np.cumsum(np.bincount(group_of, minlength=n_groups))[:-1]
    return [_group([labelled[k] for k in members]) for members in np.split(by_group, ends)]


def _group(members: Sequence[CubeInfo]) -> _Group:
    starts = [datetime.fromisoformat(cube.start) for cube in members if cube.start]
    return _Group(
        cubes=tuple(cube.name for cube in members),
        counts=np.array([sum(cube.label is label for cube in members) for label in _CLASSES]),
        start=min(starts, default=None),
    )


def _by_month(months: Sequence[int | None], counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64] | None:
    """Return the month block of each group; None where rule 1 does not apply."""
    if n_folds != len(MONTH_BLOCKS) or None in months:
        return None
    block_of = {month: block for block, block_months in enumerate(MONTH_BLOCKS) for month in block_months}
    folds = np.array([block_of[month] for month in months if month])
    in_fold = _class_counts(folds, counts, n_folds)
    return folds if (in_fold >= MIN_BLOCK_FRACTION * in_fold.sum(axis=0) / n_folds).all() else None


def _by_time(counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Return the fold of each group, in order of time: the block of equally many cubes that contains its middle."""
    sizes = counts.sum(axis=1)
    middles = np.cumsum(sizes) - sizes / 2.0
    folds: NDArray[np.int64] = np.minimum((middles * n_folds / sizes.sum()).astype(np.int64), n_folds - 1)
    return folds


def _balanced(counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Return the fold of each group: largest groups first, each into the fold with the fewest cubes of its classes.

    A fold that has all cubes of a class so far counts as full for that class. With three folds or more, a class of two
    groups or more therefore never ends up in one fold.
    """
    folds = np.zeros(len(counts), dtype=np.int64)
    in_fold = np.zeros((n_folds, len(_CLASSES)))
    fractions = counts / counts.sum(axis=0)  # of each class
    for index in np.argsort(-fractions.sum(axis=1), kind="stable"):
        has_all = (in_fold > 0) & ((in_fold > 0).sum(axis=0) == 1)
        fold = int(np.argmin((in_fold + has_all) @ (counts[index] > 0) + 1e-9 * in_fold.sum(axis=1)))
        folds[index] = fold
        in_fold[fold] += fractions[index]
    return folds


def _class_counts(folds: NDArray[np.int64], counts: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Return the number of cubes of each class in each fold, shape (n_folds, 2)."""
    return np.array([counts[folds == fold].sum(axis=0) for fold in range(n_folds)])


def _leaves_both_classes(folds: NDArray[np.int64], counts: NDArray[np.int64], n_folds: int) -> bool:
    """Return whether both classes have cubes outside every fold."""
    in_fold = _class_counts(folds, counts, n_folds)
    return bool((in_fold < in_fold.sum(axis=0)).all())
