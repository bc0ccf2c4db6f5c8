"""Closing a round: the candidate is compared with the published version before it is published."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
from tests.whole import complete

from helioloop.errors import RegistryError, RejectedVersion
from helioloop.evaluation.audit_order import audit_order
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import QUICK
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.versions import Registry
from helioloop.workflows import releases
from helioloop.workflows.rounds import close_round

N_CUBES = 60
CUBES = tuple(
    CubeInfo(
        release="r",
        name=f"cube{k:02d}",
        sha256=f"{k:064x}",
        start=f"2001-{1 + k % 12:02d}-01T00:00:00",
        region=f"region{k}",
        label=Label.EMERGENCE if k % 2 else Label.NON_EMERGENCE,
        verified=False,
    )
    for k in range(N_CUBES)
)
ORDER = audit_order(CUBES)
FIRST, LAST = set(ORDER[:20]), set(ORDER[20:])
"""The first twenty cubes of the audit order, and the others."""

Right = Callable[[str], float]
"""Gives P(label) by cube."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A model folder whose published version gives each label nine in ten."""
    registry = Registry(tmp_path)
    registry.publish(close(registry, right=lambda _: 0.9).version, why="first")
    return registry


def plan_of(verified: Collection[str]) -> Plan:
    cubes = [replace(cube, verified=cube.name in verified) for cube in CUBES]
    return make_plan(cubes, recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="test")


def scored(cube: CubeInfo, right: float) -> CubeScore:
    p = right if cube.label is Label.EMERGENCE else 1.0 - right
    return CubeScore(cube=cube.name, sha256=cube.sha256, p_emergence=p, p_spread=None, members=("fold0-0",))


def close(registry: Registry, *, right: Right, verified: Collection[str] = (), forced: bool = False) -> Card:
    """Close a round without members, as if they had given each label the probability `right`."""
    plan = plan_of(verified)
    scores = [scored(cube, right(cube.name)) for cube in plan.cubes]
    return close_round(plan, staging_of(plan, registry), registry, scores, forced=forced)


def staging_of(plan: Plan, registry: Registry) -> Path:
    """Return the staging folder of a round whose members are trained."""
    plan.save(registry.staging(plan.fingerprint))
    return complete(registry.staging(plan.fingerprint), [member.file for member in plan.members])


def test_the_first_version_is_not_compared(registry: Registry) -> None:
    """Its card says that it may be published, and why."""
    card = registry.card("v0001")
    assert card.rejected is None
    assert "it is the first version" in card.verdict["reason"]


def test_a_version_that_is_worse_on_verified_cubes_is_rejected(registry: Registry) -> None:
    """It is a version with scores like others; its card contains reason and figures; the published one remains."""
    card = close(registry, right=lambda _: 0.4, verified=LAST)
    assert registry.versions() == ["v0001", "v0002"]
    assert len(registry.scores("v0002")) == N_CUBES
    assert registry.card("v0002") == card
    assert card.rejected is not None
    assert card.rejected.startswith("rejected by the promotion check: on 40 verified cubes")
    assert card.verdict["metrics"]["lost"] == 40
    assert registry.published() == "v0001"


def test_unverified_labels_do_not_count(registry: Registry) -> None:
    """All crude labels are contradicted, the forty verified ones are not."""
    assert close(registry, right=lambda cube: 0.95 if cube in LAST else 0.1, verified=LAST).rejected is None


def test_only_the_audit_sample_counts_once_it_has_twenty_cubes(registry: Registry) -> None:
    """The start of the audit order is verified: cubes verified by rank are ignored, better or worse."""
    verified = FIRST | set(ORDER[21:])  # the 21st cube of the audit order ends the sample
    worse_at_random = close(registry, right=lambda cube: 0.4 if cube in FIRST else 0.99, verified=verified)
    assert worse_at_random.rejected is not None
    assert "on 20 randomly sampled verified cubes" in worse_at_random.rejected
    better_at_random = close(registry, right=lambda cube: 0.99 if cube in FIRST else 0.4, verified=verified)
    assert better_at_random.rejected is None


def test_with_a_smaller_audit_sample_all_verified_cubes_count(registry: Registry) -> None:
    """Nineteen cubes are too few."""
    verified = set(ORDER[:19]) | set(ORDER[20:])
    card = close(registry, right=lambda cube: 0.99 if cube in FIRST else 0.4, verified=verified)
    assert card.rejected is not None
    assert "on 59 verified cubes" in card.rejected


def test_a_cube_that_the_candidate_could_not_score_does_not_end_the_audit_sample(registry: Registry) -> None:
    """Nobody can verify it, so the audit order skips it."""
    unreadable = ORDER[0]
    plan = plan_of(set(ORDER[1:21]))
    scores = [scored(cube, 0.4) for cube in plan.cubes if cube.name != unreadable]
    card = close_round(plan, staging_of(plan, registry), registry, scores)
    assert "on 20 randomly sampled verified cubes" in card.verdict["reason"]


def test_a_release_that_joined_does_not_end_the_audit_sample(registry: Registry) -> None:
    """Twenty sampled cubes remain twenty with a hundred and twenty new ones among them in the audit order."""
    new = [
        replace(cube, release="new", name=f"new{k:02d}", sha256=f"{1000 + k:064x}", region=None)
        for k, cube in enumerate(CUBES + CUBES)
    ]
    cubes = [*(replace(cube, verified=cube.name in FIRST) for cube in CUBES), *new]
    plan = make_plan(cubes, recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="test")
    scores = [scored(cube, 0.4) for cube in plan.cubes]
    card = close_round(plan, staging_of(plan, registry), registry, scores)
    assert "on 20 randomly sampled verified cubes" in card.verdict["reason"]


def test_a_changed_file_under_an_old_name_is_not_compared(registry: Registry) -> None:
    """Scores of another content belong to another cube."""
    plan = plan_of(LAST)
    changed = [replace(cube, sha256="f" + cube.sha256[1:]) for cube in plan.cubes]
    other = make_plan(changed, recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="test")
    card = close_round(other, staging_of(other, registry), registry, [scored(cube, 0.1) for cube in other.cubes])
    assert card.rejected is None
    assert card.verdict["metrics"] == {"compared": 0.0}


def test_a_forced_version_may_be_published_and_its_card_says_so(registry: Registry) -> None:
    """The promotion check runs all the same."""
    card = close(registry, right=lambda _: 0.4, verified=LAST, forced=True)
    assert card.rejected is None
    assert card.verdict["reason"].startswith(
        "published because it was requested, against the promotion check: on 40 verified"
    )


def test_a_candidate_is_compared_with_the_version_published_now(registry: Registry) -> None:
    """After a rejected version the next one is compared with the published one, not with the rejected one."""
    close(registry, right=lambda _: 0.4, verified=LAST)
    assert close(registry, right=lambda _: 0.45, verified=LAST - {ORDER[-1]}).rejected is not None
    registry.publish("v0002", why="by hand")
    assert close(registry, right=lambda _: 0.45, verified=LAST - {ORDER[-2]}).rejected is None


def test_a_version_trained_by_hand_undoes_no_rollback(registry: Registry) -> None:
    """Somebody published another version while `helioloop train` ran; with --force the new one is published."""
    registry.publish(close(registry, right=lambda _: 0.9, verified=FIRST).version, why="second")
    trained = close(registry, right=lambda _: 0.95, verified=LAST)
    registry.publish("v0001", why="rollback")
    with pytest.raises(RejectedVersion, match=r"v0003 is trained and not published, because v0001 was published while"):
        releases._publish(trained, registry, forced=False)
    assert registry.published() == "v0001"
    releases._publish(trained, registry, forced=True)
    assert registry.published() == "v0003"


def test_a_damaged_history_names_the_line_and_the_command(registry: Registry) -> None:
    """Without that line another version may be the last one published."""
    (registry.root / "history.jsonl").write_text('{"version": "v0001"\n')
    with pytest.raises(RegistryError, match=r"delete that line; .* run `helioloop rollback VERSION --model-dir "):
        registry.history()
