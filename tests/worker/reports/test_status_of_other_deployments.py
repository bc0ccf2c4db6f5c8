"""``helioloop status`` where a worker, or all of Redis, is another deployment's; on a real Redis."""

import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import pytest
from tests.worker.conftest import LoopProject, work
from tests.worker.shell import run_one_of

from helioloop.messaging import messages, queues
from helioloop.messaging.served_root import KEY, ServedRoot, claim_redis
from helioloop.registry.requested_rounds import request_path
from helioloop.registry.root_identity import FILE_NAME, make_root_identity
from helioloop_worker.context import Context
from helioloop_worker.doctor.gathering_redis import read_redis
from helioloop_worker.loop.round_requests import add_request, resend_planning
from helioloop_worker.reports.status_json import status_json
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.serving.role_workers import ScoringWorker, TrainingWorker
from helioloop_worker.serving.worker_process import make_worker

MINUTE = 60.0


def register(loop_project: LoopProject, root: Path, *, role: str = "train") -> TrainingWorker | ScoringWorker:
    """Register a worker of a role with this model root, as its first heartbeat does."""
    root.mkdir(parents=True, exist_ok=True)
    settings = loop_project.context.settings.model_copy(update={"model_root": root})
    serving = make_worker("train" if role == "train" else "score", Context(settings), "cpu", make_root_identity(root))
    serving.register_birth()
    serving.heartbeat()
    return serving


def verdict(loop_project: LoopProject, *, now: float | None = None) -> dict[str, str]:
    """Return the first finding of the project's status."""
    status = read_status(
        loop_project.registry, project=loop_project.id, settings=loop_project.context.settings, now=now
    )
    found: dict[str, str] = json.loads(status_json(status))["verdict"]
    return found


def test_a_worker_that_was_started_in_another_folder_is_named(loop_project: LoopProject, tmp_path: Path) -> None:
    """Its default model root is relative; the other worker has the right one. No folder but the project's is shown."""
    right = register(loop_project, loop_project.context.settings.model_root, role="score")
    wrong = register(loop_project, tmp_path / "home" / "helioloop-data" / "models")
    try:
        found = verdict(loop_project)
    finally:
        for serving in (right, wrong):
            serving.register_death()
    assert found["cause"] == "model-folder"
    assert f"The worker {wrong.hostname}:{wrong.pid} works in another model folder" in found["sentence"]
    assert str(tmp_path) not in json.dumps(found)


def test_workers_that_share_the_folder_by_another_path_are_not_named(loop_project: LoopProject, tmp_path: Path) -> None:
    """As on two machines that mount it at different places."""
    root = loop_project.context.settings.model_root
    (tmp_path / "mounted").symlink_to(root, target_is_directory=True)
    served = [register(loop_project, root, role="score"), register(loop_project, tmp_path / "mounted")]
    try:
        found = verdict(loop_project)
    finally:
        for serving in served:
            serving.register_death()
    assert found["cause"] != "model-folder"


def test_a_redis_of_another_deployment_is_named(loop_project: LoopProject, tmp_path: Path) -> None:
    """Its own queues and workers would look as if all were well."""
    settings = loop_project.context.settings.model_copy(update={"model_root": tmp_path / "production"})
    make_root_identity(loop_project.context.settings.model_root)
    claim_redis(loop_project.context.connection, settings, "b" * 16)
    found = verdict(loop_project)
    assert found["cause"] == "model-folder"
    assert "Redis is in use for another model folder than this one (used 0 s ago)" in found["sentence"]
    assert "production" not in json.dumps(found)
    assert verdict(loop_project, now=time.time() + 301.0)["cause"] != "model-folder"


def test_a_model_folder_whose_identity_is_unknown_is_not_called_another_one(loop_project: LoopProject) -> None:
    """The file of its identity was cut off: it may be the folder that Redis and the worker serve."""
    root = loop_project.context.settings.model_root
    serving = register(loop_project, root)
    claim_redis(loop_project.context.connection, loop_project.context.settings, make_root_identity(root))
    (root / FILE_NAME).write_text("")
    try:
        found = [verdict(loop_project, now=time.time() + later)["cause"] for later in (0.0, 86400.0)]
    finally:
        serving.register_death()
    assert "model-folder" not in found


def test_a_model_folder_whose_disk_is_not_mounted_is_named(loop_project: LoopProject) -> None:
    """Redis was in use for the folder on it, at the same path; however long ago, doctor and status say so."""
    settings = loop_project.context.settings
    claim_redis(loop_project.context.connection, settings, "b" * 16)
    make_root_identity(settings.model_root)
    found = verdict(loop_project, now=time.time() + 86400.0)
    assert found["cause"] == "model-folder"
    assert "its disk is not mounted" in found["sentence"]
    facts: dict[str, Any] = {}
    read_redis(lambda **read: facts.update(read), settings, timeout_seconds=2.0)
    assert (facts["redis"].served.identity, facts["redis"].is_same_place) == ("b" * 16, True)


@pytest.mark.parametrize("there", ["an older project folder", "an empty folder", "no folder"])
def test_a_disk_that_is_not_mounted_is_named_before_anything_was_written_in_its_place(
    loop_project: LoopProject, commands: list[click.Command], there: str
) -> None:
    """The status is the first command after a restart of the machine; it makes no folder and no identity."""
    settings = loop_project.context.settings
    claim = ServedRoot.here(settings, "b" * 16)
    loop_project.context.connection.set(KEY, json.dumps(asdict(replace(claim, used_at=time.time() - 86400.0))))
    if there != "an older project folder":
        shutil.rmtree(settings.model_root)
    if there == "an empty folder":
        settings.model_root.mkdir()
    found = run_one_of(commands, "status", "--project", str(loop_project.id))
    assert "disk is not mounted" in found.output
    assert "ount the disk" in found.output
    assert "helioloop init" not in found.output
    assert not (settings.model_root / FILE_NAME).exists()
    assert settings.model_root.exists() is (there != "no folder")


def test_a_project_that_was_not_set_up_is_told_so_where_redis_is_free(
    loop_project: LoopProject, commands: list[click.Command]
) -> None:
    """A claim of another place that nobody has used for a day keeps nobody from it."""
    settings = loop_project.context.settings
    claim = replace(ServedRoot.here(settings, "b" * 16), folder="/elsewhere", used_at=time.time() - 86400.0)
    loop_project.context.connection.set(KEY, json.dumps(asdict(claim)))
    shutil.rmtree(settings.model_root)
    found = run_one_of(commands, "status", "--project", str(loop_project.id))
    assert (found.exit_code, "run `helioloop init` first" in found.output) == (2, True)


def test_another_deployment_of_equal_path_and_host_name_is_no_disk_that_is_not_mounted(
    loop_project: LoopProject,
) -> None:
    """While it uses Redis, whoever empties it empties the queues of the other one."""
    settings = loop_project.context.settings
    claim_redis(loop_project.context.connection, settings, "b" * 16)
    make_root_identity(settings.model_root)
    found = verdict(loop_project)
    assert "Redis is in use for another model folder than this one (used 0 s ago)" in found["sentence"]
    assert "mount the disk" in found["action"]
    assert "FLUSHDB" not in found["action"]


def test_a_request_that_another_deployments_worker_planned_in_its_own_folder_is_not_well(
    loop_project: LoopProject, tmp_path: Path
) -> None:
    """It finds no request there, and reconciliation sends the planning again and again. Early on all is well."""
    elsewhere = Context(
        loop_project.context.settings.model_copy(update={"model_root": tmp_path / "elsewhere"}),
        open_redis=lambda _: loop_project.context.connection,
        open_label_studio=lambda _: loop_project.label_studio,
    )
    add_request(loop_project.context, loop_project.id, forced=False)
    for _ in range(2):
        resend_planning(loop_project.context, loop_project.id)
        work(LoopProject(context=elsewhere, label_studio=loop_project.label_studio, id=loop_project.id))
    loop_project.context.state.add_events(loop_project.id, 4, now=time.time())
    now = time.time()
    early, late = (
        {finding["cause"]: finding["well"] for finding in _findings(loop_project, now=now + minutes * MINUTE)}
        for minutes in (5, 12)
    )
    assert early["first-round"]
    assert "unplanned-round" not in early
    assert late["unplanned-round"] is False
    assert "first-round" not in late


def test_a_request_whose_planning_waits_for_its_worker_is_well_however_old(loop_project: LoopProject) -> None:
    """Long ingestions may be before it in the queue."""
    add_request(loop_project.context, loop_project.id, forced=True)
    queues.send(loop_project.context.connection, messages.PlanRound(project=loop_project.id))
    causes = [finding["cause"] for finding in _findings(loop_project, now=time.time() + 86400.0)]
    assert "unplanned-round" not in causes


def test_a_damaged_request_is_none(loop_project: LoopProject) -> None:
    """The loop plans it all the same; when it was made is not known."""
    path = request_path(loop_project.model_dir, "check")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    causes = [finding["cause"] for finding in _findings(loop_project, now=time.time() + 86400.0)]
    assert "unplanned-round" not in causes


def _findings(loop_project: LoopProject, *, now: float) -> list[dict[str, str | bool]]:
    status = read_status(
        loop_project.registry, project=loop_project.id, settings=loop_project.context.settings, now=now
    )
    values = json.loads(status_json(status))
    return [values["verdict"], *values["also"]]
