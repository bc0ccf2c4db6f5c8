"""The real Label Studio keeps the contract of the port, as the in-memory fake does."""

from collections.abc import Callable, Iterator

import pytest

from helioloop.messaging import redis_client
from helioloop.messaging.arrived_events import PROJECT_UPDATED, arrived_events
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.e2e.conftest import Loop
from tests.worker.labelstudio.port_contract import CONTRACT, BackendPlace, EmptyProject, choosing

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture
def empty(loop: Loop, request: pytest.FixtureRequest) -> Iterator[EmptyProject]:
    """An empty project of the running Label Studio, without backend and webhook; deleted afterwards."""
    project = loop.label_studio.create_project(title=request.node.name[:50], label_config=labeling_configuration())

    def skip(task: int) -> int:
        created = loop.client.annotations.create(id=task, result=[], was_cancelled=True, completed_by=1)
        return int(created.id or 0)

    def revise(annotation: int, choice: str) -> None:
        loop.client.annotations.update(id=annotation, result=choosing(choice))

    def copy_predictions(tasks: list[int]) -> None:
        loop.client.actions.create(
            id="predictions_to_annotations", project=project, selected_items={"all": False, "included": tasks}
        )

    others: list[int] = []

    def configured(config: str) -> int:
        others.append(loop.label_studio.create_project(title="another", label_config=config))
        return others[-1]

    password, secret = loop.settings.basic_auth_password, loop.settings.webhook_secret
    connection = redis_client.connect(loop.settings)
    yield EmptyProject(
        label_studio=loop.label_studio,
        project=project,
        annotate=loop.annotate,
        skip=skip,
        revise=revise,
        delete_annotation=lambda annotation: loop.client.annotations.delete(id=annotation),
        copy_predictions=copy_predictions,
        configured=configured,
        backend=BackendPlace(
            url=loop.stack.backend_url,
            user=loop.settings.basic_auth_user or "",
            password=password.get_secret_value() if password else "",
            secret=secret.get_secret_value() if secret else "",
            media_root=loop.settings.media_root,
            arrived=lambda number: arrived_events(connection, number).get(PROJECT_UPDATED, 0),
        ),
    )
    connection.close()
    for number in (project, *others):
        loop.client.projects.delete(id=number)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_the_real_label_studio_keeps_the_contract(check: Callable[[EmptyProject], None], empty: EmptyProject) -> None:
    """Each check of the contract."""
    check(empty)
