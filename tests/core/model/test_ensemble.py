"""A whole round on synthetic arrays: members, scores, emergence frames and the version's folder."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from helioloop.emergence.locate import locate_emergences
from helioloop.errors import CubeError, RegistryError
from helioloop.model import members
from helioloop.model.device import CPU, CPU_THREADS, Device
from helioloop.model.ensemble import Ensemble, EnsembleCache, keep_growth_odds, score_cubes
from helioloop.model.members import train_all_members, train_member, trains_together
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import PAPER_ADAMW, QUICK
from helioloop.model.runtime import Runtime
from helioloop.model.training import new_network
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.trained_fields import read_trained_fields
from helioloop.registry.versions import Registry
from helioloop.workflows import parallel
from helioloop.workflows.rounds import auroc, round_metrics, run_round

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=24, size_px=24, clip_gauss=1000.0, frozen_frames=3)
RECIPE = replace(QUICK, epochs=16, min_steps=0, batch=5, folds=3)
N_CUBES = 30
NEW = CubeInfo(release="r", name="new", sha256="ee" * 32)


def emerges(k: int) -> bool:
    """Return whether cube k has a field from frame 12 on; half of the others have it throughout, half never."""
    return k % 2 == 1


def gridded(k: int) -> np.ndarray:
    """Return cube k on the grid."""
    cube = 0.5 + 0.01 * np.random.default_rng(k).standard_normal((24, 24, 24))
    cube[12 if emerges(k) else 12 * (k % 4) :, 8:14, 8:16] += 0.3
    return cube.astype(np.float16)


CUBES = [
    CubeInfo(
        release="r",
        name=f"cube{k:02d}",
        sha256=f"{k:064x}",
        start=f"2001-{1 + k % 12:02d}-01T00:00:00",
        region=f"region{k}",
        label=Label.EMERGENCE if emerges(k) else Label.NON_EMERGENCE,
        verified=False,
    )
    for k in range(N_CUBES)
]

ARRAYS = {**{cube.key: gridded(k) for k, cube in enumerate(CUBES)}, NEW.key: gridded(1)}


def load(cube: CubeInfo) -> np.ndarray:
    """Return a cube on the grid; a function of the module, so that other processes can call it."""
    return ARRAYS[cube.key]


RUNTIME = Runtime(instrument=SMALL, load=load, device=CPU)


def plan_of(*, seed: int = 0) -> Plan:
    unlabelled = NEW
    return make_plan([*CUBES, unlabelled], recipe=RECIPE, instrument=SMALL, seed=seed, parent=None, reason="test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, Card]:
    """One round, run once for this module."""
    registry = Registry(tmp_path_factory.mktemp("models"))
    return registry, run_round(plan_of(), registry, RUNTIME)


def test_no_member_scores_a_cube_it_was_trained_on(made: tuple[Registry, Card]) -> None:
    """The members of every stored score are those of the cube's fold; for a new cube, all members."""
    registry, card = made
    scores = registry.scores(card.version)
    assert len(scores) == N_CUBES + 1
    for (name, sha256), score in scores.items():
        if name == NEW.name:
            assert set(score.members) == set(card.members)
            continue
        fold = card.labels[name]["fold"]
        assert card.labels[name]["sha256"] == sha256
        assert {card.members[member]["fold"] for member in score.members} == {fold}


def test_the_stored_probability_is_the_mean_of_the_out_of_fold_members(made: tuple[Registry, Card]) -> None:
    """Recomputed from single networks; the spread is their standard deviation."""
    registry, card = made
    ensemble = Ensemble.open(registry.folder(card.version), device=CPU)
    stored = registry.scores(card.version)[CUBES[4].key]
    single = [
        replace(ensemble, plan=replace(ensemble.plan, members=(ensemble.plan.member(name),))).score(CUBES[4], RUNTIME)
        for name in stored.members
    ]
    values = [score.p_emergence for score in single]
    assert stored.p_emergence == pytest.approx(np.mean(values), abs=1e-9)
    assert stored.p_spread == pytest.approx(np.std(values), abs=1e-9)
    assert [score.p_spread for score in single] == [None, None]


def test_the_ensemble_has_learned_out_of_fold(made: tuple[Registry, Card]) -> None:
    """Members separate the classes of easy cubes that they were not trained on."""
    assert made[1].metrics["auroc"] > 0.9


def test_emergences_have_a_curve_and_a_frame(made: tuple[Registry, Card]) -> None:
    """The curve ends at p; the frame lies near the true 12; others have neither."""
    registry, card = made
    scores = [score for score in registry.scores(card.version).values() if score.cube != NEW.name]
    located = [(score, score.emergence) for score in scores if score.emergence is not None]
    assert len(located) >= N_CUBES / 3
    for score, found in located:
        assert score.curve is not None
        assert score.curve[-1] == pytest.approx(score.p_emergence, abs=1e-4)
        assert found.frame_lo <= found.frame <= found.frame_hi
    assert np.median([abs(found.frame - 12) for _, found in located]) <= 3
    quiet = [s for s in scores if s.p_emergence < 0.5 and card.labels[s.cube]["label"] == "non-emergence"]
    assert quiet
    assert all(score.curve is None for score in quiet)


def test_a_cube_labelled_emergence_has_a_curve(made: tuple[Registry, Card]) -> None:
    """Also where the ensemble predicts non-emergence, if it is not certain."""
    registry, card = made
    ensemble = Ensemble.open(registry.folder(card.version), device=CPU)
    (bare,) = score_cubes(ensemble, [CUBES[0]], RUNTIME)
    bare = replace(bare, p_emergence=0.4)
    for label, has_curve in ((Label.NON_EMERGENCE, False), (None, False), (Label.EMERGENCE, True)):
        labels = {CUBES[0].name: label}
        (located,) = locate_emergences(ensemble, CUBES, [bare], RUNTIME, labels=labels)
        assert (located.curve is not None) is has_curve


def test_the_card_records_labels_members_and_counts(made: tuple[Registry, Card]) -> None:
    """The plan stays in the folder."""
    registry, card = made
    plan = Plan.read(registry.folder(card.version))
    assert card.fingerprint == plan.fingerprint == plan_of().fingerprint
    assert Counter(entry["label"] for entry in card.labels.values()) == {"emergence": 15, "non-emergence": 15}
    assert card.metrics["labelled"] == N_CUBES
    assert card.metrics["cubes"] == N_CUBES + 1
    assert registry.published() is None


def test_the_same_round_in_two_processes_gives_the_same_scores(
    made: tuple[Registry, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, and the same statistics of the cubes' fields."""
    monkeypatch.setattr(parallel, "FEW_CUBES", 1)
    registry, card = made
    again = Registry(tmp_path)
    other = run_round(plan_of(), again, RUNTIME, processes=2)
    assert again.scores(other.version) == registry.scores(card.version)
    fields = read_trained_fields(again.folder(other.version))
    assert fields is not None
    assert len(fields) == N_CUBES
    assert fields == read_trained_fields(registry.folder(card.version))


def test_members_teacher_and_growth_odds_are_computed_on_one_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rounding of sums depends on their number, and a machine or a pool of processes has its own."""
    threads: dict[str, set[int]] = {"networks": set(), "cubes": set()}

    def network(*arguments: object, **named: object) -> nn.Module:
        made = new_network(*arguments, **named)
        made.register_forward_hook(lambda *_: threads["networks"].add(torch.get_num_threads()))
        return made

    def load(cube: CubeInfo) -> np.ndarray:
        threads["cubes"].add(torch.get_num_threads())
        return RUNTIME.load(cube)

    monkeypatch.setattr(members, "new_network", network)
    plan, runtime = plan_of(), replace(RUNTIME, load=load)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for member in plan.members:
            train_member(plan, member.name, tmp_path, runtime)
        keep_growth_odds(plan, tmp_path, runtime)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert threads == {"networks": {CPU_THREADS}, "cubes": {CPU_THREADS}}


def test_another_seed_gives_other_scores(made: tuple[Registry, Card], tmp_path: Path) -> None:
    """Otherwise the comparison above would prove nothing."""
    plan = plan_of(seed=100)
    plan.save(tmp_path)
    for member in plan.members:
        train_member(plan, member.name, tmp_path, RUNTIME)
    keep_growth_odds(plan, tmp_path, RUNTIME)
    registry, card = made
    stored = registry.scores(card.version)[CUBES[0].name, CUBES[0].sha256]
    (score,) = score_cubes(Ensemble.open(tmp_path, device=CPU), CUBES[:1], RUNTIME)
    assert score.p_emergence != stored.p_emergence


def test_an_existing_member_is_not_trained_again(made: tuple[Registry, Card]) -> None:
    """It reads no cube, so a repeated job costs nothing."""
    registry, card = made
    folder = registry.folder(card.version)

    def unreadable(cube: CubeInfo) -> np.ndarray:
        raise AssertionError(f"{cube.name} was loaded")

    path = train_member(Plan.read(folder), "fold0-0", folder, replace(RUNTIME, load=unreadable))
    assert path == folder / "fold0-0.safetensors"


def _whole(tmp_path: Path, made: tuple[Registry, Card]) -> Path:
    """Copy the version's plan and first member, and return the path of its weights."""
    folder = made[0].folder(made[1].version)
    for name in ("plan.json", "fold0-0.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path / "fold0-0.safetensors"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _foreign(path: Path) -> None:
    save_file(load_file(path), path, metadata={"fingerprint": "0" * 64, "member": "fold0-0"})


def _other_shape(path: Path) -> None:
    own = {"fingerprint": plan_of().fingerprint, "member": "fold0-0"}
    weights = load_file(path)
    save_file({**weights, "head.0.bias": np.zeros(3, np.float32)}, path, metadata=own)


def _not_finite(path: Path) -> None:
    own = {"fingerprint": plan_of().fingerprint, "member": "fold0-0"}
    weights = load_file(path)
    save_file({**weights, "head.0.bias": weights["head.0.bias"] * np.nan}, path, metadata=own)


def _pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x04cposix\nsystem\n")


@pytest.mark.parametrize("damage", [_truncate, _foreign, _other_shape, _not_finite, _pickle])
def test_weights_that_are_not_the_plans_own_are_refused(tmp_path: Path, made: tuple[Registry, Card], damage) -> None:
    """Truncated, from another plan, of another shape, not finite, or not safetensors."""
    path = _whole(tmp_path, made)
    train_member(plan_of(), "fold0-0", tmp_path, RUNTIME)
    damage(path)
    with pytest.raises(RegistryError, match=r"fold0-0\.safetensors"):
        train_member(plan_of(), "fold0-0", tmp_path, RUNTIME)


def test_an_ensemble_stays_loaded_until_its_plan_changes_or_others_take_its_place(
    made: tuple[Registry, Card], tmp_path: Path
) -> None:
    """A cache of two keeps the two used last; a plan that is written again is read again."""
    version = made[0].folder(made[1].version)
    folders = [shutil.copytree(version, tmp_path / name) for name in "abc"]
    cache = EnsembleCache(device=CPU, size=2)
    a, b = (cache.open(folder) for folder in folders[:2])
    assert cache.open(folders[0]) is a
    cache.open(folders[2])
    assert cache.open(folders[0]) is a
    assert cache.open(folders[1]) is not b
    Plan.read(folders[0]).save(folders[0])
    assert cache.open(folders[0]) is not a
    with pytest.raises(RegistryError, match="is missing"):
        cache.open(tmp_path / "d")


def test_a_version_that_lacks_a_member_is_refused(tmp_path: Path, made: tuple[Registry, Card]) -> None:
    """An incomplete ensemble scores nothing."""
    _whole(tmp_path, made)
    with pytest.raises(RegistryError, match="is missing"):
        score_cubes(Ensemble.open(tmp_path, device=CPU), CUBES[:1], RUNTIME)


def test_an_unreadable_cube_is_excluded_and_the_others_are_scored(made: tuple[Registry, Card]) -> None:
    """The reason is reported; without `on_excluded` its error ends the call."""
    registry, card = made

    def sometimes(cube: CubeInfo) -> np.ndarray:
        if cube.name == "cube01":
            raise CubeError("cube01 is truncated")
        return load(cube)

    ensemble = Ensemble.open(registry.folder(card.version), device=CPU)
    excluded: list[tuple[str, str]] = []
    runtime = replace(RUNTIME, load=sometimes, on_excluded=lambda cube, error: excluded.append((cube, str(error))))
    scores = score_cubes(ensemble, CUBES[:3], runtime)
    assert [score.cube for score in scores] == ["cube00", "cube02"]
    assert excluded == [("cube01", "cube01 is truncated")]
    with pytest.raises(CubeError, match="truncated"):
        score_cubes(ensemble, CUBES[:3], replace(RUNTIME, load=sometimes))


def test_auroc_counts_ties_half() -> None:
    """Two of the four pairs are wrong and two are tied."""
    assert auroc(np.array([0.2, 0.5, 0.5, 0.5]), np.array([True, True, False, False])) == 0.25
    assert auroc(np.array([0.1, 0.9]), np.array([False, True])) == 1.0


def test_metrics_are_those_of_the_labelled_cubes() -> None:
    """Two labelled cubes, one of which disagrees; a third has no label."""
    scores = [
        CubeScore(cube=name, sha256="", p_emergence=p, p_spread=None, members=("m",))
        for name, p in (("a", 0.9), ("b", 0.7), ("c", 0.5))
    ]
    metrics = round_metrics(scores, {"a": Label.EMERGENCE, "b": Label.NON_EMERGENCE})
    assert metrics == {
        "cubes": 3,
        "labelled": 2,
        "emergences": 1,
        "agreement": pytest.approx(0.6),
        "disagreeing": 0.5,
        "auroc": 1.0,
    }


# -- members trained together ----------------------------------------------------------------------

JOINT = replace(PAPER_ADAMW, filters=(4, 6, 8), dense=8, epochs=1, folds=2, batch=8)
GPU = Device(kind="cuda", name="a GPU", bf16=True)


def joint_plan(tmp_path: Path) -> Plan:
    plan = make_plan(CUBES, recipe=JOINT, instrument=SMALL, seed=0, parent=None, reason="test")
    plan.save(tmp_path)
    return plan


def test_only_recipes_of_the_authors_network_train_together_and_only_on_a_gpu(tmp_path: Path) -> None:
    """On a CPU nothing changes."""
    assert trains_together(joint_plan(tmp_path), GPU)
    assert not trains_together(joint_plan(tmp_path), CPU)
    assert not trains_together(plan_of(), GPU)


def test_a_joint_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Of four members two are left, which become the same; then nothing is left, and no cube is loaded."""
    plan = joint_plan(tmp_path)
    done: list[tuple[int, int, str]] = []
    runtime = replace(RUNTIME, report=lambda *progress: done.append(progress))
    train_all_members(plan, tmp_path, runtime)
    assert done[-1] == (4, 4, "epochs of all members")
    assert (N_CUBES, N_CUBES, "loading cubes into the GPU's memory") in done
    first = [load_file(tmp_path / member.file) for member in plan.members]
    for member in plan.members[1:3]:
        (tmp_path / member.file).unlink()
    train_all_members(plan, tmp_path, RUNTIME)
    for weights, member in zip(first, plan.members, strict=True):
        again = load_file(tmp_path / member.file)
        assert all(np.array_equal(again[key], weights[key]) for key in weights)

    def unreadable(cube: CubeInfo) -> np.ndarray:
        raise CubeError(f"{cube.name} cannot be read")

    train_all_members(plan, tmp_path, replace(RUNTIME, load=unreadable))
    (tmp_path / plan.members[0].file).unlink()
    with pytest.raises(CubeError, match="cube00 cannot be read"):
        train_all_members(plan, tmp_path, replace(RUNTIME, load=unreadable))
    assert not list(tmp_path.parent.glob("*.members.lock"))


def test_a_damaged_member_of_a_joint_training_is_refused(tmp_path: Path) -> None:
    """As in the training of one member."""
    plan = joint_plan(tmp_path)
    (tmp_path / plan.members[0].file).write_bytes(b"damaged")
    with pytest.raises(RegistryError, match="delete it and train again"):
        train_all_members(plan, tmp_path, RUNTIME)


def test_a_round_whose_members_train_together_scores_all_cubes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`helioloop train` takes the joint path where it applies."""
    monkeypatch.setattr("helioloop.workflows.parallel.trains_together", lambda plan, _: plan.recipe == JOINT)
    registry = Registry(tmp_path)
    card = run_round(
        make_plan(CUBES, recipe=JOINT, instrument=SMALL, seed=0, parent=None, reason="test"), registry, RUNTIME
    )
    assert len(registry.scores(card.version)) == N_CUBES
