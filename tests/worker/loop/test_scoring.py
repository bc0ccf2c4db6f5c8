"""Scoring jobs: what is served first, which members speak, and what a job of a superseded version does."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.worker.conftest import SMALL, Desk, make_release, score_of, work

from helioloop.data.cubes import write_cube
from helioloop.data.release import Release
from helioloop.messaging import messages, queues
from helioloop.messaging.claims import RedisClaims
from helioloop.model import ensemble
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.records import CubeInfo
from helioloop.workflows import rounds as rounding
from helioloop.workflows.releases import score_release
from helioloop_worker import jobs
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop import writeback
from helioloop_worker.worker import ROLE_QUEUES

Data = dict[str, dict[str, str]]

CUBE = CubeInfo(release="made", name="late", sha256="1" * 64, start=None, region=None, label=None, verified=False)


class Asked(messages.Score):
    """A score that somebody waits for, whose job exists everywhere."""

    job = "builtins.dict"


class Many(messages.ScoreBulk):
    """A part of a release."""

    job = "builtins.dict"


class Tended(messages.RetrainCheck):
    """A judgement."""

    job = "builtins.dict"


# -- what is served first --------------------------------------------------------------------------


def test_a_release_to_be_scored_holds_nothing_else_back(desk: Desk) -> None:
    """Its parts were sent first; the role `score` takes up what somebody waits for, then a judgement, then them."""
    connection = desk.context.connection
    sent: Sequence[messages.Message] = (
        Many(project=1, version="v0001", cubes=(CUBE,)),
        Many(project=1, version="v0002", cubes=(CUBE,)),
        Tended(project=1),
        Asked(project=1, version="v0001", cubes=(CUBE,)),
    )
    for message in sent:
        queues.send(connection, message)
    work(desk, *ROLE_QUEUES["score"])
    started = sorted(sent, key=lambda message: desk.job(message.job_id).started_at)
    assert [message.queue for message in started] == [
        "helioloop-score",
        "helioloop-maintenance",
        "helioloop-bulk",
        "helioloop-bulk",
    ]


# -- a version that is no longer published ---------------------------------------------------------


def test_a_superseded_version_scores_nothing(desk: Desk, task_data: Data, caplog: pytest.LogCaptureFixture) -> None:
    """Its members would work for nobody; the cubes may be asked for again, and do not count as unscorable."""
    desk.import_cubes(task_data)
    first, _ = desk.publish(without=["cube00"]), desk.publish()
    cube = desk.view().tasks["cube00"].cube
    claims = RedisClaims(desk.context.connection)
    claims.claim(desk.project, first, [cube])
    message = messages.Score(project=desk.project, version=first, cubes=(cube,))
    with caplog.at_level("INFO"):
        said = jobs.score(desk.context, **message.payload())
    assert said == "v0001 is no longer published: 1 cubes are not scored with it"
    assert said in caplog.text
    assert claims.claim(desk.project, first, [cube]) == [cube]
    assert writeback.read_unscorable(desk.model_dir, first) == set()
    assert desk.queued() == []


# -- which members speak ---------------------------------------------------------------------------


@pytest.fixture
def later(desk: Desk) -> Release:
    """A later release: cube90 follows region3, which cube03 of the first one follows, cube91 a region of its own."""
    folder = make_release(desk.context.settings.release_roots[1] / "later", ["cube91"])
    field = np.random.default_rng(90).normal(0.0, 20.0, (24, 24, 24))
    write_cube(
        folder / "cube90.fits", field, np.arange(24) * 5760.0,
        start="2002-01-01T00:00:00", region="region3", instrument=SMALL,
    )  # fmt: skip
    return Release.open(folder)


def task_of(desk: Desk, release: Release, cube: str) -> dict[str, str]:
    """The data that ingestion would import."""
    loader = desk.context.loader
    planned, _ = loader.parse(loader.read_files(release.name, cube))
    return {
        "video": f"/{cube}.mp4", "cube": cube, "release": release.name, "sha256": planned.sha256,
        "region": planned.region or "", "start": f"{planned.start}Z", "crude_label": "",
    }  # fmt: skip


def publish_trained(desk: Desk) -> str:
    """Train two members of one epoch and publish them, with scores of the trained cubes by hand."""
    plan = desk.plan()
    staging = desk.registry.staging(plan.fingerprint)
    plan.save(staging)
    for member in plan.members:
        ensemble.train_member(plan, member.name, staging, desk.context.runtime(silent))
    scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes]
    version = rounding.close_round(plan, staging, desk.registry, scores).version
    desk.registry.publish(version, why="made by hand")
    return version


def test_the_job_lets_those_members_speak_that_speak_without_label_studio(
    desk: Desk, task_data: Data, later: Release
) -> None:
    """cube03 stands in one fold of two: of another cube of its region that fold's member alone speaks, of one both."""
    desk.import_cubes(task_data)
    version = publish_trained(desk)
    _, offline = score_release(later, desk.registry, desk.context.runtime(silent), version=version)

    desk.label_studio.import_tasks(desk.project, [task_of(desk, later, "cube90"), task_of(desk, later, "cube91")])
    jobs.write_back(desk.context, desk.project, version)
    (job,) = desk.queued()
    assert jobs.score(desk.context, **desk.job(job).kwargs) == 2

    fold = Plan.read(desk.registry.folder(version)).folds["cube03"]
    stored = {cube: score.members for (cube, _), score in desk.registry.scores(version).items()}
    by_job = {cube: stored[cube] for cube in ("cube90", "cube91")}
    assert by_job == {"cube90": (f"fold{fold}-0",), "cube91": ("fold0-0", "fold1-0")}
    assert {cube.name: score.members for cube, score in offline} == by_job


def test_a_job_that_was_queued_before_regions_travelled_still_runs(desk: Desk, task_data: Data) -> None:
    """Its payload names release, cube and hash alone."""
    desk.import_cubes(task_data)
    version = desk.publish()
    entry = CubeInfo(release="made", name="cube00", sha256=task_data["cube00"]["sha256"]).as_dict()
    assert jobs.score(desk.context, desk.project, version, [entry]) == 0  # it is scored already


# -- cubes that could not be scored ----------------------------------------------------------------


def test_an_ingestion_has_all_cubes_tried_again(desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk was not mounted when cube00 was to be scored; it is back, and the next release is taken in."""
    monkeypatch.setattr(ingestion, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    desk.import_cubes(task_data)
    version = desk.publish(without=["cube00"])
    writeback.note_unscorable(desk.model_dir, version, [desk.view().tasks["cube00"].cube])
    assert jobs.write_back(desk.context, desk.project, version)["missing"] == 0
    make_release(desk.context.settings.release_roots[1] / "next", ["cube30"])
    jobs.ingest(desk.context, desk.project, "next")
    assert writeback.read_unscorable(desk.model_dir, version) == set()
    assert f"write-back-{desk.project}-{version}" in desk.queued()
    missing = writeback.write_back(desk.context, desk.project, version, report=silent).missing
    assert [cube.name for cube in missing] == ["cube00", "cube30"]
