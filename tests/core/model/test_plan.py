"""The plan: which members train on which cubes, which score them, and which plans give the same model."""

import json
from dataclasses import replace
from pathlib import Path

import grimp
import pytest

from helioloop.errors import RegistryError, ReleaseError, TooFewLabels
from helioloop.model.plan import Plan, make_plan
from helioloop.model.provenance import LEARNING_MODULES, code_version
from helioloop.model.recipes import PAPER, QUICK
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.registry.staging import PLAN_FILE


def cube(k: int, *, label: Label | None = None, region: str | None = None, verified: bool = False) -> CubeInfo:
    """Cube k of a year, a new region each fortnight; emergence where k is odd."""
    return CubeInfo(
        release="r",
        name=f"cube{k:03d}",
        sha256=f"{k:064x}",
        start=f"2001-{1 + k % 12:02d}-{1 + k % 28:02d}T00:00:00",
        region=region or f"region{k}",
        label=label or (Label.EMERGENCE if k % 2 else Label.NON_EMERGENCE),
        verified=verified,
    )


def unlabelled(k: int, *, region: str | None = None) -> CubeInfo:
    return replace(cube(k, region=region), label=None)


CUBES = [cube(k) for k in range(40)]


def plan_of(cubes: list[CubeInfo], *, seed: int = 7, reason: str = "test") -> Plan:
    return make_plan(cubes, recipe=QUICK, instrument=MDI, seed=seed, parent=None, reason=reason)


def test_every_fold_has_its_members_and_member_k_the_seed_plus_k() -> None:
    """Five folds of two members."""
    members = plan_of(CUBES).members
    assert [member.fold for member in members] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [member.seed for member in members] == list(range(7, 17))
    assert len({member.name for member in members}) == 10


def test_paper_has_two_dropout_settings_per_fold() -> None:
    """Ten members, as the authors have."""
    plan = make_plan(CUBES, recipe=PAPER, instrument=MDI, seed=0, parent=None, reason="test")
    assert [member.dropout for member in plan.members[:2]] == list(PAPER.dropouts)
    assert len(plan.members) == 10


def test_a_labelled_cube_is_scored_by_exactly_the_members_that_were_not_trained_on_it() -> None:
    """For each cube, in-fold and out-of-fold members together are the ensemble, without overlap."""
    plan = plan_of(CUBES)
    for planned in plan.labelled:
        in_fold = {member.name for member in plan.members if planned in plan.training_cubes(member)}
        out_of_fold = {member.name for member in plan.out_of_fold_members(planned)}
        assert in_fold | out_of_fold == {member.name for member in plan.members}
        assert not in_fold & out_of_fold
        assert len(out_of_fold) == 2


def test_a_cube_given_without_its_region_has_the_region_of_the_plan() -> None:
    """A cube that is given by its name only gets the same members."""
    plan = plan_of(CUBES)
    assert plan.out_of_fold_members(replace(CUBES[3], region=None)) == plan.out_of_fold_members(CUBES[3])


def test_a_trained_cube_under_another_name_or_with_other_content_is_still_trained_on() -> None:
    """Name and content hash each suffice."""
    plan = plan_of(CUBES)
    renamed = CubeInfo(release="other", name="elsewhere", sha256=CUBES[5].sha256)
    reprocessed = CubeInfo(release="r", name=CUBES[5].name, sha256="ff" * 32)
    assert (
        plan.out_of_fold_members(renamed) == plan.out_of_fold_members(reprocessed) == plan.out_of_fold_members(CUBES[5])
    )


def test_all_members_score_a_cube_of_a_new_region() -> None:
    """Unlabelled, in the plan or not."""
    new = unlabelled(99)
    assert (
        plan_of([*CUBES, new]).out_of_fold_members(new)
        == plan_of(CUBES).out_of_fold_members(new)
        == plan_of(CUBES).members
    )


def test_members_trained_on_a_region_do_not_score_its_new_cubes() -> None:
    """An unlabelled second cube of a labelled region is scored only by that region's fold."""
    again = unlabelled(99, region="region5")
    assert plan_of([*CUBES, again]).out_of_fold_members(again) == plan_of(CUBES).out_of_fold_members(CUBES[5])


def test_a_copy_of_a_cube_is_in_the_same_fold() -> None:
    """Otherwise a member would score what it was trained on."""
    copy = replace(cube(99), release="r", name="copy", sha256=CUBES[4].sha256)
    plan = plan_of([*CUBES, copy])
    assert plan.folds["copy"] == plan.folds[CUBES[4].name]
    assert plan.out_of_fold_members(copy) == plan.out_of_fold_members(CUBES[4])


def test_a_cube_that_all_members_were_trained_on_is_refused() -> None:
    """A plan made by hand spreads copies over folds; no member scores them in-fold."""
    plan = plan_of(CUBES)
    names = [next(name for name, fold in plan.folds.items() if fold == wanted) for wanted in (0, 1)]
    cubes = tuple(replace(known, sha256="ee" * 32) if known.name in names else known for known in plan.cubes)
    spread = replace(plan, cubes=cubes)
    with pytest.raises(RegistryError, match="every member was trained"):
        spread.out_of_fold_members(next(known for known in cubes if known.name == names[0]))


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    """The plan that is read equals the one saved, with its fingerprint."""
    plan = plan_of([*CUBES, unlabelled(99)])
    plan.save(tmp_path)
    assert Plan.read(tmp_path) == plan
    assert Plan.read(tmp_path).fingerprint == plan.fingerprint


def test_a_saved_plan_keeps_its_fingerprint_when_recipes_gain_a_field(tmp_path: Path) -> None:
    """The weights of a version made before recipes had static clips still belong to its plan."""
    plan = plan_of(CUBES)
    plan.save(tmp_path)
    path = tmp_path / PLAN_FILE
    values = json.loads(path.read_text())
    del values["recipe"]["augmentation"]["static_clips"]
    path.write_text(json.dumps(values))
    older = Plan.read(tmp_path)
    assert older.recipe != plan.recipe
    assert older.fingerprint == plan.fingerprint


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cubes": [{"ref": 1}]}'])
def test_a_damaged_plan_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, of another type, or without required keys."""
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(RegistryError, match="is not a plan"):
        Plan.read(tmp_path)


def test_order_parent_reason_and_unlabelled_cubes_do_not_make_another_model() -> None:
    """The fingerprint depends only on what the members' weights depend on."""
    plan = plan_of(CUBES)
    assert plan_of(CUBES[::-1]).fingerprint == plan.fingerprint
    assert plan_of([*CUBES, unlabelled(99)], reason="another").fingerprint == plan.fingerprint
    assert replace(plan, parent="v0001").fingerprint == plan.fingerprint


def test_labels_verified_flags_content_seed_recipe_and_code_make_another_model() -> None:
    """Each of them by itself."""
    plan = plan_of(CUBES)
    changed = [
        plan_of([cube(0, label=Label.EMERGENCE), *CUBES[1:]]),
        plan_of([cube(0, verified=True), *CUBES[1:]]),
        plan_of([replace(CUBES[0], sha256="ff" * 32), *CUBES[1:]]),
        plan_of(CUBES, seed=8),
        replace(plan, recipe=replace(QUICK, epochs=13)),
        replace(plan, code_version="0.0.0+0"),
    ]
    assert len({plan.fingerprint, *(other.fingerprint for other in changed)}) == 1 + len(changed)


def test_two_cubes_of_one_name_are_refused() -> None:
    """Labels, folds and scores are stored by name."""
    same_name = replace(CUBES[0], release="s")
    with pytest.raises(ReleaseError, match="cube000 is used twice"):
        plan_of([*CUBES, same_name])


def test_too_few_labels_make_no_plan() -> None:
    """Nine emergences are too few."""
    with pytest.raises(TooFewLabels, match="9 cubes are labelled emergence"):
        plan_of([*CUBES[:19], unlabelled(50)])


PACKAGES = {"helioloop", "data", "emergence", "files", "model", "records", "registry"}
"""They contain no code."""


def test_the_code_version_covers_every_module_that_learns() -> None:
    """It contains all modules that members, ensemble, gridding and cube cache import, but those that decide none."""
    graph = grimp.build_graph("helioloop", cache_dir=None)  # a cache may outlive a moved module
    ends = ("model.members", "model.ensemble", "emergence.locate", "data.gridding", "data.cache")
    below = set(ends).union(*(graph.find_upstream_modules(f"helioloop.{module}") for module in ends))
    names = {module.removeprefix("helioloop.") for module in below} - PACKAGES
    without_effect = {
        "data.cache", "data.cube_writing", "data.first_bytes", "environment.stored_times",
            "environment.users", "errors", "files.access",
        "files.atomic", "files.cache_files", "files.lease", "files.path_errors",
        "model.provenance", "model.runtime", "progress", "records.cubes", "records.instrument", "records.labels",
        "records.member_curves", "records.profiles", "records.scores", "registry.folder_format", "registry.staging",
        "registry.version_names",
    }  # fmt: skip
    assert names - without_effect == set(LEARNING_MODULES)
    assert code_version().partition("+")[0] == __import__("helioloop").__version__
    assert len(code_version().partition("+")[2]) == 12
