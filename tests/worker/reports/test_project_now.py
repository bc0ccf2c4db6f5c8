"""What annotators are told: version, verified labels, the running round with its progress and the time left."""

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.worker.conftest import CUBES, LoopProject, score_of

from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.estimates import Estimate
from helioloop.messaging.retrain_state import Running
from helioloop.model.plan import Plan
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import LOCATED, UNLOCATED, RoundOutline, Staging
from helioloop.registry.versions import Registry
from helioloop.words import duration
from helioloop_worker.reports import project_now, round_progress
from helioloop_worker.reports.project_now import PacedEstimates, ProjectNow, read_project_now
from helioloop_worker.reports.round_progress import RoundProgress, read_round_progress

Data = dict[str, dict[str, str]]
BEGUN = 1_800_000_000.0


def begin(loop_project: LoopProject) -> Plan:
    """Plan a round and put its plan into staging."""
    plan = loop_project.plan(reason="22 cubes were newly verified")
    with Staging(loop_project.model_dir).locked(plan.fingerprint) as folder:
        plan.save(folder)
    return plan


def train(loop_project: LoopProject, plan: Plan, member: str, *, at: float) -> None:
    """Put the file of a member into staging, as written at a time."""
    path = loop_project.registry.staging(plan.fingerprint) / plan.member(member).file
    path.write_bytes(b"")
    os.utime(path, (at, at))


def running(plan: Plan) -> Running:
    return Running(fingerprint=plan.fingerprint, since=BEGUN, heartbeat_at=BEGUN)


def progress(loop_project: LoopProject, plan: Plan, *, after: float) -> RoundProgress:
    found = read_round_progress(loop_project.registry, running(plan), now=BEGUN + after)
    assert found is not None
    return found


def previous(loop_project: LoopProject, *, member_seconds: float, rest_seconds: float) -> None:
    """Admit a version whose two members took this long each, and the rest so long; its files say so."""
    version = loop_project.publish()
    folder = loop_project.registry.folder(version)
    made = datetime.fromisoformat(loop_project.registry.card(version).created_at).timestamp()
    trained = made - rest_seconds
    for name, at in (("plan.json", trained - 2 * member_seconds), ("fold0-0.safetensors", trained - member_seconds),
                     ("fold1-0.safetensors", trained)):  # fmt: skip
        (folder / name).touch()
        os.utime(folder / name, (at, at))


# -- progress and time left -----------------------------------------------------------------------


def test_the_first_round_has_no_time_left_before_its_first_member(loop_project: LoopProject, task_data: Data) -> None:
    """Nothing is known yet; then the members trained so far give the training's end."""
    loop_project.import_cubes(task_data)
    plan = begin(loop_project)
    found = progress(loop_project, plan, after=10.0)
    assert (found.version, found.step, found.left) == ("v0001", "training member 1 of 2", "time left not known yet")
    train(loop_project, plan, "fold0-0", at=BEGUN + 300.0)
    found = progress(loop_project, plan, after=360.0)  # 300 s a member, of which 60 have passed
    assert (found.step, found.left_seconds, found.left) == (
        "training member 2 of 2",
        240.0,
        "about 4 min of training left",
    )
    assert found.reason == "22 cubes were newly verified"
    assert found.since == datetime.fromtimestamp(BEGUN, UTC)


def test_a_later_round_counts_scoring_too(loop_project: LoopProject, task_data: Data) -> None:
    """The latest version took 100 s a member and 60 s from the last member to the version."""
    loop_project.import_cubes(task_data)
    previous(loop_project, member_seconds=100.0, rest_seconds=60.0)
    plan = begin(loop_project)
    found = progress(loop_project, plan, after=30.0)
    assert (found.version, found.left_seconds) == ("v0002", pytest.approx(2 * 100 - 30 + 60, abs=2))
    train(loop_project, plan, "fold0-0", at=BEGUN + 200.0)  # slower than last time
    assert progress(loop_project, plan, after=200.0).left_seconds == pytest.approx(200 + 60, abs=2)
    train(loop_project, plan, "fold1-0", at=BEGUN + 400.0)
    found = progress(loop_project, plan, after=410.0)
    assert (found.phase, found.left_seconds) == ("scoring", pytest.approx(50, abs=2))


def test_a_round_that_takes_longer_than_thought_has_nothing_left(loop_project: LoopProject, task_data: Data) -> None:
    """Never a negative time."""
    loop_project.import_cubes(task_data)
    plan = begin(loop_project)
    train(loop_project, plan, "fold0-0", at=BEGUN + 100.0)
    assert progress(loop_project, plan, after=5000.0).left_seconds == 0.0


def test_members_that_were_there_when_the_round_was_resumed_do_not_set_its_pace(
    loop_project: LoopProject, task_data: Data
) -> None:
    """It was trained in an earlier attempt."""
    loop_project.import_cubes(task_data)
    plan = begin(loop_project)
    train(loop_project, plan, "fold0-0", at=BEGUN - 1000.0)
    found = progress(loop_project, plan, after=50.0)
    assert (found.done, found.left_seconds) == (1, None)


def test_locating_is_counted_in_cubes(loop_project: LoopProject, task_data: Data) -> None:
    """Of 24 cubes 10, then all: the version is being made."""
    loop_project.import_cubes(task_data)
    plan = begin(loop_project)
    for member in plan.members:
        train(loop_project, plan, member.name, at=BEGUN + 100.0)
    staging = loop_project.registry.staging(plan.fingerprint)
    scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes]
    write_scores(staging / UNLOCATED, scores[:10])  # scores are stored in pieces
    assert progress(loop_project, plan, after=110.0).step == "scoring all cubes"
    write_scores(staging / UNLOCATED, scores[10:])
    write_scores(staging / LOCATED, scores[:10])
    found = progress(loop_project, plan, after=120.0)
    assert (found.step, found.left_seconds) == ("locating emergences, 10 of 24 cubes done", None)
    write_scores(staging / LOCATED, scores[10:])
    assert progress(loop_project, plan, after=120.0).step == "making the version"


def test_each_score_file_of_a_round_is_read_once(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the progress is looked at; the plan is read once, too."""
    loop_project.import_cubes(task_data)
    plan = begin(loop_project)
    for member in plan.members:
        train(loop_project, plan, member.name, at=BEGUN + 100.0)
    staging = loop_project.registry.staging(plan.fingerprint)
    read: list[str] = []
    whole, outline = round_progress.read_score_file, Staging.outline

    def outlined(self: Staging, fingerprint: str) -> RoundOutline | None:
        read.append("plan.json")
        return outline(self, fingerprint)

    monkeypatch.setattr(
        round_progress, "read_score_file", lambda path, **how: read.append(path.name) or whole(path, **how)
    )
    monkeypatch.setattr(Staging, "outline", outlined)
    for done in range(1, 4):
        write_scores(
            staging / UNLOCATED, [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes[done - 1 : done]]
        )
        for _ in range(3):
            assert progress(loop_project, plan, after=110.0).done == done
    assert len(read) == len({*read}) == 4


def test_scores_that_the_round_does_not_need_are_not_counted(loop_project: LoopProject, task_data: Data) -> None:
    """Cubes of an earlier plan of the resumed round, a file with other content, and cubes that were done twice."""
    loop_project.import_cubes(task_data)
    plan = begin(loop_project)
    for member in plan.members:
        train(loop_project, plan, member.name, at=BEGUN + 100.0)
    staging = loop_project.registry.staging(plan.fingerprint)
    scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes]
    others = [score_of(f"gone{k}", "0" * 64, 0.75) for k in range(20)]
    changed = score_of(plan.cubes[0].name, "1" * 64, 0.75)
    write_scores(staging / UNLOCATED, [*scores[:10], *others, changed])
    assert progress(loop_project, plan, after=110.0).step == "scoring all cubes"
    write_scores(staging / UNLOCATED, scores[5:])
    for _ in range(3):
        write_scores(staging / LOCATED, [*scores[:10], *others])
    assert progress(loop_project, plan, after=120.0).step == "locating emergences, 10 of 24 cubes done"


def test_a_round_that_has_just_ended_has_no_progress(loop_project: LoopProject, task_data: Data) -> None:
    """Its folder has become a version."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    assert read_round_progress(loop_project.registry, running(plan), now=BEGUN) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "10 s"),
        (31.0, "40 s"),
        (50.0, "50 s"),
        (50.1, "1 min"),
        (61.0, "2 min"),
        (5340.0, "89 min"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_durations_are_rounded_up(seconds: float, words: str) -> None:
    """Nobody is promised less."""
    assert duration(seconds) == words


# -- the state of a project -----------------------------------------------------------------------


def test_a_project_before_its_first_version(loop_project: LoopProject, task_data: Data) -> None:
    """Nothing is invented."""
    now = read_project_now(loop_project.registry, None)
    assert (now.version, now.cubes, now.round) == (None, 0, None)
    assert dict(now.sentences())["Verified so far"] == "The labels were not read from Label Studio yet."
    loop_project.import_cubes(task_data)
    loop_project.read()
    now = read_project_now(loop_project.registry, None)
    assert now.short() == "No model yet. 0 of 24 verified."


def test_version_verified_labels_and_estimate(loop_project: LoopProject, task_data: Data) -> None:
    """Twelve cubes are verified in audit order, and all were right: an estimate of wrong labels exists."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish()
    order = audit_order(task.cube for task in loop_project.read().tasks.values())
    for cube in order[:12]:
        loop_project.label_studio.annotate(tasks[cube], task_data[cube]["crude_label"])
    loop_project.read()
    now = read_project_now(loop_project.registry, None)
    assert (now.version, now.labels, now.labels_verified) == (version, len(CUBES), 0)
    assert (now.cubes, now.verified) == (24, 12)
    assert now.wrong_left is not None
    assert now.wrong_left.lo == 0.0
    words = dict(now.sentences())
    assert words["Verified so far"].startswith("12 of 24 cubes (50%)")
    assert "of the 12 labels that nobody verified" in words["Labels estimated wrong"]
    assert words["Round"] == "No round is running."


def test_the_first_150_characters_have_what_matters() -> None:
    """Label Studio's card shows no more: version, verified, wrong labels and the round."""
    now = ProjectNow(
        at=datetime(2026, 11, 26, 14, 3, tzinfo=UTC),
        version="v0007",
        made_at=datetime(2026, 11, 26, 13, 40, tzinfo=UTC),
        labels=2000,
        cubes=2000,
        verified=142,
        wrong_left=Estimate(value=31.2, lo=18.0, hi=47.0),
        unverified_labels=1858,
        round=RoundProgress(
            version="v0008", since=datetime(2026, 11, 26, 14, 1, tzinfo=UTC), reason="r", phase="training", done=5,
            total=10, left_seconds=110.0,
        ),
    )  # fmt: skip
    assert now.short() == (
        "v0007 (26 Nov 13:40 UTC) from 2000 labels. 142 of 2000 verified, about 31 labels wrong. "
        "Now training member 6 of 10, about 2 min left (at 14:03 UTC)."
    )
    assert len(now.short()) <= 150


def test_a_cube_without_a_label_has_none_that_could_be_wrong(loop_project: LoopProject, task_data: Data) -> None:
    """One of 24 cubes has no crude label: the estimate is about the other labels, of which twelve are verified."""
    data = {**task_data, "cube00": {**task_data["cube00"], "crude_label": ""}}
    tasks = loop_project.import_cubes(data)
    loop_project.publish()
    order = audit_order(task.cube for task in loop_project.read().tasks.values() if task.cube.name != "cube00")
    for cube in order[:12]:
        loop_project.label_studio.annotate(tasks[cube], data[cube]["crude_label"])
    loop_project.read()
    now = read_project_now(loop_project.registry, None)
    assert (now.cubes, now.verified, now.unverified_labels) == (24, 12, 11)
    assert "of the 11 labels that nobody verified" in dict(now.sentences())["Labels estimated wrong"]


def test_no_estimate_is_shown_for_cubes_of_the_next_release_before_their_predictions(
    loop_project: LoopProject, task_data: Data
) -> None:
    """All 20 labels of the first release are verified; the four cubes that came after its version have no score."""
    first, later = CUBES[:20], CUBES[20:]
    tasks = loop_project.import_cubes(task_data, first)
    loop_project.publish()
    for cube in first:
        loop_project.label_studio.annotate(tasks[cube], task_data[cube]["crude_label"])
    loop_project.import_cubes(task_data, later)
    loop_project.read()
    now = read_project_now(loop_project.registry, None)
    assert (now.unverified_labels, now.unscored) == (0, 4)
    assert now.short().endswith("20 of 24 verified, 4 without a prediction yet.")
    assert dict(now.sentences())["Labels estimated wrong"] == (
        "There is no label that nobody verified and whose cube has a prediction. Nothing is known yet about 4 more "
        "labels, of cubes without one."
    )


def test_where_all_labels_are_verified_nothing_is_estimated(loop_project: LoopProject, task_data: Data) -> None:
    """It was “at most 0 labels wrong”, and “about 0 of the 0 labels”."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    for cube in CUBES:
        loop_project.label_studio.annotate(tasks[cube], task_data[cube]["crude_label"])
    loop_project.read()
    now = read_project_now(loop_project.registry, None)
    assert now.short().endswith("24 of 24 verified.")
    assert dict(now.sentences())["Labels estimated wrong"] == "There is no label that nobody verified."


# -- the estimate, paced --------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "computed"), [(0.1, 3), (2.0, 2)])
def test_an_estimate_that_takes_long_stays_for_a_while(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch, seconds: float, computed: int
) -> None:
    """Two corrections within 40 s, and one later: with 2 s for an estimate, the first two get the one from before."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    now, work, calls = [0.0], [0.0], []
    whole = project_now.read_audit

    def counted(registry: Registry, snapshot: Snapshot) -> object:
        calls.append(now[0])
        work[0] += seconds
        return whole(registry, snapshot)

    monkeypatch.setattr(project_now, "read_audit", counted)
    estimates = PacedEstimates(clock=lambda: now[0], work_clock=lambda: work[0])
    for at, cube in ((0.0, CUBES[0]), (39.0, CUBES[1]), (41.0, CUBES[2])):
        now[0] = at
        loop_project.label_studio.annotate(tasks[cube], "emergence")
        snapshot = replace(loop_project.read().snapshot, read_at=str(at))
        for _ in range(2):  # without a change in between nothing is computed
            last = estimates.get(loop_project.registry, snapshot)
    assert len(calls) == computed
    assert last is not None
    assert last.cubes - last.verified == 21


def test_the_estimate_beside_a_new_version_is_that_of_this_version(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: an estimate of the former version would be shown beside the name of the new one."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    now, work, calls = [0.0], [0.0], []
    whole = project_now.read_audit

    def counted(registry: Registry, snapshot: Snapshot) -> object:
        calls.append(registry.published())
        work[0] += 100.0
        return whole(registry, snapshot)

    monkeypatch.setattr(project_now, "read_audit", counted)
    estimates = PacedEstimates(clock=lambda: now[0], work_clock=lambda: work[0])
    snapshot = loop_project.read().snapshot
    estimates.get(loop_project.registry, snapshot)
    now[0] = 1.0
    loop_project.publish()
    for _ in range(2):
        estimates.get(loop_project.registry, snapshot)
    assert calls == ["v0001", "v0002"]
    loop_project.registry.publish("v0001", why="by hand")
    estimates.get(loop_project.registry, snapshot)
    assert calls == ["v0001", "v0002", "v0001"]
