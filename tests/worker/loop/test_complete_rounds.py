"""Complete rounds by a real worker, also where they fail, and beside `helioloop train`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rq.job import JobStatus
from tests.worker.conftest import CUBES, LoopProject, work

from helioloop.errors import MissingInLabelStudio, RegistryError
from helioloop.messaging import messages
from helioloop.messaging.job_failures import JobFailures
from helioloop.model import members
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.registry.staging import Staging
from helioloop.registry.trained_fields import read_trained_fields
from helioloop.registry.unscorable import read_unscorable
from helioloop.workflows import rounds as rounding
from helioloop_worker import jobs
from helioloop_worker.loop import rounds

Data = dict[str, dict[str, str]]


# -- complete rounds, by a real worker --------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("the network does not fit"), "MemoryError: the network does not fit"),
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2 GiB.\nSee documentation of memory management"
            ),
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.",
        ),
    ],
    ids=["host", "GPU"],
)
def test_a_round_that_always_fails_is_parked_with_its_reason(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    """Steps run even after failed ones, so that closing notices, sends them again, and stops after three attempts."""
    trained = []

    def fails(_: Plan, member: str, *__: Any, **___: Any) -> Any:
        trained.append(member)
        raise error

    monkeypatch.setattr(members, "train_member", fails)
    work(loop_project, messages.QUEUE_TRAIN)
    assert sorted(trained) == ["fold0-0"] * 3 + ["fold1-0"] * 3
    said = Staging(loop_project.model_dir).parked(plan.fingerprint)
    assert said is not None
    assert "failed 3 times" in said
    assert reason in said
    assert "\n" not in said
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.registry.versions() == []


def test_a_project_that_is_deleted_during_its_round_ends_with_a_reason(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round is closed, since its version needs no Label Studio; what writes there is parked with the reason."""
    whole = members.train_member

    def trains(*arguments: Any) -> Any:
        monkeypatch.setattr(loop_project.label_studio, "project", deleted)
        return whole(*arguments)

    def deleted(number: int) -> Any:
        raise MissingInLabelStudio(f"there is no project {number}; check the project id")

    monkeypatch.setattr(members, "train_member", trains)
    work(loop_project)
    assert loop_project.registry.published() == "v0001"
    assert loop_project.context.state.running(loop_project.id) is None
    failing = {
        known.key: known.reason for known in JobFailures(loop_project.context.connection).failing(loop_project.id)
    }
    assert "there is no project 1" in failing["write-back-1-v0001"]
    assert sum(plan.fingerprint in path.name for path in (loop_project.model_dir / "staging").glob("*")) == 0


def test_on_a_gpu_the_first_job_trains_all_members_together(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs of the other members find them trained, and the round goes on as usual."""
    trained: list[str] = []

    def trains(plan: Plan, staging: Path, runtime: Any) -> None:
        for member in plan.members:
            if not (staging / member.file).exists():
                trained.append(member.name)
                whole(plan, member.name, staging, runtime)

    whole = members.train_member
    monkeypatch.setattr(members, "trains_together", lambda *_: True)
    monkeypatch.setattr(members, "train_all_members", trains)
    work(loop_project, messages.QUEUE_TRAIN)
    assert trained == [member.name for member in plan.members]
    assert loop_project.registry.published() == "v0001"


def test_a_round_learns_and_publishes_and_its_version_scores_what_comes_later(
    loop_project: LoopProject, plan: Plan, task_data: Data
) -> None:
    """Two members of one epoch; a cube that cannot be read when it is to be scored later is not requested again.

    The version keeps the field statistics of all cubes trained on, with which drift is found later.
    """
    work(loop_project, messages.QUEUE_TRAIN)
    assert loop_project.registry.published() == "v0001"
    fields = read_trained_fields(loop_project.registry.folder("v0001")) or {}
    assert fields.keys() == {cube.key for cube in plan.labelled}
    assert all(15.0 < field.noise_gauss < 25.0 for field in fields.values())
    scores = loop_project.registry.scores("v0001")
    assert {cube for cube, _ in scores} == set(CUBES)
    assert {score.members for score in scores.values()} == {("fold0-0",), ("fold1-0",)}
    assert loop_project.job(rounds.steps_of(loop_project.id, plan).closing.job_id).get_status() is JobStatus.FINISHED
    known = CubeInfo(release="made", name="cube00", sha256=task_data["cube00"]["sha256"])
    gone = CubeInfo(release="made", name="gone", sha256="0" * 64)
    asked = [cube.as_dict() for cube in (known, gone)]
    assert jobs.score(loop_project.context, loop_project.id, "v0001", asked) == 0
    assert read_unscorable(loop_project.model_dir, "v0001") == {gone.sha256}


# -- beside `helioloop train` ----------------------------------------------------------------------


def made_by_a_command(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]
) -> str:
    """Make a round as `helioloop train` does, with something else going on before its members are trained."""
    whole = rounding.train_members

    def trains(*args: Any, **kwargs: Any) -> None:
        meanwhile()
        whole(*args, **kwargs)

    monkeypatch.setattr(rounding, "train_members", trains)
    runtime = loop_project.context.runtime(loop_project.id, silent)
    return rounding.run_round(plan, loop_project.registry, runtime).version


def test_a_round_of_a_command_outlives_what_the_worker_clears_up(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`helioloop train` on the project's folder: neither a check, nor another round, nor reconciliation touches it."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    on_queue = loop_project.plan()
    plan = replace(on_queue, recipe=replace(on_queue.recipe, epochs=2))
    folder = loop_project.registry.staging(plan.fingerprint)

    def meanwhile() -> None:
        assert rounds.resume(loop_project.context, loop_project.id) is None
        assert loop_project.check().startswith("no round")
        assert rounds.start(loop_project.context, loop_project.id, on_queue, forced=False)
        assert Plan.read(folder).fingerprint == plan.fingerprint

    assert made_by_a_command(loop_project, plan, monkeypatch, meanwhile) == "v0002"


def test_the_folder_of_a_killed_command_is_found_and_resumed(loop_project: LoopProject, task_data: Data) -> None:
    """Its lock is free: the round counts as one that was begun and lost."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    with Staging(loop_project.model_dir).locked(plan.fingerprint) as folder:
        plan.save(folder)
        assert rounds.resume(loop_project.context, loop_project.id) is None
    assert "was begun and no job of it is left: checking" in (
        rounds.resume(loop_project.context, loop_project.id) or ""
    )


def test_a_round_is_not_started_while_a_command_makes_it(loop_project: LoopProject, task_data: Data) -> None:
    """Two processes in one folder would take each other's files; nothing counts as running."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    with (
        Staging(loop_project.model_dir).locked(plan.fingerprint),
        pytest.raises(RegistryError, match="is being made by another process"),
    ):
        rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    assert loop_project.context.state.running(loop_project.id) is None
    assert rounds.start(loop_project.context, loop_project.id, plan, forced=False)
