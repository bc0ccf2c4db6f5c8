"""The audit of a campaign: counts, estimates from the audit sample alone, and when to stop."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from helioloop.evaluation.audit import RoundRecord, audit_rounds
from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.estimates import Estimate
from helioloop.evaluation.random_checks import can_wait, choose_random_checks
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource

ANSWERED = CurrentLabel(cube="", label=Label.EMERGENCE, verified=True, source=LabelSource.MAJORITY)
N = 300
CAMPAIGNS = 150
ROUNDS = 5
BATCH, SAMPLED = 30, 10


def test_a_round_worked_by_hand() -> None:
    """The ranking leads to d and c; a is sampled; b comes next in the audit order but is not verified."""
    disagreement = {"a": 0.1, "b": 0.2, "c": 0.8, "d": 0.9, "e": 0.7}
    (audit,) = audit_rounds(
        [RoundRecord(disagreement=disagreement, verified={"d": True, "c": False, "a": False})],
        ["a", "b", "c", "d", "e"],
    )
    assert (audit.verified, audit.verifications, audit.flips) == (3, 3, 1)
    assert (audit.ranked, audit.hits) == (2, 1)
    assert (audit.sampled, audit.sampled_wrong) == (1, 0)
    assert audit.wrong_left is None
    assert audit.stop is None
    assert "no estimate yet, the audit sample has 1 of the 10 cubes it needs" in " ".join(audit.sentences())


def test_a_sampled_cube_that_the_ranking_would_have_reached_does_not_count() -> None:
    """Cube a was sampled, wrong, in the first round; in the second its old label disagrees more than the ranked d."""
    order = ["a", "b", "c", "d", "e", "f"]
    first = RoundRecord(
        disagreement={"a": 0.3, "b": 0.1, "c": 0.2, "d": 0.5, "e": 0.9, "f": 0.2}, verified={"a": True, "e": True}
    )
    second = RoundRecord(
        disagreement={"a": 0.8, "b": 0.1, "c": 0.2, "d": 0.7, "e": 0.9, "f": 0.2},
        verified={"a": True, "e": True, "d": True, "b": False},
    )
    audits = audit_rounds([first, second], order)
    assert [(audit.sampled, audit.sampled_wrong) for audit in audits] == [(1, 1), (1, 0)]
    assert [(audit.ranked, audit.hits) for audit in audits] == [(1, 1), (1, 1)]


def test_a_project_without_a_crude_label_has_no_estimate() -> None:
    """No estimate, and no reason to stop."""
    (audit,) = audit_rounds([RoundRecord(disagreement={}, verified={})], [])
    assert (audit.wrong_left, audit.hit_rate, audit.stop) == (None, None, None)


def test_cubes_that_join_later_do_not_change_earlier_rounds() -> None:
    """Cube n is first in the audit order but joins in the second round: in the first, a and b are sampled."""
    first = dict.fromkeys("abc", 0.5)
    audits = audit_rounds(
        [
            RoundRecord(disagreement=first, verified={"a": True, "b": False}),
            RoundRecord(disagreement={**first, "n": 0.5}, verified={"a": True, "b": False}),
        ],
        "nabc",
    )
    assert [(audit.sampled, audit.sampled_wrong, audit.cubes) for audit in audits] == [(2, 1, 3), (0, 0, 4)]


def test_a_cube_verified_before_the_first_round_is_not_a_hit() -> None:
    """Of e and d, which disagree most, e was verified before the first version; both count as verified."""
    record = RoundRecord(
        disagreement={"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.8, "e": 0.9}, verified={"e": True, "d": True}
    )  # fmt: skip
    (audit,) = audit_rounds([record], "abcde", verified_before={"e"})
    assert (audit.verified, audit.verifications, audit.flips) == (2, 1, 1)
    assert (audit.ranked, audit.hits) == (1, 1)


def test_a_verified_cube_beyond_the_audit_sample_does_not_count() -> None:
    """Somebody may have chosen f; only the verified run from the start of the audit order is sampled."""
    disagreement = dict.fromkeys("abcdef", 0.5)
    (audit,) = audit_rounds(
        [RoundRecord(disagreement=disagreement, verified={"a": False, "b": False, "f": True})], "abcdef"
    )
    assert (audit.sampled, audit.sampled_wrong) == (2, 0)
    assert (audit.ranked, audit.hits) == (1, 1)


@pytest.mark.parametrize(("hits", "stops"), [(1, True), (2, False), (3, False)])
def test_a_poor_batch_stops_the_campaign(hits: int, *, stops: bool) -> None:
    """Less than a tenth of twenty is a reason to stop, a tenth is not."""
    names = [f"c{k:02d}" for k in range(100)]
    verified = {name: k < hits for k, name in enumerate(names[:20])}
    disagreement = {name: 1 - k / 100 for k, name in enumerate(names)}
    (audit,) = audit_rounds([RoundRecord(disagreement=disagreement, verified=verified)], names[::-1])
    assert (audit.stop is not None) is stops
    assert audit.sentences()[-1].startswith("Stop: only 1 of 20" if stops else "Continue: 80 cubes to verify")


QUEUE = [f"c{k:03d}" for k in range(400)]
"""Cubes in the order of their disagreement: the first hundred have a wrong label and a disagreement above 0.5."""
RANKING = {name: 1 - k / 1000 if k < 100 else 0.4 - k / 1000 for k, name in enumerate(QUEUE)}
WRONG = frozenset(QUEUE[:100])
BY_HASH = audit_order(CubeInfo(release="r", name=name, sha256=f"{k:064x}") for k, name in enumerate(QUEUE))


def verified_of(*cubes: str) -> dict[str, bool]:
    return {cube: cube in WRONG for cube in cubes}


def test_cubes_labelled_in_another_order_than_the_ranking_are_no_reason_to_stop() -> None:
    """The last ten of the queue, as in the order of the tasks, are right; the first hundred would all be wrong."""
    (audit,) = audit_rounds([RoundRecord(disagreement=RANKING, verified=verified_of(*QUEUE[-10:]), blind={})], BY_HASH)
    assert (audit.verifications, audit.ranked, audit.hit_rate, audit.stop) == (10, 0, None, None)
    assert "no cube was verified because of its rank" in audit.sentences()[1]


def test_among_cubes_labelled_in_any_order_those_of_the_ranking_give_the_hit_rate() -> None:
    """Twelve by rank, all wrong, and ten others, all right."""
    verified = verified_of(*QUEUE[:12], *QUEUE[-10:])
    (audit,) = audit_rounds([RoundRecord(disagreement=RANKING, verified=verified, blind={})], BY_HASH)
    assert (audit.ranked, audit.hits, audit.stop) == (12, 12, None)


def test_random_checks_answered_after_a_skipped_one_are_not_verified_by_rank() -> None:
    """The third was skipped, so that only two are sampled; the others were not shown by the ranking either."""
    answered = verified_of(*BY_HASH[:2], *BY_HASH[3:41])
    record = RoundRecord(disagreement=RANKING, verified=answered, blind=answered, hidden=BY_HASH[:45])
    (audit,) = audit_rounds([record], BY_HASH)
    assert (audit.verifications, audit.sampled, audit.ranked, audit.stop) == (40, 2, 0, None)


def test_a_random_check_that_was_answered_with_its_prediction_counts_by_rank() -> None:
    """It became one later, as those of a release whose labels are accepted."""
    verified = verified_of(*QUEUE[:12])
    record = RoundRecord(disagreement=RANKING, verified=verified, blind={}, hidden=QUEUE[5:10])
    (audit,) = audit_rounds([record], BY_HASH)
    assert (audit.ranked, audit.hits) == (12, 12)


def test_a_skipped_cube_of_the_queue_costs_one_of_those_counted() -> None:
    """Cubes 0 and 4 were left open; of the ten verified, the last two are beyond the first ten of the queue."""
    verified = verified_of(*QUEUE[1:4], *QUEUE[5:12])
    (audit,) = audit_rounds([RoundRecord(disagreement=RANKING, verified=verified, blind={})], BY_HASH)
    assert (audit.verifications, audit.ranked, audit.hits) == (10, 8, 8)


def test_cubes_verified_by_the_ranking_of_the_round_before_count() -> None:
    """While the second version was trained, people followed the first one's ranking."""
    first = RoundRecord(disagreement=RANKING, verified=verified_of(*QUEUE[:20]), blind={})
    turned = dict(zip(QUEUE, reversed(RANKING.values()), strict=True))
    second = RoundRecord(disagreement=turned, verified=verified_of(*QUEUE[:32], *QUEUE[390:]), blind={})
    audits = audit_rounds([first, second], BY_HASH)
    assert [(audit.ranked, audit.hits) for audit in audits] == [(20, 20), (22, 12)]
    unlike = replace(second, disagreement={**turned, **dict.fromkeys(QUEUE[20:32], 0.0)})
    (alone,) = audit_rounds([unlike], BY_HASH, verified_before=QUEUE[:20])
    assert (alone.ranked, alone.hits) == (10, 0)


def test_accepted_labels_do_not_keep_the_queue_from_being_followed() -> None:
    """Twenty cubes at the head of the ranking have accepted labels, so their tasks come last in the queue."""
    accepted, verified = QUEUE[:20], verified_of(*QUEUE[20:35])
    record = RoundRecord(disagreement=RANKING, verified=verified, blind={}, accepted=accepted)
    (audit,) = audit_rounds([record], BY_HASH)
    assert (audit.ranked, audit.hits) == (15, 15)
    (without,) = audit_rounds([replace(record, accepted=())], BY_HASH)
    assert without.ranked == 0


@pytest.mark.parametrize(("sampled_wrong", "stops"), [(0, True), (1, False), (5, False)])
def test_a_poor_hit_rate_stops_only_where_the_audit_sample_does_not_contradict_it(
    sampled_wrong: int, *, stops: bool
) -> None:
    """None of the first twenty by rank is wrong; of twenty sampled ones some are, so that others are left."""
    sample = QUEUE[-20:]
    blind = {cube: k < sampled_wrong for k, cube in enumerate(sample)}
    record = RoundRecord(
        disagreement=RANKING, verified={**dict.fromkeys(QUEUE[:20], False), **blind}, blind=blind, hidden=sample
    )
    (audit,) = audit_rounds([record], [*sample, *QUEUE[:-20]])
    assert (audit.ranked, audit.hits, audit.sampled_wrong) == (20, 0, sampled_wrong)
    assert (audit.stop is not None) is stops
    assert audit.sentences()[-1].startswith("Stop: only 0 of 20" if stops else "Continue: 360 cubes to verify")


def test_few_wrong_labels_or_no_unverified_cube_stop_the_campaign() -> None:
    """Ninety right of a hundred leave one wrong at most; with all verified nothing is left to do."""
    names = [f"c{k:02d}" for k in range(100)]
    right = dict.fromkeys(names, False)
    record = RoundRecord(disagreement=dict.fromkeys(names, 0.5), verified=right)
    assert audit_rounds([record], names)[0].stop == "every label is verified"
    ninety = RoundRecord(disagreement=record.disagreement, verified=dict.fromkeys(names[:90], False))
    (audit,) = audit_rounds([ninety], names)
    assert audit.stop == "at most 1 of all labels can still be wrong, 1.0%"


def simulated(rng: np.random.Generator, *, late: bool = False) -> Iterator[tuple[RoundRecord, int]]:
    """Simulate rounds with made-up probabilities that improve; yield records and the true number left.

    With `late`, nothing is sampled as long as random checks can wait; then a batch makes up for the earlier ones.
    """
    wrong = rng.random(N) < 0.24
    hidden = rng.random(N) < 0.3  # wrong labels with low disagreement in every round
    names = [f"{k}" for k in range(N)]
    steady = rng.standard_normal(N)
    verified: dict[str, bool] = {}
    records: list[RoundRecord] = []
    taken = 0
    for number in range(ROUNDS):
        strength = np.where(hidden, 0.4, 1.2 + 0.3 * number)
        logit = np.where(wrong, strength, -strength) + 0.7 * steady + 0.5 * rng.standard_normal(N)
        d = 1 / (1 + np.exp(-logit))
        ranking = [int(k) for k in np.argsort(-d) if names[k] not in verified]
        sampled = SAMPLED
        if late:
            waits = can_wait(audit_rounds(records, names))
            sampled = 0 if waits else min(SAMPLED * (number + 1) - taken, BATCH // 2)
        taken += sampled
        batch = ranking[: BATCH - sampled]
        rest = [k for k in range(N) if names[k] not in verified and k not in set(batch)]  # names are in audit order
        for k in batch + rest[:sampled]:
            verified[names[k]] = bool(wrong[k])
        left = sum(bool(wrong[k]) for k in range(N) if names[k] not in verified)
        records.append(RoundRecord(disagreement=dict(zip(names, d.tolist(), strict=True)), verified=dict(verified)))
        yield records[-1], left


def simulated_with_random_checks(rng: np.random.Generator, *, blind_from: int) -> Iterator[tuple[RoundRecord, int]]:
    """Simulate rounds as `simulated`, in which random checks are answered blind and have no rank.

    Before round `blind_from` there are none: everything is verified by rank, with the prediction visible.
    """
    cubes = [CubeInfo(release="r", name=f"{k}", sha256=f"{k:064x}") for k in range(N)]
    wrong, steady = rng.permutation(rng.random(N) < 0.24), rng.standard_normal(N)
    faint = rng.random(N) < 0.3  # wrong labels with low disagreement in every round
    labels: dict[str, CurrentLabel] = {}
    verified: dict[str, bool] = {}
    blind: dict[str, bool] = {}
    for number in range(ROUNDS):
        strength = np.where(faint, 0.4, 1.2 + 0.3 * number)
        logit = np.where(wrong, strength, -strength) + 0.7 * steady + 0.5 * rng.standard_normal(N)
        d = {f"{k}": float(value) for k, value in enumerate(1 / (1 + np.exp(-logit)))}
        checks = choose_random_checks(cubes, labels, ready=SAMPLED) if number >= blind_from else []
        ranking = [cube for cube in sorted(d, key=lambda cube: -d[cube]) if cube not in {*verified, *checks}]
        for cube in ranking[: BATCH - SAMPLED]:
            verified[cube] = bool(wrong[int(cube)])
            labels[cube] = ANSWERED
        for cube in [cube for cube in checks if cube not in verified][:SAMPLED]:
            verified[cube] = blind[cube] = bool(wrong[int(cube)])
            labels[cube] = replace(ANSWERED, blind=BlindAnswer(label=Label.EMERGENCE))
        left = sum(bool(wrong[int(cube)]) for cube in d if cube not in verified)
        yield RoundRecord(disagreement=d, verified=dict(verified), blind=dict(blind), hidden=checks), left


@pytest.mark.parametrize("late", [False, True], ids=["from the first round", "once they cannot wait"])
def test_the_interval_covers_the_truth_as_often_as_stated(*, late: bool) -> None:
    """Nine in ten or more in every round, and no bias within three standard errors, on 150 simulated campaigns.

    So it is whether cubes are sampled from the first round on, or from when the ranking finds less.
    """
    rng = np.random.default_rng(7)
    covered: dict[int, list[bool]] = {}
    errors: dict[int, list[float]] = {}
    naive: list[float] = []
    for _ in range(CAMPAIGNS):
        records = list(simulated(rng, late=late))
        audits = audit_rounds([record for record, _ in records], [str(k) for k in range(N)])
        for audit, (_, left) in zip(audits, records, strict=True):
            if audit.wrong_left is not None:
                covered.setdefault(audit.round, []).append(audit.wrong_left.lo <= left <= audit.wrong_left.hi)
                errors.setdefault(audit.round, []).append(audit.wrong_left.value - left)
        assert audits[-1].hit_rate is not None
        naive.append(audits[-1].hit_rate.value * (N - audits[-1].verified) - records[-1][1])
    often = {number: hits for number, hits in covered.items() if len(hits) > 20}
    assert ROUNDS in often
    assert len(often) > 1
    for number, hits in often.items():
        tolerance = 2 * math.sqrt(0.9 * 0.1 / len(hits))
        assert 0.9 - tolerance <= np.mean(hits), (number, np.mean(hits))
    last = np.array(errors[ROUNDS])
    assert abs(last.mean()) <= 3 * last.std() / math.sqrt(len(last))
    # The hit rate of the ranking, scaled up to all unverified cubes, is far off.
    assert np.mean(naive) > 3 * abs(last.mean()) + 3


@pytest.mark.parametrize("blind_from", [0, 2])
def test_blind_answers_alone_give_the_estimate_and_it_is_right(blind_from: int) -> None:
    """Covered nine times in ten, without bias, although everything else was verified by rank with the prediction.

    In a project whose first rounds had no random checks, the estimate starts with the first of them.
    """
    rng = np.random.default_rng(7)
    order = audit_order(CubeInfo(release="r", name=f"{k}", sha256=f"{k:064x}") for k in range(N))
    covered: dict[int, list[bool]] = {}
    errors: dict[int, list[float]] = {}
    for _ in range(CAMPAIGNS):
        records = list(simulated_with_random_checks(rng, blind_from=blind_from))
        audits = audit_rounds([record for record, _ in records], order)
        assert all(audit.wrong_left is None for audit in audits[:blind_from])
        for audit, (_, left) in zip(audits, records, strict=True):
            if audit.wrong_left is not None:
                covered.setdefault(audit.round, []).append(audit.wrong_left.lo <= left <= audit.wrong_left.hi)
                errors.setdefault(audit.round, []).append(audit.wrong_left.value - left)
    assert max(covered) == ROUNDS
    for number, hits in covered.items():
        tolerance = 2 * math.sqrt(0.9 * 0.1 / len(hits))
        assert 0.9 - tolerance <= np.mean(hits), (number, np.mean(hits))
        error = np.array(errors[number])
        assert abs(error.mean()) <= 3 * error.std() / math.sqrt(len(error)), (number, error.mean())


def test_a_random_check_that_cannot_be_scored_any_more_is_not_counted_among_the_unverified() -> None:
    """The ranking went past the check x, whose file is damaged later; then all others are verified."""
    names = [f"c{k:02d}" for k in range(12)]
    low, answers = dict.fromkeys(names, 0.1), dict.fromkeys(names, False)
    first = RoundRecord(disagreement={**low, "x": 0.9, "y": 0.8}, verified={"y": True}, blind={}, hidden=["x"])
    after = {"y": True, **answers}
    later = RoundRecord(disagreement={**low, "y": 0.8}, verified=after, blind=answers, hidden=["x"])
    last = audit_rounds([first, later], [*names, "x", "y"])[-1]
    assert last.wrong_left == Estimate(value=0.0, lo=0.0, hi=0.0)
    assert last.stop == "every label is verified"


def any_rounds(rng: np.random.Generator) -> list[RoundRecord]:
    """Draw rounds with equal or extreme scores, verified by rank or in any order, and cubes that lose their score."""
    names = [f"{k}" for k in range(rng.integers(1, 50))]
    hidden = {name for name in names if rng.random() < 0.2}
    verified: dict[str, bool] = {}
    blind: dict[str, bool] = {}
    records = []
    for _ in range(rng.integers(1, 5)):
        values = rng.choice([0.0, 0.5, 1.0], len(names)) if rng.random() < 0.5 else rng.random(len(names))
        lost = rng.choice([0.0, 0.2, 0.6])
        scored = {name: float(d) for name, d in zip(names, values, strict=True) if rng.random() >= lost}
        queue = sorted(scored.keys() - verified.keys(), key=lambda name: -scored[name])
        queue = queue if rng.random() < 0.5 else [str(name) for name in rng.permutation(queue)]
        for name in queue[: rng.integers(0, len(queue) + 1) if rng.random() < 0.6 else None]:
            if name not in hidden or rng.random() < 0.5:
                verified[name] = bool(rng.random() < 0.3)
                if name in hidden or rng.random() < 0.9:
                    blind[name] = verified[name]
        now = {name: verified[name] for name in scored if name in verified}
        answers = {name: blind[name] for name in now if name in blind}
        records.append(RoundRecord(disagreement=scored, verified=now, blind=answers, hidden=hidden))
    return records


def test_no_estimate_is_beyond_the_unverified_labels_and_no_count_beyond_another() -> None:
    """In three thousand campaigns of any kind, also of one cube, all verified or none."""
    rng = np.random.default_rng(5)
    estimates = 0
    for _ in range(3000):
        for one in audit_rounds(any_rounds(rng), [f"{k}" for k in range(50)]):
            assert 0 <= one.hits <= one.ranked <= one.verifications <= one.verified <= one.cubes
            if one.wrong_left is not None:
                assert 0 <= one.wrong_left.lo <= one.wrong_left.value <= one.wrong_left.hi <= one.cubes - one.verified
                estimates += one.verified < one.cubes
    assert estimates > 10


def test_labels_verified_with_the_prediction_visible_give_no_estimate() -> None:
    """Twelve at the start of the audit order: with them blind the estimate is there, otherwise it is not."""
    names = [f"c{k:02d}" for k in range(40)]
    disagreement = dict.fromkeys(names, 0.5)
    verified = {cube: cube == "c03" for cube in names[:12]}
    (blind,) = audit_rounds([RoundRecord(disagreement=disagreement, verified=verified, blind=verified)], names)
    (visible,) = audit_rounds([RoundRecord(disagreement=disagreement, verified=verified, blind={})], names)
    assert blind.wrong_left is not None
    assert (blind.sampled, blind.sampled_wrong) == (12, 1)
    assert (visible.wrong_left, visible.sampled, visible.verified, visible.flips) == (None, 0, 12, 1)


def test_the_blind_answer_counts_where_the_label_was_changed_later() -> None:
    """Blind, nobody contradicted the label of c03; with the prediction visible it was changed."""
    names = [f"c{k:02d}" for k in range(40)]
    verified = {cube: cube == "c03" for cube in names[:12]}
    blind = dict.fromkeys(verified, False)
    (audit,) = audit_rounds(
        [RoundRecord(disagreement=dict.fromkeys(names, 0.5), verified=verified, blind=blind)], names
    )
    assert (audit.flips, audit.sampled, audit.sampled_wrong) == (1, 12, 0)
