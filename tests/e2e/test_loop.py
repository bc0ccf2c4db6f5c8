"""The complete loop with real services, in the order of a campaign. Each test leaves the loop idle."""

import base64
import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import redis

from helioloop.data.truth import read_truth
from helioloop.environment.addresses import redis_passwords
from helioloop.messaging import redis_client
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.model.plan import Plan
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop_worker.loop.video import check_video
from tests.e2e.conftest import CUBES, GRACE_SECONDS, ROUND_SECONDS, Loop, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def predictions_by_task(loop: Loop, version: str) -> dict[int, list[dict]]:
    """All prediction rows of a version, by task."""
    rows: dict[int, list[dict]] = {}
    for row in loop.client.predictions.list(project=loop.project):
        if row.model_version == version:
            rows.setdefault(row.task, []).append({"id": row.id, "score": row.score, "result": row.result})
    return rows


def ranges_of(result: list[dict]) -> list[dict]:
    """The timeline ranges in a prediction's result."""
    return [stretch for item in result if item["type"] == "timelinelabels" for stretch in item["value"]["ranges"]]


def next_version(loop: Loop, after: str) -> str:
    """Wait until a version later than `after` is published and shown, and return its name."""
    until(lambda: (loop.published() or "") > after, seconds=ROUND_SECONDS)
    return str(loop.published())


def idle(loop: Loop) -> bool:
    """Tell whether no event waits, no round is requested or runs, and Label Studio shows the published version."""
    connection = redis_client.connect(loop.settings)
    state = RedisRetrainState(connection)
    requested = any((loop.registry.root / "round-requests").glob("*.json"))
    resting = state.pending_events(loop.project) is None and state.running(loop.project) is None and not requested
    connection.close()
    return resting and loop.published() is not None


def wrong_cubes(loop: Loop) -> list[str]:
    """Cubes whose crude label is wrong by construction, by name."""
    tasks = loop.tasks()
    return sorted(
        cube
        for cube, entry in tasks.items()
        if cube in loop.truth and entry["data"]["crude_label"] not in {"", loop.truth[cube]}
    )


# -- ingestion ------------------------------------------------------------------------------------


def test_every_readable_cube_becomes_one_task_and_the_bad_one_is_excluded(loop: Loop) -> None:
    """Sixty-four cubes are as many tasks; the web page in a cube's place is listed with its reason."""
    tasks = loop.label_studio.tasks(loop.project)
    assert len(tasks) == CUBES
    assert len({entry["data"]["cube"] for entry in tasks}) == CUBES
    assert set(tasks[0]["data"]) == {
        "video", "curve", "reason", "cube", "release", "crude_label", "region", "start", "sha256", "triage",
    }  # fmt: skip
    excluded = (loop.registry.root / "excluded" / "made.csv").read_text().splitlines()
    assert len(excluded) == 2
    assert excluded[1].startswith("broken_page,")


def test_ingesting_again_imports_nothing(loop: Loop) -> None:
    """A second ingestion of the same release finds every cube there."""
    outcome = loop.ingest("made")
    assert (outcome["imported"], outcome["present"]) == (0, CUBES)
    assert len(loop.label_studio.tasks(loop.project)) == CUBES


def test_each_video_has_one_frame_per_grid_frame_and_label_studio_serves_it(loop: Loop) -> None:
    """225 frames at 25 a second, and range requests are answered, so that a browser can seek."""
    entry = loop.label_studio.tasks(loop.project)[0]
    name = entry["data"]["video"].partition("?d=")[2]
    info = check_video(loop.settings.media_root / name)
    assert (info.n_frames, info.fps) == (MDI.n_frames, 25)
    answer = httpx.get(
        loop.stack.label_studio_url + entry["data"]["video"],
        headers={"Authorization": f"Token {loop.stack.login.token}", "Range": "bytes=0-99"},
    )
    assert (answer.status_code, len(answer.content)) == (206, 100)


# -- the first version ----------------------------------------------------------------------------


def test_the_first_version_gives_every_task_one_prediction_whose_score_is_the_agreement(loop: Loop) -> None:
    """Score = P(current label) from the stored out-of-fold probability; the project shows that version."""
    rows = predictions_by_task(loop, "v0001")
    scores = loop.registry.scores("v0001")
    tasks = loop.tasks()
    assert Counter(len(found) for found in rows.values()) == {1: CUBES}
    assert loop.label_studio.project(loop.project).model_version == "v0001"
    for entry in tasks.values():
        data = entry["data"]
        score = scores[data["cube"], data["sha256"]]
        label = Label(data["crude_label"]) if data["crude_label"] else score.predicted
        assert rows[entry["id"]][0]["score"] == pytest.approx(score.probability(label))


def test_timeline_ranges_start_at_the_emergence_frame_and_end_with_the_video(loop: Loop) -> None:
    """Frame f (0-based) is written as [f + 1 .. 225]; non-emergences have no range."""
    rows = predictions_by_task(loop, "v0001")
    scores = loop.registry.scores("v0001")
    ranged = 0
    for entry in loop.tasks().values():
        score = scores[entry["data"]["cube"], entry["data"]["sha256"]]
        found = ranges_of(rows[entry["id"]][0]["result"])
        if score.predicted is Label.EMERGENCE and score.emergence is not None:
            assert found == [{"start": score.emergence.frame + 1, "end": MDI.n_frames}]
            ranged += 1
        else:
            assert found == []
    assert ranged, "not one range was there to look at"


def test_no_member_scored_a_cube_that_it_was_trained_on(loop: Loop) -> None:
    """The members behind each stored score are those whose fold held the cube out; unlabelled cubes are in no fold."""
    plan = Plan.read(loop.registry.folder("v0001"))
    folds = {member.name: member.fold for member in plan.members}
    for score in loop.registry.scores("v0001").values():
        if score.cube in plan.folds:
            assert {folds[name] for name in score.members} == {plan.folds[score.cube]}
    unlabelled = [cube for cube in plan.cubes if cube.label is None]
    assert len(unlabelled) == 2
    assert not {cube.name for cube in unlabelled} & set(loop.registry.card("v0001").labels)


def test_label_studio_asking_for_predictions_adds_no_second_row(loop: Loop) -> None:
    """ "Retrieve predictions" on all tasks changes nothing: the backend's version is the one the rows carry."""
    before = predictions_by_task(loop, "v0001")
    loop.label_studio._transport.call(
        "POST",
        "api/dm/actions",
        params={"id": "retrieve_tasks_predictions", "project": loop.project},
        json={"selectedItems": {"all": True, "excluded": []}, "project": str(loop.project)},
        what="retrieving predictions",
    )
    assert predictions_by_task(loop, "v0001") == before


def test_the_real_video_is_predicted_by_an_ensemble_trained_on_synthetic_cubes_only(
    loop: Loop, real_data: Path, record_property: Callable[[str, object], None]
) -> None:
    """A later release of one real emergence arrives pre-labelled: a probability, and a timeline range if emergent."""
    shutil.copytree(real_data, loop.release.parent / "real")
    outcome = loop.ingest("real")
    assert outcome["imported"] == 1
    until(lambda: len(predictions_by_task(loop, "v0001")) == CUBES + 1, seconds=120)
    entry = loop.tasks()["BARD0310_19981206"]
    score = loop.registry.scores("v0001")["BARD0310_19981206", entry["data"]["sha256"]]
    members = loop.registry.card("v0001").members
    assert set(score.members) == set(members)
    rows = predictions_by_task(loop, "v0001")[entry["id"]]
    assert len(rows) == 1
    if score.predicted is Label.EMERGENCE and score.emergence is not None:
        assert ranges_of(rows[0]["result"]) == [{"start": score.emergence.frame + 1, "end": 225}]
    assert entry["data"]["start"] == "1998-12-06T00:00:00Z"
    record_property("real video", f"p {score.p_emergence:.3f}, {score.emergence}")


# -- corrections ----------------------------------------------------------------------------------


def test_a_correction_fires_the_webhook_and_a_new_version_is_published_and_shown(loop: Loop) -> None:
    """One wrong label corrected in Label Studio: a new version, each task has its prediction once, agreement moves.

    A submit that was opened before the publish still gets 201, and the old rows are gone after the grace time.
    """
    before = str(loop.published())
    old = predictions_by_task(loop, before)
    cube, other = wrong_cubes(loop)[:2]
    task, late = loop.tasks()[cube], loop.tasks()[other]
    loop.annotate(task["id"], loop.truth[cube], parent=old[task["id"]][0]["id"])

    version = next_version(loop, before)
    new = predictions_by_task(loop, version)
    assert Counter(len(found) for found in new.values()) == {1: len(loop.tasks())}
    assert loop.label_studio.project(loop.project).model_version == version
    card = loop.registry.card(version)
    assert (card.parent, card.verified, card.labels[cube]["label"]) == (before, 1, loop.truth[cube])
    score = loop.registry.scores(version)[cube, task["data"]["sha256"]]
    assert new[task["id"]][0]["score"] == pytest.approx(score.agreement(Label(loop.truth[cube])))
    assert new[task["id"]][0]["score"] != pytest.approx(old[task["id"]][0]["score"])

    submitted = httpx.post(
        f"{loop.stack.label_studio_url}/api/tasks/{late['id']}/annotations/",
        headers={"Authorization": f"Token {loop.stack.login.token}"},
        json={
            "result": [choice(late["data"]["crude_label"])],
            "parent_prediction": old[late["id"]][0]["id"],
            "lead_time": 3.0,
        },
        timeout=60,
    )
    assert submitted.status_code == 201
    until(lambda: predictions_by_task(loop, before) == {}, seconds=GRACE_SECONDS + 60)
    assert len(predictions_by_task(loop, version)) == len(loop.tasks())
    until(lambda: idle(loop), seconds=60)
    assert loop.published() == version, "somebody who agrees with the label starts no round"


def choice(value: str) -> dict:
    """A class as the labelling screen sends it."""
    return {"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": [value]}}


def test_a_humans_timeline_start_is_kept_as_the_verified_frame(loop: Loop) -> None:
    """Start 71 (1-based) is frame 70 (0-based), with annotator and time; the annotation itself is left as it was."""
    cube = next(
        cube
        for cube, entry in sorted(loop.tasks().items())
        if not entry["annotations"] and entry["data"]["crude_label"] == "emergence"
    )
    annotation = loop.annotate(loop.tasks()[cube]["id"], "emergence", start=71)
    snapshot = loop.registry.root / "labels.json"
    until(lambda: json.loads(snapshot.read_text())["cubes"][cube]["verified"], seconds=120)
    kept = json.loads(snapshot.read_text())["cubes"][cube]["verified_frame"]
    assert (kept["frame"], kept["annotator"]) == (70, "1")
    found = next(a for a in loop.tasks()[cube]["annotations"] if a["id"] == annotation)
    assert ranges_of(found["result"]) == [{"start": 71, "end": 225}]
    until(lambda: idle(loop), seconds=60)


def test_a_burst_of_fifty_corrections_makes_at_most_two_rounds(loop: Loop) -> None:
    """Fifty submits in a row: one round and at most one follow-up run; all fifty count in the last."""
    before = loop.registry.versions()
    tasks = loop.tasks()
    fresh = [cube for cube, entry in sorted(tasks.items()) if not entry["annotations"] and cube in loop.truth][:50]
    assert len(fresh) == 50
    for cube in fresh:
        loop.annotate(tasks[cube]["id"], loop.truth[cube])
    next_version(loop, before[-1])
    until(lambda: idle(loop), seconds=2 * ROUND_SECONDS)
    assert 1 <= len(loop.registry.versions()) - len(before) <= 2
    labels = loop.registry.card(loop.registry.versions()[-1]).labels
    assert all(labels[cube]["label"] == loop.truth[cube] for cube in fresh)


# -- what comes out of it -------------------------------------------------------------------------


def test_the_catalogue_says_what_each_cube_counts_as_and_when_it_emerged(loop: Loop, tmp_path: Path) -> None:
    """One row per task, by the command line; the frame set by hand is there with its time, the model's are marked."""
    done = subprocess.run(
        [sys.executable, "-m", "helioloop", "catalogue", "--project", str(loop.project),
         "--out", str(tmp_path / "catalogue.csv"), "--draw", str(tmp_path / "sample.csv")],
        env={**os.environ, **loop.stack.environment}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert f"scores by {loop.published()}." in done.stdout
    with (tmp_path / "catalogue.csv").open(newline="") as file:
        rows = {row["cube"]: row for row in csv.DictReader(file)}
    tasks = loop.tasks()
    assert rows.keys() == tasks.keys()
    (by_hand,) = (row for row in rows.values() if row["emergence_frame_from"] == "annotator")
    assert by_hand["emergence_frame"] == "70"
    start = datetime.fromisoformat(tasks[by_hand["cube"]]["data"]["start"].removesuffix("Z"))
    written = datetime.fromisoformat(by_hand["emergence_time_utc"])
    assert written - start == timedelta(seconds=70 * MDI.cadence_seconds)
    assert any(row["emergence_frame_from"].startswith("model, ") for row in rows.values())
    assert sum(row["label_source"] == "majority" for row in rows.values()) >= 50
    sample = read_truth(tmp_path / "sample.csv")
    assert f"{len(sample)} of these in the audit sample" in done.stdout
    assert all(rows[cube]["label"] == true.label for cube, true in sample.items())


# -- outages --------------------------------------------------------------------------------------


def test_after_redis_was_emptied_predictions_are_still_served(loop: Loop) -> None:
    """Files are the truth of scores: the backend answers from them as if nothing had happened."""
    with redis.Redis.from_url(loop.stack.redis_url) as connection:
        connection.flushall()
    entry = next(iter(loop.tasks().values()))
    answer = httpx.post(
        f"{loop.stack.backend_url}/predict",
        auth=("label-studio", loop.stack.environment["HELIOLOOP_BASIC_AUTH_PASSWORD"]),
        json={
            "tasks": [{"id": entry["id"], "data": entry["data"], "annotations": []}],
            "project": f"{loop.project}.1",
            "label_config": loop.label_studio.project(loop.project).label_config,
        },
        timeout=20,
    )
    assert answer.json()["results"][0]["model_version"] == loop.published()


def test_after_redis_was_emptied_a_deleted_annotation_is_noticed_and_its_label_is_the_crude_one_again(
    loop: Loop,
) -> None:
    """Deletions carry ids only: the project is read again, and a round without the correction follows."""
    with redis.Redis.from_url(loop.stack.redis_url) as connection:
        connection.flushall()
    before = str(loop.published())
    cube = next(cube for cube in wrong_cubes(loop) if loop.tasks()[cube]["annotations"])
    loop.client.annotations.delete(id=loop.tasks()[cube]["annotations"][0]["id"])
    version = next_version(loop, before)
    assert loop.registry.card(version).labels[cube]["label"] == loop.tasks()[cube]["data"]["crude_label"]
    assert len(predictions_by_task(loop, version)) == len(loop.tasks())
    until(lambda: idle(loop), seconds=ROUND_SECONDS)


def test_helioloop_never_wrote_an_annotation(loop: Loop) -> None:
    """Every annotation in the project was submitted by the account of the tests, none was made from a prediction."""
    annotations = [a for entry in loop.label_studio.tasks(loop.project) for a in entry["annotations"]]
    assert annotations
    assert {a["completed_by"] for a in annotations} == {1}
    assert not any(a["bulk_created"] or a["import_id"] for a in annotations)


def test_no_log_holds_a_secret(loop: Loop) -> None:
    """No log of helioloop contains the token, a password or the webhook secret, raw, percent-encoded or in base64."""
    environment = loop.stack.environment
    secrets = {
        loop.stack.login.token,
        loop.stack.login.password,
        environment["HELIOLOOP_WEBHOOK_SECRET"],
        environment["HELIOLOOP_BASIC_AUTH_PASSWORD"],
        *redis_passwords(environment["REDIS_URL"]),
    }
    pair = f"{environment['HELIOLOOP_BASIC_AUTH_USER']}:{environment['HELIOLOOP_BASIC_AUTH_PASSWORD']}"
    secrets |= {quote(secret, safe="") for secret in secrets} | {base64.b64encode(pair.encode()).decode()}
    logs = [path for path in (loop.stack.folder / "logs").glob("*.log") if path.name != "label-studio.log"]
    assert len(logs) >= 4
    for path in logs:
        text = path.read_text(errors="replace")
        assert not any(secret in text for secret in secrets), path.name
