"""The in-memory fake keeps the contract of the port; ``tests/e2e/test_port.py`` checks the real Label Studio."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from tests.worker.labelstudio.contract.checks import CONTRACT
from tests.worker.labelstudio.contract.empty_project import BackendPlace, EmptyProject, data_of
from tests.worker.labelstudio.serving import call, serving

from helioloop.messaging.arrived_events import PROJECT_UPDATED, arrived_events
from helioloop.settings import Settings
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration


@pytest.fixture
def backend(tmp_path: Path, redis_url: str, redis_connection: redis.Redis) -> Iterator[BackendPlace]:
    """A real backend, on an empty Redis."""
    settings = Settings(
        redis_url=redis_url,
        model_root=tmp_path / "models",
        basic_auth_user="jürgen",
        basic_auth_password=SecretStr("pä:ss wörd"),
        webhook_secret=SecretStr("geheimniß ü"),
    )
    with serving(settings) as url:
        yield BackendPlace(
            url=url,
            user="jürgen",
            password="pä:ss wörd",
            secret="geheimniß ü",
            media_root=tmp_path / "media",
            arrived=lambda project: arrived_events(redis_connection, project).get(PROJECT_UPDATED, 0),
        )


@pytest.fixture
def empty(backend: BackendPlace) -> EmptyProject:
    """An empty project of the fake."""
    label_studio = FakeLabelStudio(document_root=backend.media_root, call=call)
    project = label_studio.create_project(title="contract", label_config=labeling_configuration())
    return EmptyProject(
        label_studio=label_studio,
        project=project,
        annotate=label_studio.annotate,
        skip=lambda task: label_studio.annotate(task, "emergence", skipped=True),
        revise=label_studio.revise,
        delete_annotation=label_studio.delete_annotation,
        copy_predictions=lambda tasks: label_studio.copy_predictions(project, tasks),
        configure=lambda config: label_studio.configure(project, config),
        configured=lambda config: label_studio.create_project(title="other", label_config=config),
        titled=lambda title: label_studio.create_project(title=title, label_config=labeling_configuration()),
        backend=backend,
    )


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_the_fake_keeps_the_contract(check: Callable[[EmptyProject], None], empty: EmptyProject) -> None:
    """Each check of the contract."""
    check(empty)


def test_an_export_is_a_copy() -> None:
    """Changing an export changes nothing in Label Studio."""
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="copy", label_config=labeling_configuration())
    label_studio.import_tasks(project, [data_of("c0")])
    label_studio.tasks(project)[0]["data"]["cube"] = "other"
    assert label_studio.tasks(project)[0]["data"] == data_of("c0")
