"""``helioloop status``: what was left out, what runs and what failed, on a real Redis; its remedies, run as printed."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import SecretStr
from rq.executions import Execution
from rq.job import JobStatus
from rq.registry import FailedJobRegistry
from tests.worker.conftest import Desk, work
from tests.worker.shell import run_one_of, run_printed

from helioloop.errors import LabelStudioError
from helioloop.messaging import messages, queues
from helioloop.records import CubeInfo
from helioloop.registry.versions import Registry
from helioloop_worker.commands import learning, project
from helioloop_worker.loop import ingest, retrain_check, writeback
from helioloop_worker.reports import status

Data = dict[str, dict[str, str]]

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def commands(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[click.Command]:
    """The commands for projects and models, which find the desk's settings."""
    for module in (project, learning):
        monkeypatch.setattr(module, "load_settings", lambda: desk.context.settings)
    desk.model_dir.mkdir(parents=True)
    return [*project.commands(), *learning.commands()]


def show(desk: Desk, commands: list[click.Command]) -> dict[str, str]:
    """The project's status: what -> how it stands, one line of the screen each."""
    result = run_one_of(commands, "status", "--project", str(desk.project))
    assert result.exit_code == 0, result.output
    return dict(line.split("  ", 1) for line in result.stdout.splitlines())


def told(lines: list[status.Line]) -> dict[str, str]:
    """The same of lines that are not on the screen yet."""
    return {line.what: line.stands for line in lines}


def jobs_of(desk: Desk, **changes: Any) -> dict[str, str]:
    """What the status says of the project's jobs, with settings changed."""
    settings = desk.context.settings.model_copy(update=changes)
    return told(status.of_jobs(desk.context.connection, settings, desk.project))


def fail(desk: Desk, message: messages.Message, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a judgement fail with an error."""

    def raises(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(retrain_check, "check_retraining", raises)
    queues.send(desk.context.connection, message)
    work(desk)


# -- cubes ----------------------------------------------------------------------------------------


def test_cubes_set_aside_are_counted_and_named_with_their_reason(desk: Desk) -> None:
    """The first three; the file has all five. A release that lost none is not spoken of, nor is where releases lie."""
    lost = [ingest.SetAside(cube=f"cube{k}", reason="it is not in /data/releases/r3; restore it") for k in range(5)]
    ingest._write_set_aside(desk.model_dir, "r3", lost)
    ingest._write_set_aside(desk.model_dir, "r4", [])
    assert told(status.of_cubes(desk.registry)) == {
        "set aside from r3": "5: cube0 (it is not in r3; restore it); cube1 (it is not in r3; restore it); "
        f"cube2 (it is not in r3; restore it); 2 more; all are named in {desk.model_dir}/set-aside/r3.csv"
    }


def test_cubes_that_the_published_version_cannot_score_are_counted(desk: Desk, task_data: Data) -> None:
    """Those of another version are not; before there are any, the status says that none was left out."""
    desk.import_cubes(task_data)
    assert told(status.of_cubes(desk.registry)) == {"cubes left out": "none"}
    version = desk.publish()
    gone = [CubeInfo(release="made", name=f"gone{k}", sha256=f"{k:064x}") for k in range(2)]
    writeback.note_unscorable(desk.model_dir, "v0009", gone)
    assert told(status.of_cubes(desk.registry)) == {"cubes left out": "none"}
    writeback.note_unscorable(desk.model_dir, version, gone)
    (said,) = told(status.of_cubes(desk.registry)).values()
    assert said.startswith("2, by v0001: ")


# -- jobs -----------------------------------------------------------------------------------------


def test_an_ingestion_that_was_detached_and_failed_is_told_with_its_sentence(
    desk: Desk, commands: list[click.Command]
) -> None:
    """With release and time, on the page that `ingest --detach` points to; there is no traceback."""
    queues.send(desk.context.connection, messages.Ingest(project=desk.project, release="nosuch"))
    before = show(desk, commands)
    assert before["failed jobs"].strip() == "none"
    work(desk)
    said = show(desk, commands)["last failed ingestion"].strip()
    at, about, sentence = said.split(maxsplit=2)
    assert at.startswith("20")
    assert about == "nosuch:"
    assert sentence.startswith("release 'nosuch' is in none of the release roots; put it there")


def test_of_each_kind_the_job_that_failed_last_is_told(
    desk: Desk, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two judgements failed, the forced one later; another project's failures are not this one's."""
    del commands
    patient, forced = (messages.RetrainCheck(project=desk.project, forced=forced) for forced in (False, True))
    fail(desk, forced, LabelStudioError("the later word"), monkeypatch)
    fail(desk, patient, LabelStudioError("the earlier word"), monkeypatch)
    fail(desk, replace(patient, project=10 * desk.project), LabelStudioError("another's word"), monkeypatch)
    failed = FailedJobRegistry(queue=queues.queue(desk.context.connection, patient.queue))
    desk.context.connection.zadd(failed.key, {forced.job_id: time.time() + 2 * queues.FAILURE_SECONDS})
    said = jobs_of(desk)
    assert list(said) == ["last failed retrain check"]
    assert said["last failed retrain check"].endswith(", the later word")
    queues.send(desk.context.connection, forced)  # what is sent again has not failed
    assert jobs_of(desk)["last failed retrain check"].endswith(", the earlier word")


def test_failures_are_told_without_secrets_and_folders(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token with a line's end is the classic; the model folder alone is named, since remedies speak of it."""
    error = ValueError(
        f"Illegal header value b'Token {TOKEN}\\n'; http://ann:word@ls:8080/api of /data/releases/r3/labels.csv and "
        f"{desk.model_dir}/labels.json, with hunter2 and sesame"
    )
    fail(desk, messages.RetrainCheck(project=desk.project), error, monkeypatch)
    expected = f"; http://…ls:8080/api of labels.csv and {desk.model_dir}/labels.json, with … and …"
    secrets = {
        "webhook_secret": SecretStr("hunter2"),
        "basic_auth_password": SecretStr(""),
        "redis_url": "redis://:sesame@redis:6379/0",
    }
    for key in (None, SecretStr(f"{TOKEN}\n")):  # the worker's token need not be known here
        said = jobs_of(desk, label_studio_api_key=key, **secrets)["last failed retrain check"]
        assert said.split(", ", 1)[1] == r"ValueError: Illegal header value b'Token …\n'" + expected


def test_a_running_ingestion_tells_how_far_it_is(desk: Desk) -> None:
    """What its progress bar would show; before the first word, that it has begun."""
    connection, message = desk.context.connection, messages.Ingest(project=desk.project, release="r3")
    queues.send(connection, message)
    job = desk.job(message.job_id)
    queues.queue(connection, message.queue).remove(job)
    with connection.pipeline() as pipeline:  # as a worker does when it starts a job
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()
    assert jobs_of(desk)["ingestion runs"] == "r3: has begun"
    job.meta["progress"] = {"done": 12, "total": 120, "what": "preparing cubes"}
    job.save_meta()
    assert jobs_of(desk) == {"ingestion runs": "r3: preparing cubes, 12 of 120", "failed jobs": "none"}


# -- remedies -------------------------------------------------------------------------------------


def publish_and_keep(desk: Desk, task_data: Data) -> None:
    """Publish v0001, and make a v0002 that the gate keeps."""
    desk.import_cubes(task_data)
    desk.publish()
    card = desk.registry.folder(desk.admit()) / "card.json"
    verdict = {"publish": False, "reason": "rejected by the promotion check: worse"}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"verdict": verdict}))


def test_a_kept_version_is_published_by_the_command_that_status_prints(
    desk: Desk, task_data: Data, commands: list[click.Command]
) -> None:
    """It names the project, so that Label Studio is written to as well."""
    publish_and_keep(desk, task_data)
    result = run_printed(commands, show(desk, commands)["newest version"])
    assert result.exit_code == 0, result.output
    assert desk.registry.published() == "v0002"
    assert desk.queued() == [f"write-back-{desk.project}-v0002"]


def test_a_damaged_pointer_is_mended_by_the_command_that_status_prints(
    desk: Desk, task_data: Data, commands: list[click.Command]
) -> None:
    """The backend's 503 sends people here."""
    desk.import_cubes(task_data)
    desk.publish()
    (desk.model_dir / "published.json").write_text('{"vers')
    refused = run_one_of(commands, "status", "--project", str(desk.project))
    assert refused.exit_code == 1
    assert run_printed(commands, refused.stderr).exit_code == 0
    assert show(desk, commands)["published version"].strip() == "v0001"


def test_a_model_folder_s_status_names_the_folder_in_its_remedy(
    desk: Desk, task_data: Data, commands: list[click.Command], tmp_path: Path
) -> None:
    """As a shell takes it, be there a blank in its name; no service is asked."""
    publish_and_keep(desk, task_data)
    place = tmp_path / "my models"
    shutil.copytree(desk.model_dir, place)
    shown = run_one_of(commands, "status", "--model-dir", place)
    assert shown.exit_code == 0, shown.output
    assert run_printed(commands, shown.stdout).exit_code == 0
    assert Registry(place).published() == "v0002"
