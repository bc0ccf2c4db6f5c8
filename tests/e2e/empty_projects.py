"""Empty projects of a real Label Studio, for the checks of the port's contract."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from label_studio_sdk import LabelStudio

from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.worker.labelstudio.port_contract import EmptyProject, choosing


@contextmanager
def empty_project(
    label_studio: LabelStudioClient, client: LabelStudio, annotate: Callable[..., int], *, title: str
) -> Iterator[EmptyProject]:
    """Yield a project without backend and webhook, and delete it afterwards."""
    project = label_studio.create_project(title=title[:50], label_config=labeling_configuration())

    def skip(task: int) -> int:
        created = client.annotations.create(id=task, result=[], was_cancelled=True, completed_by=1)
        return int(created.id or 0)

    def revise(annotation: int, choice: str) -> None:
        client.annotations.update(id=annotation, result=choosing(choice))

    def copy_predictions(tasks: list[int]) -> None:
        client.actions.create(
            id="predictions_to_annotations", project=project, selected_items={"all": False, "included": tasks}
        )

    yield EmptyProject(
        label_studio=label_studio,
        project=project,
        annotate=annotate,
        skip=skip,
        revise=revise,
        delete_annotation=lambda annotation: client.annotations.delete(id=annotation),
        copy_predictions=copy_predictions,
    )
    client.projects.delete(id=project)
