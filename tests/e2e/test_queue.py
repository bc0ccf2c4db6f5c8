"""The queue on a real Label Studio: which tasks each tab lists, and that random checks are blind everywhere.

The steps of the loop run in this process, on a project of their own whose version is made by hand.
"""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import httpx
import pytest

from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST
from helioloop.progress import silent
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.random_checks import RandomChecks, blind_cubes
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.submitted import Submitted, look_at_project
from helioloop_worker.loop.writeback import write_back
from tests.e2e.conftest import Loop, sign_up
from tests.worker.conftest import CUBES, PROFILE, SMALL, TINY, LoopProject, crude

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture
def queue(loop: Loop) -> Iterator[LoopProject]:
    """A project of 24 cubes on the running Label Studio, of which four random checks wait; deleted afterwards."""
    settings = loop.settings.model_copy(update={"random_checks": 4})
    project = loop.label_studio.create_project(title="queue", label_config=labeling_configuration())
    context = Context(
        settings,
        open_label_studio=lambda _: loop.label_studio,
        recipe_for=lambda *_: TINY,
    )
    write_project_profile(settings.model_dir(project), PROFILE)
    found = LoopProject(context=context, label_studio=loop.label_studio, id=project)  # type: ignore[arg-type]
    found.import_cubes({cube: data_of(cube, place) for place, cube in enumerate(CUBES)})
    yield found
    loop.client.projects.delete(id=project)
    context.connection.close()


def data_of(cube: str, place: int) -> dict[str, str]:
    return {
        "video": f"/{cube}.mp4", "curve": f"/{cube}.json", "reason": f"/{cube}.html", "cube": cube, "release": "made",
        "region": cube, "start": f"2001-{1 + place % 12:02d}-01T00:00:00Z", "sha256": f"{place:064x}",
        "crude_label": crude(cube).value,
    }  # fmt: skip


def listed(loop: Loop, project: int) -> dict[str, list[str]]:
    """Tab -> the cubes that it lists, in its order."""
    found = {}
    for tab in loop.label_studio.tabs(project):
        body = loop.label_studio._transport.call(
            "GET", "api/tasks", params={"project": project, "view": tab.id, "page_size": 100}, what="listing a tab"
        )
        found[tab.settings["title"]] = [entry["data"]["cube"] for entry in body["tasks"]]
    return found


def opened(loop: Loop, task: int) -> list[dict[str, Any]]:
    """The predictions that Label Studio sends to the screen of an annotator who opens a task."""
    body = loop.label_studio._transport.call("GET", f"api/tasks/{task}", what="opening a task")
    found: list[dict[str, Any]] = body["predictions"]
    return found


def asked(loop: Loop, queue: LoopProject) -> dict[str, Any]:
    """Cube -> what the backend answers to Label Studio about its task."""
    tasks = loop.label_studio.tasks(queue.id)
    answer = httpx.post(
        f"{loop.stack.backend_url}/predict",
        auth=("label-studio", loop.stack.environment["HELIOLOOP_BASIC_AUTH_PASSWORD"]),
        json={
            "tasks": [{"id": entry["id"], "data": entry["data"], "annotations": []} for entry in tasks],
            "project": f"{queue.id}.1",
            "label_config": loop.label_studio.project(queue.id).label_config,
        },
        timeout=60,
    )
    return {entry["data"]["cube"]: one for entry, one in zip(tasks, answer.json()["results"], strict=True)}


def test_random_checks_are_blind_and_tabs_list_what_waits(loop: Loop, queue: LoopProject) -> None:
    """From the first write-back over answers, a skip and a tie to the next one; then two annotations are wanted."""
    assert SMALL.n_frames == 24
    version = queue.publish(p_emergence=0.6)
    write_back(queue.context, queue.id, version, report=silent)
    checks = RandomChecks.read(queue.model_dir)
    assert checks is not None
    assert len(checks.cubes) == 4
    numbers = {entry["data"]["cube"]: entry["id"] for entry in loop.label_studio.tasks(queue.id)}
    answers, tabs = asked(loop, queue), listed(loop, queue.id)
    for cube, task in numbers.items():
        assert (answers[cube] == []) == (cube in checks.cubes)
        assert (opened(loop, task) == []) == (cube in checks.cubes)
    assert tabs["Random checks"] == list(checks.cubes)
    ranked = tabs[DISAGREEMENTS_FIRST]
    assert {*ranked} == {*CUBES} - {*checks.cubes}
    assert tabs["Uncertain"] == ranked  # agreements of 0.4 and 0.6
    assert tabs["Ties between annotators"] == tabs["Accepted under guarantee"] == []

    loop.annotate(numbers[checks.cubes[0]], "emergence")
    loop.annotate(numbers[ranked[0]], "emergence", parent=opened(loop, numbers[ranked[0]])[0]["id"])
    loop.client.annotations.create(id=numbers[ranked[1]], result=[], was_cancelled=True, completed_by=1)
    loop.client.annotations.create(id=numbers[checks.cubes[1]], result=[], was_cancelled=True, completed_by=1)
    tabs = listed(loop, queue.id)
    assert tabs["Random checks"] == list(checks.cubes[2:])
    assert tabs[DISAGREEMENTS_FIRST] == ranked[2:]
    counted = look_at_project(loop.settings, queue.id).submitted
    assert counted == Submitted(tasks=24, annotated=2, annotations=2, skips=2)
    labels = queue.read().snapshot.cubes
    assert labels[checks.cubes[0]].blind is not None
    assert (labels[ranked[0]].verified, labels[ranked[0]].blind) == (True, None)
    assert blind_cubes(queue.model_dir, labels) == {*checks.cubes[1:]}

    write_back(queue.context, queue.id, version, report=silent)
    assert len(opened(loop, numbers[checks.cubes[0]])) == 1
    assert opened(loop, numbers[checks.cubes[1]]) == []  # a skip is no answer

    queue.context.label_studio.set_data_field(queue.id, [numbers[ranked[3]]], "triage", "accepted emergence")
    colleague = sign_up(loop, f"annotator-{queue.id}@example.org", token_hex(8))
    loop.annotate(numbers[ranked[4]], "emergence")
    loop.annotate(numbers[ranked[4]], "non-emergence", annotator=colleague)
    write_back(queue.context, queue.id, version, report=silent)
    tabs = listed(loop, queue.id)
    assert tabs["Accepted under guarantee"] == [ranked[3]]
    assert tabs["Ties between annotators"] == [ranked[4]]
    assert tabs[DISAGREEMENTS_FIRST] == [ranked[2], *ranked[5:]]

    loop.client.projects.update(id=queue.id, maximum_annotations=2)
    tabs = listed(loop, queue.id)
    assert ranked[0] in tabs[DISAGREEMENTS_FIRST], "it has one of two annotations"
    assert checks.cubes[0] in tabs["Random checks"]
    for skipped in (ranked[1], checks.cubes[1]):
        assert skipped not in {*tabs[DISAGREEMENTS_FIRST], *tabs["Random checks"]}
    loop.annotate(numbers[ranked[0]], "emergence", annotator=colleague)
    assert ranked[0] not in listed(loop, queue.id)[DISAGREEMENTS_FIRST]
