"""Empty projects of a real Label Studio, for the checks of the port's contract."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from label_studio_sdk import LabelStudio

from helioloop.messaging import redis_client
from helioloop.messaging.arrived_events import PROJECT_UPDATED, arrived_events
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.worker.labelstudio.contract.empty_project import BackendPlace, EmptyProject, choosing


@contextmanager
def empty_project(
    label_studio: LabelStudioClient,
    client: LabelStudio,
    annotate: Callable[..., int],
    backend: BackendPlace,
    *,
    title: str,
) -> Iterator[EmptyProject]:
    """Yield a project without backend and webhook, and delete it and those that checks created beside it afterwards."""
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

    others: list[int] = []

    def configured(config: str) -> int:
        others.append(label_studio.create_project(title="another", label_config=config))
        return others[-1]

    def titled(given: str) -> int:
        others.append(label_studio.create_project(title=given, label_config=labeling_configuration()))
        return others[-1]

    yield EmptyProject(
        label_studio=label_studio,
        project=project,
        annotate=annotate,
        skip=skip,
        revise=revise,
        delete_annotation=lambda annotation: client.annotations.delete(id=annotation),
        copy_predictions=copy_predictions,
        configure=lambda config: client.projects.update(id=project, label_config=config) and None,
        configured=configured,
        titled=titled,
        backend=backend,
    )
    for number in (project, *others):
        client.projects.delete(id=number)


@contextmanager
def place_of(settings: Settings, url: str) -> Iterator[BackendPlace]:
    """Yield the place of a backend with these settings that answers at an address."""
    password, secret = settings.basic_auth_password, settings.webhook_secret
    connection = redis_client.connect(settings)
    yield BackendPlace(
        url=url,
        user=settings.basic_auth_user or "",
        password=password.get_secret_value() if password else "",
        secret=secret.get_secret_value() if secret else "",
        media_root=settings.media_root,
        arrived=lambda number: arrived_events(connection, number).get(PROJECT_UPDATED, 0),
    )
    connection.close()
