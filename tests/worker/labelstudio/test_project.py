"""A project as Label Studio shows it: which task stands for which cube, and whose word counts."""

from tests.worker.conftest import Desk

from helioloop.records import Label

Data = dict[str, dict[str, str]]


def test_a_correction_on_a_second_task_of_a_cube_counts(desk: Desk, task_data: Data) -> None:
    """Somebody imported an exported task again and labelled there: cube00, a crude non-emergence, is verified."""
    first = desk.import_cubes(task_data)
    second = desk.import_cubes(task_data, ["cube00"])
    desk.label_studio.annotate(second["cube00"], "emergence")
    view = desk.view()
    assert view.tasks["cube00"].ids == (first["cube00"], second["cube00"])
    assert len(view.tasks) == 24
    label = view.label("cube00")
    assert (label.label, label.verified, label.crude) == (Label.EMERGENCE, True, Label.NON_EMERGENCE)


def test_the_latest_word_of_an_annotator_counts_whichever_task_it_stands_on(desk: Desk, task_data: Data) -> None:
    """One annotator changes their mind on the other task; two others, one on each, are two votes."""
    first, second = desk.import_cubes(task_data)["cube00"], desk.import_cubes(task_data, ["cube00"])["cube00"]
    desk.label_studio.annotate(second, "emergence", annotator=1)
    desk.label_studio.annotate(first, "non-emergence", annotator=1)
    assert desk.view().label("cube00").label is Label.NON_EMERGENCE
    desk.label_studio.annotate(first, "emergence", annotator=2)
    desk.label_studio.annotate(second, "emergence", annotator=3)
    assert desk.view().label("cube00").label is Label.EMERGENCE


def test_a_task_with_other_content_under_a_known_name_is_passed_over(desk: Desk, task_data: Data) -> None:
    """The cube keeps its task, its content and its label, though the other task came later and is labelled."""
    first = desk.import_cubes(task_data)["cube00"]
    (other,) = desk.label_studio.import_tasks(desk.project, [{**task_data["cube00"], "sha256": "1" * 64}])
    desk.label_studio.annotate(other, "emergence")
    task = desk.view().tasks["cube00"]
    assert (task.ids, task.cube.sha256) == ((first,), task_data["cube00"]["sha256"])
    assert not desk.view().label("cube00").verified
