"""A simulated campaign with made-up scores in place of a network: batches, corrections, when it ends."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helioloop.data.truth import TrueCube
from helioloop.evaluation.audit import RoundAudit
from helioloop.model.device import CPU
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.workflows.benchmark import Run, Spread, held_out_test_split, over_seeds
from helioloop.workflows.experiment import Experiment, Trained
from helioloop.workflows.simulate import (
    CampaignRound,
    audit_size,
    choose_batch,
    simulate_campaign,
    verifications_until,
)

N = 200
E, NON = Label.EMERGENCE, Label.NON_EMERGENCE


def no_cube(_: CubeInfo) -> np.ndarray:
    """Fail: no test here reads a cube."""
    raise AssertionError


RUNTIME = Runtime(instrument=MDI, load=no_cube, device=CPU)


class MadeUp(Experiment):
    """An experiment whose "training" scores by the truth: 0.8 of the true class, spread, and better with each round."""

    def train(self, cubes: Sequence[CubeInfo], registry: Registry, **_: Any) -> Trained:  # noqa: ARG002 - not needed
        """Give made-up scores that do not depend on the cube's own label."""
        verified = sum(cube.verified for cube in cubes)
        rng = np.random.default_rng(verified)
        scores = {}
        for cube in cubes:
            centre = 0.6 + 0.25 * verified / N
            p = float(np.clip(centre + 0.25 * rng.standard_normal(), 0.01, 0.99))
            label = self.truth[cube.name].label
            scores[cube.name] = score(cube.name, p if label is E else 1 - p)
        return Trained(version=f"on-{verified}", scores=scores, seconds=1.0)


def score(cube: str, p: float) -> CubeScore:
    return CubeScore(cube=cube, sha256="", p_emergence=p, p_spread=None, members=("m",))


def planned(k: int, label: Label, start: str | None = None) -> CubeInfo:
    return CubeInfo(release="r", name=f"c{k:03d}", sha256=f"{k:064x}", start=start, label=label)


def experiment() -> MadeUp:
    """Two hundred cubes, every fourth crude label wrong."""
    true = {f"c{k:03d}": E if k % 2 else NON for k in range(N)}
    other = {E: NON, NON: E}
    cubes = [planned(k, other[true[f"c{k:03d}"]] if k % 4 == 0 else true[f"c{k:03d}"]) for k in range(N)]
    return MadeUp(
        cubes=tuple(cubes),
        truth={cube: TrueCube(cube=cube, label=label, frame=None, kind="") for cube, label in true.items()},
        runtime=RUNTIME,
    )


def simulate(rounds: int | None) -> list[CampaignRound]:
    return list(simulate_campaign(experiment(), Registry(Path("unused")), recipe=QUICK, seed=0, rounds=rounds))


def test_a_campaign_verifies_corrects_and_closes() -> None:
    """A quarter is wrong at first, each flip corrects one label; the closing round only trains."""
    simulated = simulate(rounds=3)
    assert [one.round for one in simulated] == [1, 2, 3, 4]
    assert [one.verified_before for one in simulated] == [0, 20, 40, 60]
    assert [one.version for one in simulated] == ["on-0", "on-20", "on-40", "on-60"]
    assert simulated[0].wrong_before == N / 4
    for one, after in pairwise(simulated):
        assert one.audit is not None
        assert one.audit.verifications == len(one.wrong_after) == 20
        assert one.wrong_before - one.audit.flips == one.wrong == after.wrong_before
        assert after.evaluation.wrong_labels == after.wrong_before  # all wrong labels are among the unverified
    assert simulated[-1].audit is None
    assert simulated[-1].wrong_after == ()
    assert simulated[-1].wrong == simulated[-1].wrong_before


def test_a_campaign_stops_when_the_audit_gives_a_reason() -> None:
    """Only the last round with verification has a reason; few wrong labels are left by then."""
    simulated = simulate(rounds=None)
    stops = [one.audit.stop for one in simulated[:-1] if one.audit is not None]
    assert stops[-1] is not None
    assert stops[:-1] == [None] * (len(simulated) - 2)
    assert simulated[-1].wrong < N / 10
    assert simulated[-1].verified < N


def audited(*, ranked: int, hits: int) -> RoundAudit:
    """A round in which so many of the cubes verified by rank were wrong."""
    return RoundAudit(
        round=1, cubes=N, verified=20, verifications=20, flips=hits, ranked=ranked, hits=hits, hit_rate=None, sampled=0,
        sampled_wrong=0, wrong_left=None, stop=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "verified", "sampled", "fraction", "expected"),
    [
        (None, 0, 0, 0.1, 0),  # the first round follows the ranking alone
        (18, 40, 0, 0.1, 0),  # nine in ten of the ranking's cubes are wrong
        (10, 40, 0, 0.1, 6),  # a tenth of the 60 that are then verified
        (10, 60, 6, 0.1, 2),  # later ones are a tenth of each batch
        (10, 180, 0, 0.1, 10),  # at most half of the batch
        (10, 60, 8, 0.1, 1),  # at least one
        (10, 40, 0, 0.8, 16),  # at most the fraction where that is more
        (None, 0, 0, 1.0, 20),  # random order alone: no ranking to wait for
    ],
)
def test_a_batch_makes_up_for_the_random_cubes_that_waited(
    hits: int | None, verified: int, sampled: int, fraction: float, expected: int
) -> None:
    """A batch has twenty cubes."""
    audits = [] if hits is None else [audited(ranked=20, hits=hits)]
    assert audit_size(audits, size=20, verified=verified, sampled=sampled, audit_fraction=fraction) == expected


def test_a_campaign_samples_no_cube_before_the_ranking_finds_less() -> None:
    """Until then all cubes of a round are verified by rank; at the end a tenth of all is sampled."""
    order = [cube.name for cube in experiment().cubes]
    assert len(order) == N
    waiting = True
    for one in simulate(rounds=6)[:-1]:
        assert one.audit is not None
        if waiting:
            assert one.audit.ranked == one.audit.verifications
        waiting = waiting and one.audit.hits >= 0.75 * one.audit.ranked
    assert not waiting


def test_a_batch_is_ranked_but_for_a_fraction_from_the_audit_order() -> None:
    """The ranking takes the nine that disagree most; the audit order skips them and the verified cubes."""
    names = [f"c{k:02d}" for k in range(40)]
    scores = {name: score(name, 1 - k / 40) for k, name in enumerate(names)}
    unverified = {name: NON for name in names if name != "c20"}
    order = ["c00", "c20", "c30", "c31", *names]
    batch = choose_batch(scores, unverified, order, size=10, n_audit=1)
    assert sorted(batch) == [*names[:9], "c30"]
    assert [cube for cube in batch if cube != "c30"] == names[:9]
    assert batch.index("c30") not in {0, 9}
    assert len(choose_batch(scores, {"c00": NON}, order, size=10, n_audit=1)) == 1


def test_how_much_was_verified_until_few_were_wrong() -> None:
    """Counted to the single verification; before the first one; never."""
    first, second = (
        replace(one, wrong_before=before, wrong_after=after)
        for one, before, after in zip(
            simulate(rounds=1), (8, 6), ((7, *[7] * 18, 6), (5, 5, 4)), strict=True
        )
    )  # fmt: skip
    assert verifications_until([first, second], 8 / N) == 0
    assert verifications_until([first, second], 7 / N) == 1
    assert verifications_until([first, second], 4 / N) == 23
    assert verifications_until([first, second], 3 / N) is None


def test_a_round_is_a_row() -> None:
    """It contains the estimates of the audit and the true numbers."""
    one, closing = simulate(rounds=1)
    row = one.row()
    assert (row["round"], row["verified"], row["verified_fraction"], row["true_wrong_left"]) == (1, 20, 0.1, one.wrong)
    assert list(closing.row()) == list(row)
    assert closing.row()["hit_rate"] is None


def test_november_and_december_are_the_held_out_test_split() -> None:
    """As the authors do; a cube without a date is trained on."""
    starts = ["2001-10-31T23:59:00", "2001-11-01T00:00:00", "2001-12-31T23:59:00", "2002-01-01T00:00:00", None]
    assert held_out_test_split([planned(k, E, start) for k, start in enumerate(starts)]) == {"c001", "c002"}


def test_figures_are_summarised_over_seeds() -> None:
    """Mean and sample deviation; runs without the figure do not count; an infinite figure has no deviation."""
    of = simulate(rounds=1)[0].evaluation
    runs = [
        Run(
            recipe="quick", seed=k, version="v0001", seconds=None,
            evaluation=replace(of, auroc=auroc, accuracy=accuracy, frame_error_frames=frames),
        )
        for k, (auroc, accuracy, frames) in enumerate([(0.8, None, 5.0), (0.9, 0.7, float("inf"))])
    ]  # fmt: skip
    found = over_seeds(runs)
    assert found["auroc"] == Spread(mean=pytest.approx(0.85), deviation=pytest.approx(0.1 / 2**0.5))
    assert found["accuracy"] == Spread(mean=0.7, deviation=None)
    assert found["frame_error_frames"] == Spread(mean=float("inf"), deviation=None)
    assert found["seconds"] is None
