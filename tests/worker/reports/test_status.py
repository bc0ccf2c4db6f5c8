"""``helioloop status``: excluded cubes, running and failed jobs on a real Redis, and its commands, run as printed."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import redis
from pydantic import SecretStr
from rq.executions import Execution
from rq.job import JobStatus
from rq.registry import FailedJobRegistry
from tests.worker.conftest import SMALL, LoopProject, make_release, work
from tests.worker.reports.shown_status import TOKEN, fail, show
from tests.worker.shell import run_one_of, run_printed

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.cubes import write_cube
from helioloop.data.inspection import refused
from helioloop.errors import LabelStudioError, RegistryError
from helioloop.messaging import job_monitor, messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.records.cubes import CubeInfo
from helioloop.registry.unscorable import add_unscorable
from helioloop.registry.versions import Registry
from helioloop.registry.watched import WatchedFolder, WatchState, write_watched
from helioloop_worker import terminal
from helioloop_worker.loop import ingest
from helioloop_worker.reports.release_lines import excluded_lines, reading_lines, watched_lines
from helioloop_worker.reports.service_facts import read_services
from helioloop_worker.reports.service_lines import job_lines
from helioloop_worker.reports.status_line import Line
from helioloop_worker.reports.status_reading import read_status

Data = dict[str, dict[str, str]]


def as_dict(lines: list[Line]) -> dict[str, str]:
    """Lines that are not printed yet: name -> value."""
    return {line.name: line.value for line in lines}


def test_folders_that_the_watch_set_aside_are_listed_with_their_reason(
    loop_project: LoopProject, commands: list[click.Command], tmp_path: Path
) -> None:
    """And releases whose predictions are waited for; folders that are gone are not."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "new").mkdir()
    rows = [
        WatchedFolder(folder=str(tmp_path / name), state=state, at="2026-01-01T00:00:00+00:00", content="", reason=why)
        for name, state, why in (
            ("bad", WatchState.SET_ASIDE, "no cube is readable"),
            ("gone", WatchState.SET_ASIDE, "no cube is readable"),
            ("new", WatchState.INGESTED, ""),
        )
    ]
    write_watched(loop_project.model_dir, rows)
    lines = as_dict(watched_lines(read_status(loop_project.registry)))
    assert lines == {
        "set aside by watch, bad": "no cube is readable (since 2026-01-01T00:00:00+00:00; taken again once changed)",
        "ingested, predictions follow": "new",
    }
    assert "no cube is readable" in show(loop_project, commands)["set aside by watch, bad"]


def jobs_of(loop_project: LoopProject, **changes: Any) -> dict[str, str]:
    """The lines about the project's jobs, with settings changed."""
    settings = loop_project.context.settings.model_copy(update=changes)
    services = read_services(
        loop_project.context.connection, loop_project.registry, settings, loop_project.id, now=time.time()
    )
    return as_dict(job_lines(services))


# -- cubes ----------------------------------------------------------------------------------------


def test_excluded_cubes_are_counted_and_listed_with_their_reason(loop_project: LoopProject) -> None:
    """Three of five are listed, without the folder of the releases. A release without excluded cubes has no line."""
    excluded = [refused(f"cube{k}", "it is not in /data/releases/r3; restore it") for k in range(5)]
    ingest.write_reports(loop_project.model_dir, "r3", excluded)
    ingest.write_reports(loop_project.model_dir, "r4", [])
    assert as_dict(excluded_lines(read_status(loop_project.registry))) == {
        "excluded from r3": "5: cube0 (it is not in r3; restore it); cube1 (it is not in r3; restore it); "
        f"cube2 (it is not in r3; restore it); 2 more; the full list is {loop_project.model_dir}/excluded/r3.csv"
    }


def test_what_was_read_from_each_release_is_counted_with_the_most_frequent_reasons(
    loop_project: LoopProject, commands: list[click.Command]
) -> None:
    """Reasons that differ in numbers and names only count as one; folders of releases are not shown."""
    few = [
        CubeReport(cube=f"cube{k}", verdict=Verdict.WARNED, reasons=(f"only {k} of 9 frames are used", "no start"))
        for k in range(3)
    ]
    gone = [refused(f"gone{k}", f"gone{k}.fits: it is not in /data/releases/r3; restore it") for k in range(2)]
    fine = CubeReport(cube="fine", verdict=Verdict.OK, reasons=("1 frame is bad and dropped",))
    ingest.write_reports(loop_project.model_dir, "r3", [*few, fine, *gone])
    ingest.write_reports(loop_project.model_dir, "r4", [fine])
    folder = loop_project.model_dir / "reading"
    assert [(line.name, line.value) for line in reading_lines(read_status(loop_project.registry))] == [
        ("read from r3", f"1 ok, 3 warned, 2 refused; the full list is {folder}/r3.csv"),
        ("reasons in r3", "cube0 and 2 more: only 0 of 9 frames are used"),
        ("reasons in r3", "cube0 and 2 more: no start"),
        ("reasons in r3", "gone0 and 1 more: gone0.fits: it is not in r3, restore it"),
        ("read from r4", f"1 ok, 0 warned, 0 refused; the full list is {folder}/r4.csv"),
    ]
    assert show(loop_project, commands)["read from r4"].strip().startswith("1 ok")


def test_a_damaged_reading_is_refused_with_a_remedy(loop_project: LoopProject) -> None:
    """Somebody edited it."""
    path = loop_project.model_dir / "reading" / "r3.csv"
    path.parent.mkdir(parents=True)
    path.write_text("cube,verdict,reasons\nA,fine,\n")
    with pytest.raises(RegistryError, match="line 2: verdict is 'fine'; it must be ok, warned, refused: ingest"):
        read_status(loop_project.registry)


def test_cubes_that_the_published_version_cannot_score_are_counted(loop_project: LoopProject, task_data: Data) -> None:
    """Cubes that another version could not score do not count; without any, the status shows none."""
    loop_project.import_cubes(task_data)
    assert as_dict(excluded_lines(read_status(loop_project.registry))) == {"excluded cubes": "none"}
    version = loop_project.publish()
    gone = [CubeInfo(release="made", name=f"gone{k}", sha256=f"{k:064x}") for k in range(2)]
    add_unscorable(loop_project.model_dir, "v0009", gone)
    assert as_dict(excluded_lines(read_status(loop_project.registry))) == {"excluded cubes": "none"}
    add_unscorable(loop_project.model_dir, version, gone)
    (value,) = as_dict(excluded_lines(read_status(loop_project.registry))).values()
    assert value.startswith("2 by v0001; ")


# -- jobs -----------------------------------------------------------------------------------------


def test_a_detached_ingestion_that_failed_is_shown_with_its_error(
    loop_project: LoopProject, commands: list[click.Command]
) -> None:
    """With time and release, without a traceback, on the page that `ingest --detach` points to."""
    queues.send(loop_project.context.connection, messages.Ingest(project=loop_project.id, release="nosuch"))
    before = show(loop_project, commands)
    assert before["failed jobs"].strip() == "none"
    work(loop_project)
    shown = show(loop_project, commands)["last failed ingestion"].strip()
    at, about, sentence = shown.split(maxsplit=2)
    assert at.startswith("20")
    assert about == "nosuch:"
    assert sentence.startswith("release 'nosuch' is in none of the release roots; put it there")


def test_the_last_failed_job_of_each_kind_is_shown(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two retrain checks failed, the forced one later; failures of another project are not shown."""
    del commands
    patient, forced = (messages.RetrainCheck(project=loop_project.id, forced=forced) for forced in (False, True))
    fail(loop_project, forced, LabelStudioError("the later error"), monkeypatch)
    failures = JobFailures(loop_project.context.connection)
    failures.forget(loop_project.id, forced.failure_key)  # else the other check would wait for the pause to end
    fail(loop_project, patient, LabelStudioError("the earlier error"), monkeypatch)
    fail(
        loop_project,
        replace(patient, project=10 * loop_project.id),
        LabelStudioError("the other project's error"),
        monkeypatch,
    )
    failed = FailedJobRegistry(queue=queues.queue(loop_project.context.connection, patient.queue))
    loop_project.context.connection.zadd(failed.key, {forced.job_id: time.time() + 2 * queues.FAILURE_SECONDS})
    shown = jobs_of(loop_project)
    assert [name for name in shown if name.startswith("last failed")] == ["last failed retrain check"]
    assert shown["last failed retrain check"].endswith(", the later error")
    queues.send(loop_project.context.connection, forced)  # a job that was sent again does not count as failed
    assert jobs_of(loop_project)["last failed retrain check"].endswith(", the earlier error")


def test_failures_are_shown_without_secrets_and_folders(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token with a line end is a common mistake; only the model folder is shown, because remedies name it."""
    error = ValueError(
        f"Illegal header value b'Token {TOKEN}\\n'; http://ann:word@ls:8080/api of /data/releases/r3/labels.csv and "
        f"{loop_project.model_dir}/labels.json, with hunter2 and sesame"
    )
    fail(loop_project, messages.RetrainCheck(project=loop_project.id), error, monkeypatch)
    expected = f"; http://…ls:8080/api of labels.csv and {loop_project.model_dir}/labels.json, with … and …"
    secrets = {
        "webhook_secret": SecretStr("hunter2"),
        "basic_auth_password": SecretStr(""),
        "redis_url": "redis://:sesame@redis:6379/0",
    }
    for key in (None, SecretStr(f"{TOKEN}\n")):  # the worker may have a token that is not set here
        shown = jobs_of(loop_project, label_studio_api_key=key, **secrets)["last failed retrain check"]
        assert shown.split(", ", 1)[1] == r"ValueError: Illegal header value b'Token …\n'" + expected


def test_a_running_ingestion_is_shown_with_its_progress(loop_project: LoopProject) -> None:
    """The numbers of its progress bar if they are known; before the first report, that it has started."""
    connection, message = loop_project.context.connection, messages.Ingest(project=loop_project.id, release="r3")
    queues.send(connection, message)
    job = loop_project.job(message.job_id)
    queues.queue(connection, message.queue).remove(job.id)
    with connection.pipeline() as pipeline:  # as a worker does when it starts a job
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()
    assert jobs_of(loop_project)["running ingestion"] == "r3: started"
    job.meta["progress"] = {"done": 0, "total": 0, "what": "reading the release"}
    job.save_meta()
    assert jobs_of(loop_project)["running ingestion"] == "r3: reading the release"
    job.meta["progress"] = {"done": 12, "total": 120, "what": "preparing cubes"}
    job.save_meta()
    assert jobs_of(loop_project) == {"running ingestion": "r3: preparing cubes, 12 of 120", "failed jobs": "none"}


# -- remedies -------------------------------------------------------------------------------------


def publish_and_reject(loop_project: LoopProject, task_data: Data) -> None:
    """Publish v0001, and admit a v0002 that the promotion check rejected."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    card = loop_project.registry.folder(loop_project.admit()) / "card.json"
    verdict = {"publish": False, "reason": "rejected by the promotion check: worse"}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"verdict": verdict}))


def test_a_rejected_version_is_published_by_the_command_that_status_prints(
    loop_project: LoopProject, task_data: Data, commands: list[click.Command]
) -> None:
    """The command names the project, so that predictions are written back too."""
    publish_and_reject(loop_project, task_data)
    result = run_printed(commands, show(loop_project, commands)["newest version"])
    assert result.exit_code == 0, result.output
    assert loop_project.registry.published() == "v0002"
    assert loop_project.queued() == [f"write-back-{loop_project.id}-v0002"]


def test_a_damaged_pointer_is_repaired_by_the_command_that_status_prints(
    loop_project: LoopProject, task_data: Data, commands: list[click.Command]
) -> None:
    """The backend answers 503 then and refers to this command."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    (loop_project.model_dir / "published.json").write_text('{"vers')
    refused = run_one_of(commands, "status", "--project", str(loop_project.id))
    assert refused.exit_code == 1
    assert run_printed(commands, refused.stderr).exit_code == 0
    assert show(loop_project, commands)["published version"].strip() == "v0001"


def test_the_status_of_a_model_folder_names_the_folder_in_its_command(
    loop_project: LoopProject, task_data: Data, commands: list[click.Command], tmp_path: Path
) -> None:
    """Quoted for the shell, here with a blank in its name; no service is needed."""
    publish_and_reject(loop_project, task_data)
    place = tmp_path / "my models"
    shutil.copytree(loop_project.model_dir, place)
    shown = run_one_of(commands, "status", "--model-dir", place)
    assert shown.exit_code == 0, shown.output
    lines = dict(line.split("  ", 1) for line in shown.stdout.splitlines())
    assert run_printed(commands, lines["newest version"]).exit_code == 0
    assert Registry(place).published() == "v0002"


# -- the command ingest -----------------------------------------------------------------------------


def test_ingest_prints_what_it_warns_about_and_which_labels_it_changed(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line each: an excluded cube, a doubt about the table, a warned cube, a corrected crude label."""

    def following(connection: redis.Redis, message: messages.Message) -> Any:
        work(loop_project, message.queue)
        return job_monitor.outcome_of(connection, message)

    monkeypatch.setattr(terminal, "follow_job", following)
    monkeypatch.setattr(queues, "has_worker", lambda *_: True)
    release = make_release(loop_project.context.settings.release_roots[1] / "three", ["cube00", "cube01", "cube02"])
    result = run_one_of(commands, "ingest", release, "--project", str(loop_project.id))
    untried = "media: no video was fetched, because HELIOLOOP_LABEL_STUDIO_API_KEY is not set for this command"
    assert result.stdout.splitlines() == [
        "release three: 3 cubes imported, 0 already present, 0 excluded, 0 warned, 0 crude labels changed",
        untried,
    ]
    assert result.stderr == ""
    field, seconds = np.random.default_rng(3).normal(0.0, 20.0, (24, 24, 24)), np.arange(24) * 5760.0
    write_cube(release / "cube03.fits", field, seconds, start=None, region="R", instrument=SMALL)
    (release / "cube02.fits").unlink()
    (release / "labels.csv").write_text("cube;label;verified\ncube00;emergence;1\nCUBE01;;0\ncube02;;0\ncube03;;0\n")
    result = run_one_of(commands, "ingest", release, "--project", str(loop_project.id))
    assert result.stdout.splitlines() == [
        "release three: 1 cubes imported, 2 already present, 1 excluded, 1 warned, 2 crude labels changed",
        "  crude label of cube00: non-emergence -> emergence",
        "  crude label of cube01: emergence -> none",
        untried,
    ]
    doubts = result.stderr.splitlines()
    assert len(doubts) == 4
    assert "'CUBE01' is read as cube 'cube01'" in doubts[0]
    assert doubts[1].startswith("helioloop: labels.csv has verified 1 for cube cube00, which counts as a crude label")
    assert doubts[2].startswith("  warned: cube03: no start is known")
    assert doubts[3] == "  excluded: cube02: in labels.csv, but its file is missing"
