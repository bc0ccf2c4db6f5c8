"""The oldest supported Label Studio keeps the contract of the port too; it runs alone, without the loop."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from label_studio_sdk import LabelStudio

from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.labelstudio.client import LabelStudioClient
from tests.e2e.conftest import program
from tests.e2e.empty_projects import empty_project, place_of
from tests.worker.labelstudio.contract.backends import an_event_whose_header_cannot_be_sent_is_dropped
from tests.worker.labelstudio.contract.checks import CONTRACT
from tests.worker.labelstudio.contract.empty_project import BackendPlace, EmptyProject, choosing, prediction
from tests.worker.labelstudio.contract.predictions import (
    invalid_predictions_are_dropped_and_raise_an_error,
    predictions_are_checked_against_the_configuration_of_now,
)
from tests.worker.labelstudio.contract.tasks import a_task_needs_the_field_of_its_video
from tests.worker.labelstudio.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EXCEPTIONS = (
    invalid_predictions_are_dropped_and_raise_an_error,
    predictions_are_checked_against_the_configuration_of_now,
    a_task_needs_the_field_of_its_video,
    an_event_whose_header_cannot_be_sent_is_dropped,
)
"""Predictions that do not fit the labelling configuration are stored before 1.21; and there, a webhook whose header
cannot be sent makes the change fail that causes the event. helioloop refuses such secrets before."""
CHECKS = [check for check in CONTRACT if check not in EXCEPTIONS]


@dataclass(frozen=True)
class Oldest:
    """The running Label Studio, as helioloop and as an annotator reach it."""

    label_studio: LabelStudioClient
    client: LabelStudio
    backend: BackendPlace

    def annotate(self, task: int, choice: str, *, parent: int | None = None) -> int:
        """Submit an annotation and return its id."""
        created = self.client.annotations.create(
            id=task, result=choosing(choice), lead_time=1.0, parent_prediction=parent, completed_by=1
        )
        return int(created.id or 0)


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Oldest]:
    """The oldest supported Label Studio, started for this module, and a backend that it reaches."""
    here = Path(sys.executable)
    programs = Programs(backend=here, worker=here, label_studio=program("HELIOLOOP_TEST_OLDEST_LABEL_STUDIO"))
    folder = tmp_path_factory.mktemp("oldest")
    with DemoServices(folder, programs=programs, release_roots=[folder], environment={}) as services:
        services.launch_label_studio()
        services.await_label_studio()
        label_studio = LabelStudioClient.from_settings(services.settings())
        client = LabelStudio(base_url=services.label_studio_url, api_key=services.login.token, timeout=120)
        settings = services.settings().model_copy(update={"redis_url": redis_url})
        with serving(settings) as url, place_of(settings, url) as backend:
            yield Oldest(label_studio, client, backend)
        for each in (client, label_studio._transport.client):  # the SDK leaves closing to the garbage collector
            each._client_wrapper.httpx_client.httpx_client.close()


@pytest.fixture
def empty(oldest: Oldest, request: pytest.FixtureRequest) -> Iterator[EmptyProject]:
    """An empty project of it."""
    with empty_project(
        oldest.label_studio, oldest.client, oldest.annotate, oldest.backend, title=request.node.name
    ) as project:
        yield project


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_oldest_label_studio_keeps_the_contract(check: Callable[[EmptyProject], None], empty: EmptyProject) -> None:
    """Each check of the contract but three."""
    check(empty)


def test_the_oldest_label_studio_stores_predictions_unchecked(empty: EmptyProject) -> None:
    """The exception: versions before 1.21 drop none that does not fit the labelling configuration."""
    one, two = empty.tasks(2)
    empty.predict(prediction(two), prediction(one, result=choosing("sunspot")))
    assert sorted(empty.rows()) == sorted([(one, "v0001"), (two, "v0001")])
