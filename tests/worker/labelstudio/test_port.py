"""The Label Studio in memory keeps the contract; ``tests/e2e/test_gateway.py`` holds the real one to the same."""

from collections.abc import Callable

import pytest
from tests.worker.labelstudio.port_contract import SENTENCES, Room

from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.setup import labeling_configuration


@pytest.fixture
def room() -> Room:
    """An empty project in memory."""
    label_studio = FakeLabelStudio()
    return Room(
        door=label_studio,
        project=label_studio.create_project(title="contract", label_config=labeling_configuration()),
        annotate=label_studio.annotate,
        skip=lambda task: label_studio.annotate(task, "emergence", skipped=True),
        revise=label_studio.revise,
        delete_annotation=label_studio.delete_annotation,
    )


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.__name__)
def test_the_twin_in_memory_keeps_the_contract(sentence: Callable[[Room], None], room: Room) -> None:
    """Each sentence of the contract."""
    sentence(room)


def test_what_was_read_is_a_copy() -> None:
    """Changing an export changes nothing in Label Studio."""
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="copy", label_config=labeling_configuration())
    label_studio.import_tasks(project, [{"cube": "c0"}])
    label_studio.tasks(project)[0]["data"]["cube"] = "other"
    assert label_studio.tasks(project)[0]["data"] == {"cube": "c0"}
