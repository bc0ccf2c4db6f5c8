"""The book of a campaign: counts, estimates from random draws alone, and when to stop."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from helioloop.evaluation.audit import MIN_DRAWN, Estimate, Page, audit_order, audit_rounds, share, wrong_left
from helioloop.records import CubeInfo

N = 300
CAMPAIGNS = 150
ROUNDS = 5
BATCH, CHECKS = 30, 10


def refs(n: int) -> list[CubeInfo]:
    return [CubeInfo(release="r", name=f"c{k:03d}", sha256=f"{k:064x}") for k in range(n)]


def test_the_check_order_is_fixed_by_content_and_salt() -> None:
    """It depends on neither the order given nor the other cubes; another salt gives another one."""
    order = audit_order(refs(50), salt="a")
    assert sorted(order) == [cube.name for cube in refs(50)]
    assert order != sorted(order)
    assert audit_order(reversed(refs(50)), salt="a") == order
    assert audit_order(refs(50), salt="b") != order
    assert audit_order(refs(20), salt="a") == [cube for cube in order if cube < "c020"]


def test_shares_have_the_exact_binomial_interval() -> None:
    """Nothing found in ten leaves 1 − 0.05^(1/10) possible; the ends of the scale are reached."""
    none, all_, half = share(0, 10), share(10, 10), share(5, 10)
    assert (none.value, none.lo, none.hi) == (0.0, 0.0, pytest.approx(1 - 0.05**0.1))
    assert (all_.value, all_.lo, all_.hi) == (1.0, pytest.approx(0.05**0.1), 1.0)
    assert (half.lo, half.hi) == (pytest.approx(1 - half.hi), pytest.approx(0.777559, abs=1e-6))


def test_what_is_left_carries_over_from_the_draws() -> None:
    """Two wrong of twenty: a tenth of the 100 unverified. Few draws say nothing; all verified, none is wrong."""
    left = wrong_left(drawn=20, wrong=2, unverified=100)
    assert left is not None
    assert left.value == pytest.approx(10)
    assert left.lo < 10 < left.hi
    assert wrong_left(drawn=MIN_DRAWN - 1, wrong=0, unverified=100) is None
    assert wrong_left(drawn=0, wrong=0, unverified=0) == Estimate(value=0.0, lo=0.0, hi=0.0)


def test_the_interval_of_what_is_left_is_exact() -> None:
    """Were the one unverified wrong, ten draws of eleven would miss it in 1 of 11 cases: over 5 %, so it may be."""
    one = wrong_left(drawn=10, wrong=0, unverified=1)
    assert one is not None
    assert (one.value, one.lo, one.hi) == (0.0, 0.0, 1.0)
    many = wrong_left(drawn=20, wrong=0, unverified=1)  # 1 of 21 is less than 5 %
    assert many is not None
    assert (many.lo, many.hi) == (0.0, 0.0)


def test_labels_verified_out_of_order_are_taken_off() -> None:
    """Of 130 cubes not reached, a tenth is wrong: 13, less the 2 drawn and the 4 that somebody found unasked."""
    left = wrong_left(drawn=20, wrong=2, unverified=100, stray=10, stray_wrong=4)
    assert left is not None
    assert left.value == pytest.approx(13 - 2 - 4)


def test_a_round_worked_by_hand() -> None:
    """The ranking leads to d and c; a is drawn; b stood next in the check list but the draw ended before it."""
    disagreement = {"a": 0.1, "b": 0.2, "c": 0.8, "d": 0.9, "e": 0.7}
    (line,) = audit_rounds(
        [Page(disagreement=disagreement, verified={"d": True, "c": False, "a": False})], ["a", "b", "c", "d", "e"]
    )
    assert (line.verified, line.verifications, line.flips) == (3, 3, 1)
    assert (line.ranked, line.hits) == (2, 1)
    assert (line.drawn, line.drawn_wrong) == (1, 0)
    assert line.wrong_left is None
    assert line.stop is None
    assert "none yet, 1 of the 10 random draws" in " ".join(line.sentences())


def test_a_draw_that_the_ranking_would_have_found_by_now_says_nothing_of_what_is_left() -> None:
    """Cube a was drawn, wrong, in the first round; in the second its old label disagrees more than what was ranked."""
    order = ["a", "b", "c", "d", "e", "f"]
    first = Page(
        disagreement={"a": 0.3, "b": 0.1, "c": 0.2, "d": 0.5, "e": 0.9, "f": 0.2}, verified={"a": True, "e": True}
    )
    second = Page(
        disagreement={"a": 0.8, "b": 0.1, "c": 0.2, "d": 0.7, "e": 0.9, "f": 0.2},
        verified={"a": True, "e": True, "d": True, "b": False},
    )
    lines = audit_rounds([first, second], order)
    assert [(line.drawn, line.drawn_wrong) for line in lines] == [(1, 1), (1, 0)]
    assert [(line.ranked, line.hits) for line in lines] == [(1, 1), (1, 1)]


def test_a_project_without_a_crude_label_has_nothing_to_say() -> None:
    """No estimate and no reason to stop where no cube takes part."""
    (line,) = audit_rounds([Page(disagreement={}, verified={})], [])
    assert (line.wrong_left, line.hit_rate, line.stop) == (None, None, None)


def test_cubes_that_join_later_cut_no_earlier_draw_short() -> None:
    """Cube n stands first in the check list but comes in the second round: the first one drew a and b all the same."""
    first = dict.fromkeys("abc", 0.5)
    lines = audit_rounds(
        [
            Page(disagreement=first, verified={"a": True, "b": False}),
            Page(disagreement={**first, "n": 0.5}, verified={"a": True, "b": False}),
        ],
        "nabc",
    )
    assert [(line.drawn, line.drawn_wrong, line.cubes) for line in lines] == [(2, 1, 3), (0, 0, 4)]


def test_what_was_verified_before_the_first_round_is_no_hit_of_its_ranking() -> None:
    """Of e and d, which disagree most, e was verified before there was a version; both count as verified."""
    page = Page(
        disagreement={"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.8, "e": 0.9}, verified={"e": True, "d": True}
    )  # fmt: skip
    (line,) = audit_rounds([page], "abcde", already={"e"})
    assert (line.verified, line.verifications, line.flips) == (2, 1, 1)
    assert (line.ranked, line.hits) == (1, 1)


def test_a_verified_cube_beyond_the_prefix_is_no_evidence() -> None:
    """Somebody looked at f for a reason; only the run from the start of the check list counts as drawn."""
    disagreement = dict.fromkeys("abcdef", 0.5)
    (line,) = audit_rounds([Page(disagreement=disagreement, verified={"a": False, "b": False, "f": True})], "abcdef")
    assert (line.drawn, line.drawn_wrong) == (2, 0)
    assert (line.ranked, line.hits) == (1, 1)


@pytest.mark.parametrize(("hits", "stops"), [(1, True), (2, False), (3, False)])
def test_a_poor_batch_stops_the_campaign(hits: int, *, stops: bool) -> None:
    """Under a tenth of twenty ranked is a reason, a tenth is none."""
    names = [f"c{k:02d}" for k in range(100)]
    verified = {name: k < hits for k, name in enumerate(names[:20])}
    disagreement = {name: 1 - k / 100 for k, name in enumerate(names)}
    (line,) = audit_rounds([Page(disagreement=disagreement, verified=verified)], names[::-1])
    assert (line.stop is not None) is stops
    assert line.sentences()[-1].startswith("Stop: only 1 of 20" if stops else "Go on: 80 to verify")


def test_few_wrong_labels_or_none_unverified_stop_it_too() -> None:
    """Ninety right draws of a hundred leave one wrong at most; all verified leave nothing to do."""
    names = [f"c{k:02d}" for k in range(100)]
    right = dict.fromkeys(names, False)
    page = Page(disagreement=dict.fromkeys(names, 0.5), verified=right)
    assert audit_rounds([page], names)[0].stop == "every label is verified"
    ninety = Page(disagreement=page.disagreement, verified=dict.fromkeys(names[:90], False))
    (line,) = audit_rounds([ninety], names)
    assert line.stop == "of all labels at most 1 can still be wrong, 1.0%"


def played(rng: np.random.Generator) -> Iterator[tuple[Page, int]]:
    """Play rounds with an oracle on made-up probabilities that get better; yield pages and the true number left."""
    wrong = rng.random(N) < 0.24
    hidden = rng.random(N) < 0.3  # wrong labels that no network ever doubts much
    names = [f"{k}" for k in range(N)]
    steady = rng.standard_normal(N)
    verified: dict[str, bool] = {}
    for number in range(ROUNDS):
        strength = np.where(hidden, 0.4, 1.2 + 0.3 * number)
        logit = np.where(wrong, strength, -strength) + 0.7 * steady + 0.5 * rng.standard_normal(N)
        d = 1 / (1 + np.exp(-logit))
        ranking = [int(k) for k in np.argsort(-d) if names[k] not in verified]
        batch = ranking[: BATCH - CHECKS]
        rest = [k for k in range(N) if names[k] not in verified and k not in set(batch)]  # names are in check order
        for k in batch + rest[:CHECKS]:
            verified[names[k]] = bool(wrong[k])
        left = sum(bool(wrong[k]) for k in range(N) if names[k] not in verified)
        yield Page(disagreement=dict(zip(names, d.tolist(), strict=True)), verified=dict(verified)), left


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Nine in ten or more in every round, and no bias within three standard errors, on 150 played campaigns."""
    rng = np.random.default_rng(7)
    covered: dict[int, list[bool]] = {}
    errors: dict[int, list[float]] = {}
    naive: list[float] = []
    for _ in range(CAMPAIGNS):
        pages = list(played(rng))
        lines = audit_rounds([page for page, _ in pages], [str(k) for k in range(N)])
        for line, (_, left) in zip(lines, pages, strict=True):
            if line.wrong_left is not None:
                covered.setdefault(line.round, []).append(line.wrong_left.lo <= left <= line.wrong_left.hi)
                errors.setdefault(line.round, []).append(line.wrong_left.value - left)
        assert lines[-1].hit_rate is not None
        naive.append(lines[-1].hit_rate.value * (N - lines[-1].verified) - pages[-1][1])
    assert max(covered) == ROUNDS
    for number, hits in covered.items():
        assert len(hits) > 20
        tolerance = 2 * math.sqrt(0.9 * 0.1 / len(hits))
        assert 0.9 - tolerance <= np.mean(hits), (number, np.mean(hits))
    last = np.array(errors[ROUNDS])
    assert abs(last.mean()) <= 3 * last.std() / math.sqrt(len(last))
    # What the ranking finds says nothing of what is left: scaled up it is far off.
    assert np.mean(naive) > 3 * abs(last.mean()) + 3
