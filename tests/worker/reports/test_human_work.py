"""The work of annotators: hours and agreement from raw annotations, on numbers one can add up."""

from typing import Any

from tests.worker.conftest import LoopProject

from helioloop_worker.reports.human_work import HumanWork, read_human_work

Data = dict[str, dict[str, str]]


def annotate(loop_project: LoopProject, task: int, choice: str, lead: Any, **more: Any) -> None:
    """Submit a class after `lead` seconds."""
    number = loop_project.label_studio.annotate(task, choice, **more)
    loop_project.label_studio._annotation(number)[1]["lead_time"] = lead


def work(loop_project: LoopProject) -> HumanWork:
    """Read the work of the project's annotators."""
    state = loop_project.read()
    return read_human_work(state.tasks.values(), state.controls, n_frames=24)


def test_hours_are_added_up_by_annotator(loop_project: LoopProject, task_data: Data) -> None:
    """Two annotators: 10 + 20 s and 3,600 s; the long one is named."""
    tasks = list(loop_project.import_cubes(task_data).values())
    annotate(loop_project, tasks[0], "emergence", 10.0, annotator=1)
    annotate(loop_project, tasks[1], "emergence", 20.0, annotator=1)
    annotate(loop_project, tasks[1], "non-emergence", 3600.0, annotator=2)
    found = work(loop_project)
    assert [(one.name, one.answers, one.median_seconds) for one in found.annotators] == [
        ("1", 2, 15.0),
        ("2", 1, 3600.0),
    ]
    assert (found.answers, found.cubes, found.median_seconds) == (3, 2, 20.0)
    assert found.hours == 3630.0 / 3600.0
    assert found.seconds_per_cube == 22.5  # 15 s an answer, three answers for two cubes
    assert found.long == (3600.0,)
    assert (found.agreement.pairs, found.agreement.agreeing) == (1, 0)


def test_skips_and_bulk_copies_are_counted_and_take_no_part(loop_project: LoopProject, task_data: Data) -> None:
    """Their time does not count, and nobody agrees with them."""
    tasks = list(loop_project.import_cubes(task_data).values())
    version = loop_project.publish()
    entry = {
        "from_name": "class",
        "to_name": "video",
        "type": "choices",
        "value": {"choices": ["emergence"]},
        "score": 1,
    }
    loop_project.label_studio.import_predictions(
        loop_project.id, [{"task": tasks[0], "result": [entry], "score": 0.5, "model_version": version}]
    )
    loop_project.label_studio.copy_predictions(loop_project.id, [tasks[0]])
    annotate(loop_project, tasks[0], "emergence", 10.0, annotator=2, skipped=True)
    annotate(loop_project, tasks[0], "emergence", 30.0, annotator=3)
    found = work(loop_project)
    assert (found.answers, found.skipped, found.not_counted) == (1, 1, 1)
    assert found.seconds == (30.0,)
    assert found.agreement.pairs == 0


def test_an_answer_without_a_time_counts_as_an_answer(loop_project: LoopProject, task_data: Data) -> None:
    """A script made it."""
    tasks = list(loop_project.import_cubes(task_data).values())
    annotate(loop_project, tasks[0], "emergence", None)
    found = work(loop_project)
    assert (found.answers, found.seconds, found.median_seconds, found.seconds_per_cube) == (1, (), None, None)


def test_the_latest_answer_of_an_annotator_is_compared(loop_project: LoopProject, task_data: Data) -> None:
    """Who answers twice does not disagree with himself, and both times count."""
    tasks = list(loop_project.import_cubes(task_data).values())
    annotate(loop_project, tasks[0], "non-emergence", 10.0, annotator=1)
    annotate(loop_project, tasks[0], "emergence", 10.0, annotator=1, start=9)
    annotate(loop_project, tasks[0], "emergence", 10.0, annotator=2, start=13)
    agreement = work(loop_project).agreement
    assert (agreement.pairs, agreement.agreeing, agreement.onset_differences) == (1, 1, (4,))


def test_an_empty_project_has_no_work(loop_project: LoopProject) -> None:
    """All figures are absent."""
    found = work(loop_project)
    assert (found.annotators, found.answers, found.hours, found.agreement.alpha) == ((), 0, 0.0, None)
