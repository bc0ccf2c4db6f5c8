"""Publications that break off or meet others: no half version is published, and no rollback is undone."""

import shutil
import threading
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.whole import complete
from tests.worker.conftest import SETTLED, LoopProject, score_of

from helioloop.errors import HelioloopError, RegistryError
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.registry import versions
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import Staging
from helioloop.registry.versions import Registry
from helioloop.workflows import rounds as rounding
from helioloop_worker import jobs
from helioloop_worker.loop import round_steps, rounds
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
    if pointer == '{"version": "v0001"}':
        assert "v0002 passed the promotion check and was not published: publishing and writing back" in said
    else:
        assert "no version was published, and the history ends with v0002: it is published again" in said
    assert loop_project.registry.published() == version
    assert f"write-back-{loop_project.id}-v0002" in loop_project.queued()
    assert [line.version for line in loop_project.registry.history()] == ["v0001", "v0002"]


def test_a_rollback_is_not_undone_where_lines_of_the_history_were_lost(
    loop_project: LoopProject, task_data: Data
) -> None:
    """The newest version then looks as if it had never been published."""
    loop_project.import_cubes(task_data)
    for _ in range(3):
        loop_project.publish()
    loop_project.registry.publish("v0001", why="rollback")
    (loop_project.model_dir / "history.jsonl").unlink()
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.registry.published() == "v0001"


def test_a_publication_that_was_stopped_does_not_replace_a_later_one(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped after its decision for so long that another process took over the lock and published."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    old, new, registry = loop_project.admit(), loop_project.admit(), loop_project.registry
    whole = Registry._write_publication

    def stopped(self: Registry, version: str, **arguments: Any) -> None:
        if version == old:
            whole(self, new, why="by another process")
        whole(self, version, **arguments)

    monkeypatch.setattr(Registry, "_write_publication", stopped)
    with pytest.raises(RegistryError, match=f"another process has published {new} meanwhile"):
        registry.publish_candidate(registry.card(old), why="late")
    assert registry.published() == new
    assert [line.version for line in registry.history()] == ["v0001", new]


@pytest.mark.parametrize("late", ["v0002", "v0003"])
def test_a_pointer_that_was_written_late_does_not_undo_a_rollback(
    loop_project: LoopProject, task_data: Data, late: str
) -> None:
    """A process was stopped between history and pointer, and a human published an earlier version meanwhile."""
    loop_project.import_cubes(task_data)
    for _ in range(3):
        loop_project.publish()
    loop_project.registry.publish("v0001", why="rollback")
    (loop_project.model_dir / "published.json").write_text(f'{{"version": "{late}"}}')
    said = reconcile(loop_project.context, loop_project.id).done
    assert f"{late} was published, and the history ends with v0001: it is published again" in said
    assert loop_project.registry.published() == "v0001"
    assert len(loop_project.registry.history()) == 4


def test_a_history_that_lost_its_last_lines_does_not_move_the_pointer(
    loop_project: LoopProject, task_data: Data
) -> None:
    """It was restored from an older backup than the pointer."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    history = (loop_project.model_dir / "history.jsonl").read_text()
    newest = [loop_project.publish() for _ in range(2)][-1]
    (loop_project.model_dir / "history.jsonl").write_text(history)
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.registry.published() == newest


def test_no_round_is_closed_while_the_pointer_is_lost(loop_project: LoopProject, task_data: Data) -> None:
    """There is nothing to compare with, and the history has a version; reconciliation publishes it again first."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    (loop_project.model_dir / "published.json").unlink()
    with pytest.raises(RegistryError, match="has a history and no published version"):
        loop_project.admit()
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.registry.published() == "v0001"
    assert loop_project.admit() == "v0002"


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


# -- closings that were stopped ---------------------------------------------------------------------


@pytest.fixture
def finished(loop_project: LoopProject, task_data: Data) -> Plan:
    """A running round whose members are trained and whose cubes are scored; only its closing is left."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    assert rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    loop_project.clear_queues()
    finish(loop_project, plan)
    return plan


def finish(loop_project: LoopProject, plan: Plan) -> None:
    """Write what training, scoring and locating leave."""
    folder = complete(loop_project.registry.staging(plan.fingerprint), [member.file for member in plan.members])
    scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes]
    write_scores(folder / "unlocated", scores)
    write_scores(folder / "located", scores)


def publish_other(loop_project: LoopProject, cube: str) -> str:
    """Publish a version of another round, of which this cube has another label."""
    loop_project.label_studio.annotate(loop_project.read().tasks[cube].ids[0], "emergence")
    return loop_project.publish()


def close(loop_project: LoopProject, plan: Plan) -> str:
    """Run the closing job."""
    return jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)


PLACES = {
    "before the scores are written": (rounding, "_replace_scores"),
    "before the promotion check": (rounding, "compare_with_published"),
    "before the card is written": (versions, "write_card"),
    "before the folder is looked at": (versions, "missing_parts"),
}
"""Where a closing is stopped: module and function that it is about to call."""


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("repeated", [False, True], ids=["closed", "closed and begun again"])
def test_a_closing_that_was_stopped_makes_no_half_version(
    loop_project: LoopProject,
    finished: Plan,
    place: tuple[ModuleType, str],
    repeated: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stopped, as a paused machine does; another worker closed the round, which perhaps runs again; it goes on."""
    module, name = place
    whole = getattr(module, name)

    def stops(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(module, name, whole)
        assert close(loop_project, finished) == "v0001 is published"
        if repeated:  # somebody pressed "Start training": the same round in the same folder
            assert rounds.start(loop_project.context, loop_project.id, finished, forced=True)
        return whole(*args, **kwargs)

    monkeypatch.setattr(module, name, stops)
    with pytest.raises(HelioloopError, match=r"gone|does not become|closed by another worker"):
        close(loop_project, finished)
    assert loop_project.registry.versions() == ["v0001"]
    assert loop_project.registry.published() == "v0001"
    assert not (loop_project.model_dir / "staging" / finished.fingerprint / "card.json").exists() or repeated
    assert Staging(loop_project.model_dir).has_plan(finished.fingerprint) == repeated


def test_a_closing_that_was_stopped_after_admission_does_not_publish_again(
    loop_project: LoopProject, finished: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker published the version, a human rolled back, and only then the first one goes on."""
    first = publish_other(loop_project, "cube00")
    whole = round_steps._choose_random_checks

    def stops(*args: Any) -> None:
        monkeypatch.setattr(round_steps, "_choose_random_checks", whole)
        assert close(loop_project, finished) == "v0002 is published"
        loop_project.registry.publish(first, why="rollback")
        whole(*args)

    monkeypatch.setattr(round_steps, "_choose_random_checks", stops)
    with pytest.raises(HelioloopError, match="closed by another worker"):
        close(loop_project, finished)
    assert loop_project.registry.published() == first
    assert not any("publishing" in sentence for sentence in reconcile(loop_project.context, loop_project.id).done)


# -- what reconciliation and closings may publish -----------------------------------------------------


def test_a_restored_redis_does_not_roll_the_published_version_back(loop_project: LoopProject, finished: Plan) -> None:
    """Its snapshot has a round that was closed long ago, and the job that closes it; a newer version is published."""
    dump = {
        key: loop_project.context.connection.dump(key) for key in loop_project.context.connection.keys("helioloop:*")
    }
    assert close(loop_project, finished) == "v0001 is published"
    second = publish_other(loop_project, "cube00")
    for key, value in dump.items():
        loop_project.context.connection.restore(key, 0, value, replace=True)
    assert loop_project.context.state.heartbeat(loop_project.id, finished.fingerprint, now=time.time() - SETTLED)
    assert any("closing it" in sentence for sentence in reconcile(loop_project.context, loop_project.id).done)
    said = close(loop_project, finished)
    assert "not published: v0001 was published before, and v0002 since" in said
    assert loop_project.registry.published() == second
    assert loop_project.context.state.running(loop_project.id) is None
    assert [line.version for line in loop_project.registry.history()] == ["v0001", "v0002"]


def test_a_rollback_while_a_round_closes_stays(
    loop_project: LoopProject, finished: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was compared with the version that the human took back: neither closing nor reconciliation publishes it."""
    for cube in ("cube00", "cube02"):
        publish_other(loop_project, cube)
    whole = round_steps._choose_random_checks

    def rolled_back(*args: Any) -> None:
        loop_project.registry.publish("v0001", why="rollback")
        whole(*args)

    monkeypatch.setattr(round_steps, "_choose_random_checks", rolled_back)
    said = close(loop_project, finished)
    assert "v0003 is not published: v0001 was published while the round of v0003 was closed" in said
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.registry.published() == "v0001"
    assert [line.version for line in loop_project.registry.history()] == ["v0001", "v0002", "v0001"]
    assert f"write-back-{loop_project.id}-v0001" in loop_project.queued()


def test_two_publications_at_once_lose_no_line(loop_project: LoopProject, task_data: Data) -> None:
    """A rollback and a closing at the same moment: the history has both, and the pointer is the last line."""
    loop_project.import_cubes(task_data)
    names = [loop_project.admit() for _ in range(4)]
    threads = [
        threading.Thread(target=loop_project.registry.publish, args=(name,), kwargs={"why": "test"}) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line.version for line in loop_project.registry.history()]
    assert sorted(lines) == names
    assert loop_project.registry.published() == lines[-1]


@pytest.mark.parametrize("part", ["fold0-0.safetensors", "plan.json", "scores"])
def test_a_version_that_lacks_a_part_is_not_published(loop_project: LoopProject, task_data: Data, part: str) -> None:
    """Neither by reconciliation nor by hand: the published version stays."""
    loop_project.import_cubes(task_data)
    first = loop_project.publish()
    path = loop_project.registry.folder(loop_project.admit()) / part
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(RegistryError, match=f"v0002 in .* is not published, because {part}"):
        loop_project.registry.publish("v0002", why="by hand")
    with pytest.raises(RegistryError, match="is not published"):
        reconcile(loop_project.context, loop_project.id)
    assert loop_project.registry.published() == first


@pytest.mark.parametrize("cut", [0, 4, 9, -1])
def test_a_version_with_weights_that_were_cut_off_is_not_published(
    loop_project: LoopProject, task_data: Data, cut: int
) -> None:
    """In the length, in the header, and in the tensors."""
    loop_project.import_cubes(task_data)
    version = loop_project.admit()
    path = loop_project.registry.folder(version) / "fold0-0.safetensors"
    save_file({"weight": np.zeros(4, dtype=np.float32)}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RegistryError, match=r"fold0-0\.safetensors (is|has)"):
        loop_project.registry.publish(version, why="by hand")
    assert loop_project.registry.published() is None
