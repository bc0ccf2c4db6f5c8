"""A publication that broke off between its two writes: reconciliation completes it, and does not undo a rollback."""

import pytest
from tests.worker.conftest import LoopProject

from helioloop.progress import silent
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]


@pytest.mark.parametrize("pointer", [None, '{"version": "v0001"}', '{"vers'], ids=["absent", "old", "damaged"])
def test_reconciliation_completes_a_publication_that_broke_off(
    loop_project: LoopProject, task_data: Data, pointer: str | None
) -> None:
    """The version is published and written back; the history has it once."""
    loop_project.import_cubes(task_data)
    for _ in range(2):
        version = loop_project.publish()
    path = loop_project.model_dir / "published.json"
    if pointer is None:
        path.unlink()
    else:
        path.write_text(pointer)
    said = reconcile(loop_project.context, loop_project.id).done
    assert "v0002 passed the promotion check and was not published: publishing and writing back" in said
    assert loop_project.registry.published() == version
    assert f"write-back-{loop_project.id}-v0002" in loop_project.queued()
    assert [line.version for line in loop_project.registry.history()] == ["v0001", "v0002"]


def test_reconciliation_does_not_undo_a_rollback(loop_project: LoopProject, task_data: Data) -> None:
    """The newest version was published once, and a later line names another."""
    loop_project.import_cubes(task_data)
    for _ in range(2):
        loop_project.publish()
    loop_project.registry.publish("v0001", why="rollback")
    write_back(loop_project.context, loop_project.id, "v0001", report=silent)
    assert not any(
        "was not published" in sentence for sentence in reconcile(loop_project.context, loop_project.id).done
    )
    assert loop_project.registry.published() == "v0001"
