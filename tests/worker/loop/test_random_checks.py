"""Random checks are blind until they are answered: in Label Studio, from write-back to write-back, and on disk."""

from collections.abc import Callable, Sequence

import pytest
from tests.worker.conftest import CUBES, LoopProject, crude

from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.project_sample import read_sample
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.registry.acceptances import Acceptance, write_acceptance
from helioloop.registry.random_checks import RandomChecks, blind_cubes
from helioloop_worker.loop import hiding
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.round_steps import close_round
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project of 24 cubes in which four random checks are to wait, without a version."""
    loop_project.context.settings.random_checks = 4
    loop_project.import_cubes(task_data)
    return loop_project


def order(project: LoopProject) -> list[str]:
    return audit_order(task.cube for task in project.read().tasks.values())


def tasks(project: LoopProject) -> dict[str, int]:
    return {entry["data"]["cube"]: entry["id"] for entry in project.label_studio.tasks(project.id)}


def answer(project: LoopProject, cubes: Sequence[str]) -> None:
    """Have a human give cubes their right label."""
    numbers = tasks(project)
    for cube in cubes:
        project.label_studio.annotate(numbers[cube], crude(cube).value)


def write(project: LoopProject, version: str) -> None:
    write_back(project.context, project.id, version, report=silent)


def without_prediction(project: LoopProject) -> set[str]:
    """Cubes whose tasks have no prediction of any version."""
    predicted = {row.task for row in project.label_studio.predictions(project.id)}
    return {cube for cube, number in tasks(project).items() if number not in predicted}


def marked(project: LoopProject) -> dict[str, str]:
    found = {e["data"]["cube"]: e["data"].get("triage", "") for e in project.label_studio.tasks(project.id)}
    return {cube: mark for cube, mark in found.items() if mark}


def test_an_unanswered_random_check_has_no_prediction_and_a_mark(project: LoopProject) -> None:
    """The first four of the audit order; reconciliation is content with that."""
    write(project, project.publish())
    first = order(project)[:4]
    assert without_prediction(project) == set(first)
    assert blind_cubes(project.model_dir, project.read().snapshot.cubes) == set(first)
    assert marked(project) == {cube: f"random check {place:03d}" for place, cube in enumerate(first, start=1)}
    assert reconcile(project.context, project.id).done == ("annotations differ from those of the last check: checking",)


def test_an_answered_one_gets_its_prediction_with_the_next_write_back(project: LoopProject) -> None:
    """The others stay blind, and no task that has a prediction loses it while the version stays."""
    version = project.publish()
    write(project, version)
    first = order(project)[:4]
    answer(project, first[:3])
    project.read()
    assert "3 tasks without the prediction of v0001: writing back" in reconcile(project.context, project.id).done
    write(project, version)
    assert without_prediction(project) == {first[3]}
    labels = project.read().snapshot.cubes
    assert all(labels[cube].blind is not None for cube in first[:3])


def test_a_skipped_one_stays_blind(project: LoopProject) -> None:
    version = project.publish()
    write(project, version)
    first = order(project)[0]
    project.label_studio.annotate(tasks(project)[first], "emergence", skipped=True)
    write(project, version)
    assert first in without_prediction(project)


def test_with_the_next_version_more_follow_and_lose_the_predictions_of_all_versions(project: LoopProject) -> None:
    """Label Studio would show those of the version before, too."""
    write(project, project.publish())
    checks = order(project)
    answer(project, checks[:3])
    answer(project, [checks[4]])  # it has a prediction, so it is left out
    second = project.publish()
    write(project, second)
    assert without_prediction(project) == {checks[3], *checks[5:8]}
    assert RandomChecks.read(project.model_dir) == RandomChecks(version=second, cubes=(*checks[:4], *checks[5:8]))


def test_only_answers_made_blind_are_in_the_audit_sample(project: LoopProject) -> None:
    """All cubes are verified, four of them blind: only these support calibration and guarantees."""
    version = project.publish()
    write(project, version)
    answer(project, CUBES)
    plan, scores = Plan.read(project.registry.folder(version)), project.registry.scores(version)
    labels = project.read().snapshot.cubes
    assert all(label.verified for label in labels.values())
    sample = read_sample(plan, scores, labels)
    assert {true.cube for _, true in sample.cubes} == set(order(project)[:4])


def test_what_the_screen_shows_of_the_model_goes_before_the_prediction(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer without a prediction counts as blind: in the other order, one could be given beside the curve."""
    write(project, project.publish())
    answer(project, order(project)[:3])
    steps: list[str] = []

    def noting(name: str) -> Callable[..., object]:
        whole: Callable[..., object] = getattr(hiding, name)

        def noted(*args: object, **named: object) -> object:
            steps.append(name)
            return whole(*args, **named)

        return noted

    for name in ("_write_blind_screens", "delete_rows"):
        monkeypatch.setattr(hiding, name, noting(name))
    write(project, project.publish())
    assert steps == ["_write_blind_screens", "delete_rows"]


def test_a_prediction_that_comes_in_between_is_deleted(project: LoopProject) -> None:
    """Label Studio asked the backend before the random checks were chosen."""
    version = project.publish()
    write(project, version)
    blind = order(project)[0]
    (entry,) = [e for e in project.label_studio.stored(project.id) if e["task"] == tasks(project)[order(project)[9]]]
    project.label_studio.import_predictions(project.id, [{**entry, "task": tasks(project)[blind]}])
    assert any("1 prediction of random checks" in sentence for sentence in reconcile(project.context, project.id).done)
    write(project, version)
    assert blind in without_prediction(project)


def test_predictions_of_a_version_that_the_model_folder_lost_are_deleted_too(project: LoopProject) -> None:
    """The folder was restored from an older backup, or began anew: a blind task shows no version at all."""
    blind = order(project)[:4]
    numbers = tasks(project)
    entry = {"result": [], "score": 0.5, "model_version": "v0007"}
    entries = [{**entry, "task": number} for number in numbers.values()]
    project.label_studio.import_predictions(project.id, entries)
    write(project, project.publish())
    assert without_prediction(project) == {*blind}
    assert project.label_studio.model_versions(project.id)["v0007"] == len(CUBES) - 4


def test_predictions_of_another_model_are_left_alone(project: LoopProject) -> None:
    version = project.publish()
    entry = {"task": tasks(project)[order(project)[0]], "result": [], "score": 0.5, "model_version": "theirs"}
    project.label_studio.import_predictions(project.id, [entry])
    write(project, version)
    assert project.label_studio.model_versions(project.id)["theirs"] == 1


def test_a_project_of_before_random_checks_gets_them_with_its_next_write_back(project: LoopProject) -> None:
    """All tasks have a prediction and two are verified; the next four of the order lose theirs."""
    project.context.settings.random_checks = 0
    version = project.publish()
    write(project, version)
    checks = order(project)
    answer(project, [checks[0], checks[2]])
    assert without_prediction(project) == set()
    project.context.settings.random_checks = 4
    (project.model_dir / "random_checks.json").unlink()
    write(project, version)
    assert without_prediction(project) == {checks[1], *checks[3:6]}


def test_cubes_that_join_are_chosen_before_they_have_a_prediction(project: LoopProject) -> None:
    """With the same version; those that were chosen stay."""
    numbers = tasks(project)
    late = order(project)[1]
    removed = project.label_studio._holding(numbers[late]).tasks.pop(numbers[late])
    version = project.publish()
    write(project, version)
    before = without_prediction(project)
    project.label_studio.import_tasks(project.id, [removed["data"]])
    write(project, version)
    assert blind_cubes(project.model_dir, project.read().snapshot.cubes) == {*before, late}


def test_they_are_chosen_before_the_first_version_is_published(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the backend could answer with predictions of them before the first write-back."""
    found: list[RandomChecks | None] = []
    publish = type(project.registry).publish_candidate

    def seen(registry: object, *words: object, **more: object) -> object:
        found.append(RandomChecks.read(project.model_dir))
        return publish(registry, *words, **more)  # type: ignore[arg-type]

    version = project.admit()
    monkeypatch.setattr(type(project.registry), "publish_candidate", seen)
    running = project.registry.card(version).fingerprint
    project.context.state.begin(project.id, running, now=0.0)
    close_round(project.context, project.id, running)
    assert found == [RandomChecks(version=version, cubes=tuple(order(project)[:4]))]


def test_those_of_an_accepted_release_are_blind_too(project: LoopProject) -> None:
    """They had predictions until labels of the release were accepted."""
    version = project.publish()
    write(project, version)
    checks = order(project)
    accepted = Acceptance(
        release="made", rate=0.1, confidence=0.9, version=version, random_checks=tuple(checks[5:8]), n_cubes=24
    )
    write_acceptance(project.model_dir, accepted)
    write(project, version)
    assert without_prediction(project) == {*checks[:4], *checks[5:8]}
    assert marked(project)[checks[7]] == "random check 008"


def test_a_tie_is_marked_until_it_is_resolved(project: LoopProject) -> None:
    """Two annotators give both classes; a third one decides. A random check has its own mark again afterwards."""
    version = project.publish()
    write(project, version)
    checks, numbers = order(project), tasks(project)
    for cube in (checks[0], checks[9]):
        for annotator, choice in enumerate(("emergence", "non-emergence"), start=1):
            project.label_studio.annotate(numbers[cube], choice, annotator=annotator)
    write(project, version)
    found = marked(project)
    assert (found[checks[0]], found[checks[9]]) == ("tied", "tied")
    for cube in (checks[0], checks[9]):
        project.label_studio.annotate(numbers[cube], "emergence", annotator=3)
    write(project, version)
    found = marked(project)
    assert (found[checks[0]], found.get(checks[9])) == ("random check 001", None)


def test_every_task_has_a_mark_or_an_empty_one_after_a_write_back(project: LoopProject) -> None:
    """Label Studio's filters do not find a key that only some tasks have."""
    write(project, project.publish())
    assert all("triage" in entry["data"] for entry in project.label_studio.tasks(project.id))


def test_a_write_back_that_is_repeated_changes_nothing(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    version = project.publish()
    write(project, version)
    for name in ("set_data_field", "import_predictions", "delete_predictions", "create_tab", "change_tab"):
        monkeypatch.setattr(project.label_studio, name, lambda *_: pytest.fail("Label Studio was changed"))
    write(project, version)
