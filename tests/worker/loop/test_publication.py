"""A publication that broke off between its two writes: reconciliation completes it, and does not undo a rollback."""

import pytest
from tests.worker.conftest import Desk

from helioloop.progress import silent
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]


@pytest.mark.parametrize("pointer", [None, '{"version": "v0001"}', '{"vers'], ids=["absent", "old", "damaged"])
def test_reconciliation_completes_a_publication_that_broke_off(
    desk: Desk, task_data: Data, pointer: str | None
) -> None:
    """The version is published and written back; the history has it once."""
    desk.import_cubes(task_data)
    for _ in range(2):
        version = desk.publish()
    path = desk.model_dir / "published.json"
    if pointer is None:
        path.unlink()
    else:
        path.write_text(pointer)
    said = reconcile(desk.context, desk.project).done
    assert "v0002 passed the promotion check and was not published: publishing and writing back" in said
    assert desk.registry.published() == version
    assert f"write-back-{desk.project}-v0002" in desk.queued()
    assert [line.version for line in desk.registry.history()] == ["v0001", "v0002"]


def test_reconciliation_does_not_undo_a_rollback(desk: Desk, task_data: Data) -> None:
    """The newest version was published once, and a later line names another."""
    desk.import_cubes(task_data)
    for _ in range(2):
        desk.publish()
    desk.registry.publish("v0001", why="rollback")
    write_back(desk.context, desk.project, "v0001", report=silent)
    assert not any("was not published" in sentence for sentence in reconcile(desk.context, desk.project).done)
    assert desk.registry.published() == "v0001"
