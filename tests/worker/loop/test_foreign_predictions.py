"""A version is recognised in Label Studio by what its predictions say, and not by its name alone."""

import shutil
from pathlib import Path

import pytest
from tests.worker.conftest import CUBES, PROFILE, LoopProject, score_of

from helioloop.progress import silent
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.unscorable import add_unscorable
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.loop.writeback_changes import write_back_changes

Data = dict[str, dict[str, str]]


@pytest.fixture
def shown(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project that shows v0001, which gives each cube an emergence at frame 12 with a probability of 0.75."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.75), report=silent)
    loop_project.check()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


def lose_models(project: LoopProject) -> None:
    """Remove the model folder, and let the next command begin a new one without asking Label Studio."""
    shutil.rmtree(project.model_dir)
    write_project_profile(project.model_dir, PROFILE)


def said(project: LoopProject) -> dict[int, object]:
    """Return the probability that each task's only prediction says."""
    rows = project.label_studio.predictions(project.id)
    assert len({row.task for row in rows}) == len(rows)
    return {row.task: row.content and row.content.probability for row in rows}


def replacing(count: int, version: str = "v0001") -> str:
    """Return what reconciliation says."""
    predictions = "1 prediction" if count == 1 else f"{count} predictions"
    return (
        f"{predictions} named {version}, not by the {version} in the model folder, as after its loss, a "
        "restore or a copy: replacing them"
    )


@pytest.mark.parametrize("probability", [0.625, 0.25], ids=["same class and onset", "other class"])
def test_a_new_version_with_a_known_name_replaces_the_predictions_of_the_old_one(
    shown: LoopProject, probability: float
) -> None:
    """The model folder was lost, and `helioloop train` made another v0001; open tasks keep their prediction's row."""
    rows = {row.id for row in shown.label_studio.predictions(shown.id)}
    lose_models(shown)
    assert shown.publish(p_emergence=probability) == "v0001"
    assert replacing(len(CUBES)) in reconcile(shown.context, shown.id).done
    assert set(said(shown).values()) == {0.75}
    write_back(shown.context, shown.id, "v0001", report=silent)
    assert set(said(shown).values()) == {max(probability, 1 - probability)}
    now = shown.label_studio.predictions(shown.id)
    assert {row.id for row in now} == rows
    labels = shown.read().snapshot.cubes
    agreement = {
        number: score_of(cube, task.cube.sha256, probability).agreement(labels[cube].label or "emergence")  # type: ignore[arg-type]
        for cube, task in shown.read().tasks.items()
        for number in task.ids
    }
    assert {row.task: row.score for row in now} == pytest.approx(agreement)
    assert not any("replacing" in sentence for sentence in reconcile(shown.context, shown.id).done)


def test_a_copy_of_the_model_folder_that_went_on_elsewhere_replaces_only_what_differs(
    shown: LoopProject, tmp_path: Path
) -> None:
    """Both copies made a v0002; a rollback to the v0001 of both replaces nothing."""
    shutil.copytree(shown.model_dir, tmp_path / "copy")
    write_back(shown.context, shown.id, shown.publish(p_emergence=0.875), report=silent)
    shutil.rmtree(shown.model_dir)
    (tmp_path / "copy").rename(shown.model_dir)
    assert shown.publish(p_emergence=0.625) == "v0002"
    assert replacing(len(CUBES), "v0002") in reconcile(shown.context, shown.id).done
    write_back(shown.context, shown.id, "v0002", report=silent)
    rows = [row for row in shown.label_studio.predictions(shown.id) if row.model_version == "v0002"]
    assert {row.content and row.content.probability for row in rows} == {0.625}
    shown.registry.publish("v0001", why="rollback")
    write_back(shown.context, shown.id, "v0001", report=silent)
    shown.check()
    assert reconcile(shown.context, shown.id).done == ()


def test_a_write_back_of_changes_replaces_the_predictions_of_scored_cubes(shown: LoopProject) -> None:
    """The new version had no score of three cubes at first; their old predictions stay until there is one."""
    late = CUBES[:3]
    lose_models(shown)
    shown.publish(p_emergence=0.625, without=late)
    write_back(shown.context, shown.id, "v0001", report=silent)
    assert sorted(map(str, said(shown).values())) == ["0.625"] * 21 + ["0.75"] * 3
    cubes = [shown.read().tasks[cube].cube for cube in late]
    shown.registry.add_scores("v0001", [score_of(cube.name, cube.sha256, 0.625) for cube in cubes])
    written = write_back_changes(shown.context, shown.id, "v0001", report=silent)
    assert written is not None
    assert not written.whole
    assert set(said(shown).values()) == {0.625}


def test_the_prediction_of_a_cube_that_the_version_cannot_score_is_deleted(shown: LoopProject) -> None:
    """The old network could score it, or its file was whole then."""
    lose_models(shown)
    shown.publish(p_emergence=0.75, without=CUBES[:1])
    task = shown.read().tasks[CUBES[0]]
    add_unscorable(shown.model_dir, "v0001", [task.cube])
    assert replacing(1) in reconcile(shown.context, shown.id).done
    write_back(shown.context, shown.id, "v0001", report=silent)
    assert task.ids[0] not in said(shown)
    assert len(said(shown)) == len(CUBES) - 1
    assert not any("replacing" in sentence for sentence in reconcile(shown.context, shown.id).done)


def test_a_write_back_of_changes_deletes_what_the_version_cannot_score(shown: LoopProject) -> None:
    """The old network's prediction is there when somebody answers; the screen's files are without a curve by then."""
    lose_models(shown)
    shown.publish(p_emergence=0.75, without=CUBES[:1])
    write_back(shown.context, shown.id, "v0001", report=silent)
    task = shown.read().tasks[CUBES[0]]
    assert task.ids[0] in said(shown)
    add_unscorable(shown.model_dir, "v0001", [task.cube])
    shown.label_studio.annotate(task.ids[0], "emergence")
    shown.check()
    written = write_back_changes(shown.context, shown.id, "v0001", report=silent)
    assert written is not None
    assert task.ids[0] not in said(shown)
    assert len(said(shown)) == len(CUBES) - 1


def test_a_replacement_that_breaks_off_goes_on(shown: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker was killed after five predictions; the next write-back replaces the others."""
    lose_models(shown)
    shown.publish(p_emergence=0.625)
    whole, calls = type(shown.label_studio).rewrite, iter(range(100))

    def killed(*arguments: object) -> None:
        if next(calls) == 5:
            raise KeyboardInterrupt
        whole(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(shown.label_studio), "rewrite", killed)
        with pytest.raises(KeyboardInterrupt):
            write_back(shown.context, shown.id, "v0001", report=silent)
    assert replacing(19) in reconcile(shown.context, shown.id).done
    write_back(shown.context, shown.id, "v0001", report=silent)
    assert set(said(shown).values()) == {0.625}
