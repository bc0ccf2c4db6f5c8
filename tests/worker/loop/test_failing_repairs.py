"""Reconciliation where its own steps fail: they are never parked, and the others go on."""

from collections.abc import Callable

import pytest
from tests.worker.conftest import LoopProject, work
from tests.worker.loop.failed_jobs import KINDS, breaks, let_pauses_end

from helioloop.errors import LabelStudioError, MissingInLabelStudio
from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop_worker.labelstudio.port import LabelStudio
from helioloop_worker.loop import reconcile as reconciling
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import find_all
from helioloop_worker.serving.role_workers import request_reconciliation

Data = dict[str, dict[str, str]]


def test_a_deleted_project_is_reconciled_once_an_hour(settled: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers request a reconciliation every few minutes; the status says what to do with the model folder.

    Label Studio answers the same where the token's account was removed from the organization: the folder stays then.
    """
    asked: list[int] = []

    def deleted(number: int) -> None:
        asked.append(number)
        raise MissingInLabelStudio(f"there is no project {number}; check the project id")

    monkeypatch.setattr(settled.label_studio, "project", deleted)
    (settled.model_dir / "published.json").rename(settled.model_dir / "kept.json")
    failures, pauses = JobFailures(settled.context.connection), []
    for _ in range(6):
        asked.clear()
        for _ in range(3):  # in its pause it is not run
            request_reconciliation(settled.context.connection, settled.context.settings)
            work(settled)
        assert len(asked) <= 2
        (known,) = failures.failing(settled.id)
        pauses.append(known.next_at - known.failed_at)
        let_pauses_end(settled)
        settled.clear_queues()
    assert pauses == pytest.approx([60, 240, 960, 3600, 3600, 3600])
    assert not known.is_parked
    found = find_all(read_status(settled.registry, project=settled.id, settings=settled.context.settings))
    failed = next(finding for finding in found if finding.cause == "failed-job")
    assert "The reconciliation failed 6 times: there is no project 1" in failed.sentence
    assert f"only if project 1 was deleted, move its model folder, {settled.model_dir}, away" in failed.sentence
    assert "an account that was removed from the organization" in failed.sentence
    assert "is tried again from 20" in failed.action


def test_a_step_that_cannot_succeed_is_never_parked_and_the_others_go_on(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pauses grow to an hour, and the failure is not counted for the job, whose pauses would stop all steps."""
    attempts: list[int] = []

    def _broken_step() -> str:
        attempts.append(1)
        raise LabelStudioError("Label Studio answered 403")

    steps = reconciling._steps
    monkeypatch.setattr(reconciling, "_steps", lambda *which: [_broken_step, *steps(*which)])
    pauses = []
    for _ in range(6):
        queues.send(settled.context.connection, messages.Reconcile(project=settled.id))
        work(settled)
        work(settled)
        (known,) = JobFailures(settled.context.connection).failing(settled.id)
        assert (known.key, known.reason) == (f"reconcile-{settled.id}:broken-step", "Label Studio answered 403")
        pauses.append(known.next_at - known.failed_at)
        let_pauses_end(settled)
    assert len(attempts) == 6
    assert pauses == pytest.approx([60, 240, 960, 3600, 3600, 3600])
    assert not known.is_parked
    settled.label_studio.annotate(settled.read().tasks["cube01"].ids[0], "emergence")
    with pytest.raises(LabelStudioError, match="403"):
        reconcile(settled.context, settled.id)
    assert f"retrain-check-{settled.id}" in settled.queued()


def test_reconciliation_asks_a_silent_label_studio_once_and_repairs_the_rest(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call would wait for the time-out, and the job has little time; nothing is parked."""
    connection, asked = settled.context.connection, []
    silence = LabelStudioError("Label Studio did not answer within 120 s", may_pass=True)

    def silent(name: str) -> Callable[..., None]:
        def call(*_: object, **__: object) -> None:
            asked.append(name)
            raise silence

        return call

    settled.label_studio.annotate(settled.read().tasks["cube01"].ids[0], "emergence")
    queues.send(connection, messages.MakeReport(project=settled.id))
    with monkeypatch.context() as broken:
        breaks(broken, "make_report", OSError("no space"))
        work(settled)
    with monkeypatch.context() as broken:
        for name in vars(LabelStudio):
            if not name.startswith("_"):
                broken.setattr(settled.label_studio, name, silent(name))
        for _ in range(6):
            let_pauses_end(settled)
            asked.clear()
            with pytest.raises(LabelStudioError):
                reconcile(settled.context, settled.id)
            assert asked == ["project"]
        assert settled.queued() == ["report-1"]
        for _ in range(12):
            queues.send(connection, messages.Reconcile(project=settled.id))
            work(settled, messages.QUEUE_MAINTENANCE)
            let_pauses_end(settled)
    assert not any(known.is_parked for known in JobFailures(connection).failing(settled.id))
    let_pauses_end(settled)
    assert reconcile(settled.context, settled.id).done == (
        "report-1 failed 13 times: trying it again",
        "annotations differ from those of the last check: checking",
    )


def test_a_label_studio_that_falls_silent_amid_a_reconciliation_is_not_asked_again(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def silent(*_: object, **__: object) -> None:
        asked.append(1)
        raise LabelStudioError("Label Studio did not answer within 120 s", may_pass=True)

    monkeypatch.setattr(settled.context.projects, "read_completely", silent)
    monkeypatch.setattr(settled.context.projects, "refresh", silent)
    monkeypatch.setattr(settled.label_studio, "model_versions", silent)
    with pytest.raises(LabelStudioError):
        reconcile(settled.context, settled.id)
    assert len(asked) == 1


def test_a_repair_whose_job_waits_already_is_not_counted_again(settled: LoopProject) -> None:
    """Each sentence is one repair in the figures; the job that the first one sent is still in its queue."""
    settled.label_studio.annotate(settled.read().tasks["cube01"].ids[0], "emergence")
    settled.publish()
    assert len(reconcile(settled.context, settled.id).done) == 2
    assert reconcile(settled.context, settled.id).done == ()


@pytest.mark.parametrize("name", ["check_retraining", "write_back"])
def test_reconciliation_claims_no_repair_by_a_parked_job(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch, name: str, task_data: Data
) -> None:
    """An annotation without a check and a task without a prediction are left to the human who puts the job back."""
    breaks(monkeypatch, name, OSError("no space"))
    for _ in range(4):
        queues.send(settled.context.connection, KINDS[name](settled.id))
        work(settled)
        let_pauses_end(settled)
    if name == "write_back":
        settled.import_cubes(task_data, ["cube00"])
    else:
        settled.label_studio.annotate(settled.read().tasks["cube01"].ids[0], "emergence")
    assert reconcile(settled.context, settled.id).done == ()
    JobFailures(settled.context.connection).put_back(settled.id)
    assert len(reconcile(settled.context, settled.id).done) == 1
