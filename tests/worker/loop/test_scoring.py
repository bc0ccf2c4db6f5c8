"""Scoring jobs: their order, the members that score a cube, and jobs of a superseded version."""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.worker.conftest import CUBES, PROFILE, SMALL, LoopProject, make_release, score_of, work

from helioloop.data.cubes import write_cube
from helioloop.data.release import Release
from helioloop.messaging import messages, queues
from helioloop.messaging.claims import RedisClaims
from helioloop.messaging.job_failures import PARKED_SECONDS
from helioloop.messaging.roles import ROLE_QUEUES
from helioloop.model import ensemble
from helioloop.model.members import train_member
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.unscorable import add_unscorable, read_unscorable, unscorable_path
from helioloop.workflows import rounds as rounding
from helioloop.workflows.releases import score_release
from helioloop_worker import jobs
from helioloop_worker.loop import scoring, writeback
from helioloop_worker.loop.failing import give_second_chance
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.reconcile import reconcile

Data = dict[str, dict[str, str]]

CUBE = CubeInfo(release="made", name="late", sha256="1" * 64, start=None, region=None, label=None, verified=False)


class Asked(messages.Score):
    """A score that somebody waits for; its job is a function that every process has."""

    job = "builtins.dict"


class Many(messages.ScoreBulk):
    """A chunk of a release."""

    job = "builtins.dict"


class Check(messages.RetrainCheck):
    """A retrain check."""

    job = "builtins.dict"


# -- order -----------------------------------------------------------------------------------------


def test_scores_of_a_release_come_last(loop_project: LoopProject) -> None:
    """They were sent first; the role `score` runs scores that somebody waits for, then a check, then these."""
    connection = loop_project.context.connection
    sent: Sequence[messages.Message] = (
        Many(project=1, version="v0001", cubes=(CUBE,)),
        Many(project=1, version="v0002", cubes=(CUBE,)),
        Check(project=1),
        Asked(project=1, version="v0001", cubes=(CUBE,)),
    )
    for message in sent:
        queues.send(connection, message)
    work(loop_project, *ROLE_QUEUES["score"])
    started = sorted(sent, key=lambda message: loop_project.job(message.job_id).started_at)
    assert [message.queue for message in started] == [
        "helioloop-score",
        "helioloop-maintenance",
        "helioloop-bulk",
        "helioloop-bulk",
    ]


def test_a_cube_is_known_to_have_no_score_before_it_can_be_requested_again(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is released last, or another request would come in between."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    found: list[set[str]] = []

    def release(*_: object) -> None:
        found.append(read_unscorable(loop_project.model_dir, version))

    monkeypatch.setattr(RedisClaims, "release", release)
    monkeypatch.setattr(scoring, "_score_and_locate", lambda *_: [])
    jobs.score(loop_project.context, loop_project.id, version, [CUBE.as_dict()])
    assert found == [{CUBE.sha256}]


# -- a version that is no longer published ---------------------------------------------------------


def test_a_superseded_version_scores_nothing(
    loop_project: LoopProject, task_data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would see the scores; the cubes can be requested again, and do not count as unscorable."""
    loop_project.import_cubes(task_data)
    first, _ = loop_project.publish(without=["cube00"]), loop_project.publish()
    cube = loop_project.read().tasks["cube00"].cube
    claims = RedisClaims(loop_project.context.connection)
    claims.claim(loop_project.id, first, [cube])
    message = messages.Score(project=loop_project.id, version=first, cubes=(cube,))
    with caplog.at_level("INFO"):
        said = jobs.score(loop_project.context, message.project, message.version, message.payload()["cubes"])
    assert said == "v0001 is no longer published: 1 cube not scored with it"
    assert said in caplog.text
    assert claims.claim(loop_project.id, first, [cube]) == [cube]
    assert read_unscorable(loop_project.model_dir, first) == set()
    assert loop_project.queued() == []


# -- which members score a cube --------------------------------------------------------------------


@pytest.fixture
def later(loop_project: LoopProject) -> Release:
    """A later release: cube90 follows region3, which cube03 of the first one follows, cube91 a region of its own."""
    folder = make_release(loop_project.context.settings.release_roots[1] / "later", ["cube91"])
    field = np.random.default_rng(90).normal(0.0, 20.0, (24, 24, 24))
    write_cube(
        folder / "cube90.fits", field, np.arange(24) * 5760.0,
        start="2002-01-01T00:00:00", region="region3", instrument=SMALL,
    )  # fmt: skip
    return Release.open(folder)


def task_of(loop_project: LoopProject, release: Release, cube: str) -> dict[str, str]:
    """The data that ingestion would import."""
    loader = loop_project.context.loader(PROFILE)
    planned, _ = loader.parse(loader.read_files(release.name, cube))
    return {
        "video": f"/{cube}.mp4", "curve": f"/{cube}.json", "reason": f"/{cube}.txt",
        "cube": cube, "release": release.name, "sha256": planned.sha256,
        "region": planned.region or "", "start": f"{planned.start}Z", "crude_label": "",
    }  # fmt: skip


def publish_trained(loop_project: LoopProject) -> str:
    """Train two members of one epoch and publish them, with scores of the trained cubes by hand."""
    plan = loop_project.plan()
    staging = loop_project.registry.staging(plan.fingerprint)
    plan.save(staging)
    runtime = loop_project.context.runtime(loop_project.id, silent)
    for member in plan.members:
        train_member(plan, member.name, staging, runtime)
    ensemble.keep_growth_odds(plan, staging, runtime)
    scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes]
    version = rounding.close_round(plan, staging, loop_project.registry, scores).version
    loop_project.registry.publish(version, why="made by hand")
    return version


def test_the_job_uses_the_same_members_as_scoring_without_label_studio(
    loop_project: LoopProject, task_data: Data, later: Release
) -> None:
    """cube03 is in one of two folds: only that fold's member scores another cube of its region; both score others."""
    loop_project.import_cubes(task_data)
    version = publish_trained(loop_project)
    runtime = loop_project.context.runtime(loop_project.id, silent)
    _, offline = score_release(later, loop_project.registry, runtime, version=version)

    loop_project.label_studio.import_tasks(
        loop_project.id, [task_of(loop_project, later, "cube90"), task_of(loop_project, later, "cube91")]
    )
    jobs.write_back(loop_project.context, loop_project.id, version)
    (job,) = loop_project.queued()
    assert jobs.score(loop_project.context, loop_project.id, version, loop_project.job(job).kwargs["cubes"]) == 2

    fold = Plan.read(loop_project.registry.folder(version)).folds["cube03"]
    stored = {cube: score.members for (cube, _), score in loop_project.registry.scores(version).items()}
    by_job = {cube: stored[cube] for cube in ("cube90", "cube91")}
    assert by_job == {"cube90": (f"fold{fold}-0",), "cube91": ("fold0-0", "fold1-0")}
    assert {cube.name: score.members for cube, score in offline} == by_job


def test_a_job_without_regions_still_runs(loop_project: LoopProject, task_data: Data) -> None:
    """It was queued by an older version, and its payload contains only release, cube and hash."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    entry = CubeInfo(release="made", name="cube00", sha256=task_data["cube00"]["sha256"]).as_dict()
    assert jobs.score(loop_project.context, loop_project.id, version, [entry]) == 0  # it is scored already


def test_a_humans_emergence_is_located_however_improbable_it_is(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task's cube in the message has no label; of two cubes at p .05, the crude emergence gets no frame."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish(without=CUBES[:2])
    state = loop_project.read()
    assert [state.label(cube).label for cube in CUBES[:2]] == [Label.NON_EMERGENCE, Label.EMERGENCE]
    loop_project.label_studio.annotate(state.tasks[CUBES[0]].ids[0], "emergence")
    loop_project.read()
    located: list[str] = []

    def locate(_: object, cube: CubeInfo, score: CubeScore, __: object) -> CubeScore:
        located.append(cube.name)
        return score

    def improbable(_: object, cubes: Sequence[CubeInfo], __: object) -> list[CubeScore]:
        return [score_of(cube.name, cube.sha256, 0.05) for cube in cubes]

    monkeypatch.setattr(ensemble.EnsembleCache, "open", lambda *_: None)
    monkeypatch.setattr(ensemble, "score_cubes", improbable)
    monkeypatch.setattr("helioloop.emergence.locate.locate", locate)
    message = messages.Score(
        project=loop_project.id, version=version, cubes=tuple(state.tasks[cube].cube for cube in CUBES[:2])
    )
    assert jobs.score(loop_project.context, loop_project.id, version, message.payload()["cubes"]) == 2
    assert located == [CUBES[0]]


# -- cubes that could not be scored ----------------------------------------------------------------


def test_after_an_ingestion_all_cubes_are_tried_again(loop_project: LoopProject, task_data: Data) -> None:
    """A disk was not mounted when cube00 was to be scored; it is mounted again, and the next release is ingested."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish(without=["cube00"])
    add_unscorable(loop_project.model_dir, version, [loop_project.read().tasks["cube00"].cube])
    assert jobs.write_back(loop_project.context, loop_project.id, version)["missing"] == 0
    make_release(loop_project.context.settings.release_roots[1] / "next", ["cube30"])
    jobs.ingest(loop_project.context, loop_project.id, "next")
    assert read_unscorable(loop_project.model_dir, version) == set()
    assert f"write-back-{loop_project.id}-{version}" in loop_project.queued()
    missing = writeback.write_back(loop_project.context, loop_project.id, version, report=silent).missing
    assert [cube.name for cube in missing] == ["cube00", "cube30"]


@pytest.mark.parametrize(
    ("when", "first"), [("a worker starts", 80), ("hours later", 82), ("minutes later", 84)]
)  # other cubes each time: the tests share a cache
def test_cubes_of_a_release_that_was_away_are_scored_without_another_ingestion(
    loop_project: LoopProject, task_data: Data, trained: Path, when: str, first: int
) -> None:
    """Its disk was not mounted when its cubes were to be scored; before, they waited for the next version."""
    shutil.copytree(trained, loop_project.model_dir, dirs_exist_ok=True)
    loop_project.import_cubes(task_data)
    context, root = loop_project.context, loop_project.context.settings.release_roots[1]
    make_release(root / "next", [f"cube{first}", f"cube{first + 1}"])
    ingest(context, loop_project.id, "next", report=silent)
    (root / "next").rename(root.parent / "away")
    queues.send(context.connection, messages.WriteBack(project=loop_project.id, version="v0001"))
    work(loop_project, messages.QUEUE_MAINTENANCE, messages.QUEUE_BULK)
    assert len(read_unscorable(loop_project.model_dir, "v0001")) == 2
    (root.parent / "away").rename(root / "next")
    if when != "a worker starts":
        at = time.time() - (60.0 if when == "minutes later" else PARKED_SECONDS + 60.0)
        os.utime(unscorable_path(loop_project.model_dir, "v0001"), (at, at))
    give_second_chance(
        context.connection, context.settings, parked_seconds=0.0 if when == "a worker starts" else PARKED_SECONDS
    )
    reconcile(context, loop_project.id)
    work(loop_project, messages.QUEUE_MAINTENANCE, messages.QUEUE_BULK)
    shown = len(task_data) + (0 if when == "minutes later" else 2)
    assert len(loop_project.rows("v0001")) == shown
