"""``helioloop status``: excluded cubes, running and failed jobs on a real Redis, and its commands, run as printed."""

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import fields, replace
from math import nan
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
from tests.worker.shell import run_one_of, run_printed

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.cubes import write_cube
from helioloop.data.inspection import refused
from helioloop.errors import LabelStudioError, RegistryError, ServiceError
from helioloop.messaging import job_monitor, messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import CurrentLabel, LabelSource
from helioloop.registry.card import Card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.unscorable import add_unscorable
from helioloop.registry.versions import Registry
from helioloop.registry.watched import WatchedFolder, WatchState, write_watched
from helioloop.settings import Settings
from helioloop_worker import terminal
from helioloop_worker.commands import learning, options, project
from helioloop_worker.commands import status as status_command
from helioloop_worker.loop import ingest, retrain_check
from helioloop_worker.reports import status_facts
from helioloop_worker.reports.release_lines import excluded_lines, reading_lines, watched_lines
from helioloop_worker.reports.service_facts import read_services
from helioloop_worker.reports.service_lines import job_lines
from helioloop_worker.reports.status_json import status_json
from helioloop_worker.reports.status_line import Line
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import RULES

Data = dict[str, dict[str, str]]

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def commands(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> list[click.Command]:
    """The commands for projects and models, with the settings of `loop_project`."""
    for module in (project, status_command, learning, options):
        monkeypatch.setattr(module, "load_settings", lambda: loop_project.context.settings)
    loop_project.model_dir.mkdir(parents=True, exist_ok=True)
    return [*project.commands(), *learning.commands()]


def show(loop_project: LoopProject, commands: list[click.Command]) -> dict[str, str]:
    """The project's status as printed: name -> value, one line each."""
    result = run_one_of(commands, "status", "--project", str(loop_project.id))
    assert result.exit_code == 0, result.output
    return dict(line.split("  ", 1) for line in result.stdout.splitlines())


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


def fail(
    loop_project: LoopProject, message: messages.Message, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a retrain check fail with an error."""

    def raises(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(retrain_check, "check_retraining", raises)
    queues.send(loop_project.context.connection, message)
    work(loop_project)


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


# -- verdict, caps, JSON, watch -------------------------------------------------------------------


def unserved(loop_project: LoopProject) -> Settings:
    """The settings with a port on which no Redis listens."""
    return loop_project.context.settings.model_copy(update={"redis_url": "redis://:sesame@127.0.0.1:1/0"})


def test_verdict_next_action_and_round_come_first(loop_project: LoopProject, commands: list[click.Command]) -> None:
    """No worker runs in this test; a round does."""
    RedisRetrainState(loop_project.context.connection).begin(loop_project.id, "ab" * 8, now=time.time() - 300.0)
    shown = list(show(loop_project, commands).items())
    assert [name for name, _ in shown[:2]] == ["verdict", "next"]
    assert shown[0][1].strip().startswith("Not well. No worker serves the queue")
    assert "`helioloop worker --role" in shown[1][1]
    lines = dict(shown)
    assert lines["running round"].strip().startswith("being closed (since 20")
    assert lines["running round"].endswith("; no sign of life for 5 min, so it will be resumed")


@pytest.mark.parametrize(
    ("ahead", "said", "resumed"),
    [(86400.0, "; its last sign of life has a time in the future", True), (20.0, "being closed (since", False)],
    ids=["a day", "seconds, as between machines"],
)
def test_a_round_whose_heartbeat_is_of_the_future_is_not_shown_as_alive(
    loop_project: LoopProject, commands: list[click.Command], ahead: float, said: str, resumed: bool
) -> None:
    """A clock was wrong; reconciliation resumes the round unless a step of it runs."""
    RedisRetrainState(loop_project.context.connection).begin(loop_project.id, "ab" * 8, now=time.time() + ahead)
    value = show(loop_project, commands)["running round"]
    assert said in value
    assert ("will be resumed" in value) is resumed


def test_without_redis_the_files_are_shown_and_the_exit_code_tells(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password of Redis is not shown."""
    settings = unserved(loop_project)
    for module in (status_command, options):
        monkeypatch.setattr(module, "load_settings", lambda: settings)
    for words in ([], ["--json"]):
        result = run_one_of(commands, "status", "--project", str(loop_project.id), *words)
        assert result.exit_code == ServiceError.exit_code
        assert "Redis at redis://127.0.0.1:1/0 cannot be reached" in result.stdout
        assert result.stderr.startswith(
            "helioloop: Redis at redis://127.0.0.1:1/0 cannot be reached (Connection refused); start"
        )
        assert "mdi" in result.stdout or "small" in result.stdout
        assert "sesame" not in result.output


def with_contradictions(loop_project: LoopProject, n: int) -> None:
    """Write a label snapshot with this many contradictions and ties."""
    labels = {
        f"cube{k:04d}": CurrentLabel(cube=f"cube{k:04d}", label=None, source=LabelSource.TIED, contradiction=f"why {k}")
        for k in range(n)
    }
    Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes=labels).write(loop_project.model_dir)


@pytest.mark.parametrize("n", [5, 6, 2000])
def test_long_lists_are_capped_with_the_number_of_the_rest(
    loop_project: LoopProject, commands: list[click.Command], n: int
) -> None:
    """A bulk action can make thousands of contradictions; --all and --json have every one."""
    with_contradictions(loop_project, n)
    words = ["status", "--project", str(loop_project.id)]
    short = run_one_of(commands, *words).stdout.splitlines()
    assert sum(line.startswith("contradiction in ") for line in short) == 5
    rest = [line.split(maxsplit=1)[1] for line in short if line.startswith("contradictions ")]
    assert rest == ([f"{n - 5} more; --all lists them"] if n > 5 else [])
    (tied,) = (line for line in short if line.startswith("tied votes"))
    assert tied.endswith(f"cube0009 and {n - 10} more (--all lists them)" if n > 10 else f"cube{n - 1:04d}")
    full = run_one_of(commands, *words, "--all").stdout.splitlines()
    assert sum(line.startswith("contradiction in ") for line in full) == n
    values = json.loads(run_one_of(commands, *words, "--json").stdout)
    assert len(values["labels"]["contradictions"]) == len(values["labels"]["tied"]) == n
    assert f"{n} cubes have annotations to look at again, for example cube0000: why 0." in [
        entry["sentence"] for entry in values["also"]
    ]


def test_three_rounds_are_shown_unless_all_are_wanted(
    loop_project: LoopProject, task_data: Data, commands: list[click.Command]
) -> None:
    """The latest three of five, and how many are left out."""
    loop_project.import_cubes(task_data)
    for k in range(5):
        loop_project.publish(p_emergence=0.5 + 0.05 * k)
    loop_project.read()
    words = ["status", "--project", str(loop_project.id)]
    shown = [line.split("  ")[0] for line in run_one_of(commands, *words).stdout.splitlines()]
    audits = [name for name in shown if name.startswith("audit, ")]
    assert audits == ["audit, earlier rounds", "audit, v0003", "audit, v0004", "audit, v0005"]
    full = run_one_of(commands, *words, "--all").stdout
    assert all(f"audit, v000{k}" in full for k in range(1, 6))
    values = json.loads(run_one_of(commands, *words, "--json").stdout)
    assert [one["round"] for one in values["audit"]["rounds"]] == [1, 2, 3, 4, 5]
    assert values["published"]["version"] == "v0005"


def test_the_json_is_strict_and_has_no_secrets_and_no_foreign_folders(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line; numbers that are not finite are null."""
    error = ValueError(f"Token {TOKEN} of /data/releases/r3/labels.csv")
    fail(loop_project, messages.RetrainCheck(project=loop_project.id), error, monkeypatch)
    result = run_one_of(commands, "status", "--project", str(loop_project.id), "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert TOKEN not in result.stdout
    assert "/data/releases" not in result.stdout
    (job,) = json.loads(result.stdout)["services"]["failed_jobs"]
    assert (job["kind"], job["reason"]) == ("retrain check", "ValueError: Token … of labels.csv")
    facts = read_status(loop_project.registry)
    version = status_facts.VersionFacts(
        version="v0001", created_at="", reason="", labels=0, verified=0, members=0, recipe="", metrics={"auroc": nan}
    )
    assert json.loads(status_json(replace(facts, published=version)))["published"]["metrics"] == {"auroc": None}


def test_the_names_in_the_json_are_documented() -> None:
    """Each field of the facts has a row in docs/status.md, and each cause too."""
    text = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
    documented = set(re.findall(r"^\| `([\w-]+)`", text, flags=re.MULTILINE))
    assert {entry.name for entry in fields(status_facts.ProjectStatus)} | {"verdict", "also"} <= documented
    assert {*RULES, "nothing"} <= documented
    order = [text.index(f"| `{cause}`") for cause in RULES]
    assert order == sorted(order)


def test_a_watch_prints_plain_lines_when_something_changed_and_ends_with_ctrl_c(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three looks: the second one finds nothing new, before the third one the labels were read."""
    looks = iter([lambda: None, lambda: with_contradictions(loop_project, 1), lambda: None])

    def sleep(_: float) -> None:
        try:
            next(looks)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(status_command.time, "sleep", sleep)
    words = ["status", "--project", str(loop_project.id), "--watch"]
    result = run_one_of(commands, *words)
    assert result.exit_code == 0
    assert result.stdout.count("\nverdict ") == 2
    assert result.stdout.count("contradiction in cube0000") == 1
    assert "\x1b" not in result.stdout
    looks = iter([lambda: with_contradictions(loop_project, 2)])
    documents = [json.loads(line) for line in run_one_of(commands, *words, "--json").stdout.splitlines() if line]
    assert [len(values["labels"]["contradictions"]) for values in documents] == [1, 2]


def test_a_terminal_gets_the_first_lines_that_fit() -> None:
    """Ten columns, six rows: two are kept free, and a line of eleven letters takes two."""
    lines = ["a" * 11, "b", "c", "d"]
    assert status_command.fitting(lines, (10, 6)) == ["a" * 11, "b", "c", "… 1 more lines"]
    assert status_command.fitting(lines, (11, 6)) == lines


def test_the_command_imports_no_heavy_package(loop_project: LoopProject, task_data: Data) -> None:
    """In a process of its own, for a project with an audit, and for its model folder."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    loop_project.read()
    code = """if True:
        import sys
        from helioloop.cli import helioloop, load_commands
        load_commands(helioloop)
        helioloop(sys.argv[1:], standalone_mode=False)
        heavy = ("torch", "pandas", "scipy", "numpy", "astropy", "sunpy", "label_studio_sdk", "matplotlib", "PIL", "av")
        print("imported:", *(name for name in heavy if name in sys.modules))
    """
    settings = loop_project.context.settings
    environment = {"REDIS_URL": settings.redis_url, "HELIOLOOP_MODEL_ROOT": str(settings.model_root)}
    for words in (["--project", str(loop_project.id)], ["--model-dir", str(loop_project.model_dir)]):
        done = subprocess.run(
            [sys.executable, "-c", code, "status", *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "published version" in done.stdout
        assert done.stdout.splitlines()[-1] == "imported:"


def test_each_card_is_read_once_however_often_the_status_is_looked_at(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --watch that is every few seconds, and the card of a large project is slow to read."""
    loop_project.import_cubes(task_data)
    for _ in range(3):
        loop_project.publish()
    loop_project.read()
    read, whole = [], Card.read
    monkeypatch.setattr(Card, "read", lambda path: read.append(path.parent.name) or whole(path))
    shown = []
    for _ in range(3):
        shown.append(len(read))
        read_status(loop_project.registry, project=loop_project.id, settings=loop_project.context.settings)
    assert shown[2] == shown[1] <= 9  # of the versions for weights, audit and profile
