"""Random checks: the start of the audit order, as far as it was not answered with the prediction visible."""

from collections.abc import Iterable

import pytest

from helioloop.evaluation.audit import RoundRecord, audit_rounds
from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.random_checks import can_wait, choose_random_checks, choose_release_checks
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource

CUBES = [CubeInfo(release="r", name=f"c{k:03d}", sha256=f"{k:064x}") for k in range(200)]
ORDER = audit_order(CUBES)


def answers(
    blind: Iterable[str] = (), visible: Iterable[str] = (), tied: Iterable[str] = ()
) -> dict[str, CurrentLabel]:
    """Labels of answered cubes; all others have none."""
    found = {
        cube: CurrentLabel(
            cube=cube,
            label=Label.EMERGENCE,
            verified=True,
            source=LabelSource.MAJORITY,
            blind=BlindAnswer(label=Label.EMERGENCE),
        )
        for cube in blind
    }
    found |= {
        cube: CurrentLabel(cube=cube, label=Label.EMERGENCE, verified=True, source=LabelSource.MAJORITY)
        for cube in visible
    }
    return found | {cube: CurrentLabel(cube=cube, label=Label.EMERGENCE, source=LabelSource.TIED) for cube in tied}


@pytest.mark.parametrize(
    ("n_cubes", "ready", "expected"),
    [
        (200, 10, 20),  # a tenth of all
        (200, 30, 30),  # as many as are to be ready
        (60, 10, 10),
        (24, 10, 6),  # a quarter of all at most
        (3, 10, 0),
        (200, 0, 0),
    ],
)
def test_the_first_cubes_of_the_audit_order_are_chosen(n_cubes: int, ready: int, expected: int) -> None:
    cubes = CUBES[:n_cubes]
    assert choose_random_checks(cubes, {}, ready=ready) == audit_order(cubes)[:expected]


def test_answered_checks_stay_and_more_follow_until_enough_are_unanswered() -> None:
    """Of the first 20, 12 are answered: 8 are left, so 2 more follow. Skips are not answers."""
    labels = answers(blind=ORDER[:12])
    assert choose_random_checks(CUBES, labels, ready=10) == ORDER[:22]
    assert choose_random_checks(CUBES, answers(blind=ORDER[:20]), ready=10) == ORDER[:30]
    skipped = {ORDER[0]: CurrentLabel(cube=ORDER[0], label=Label.EMERGENCE)}
    assert choose_random_checks(CUBES, skipped, ready=10) == ORDER[:20]


def test_a_cube_answered_with_the_prediction_visible_is_no_random_check() -> None:
    """Whether it was verified or the votes are tied; the next ones take its place."""
    labels = answers(visible=ORDER[1:3], tied=ORDER[5:6])
    assert choose_random_checks(CUBES, labels, ready=10) == [ORDER[0], *ORDER[3:5], *ORDER[6:23]]


def test_once_every_cube_is_answered_none_follows() -> None:
    assert choose_random_checks(CUBES, answers(blind=ORDER[:20], visible=ORDER[20:]), ready=10) == ORDER[:20]
    assert choose_random_checks(CUBES, answers(blind=ORDER), ready=10) == ORDER[:20]


def test_of_a_release_a_tenth_and_at_least_ten_are_checked() -> None:
    assert choose_release_checks(CUBES) == ORDER[:20]
    assert len(choose_release_checks(CUBES[:30])) == 10
    assert len(choose_release_checks(CUBES[:4])) == 4


@pytest.mark.parametrize(
    ("rounds", "waits"),
    [
        ([], True),  # nothing verified yet
        ([(3, 4)], True),  # four cubes by rank tell nothing
        ([(15, 20)], True),  # three in four
        ([(14, 20)], False),
        ([(20, 20), (14, 20)], False),
        ([(14, 20), (20, 20)], True),  # the ranking has learned
        ([(8, 8), (3, 4)], True),  # 11 of 12: a small round is joined to the one before
        ([(5, 8), (3, 4)], False),  # 8 of 12
    ],
)
def test_random_checks_wait_while_three_in_four_cubes_of_the_ranking_are_wrong(
    rounds: list[tuple[int, int]], *, waits: bool
) -> None:
    """In each round the ranking was followed from its start: so many wrong of so many verified."""
    names = [f"c{k:03d}" for k in range(60)]
    disagreement = {name: 1 - k / 60 for k, name in enumerate(names)}
    records, verified = [], {}
    for wrong, of in rounds:
        start = len(verified)
        verified |= {name: k < wrong for k, name in enumerate(names[start : start + of])}
        records.append(RoundRecord(disagreement=disagreement, verified=dict(verified)))
    assert can_wait(audit_rounds(records, names[::-1])) is waits
