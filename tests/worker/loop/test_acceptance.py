"""Acceptance: what the audit sample supports is marked in Label Studio, and withdrawn with the version."""

import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.whole import complete
from tests.worker.conftest import CUBES, SMALL, LoopProject, crude, emerges, make_release, work

from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.errors import LabelStudioError
from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.project_sample import read_earlier_sample
from helioloop.model.plan import Plan
from helioloop.model.provenance import code_version
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.registry.acceptances import Acceptance, read_acceptances
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE
from helioloop.workflows import rounds as rounding
from helioloop_worker import jobs
from helioloop_worker.doctor.gathering_here import read_folder
from helioloop_worker.loop.acceptance import WITHDRAWN, accept
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.written_back import require_whole_write_back
from helioloop_worker.reports.other_code import OtherCode
from helioloop_worker.reports.status import acceptance_lines
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import find_all

Data = dict[str, dict[str, str]]

NEW = tuple(f"cube{k}" for k in range(30, 50))
WANTED = Acceptance(release="new", rate=0.1, confidence=0.9)
"""It takes 22 verified cubes; the release ``made`` has 24."""


@pytest.fixture
def project(loop_project: LoopProject, trained: Path, task_data: Data) -> LoopProject:
    """A project whose version tells the classes apart; ``made`` is verified, ``new`` ingested and pre-labelled."""
    shutil.copytree(trained, loop_project.model_dir, dirs_exist_ok=True)
    loop_project.import_cubes(task_data)
    verify(loop_project, CUBES)
    make_release(loop_project.context.settings.release_roots[1] / "new", NEW)
    ingest(loop_project.context, loop_project.id, "new", report=silent)
    jobs.write_back(loop_project.context, loop_project.id, "v0001")
    work(loop_project, "helioloop-bulk", "helioloop-maintenance")
    return loop_project


def ingest_scaled(project: LoopProject, factor: float, *, n: int = 20) -> Acceptance:
    """Ingest and pre-label the release ``scaled``, whose field is multiplied; return what is wanted of it."""
    folder = make_release(project.context.settings.release_roots[1] / "scaled", [f"cube{k}" for k in range(50, 50 + n)])
    for path in folder.glob("*.fits"):
        cube = CubeFiles.read(path).cube()
        write_cube(
            path, factor * cube.observed_gauss, cube.seconds, start=cube.start, region=cube.region, instrument=SMALL
        )
    ingest(project.context, project.id, "scaled", report=silent)
    jobs.write_back(project.context, project.id, "v0001")
    work(project, "helioloop-bulk", "helioloop-maintenance")
    return replace(WANTED, release="scaled")


def verify(project: LoopProject, cubes: Sequence[str]) -> None:
    """Have a human give cubes their right label."""
    tasks = {entry["data"]["cube"]: entry["id"] for entry in project.label_studio.tasks(project.id)}
    for cube in cubes:
        project.label_studio.annotate(tasks[cube], crude(cube).value)


def marks(project: LoopProject) -> dict[str, str]:
    """Cube -> its mark, where the task has one."""
    found = {e["data"]["cube"]: e["data"].get("triage", "") for e in project.label_studio.tasks(project.id)}
    return {cube: mark for cube, mark in found.items() if mark}


def kinds(project: LoopProject) -> Counter[str]:
    """How many tasks have which kind of mark."""
    return Counter(mark.split()[0] for mark in marks(project).values())


def accept_new(project: LoopProject, wanted: Acceptance = WANTED) -> Acceptance:
    return accept(project.context, project.id, wanted, report=silent)


def test_accepted_tasks_and_random_checks_are_marked_and_the_data_stay(project: LoopProject) -> None:
    """Ten of the twenty cubes are checked at random; of the others most are accepted, all with their right class."""
    before = {entry["id"]: entry for entry in project.label_studio.tasks(project.id)}
    outcome = accept_new(project)
    found = marks(project)
    cubes = [task.cube for task in project.read().tasks.values() if task.cube.release == "new"]
    assert [cube for cube, mark in sorted(found.items(), key=lambda pair: pair[1]) if "random" in mark] == list(
        outcome.random_checks
    )
    assert list(outcome.random_checks) == audit_order(cubes)[:10]
    assert found[outcome.random_checks[2]] == "random check 003"
    accepted = {cube: mark for cube, mark in found.items() if mark.startswith("accepted")}
    assert len(accepted) > 4
    for cube, mark in accepted.items():
        assert mark == f"accepted {'emergence' if emerges(cube) else 'non-emergence'} at 10 % risk, v0001"
    for entry in project.label_studio.tasks(project.id):
        assert {**entry["data"], "triage": ""} == before[entry["id"]]["data"]
        assert entry["annotations"] == before[entry["id"]]["annotations"]
    assert "at most 10 % are wrong in the long run, with 90 % confidence; " in outcome.sentences[0]
    assert re.search(rf"among the {len(accepted)} accepted here up to [12] may be\.", outcome.sentences[0])


def test_the_status_says_the_guarantee_and_counts_blind_answers(project: LoopProject) -> None:
    """One check is answered while its prediction is there; two others once the write-back has deleted it."""
    outcome = accept_new(project)
    verify(project, outcome.random_checks[:1])
    jobs.write_back(project.context, project.id, "v0001")
    verify(project, outcome.random_checks[1:3])
    project.read()
    settings = project.context.settings
    (line,) = acceptance_lines(read_status(project.registry, project=project.id, settings=settings))
    assert line.name == "accepted in new"
    assert line.value.startswith(f"{len(outcome.accepted)} of 20 cubes, by v0001. Of labels accepted in this way at")
    assert line.value.endswith(
        "Random checks: 2 of 10 answered blind; verified with the prediction visible, which supports no guarantee: 1"
    )


def test_with_too_few_verified_cubes_nothing_is_accepted(project: LoopProject) -> None:
    """Of 2 % it takes 114. Without accepted labels the random checks of the project are enough."""
    outcome = accept_new(project, Acceptance(release="new", rate=0.02, confidence=0.9))
    assert outcome.accepted == {}
    assert marks(project) == {}
    assert "24 labels of the audit sample do not support a guarantee of at most 2 % wrong" in outcome.sentences[0]


def test_nothing_is_accepted_of_a_release_with_other_noise(project: LoopProject) -> None:
    """Nothing of it is marked, and of the other release labels are accepted."""
    folder = project.context.settings.release_roots[1] / "noisy"
    names = tuple(f"cube{k}" for k in range(60, 80))
    make_release(folder, names)
    for k, path in enumerate(sorted(folder.glob("*.fits"))):
        cube = CubeFiles.read(path).cube()
        field = cube.observed_gauss + np.random.default_rng(k).normal(0.0, 35.0, cube.observed_gauss.shape)
        write_cube(path, field, cube.seconds, start=cube.start, region=cube.region, instrument=SMALL)
    ingest(project.context, project.id, "noisy", report=silent)
    wanted = replace(WANTED, release="noisy")
    jobs.write_back(project.context, project.id, "v0001")
    work(project, "helioloop-bulk", "helioloop-maintenance")
    outcome = accept_new(project, wanted)
    assert outcome.accepted == {}
    assert marks(project) == {}
    assert outcome.sentences[0].startswith("This release is not like those trained on: noise 4")
    assert outcome.sentences[-1] == WITHDRAWN
    assert accept_new(project).accepted


def test_verified_tasks_are_not_accepted(project: LoopProject) -> None:
    chosen = next(iter(accept_new(project).accepted))
    verify(project, [chosen])
    assert chosen not in accept_new(project).accepted
    assert chosen not in marks(project)


def test_a_repetition_changes_no_task(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_new(project)
    monkeypatch.setattr(project.label_studio, "set_data_field", lambda *_: pytest.fail("a task was changed"))
    accept_new(project)


def test_accepted_tasks_come_last_in_the_queue_even_against_their_crude_label(project: LoopProject) -> None:
    """The score is the agreement with the accepted label; withdrawn, it is that with the crude one again."""
    for entry in project.label_studio.tasks(project.id):
        if entry["data"]["release"] == "new":
            other = Label.NON_EMERGENCE if emerges(entry["data"]["cube"]) else Label.EMERGENCE
            project.label_studio.set_data_field(project.id, [entry["id"]], "crude_label", other.value)
    require_whole_write_back(project.model_dir)  # as `follow_table` does, which changes crude labels

    def scores() -> dict[str, float]:
        jobs.write_back(project.context, project.id, "v0001")
        names = {entry["id"]: entry["data"]["cube"] for entry in project.label_studio.tasks(project.id)}
        return {names[row.task]: row.score or 0.0 for row in project.label_studio.predictions(project.id)}

    wrong = scores()
    accepted = accept_new(project).accepted
    right = scores()
    assert max(wrong[cube] for cube in accepted) < 0.5
    assert min(right[cube] for cube in accepted) > 0.5
    assert all(right[cube] == wrong[cube] for cube in right.keys() - accepted.keys())
    assert not any("labels of" in sentence or "agreement" in sentence for sentence in reconciled(project))


def reconciled(project: LoopProject) -> tuple[str, ...]:
    return reconcile(project.context, project.id).done


def test_a_new_version_withdraws_what_the_old_one_accepted_and_accepts_anew(project: LoopProject) -> None:
    """The write-back of the new version does both; a rollback too."""
    assert accept_new(project).accepted
    old = project.registry.folder("v0001")
    plan = Plan.read(old)
    staging = project.registry.staging("f" * 64)
    shutil.copytree(old, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns("scores*", "card*"))
    version = rounding.close_round(plan, staging, project.registry, list(project.registry.scores("v0001").values()))
    project.registry.publish(version.version, why="test")
    project.clear_queues()
    jobs.write_back(project.context, project.id, version.version)
    assert kinds(project) == {"random": 10}
    assert read_acceptances(project.model_dir)["new"].version is None
    assert any(job_id.startswith(f"accept-{project.id}-") for job_id in project.queued())
    work(project, "helioloop-bulk", "helioloop-maintenance")
    assert kinds(project)["accepted"] > 4
    assert all(mark.endswith("v0002") for mark in marks(project).values() if mark.startswith("accepted"))
    project.registry.publish("v0001", why="rollback")
    jobs.write_back(project.context, project.id, "v0001")
    work(project, "helioloop-bulk", "helioloop-maintenance")
    assert all(mark.endswith("v0001") for mark in marks(project).values() if mark.startswith("accepted"))


@pytest.mark.parametrize("at", [0, 1, 7])
def test_an_acceptance_that_breaks_off_is_found_by_reconciliation(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """After some of the tasks were changed; in the end all marks are there."""
    whole, calls = project.label_studio.set_data_field, itertools.count()

    def breaks(*words: Any, **how: Any) -> None:
        if next(calls) == at:
            raise LabelStudioError("gone")
        whole(*words, **how)

    monkeypatch.setattr(project.label_studio, "set_data_field", breaks)
    with pytest.raises(LabelStudioError):
        accept_new(project)
    monkeypatch.undo()
    assert kinds(project)["random"] < 10
    assert "labels of new are to be accepted by v0001: accepting" in reconciled(project)
    work(project, "helioloop-bulk", "helioloop-maintenance")
    broken = marks(project)
    accept_new(project)
    assert marks(project) == broken
    assert kinds(project)["random"] == 10
    assert kinds(project)["accepted"] > 4


def test_before_the_first_version_nothing_is_accepted_and_nothing_forgotten(loop_project: LoopProject) -> None:
    outcome = accept_new(loop_project)
    assert outcome.version is None
    assert read_acceptances(loop_project.model_dir)["new"].rate == 0.1


def test_the_sample_of_a_release_is_that_of_the_others(project: LoopProject) -> None:
    """Once ``new`` is trained on, its cubes, which nobody verified, do not end the sample of ``made``."""
    plan = project.plan()
    staging = project.registry.staging(plan.fingerprint)
    plan.save(staging)
    scores = list(project.registry.scores("v0001").values())
    complete(staging, [member.file for member in plan.members])
    version = rounding.close_round(plan, staging, project.registry, scores).version
    stored, labels = project.registry.scores(version), project.read().snapshot.cubes
    assert {cube.release for cube in plan.labelled} == {"made", "new"}
    assert len(read_earlier_sample(plan, stored, labels, release="new").cubes) == 24
    assert len(read_earlier_sample(plan, stored, labels, release="made").cubes) == 0
    assert len(read_earlier_sample(plan, stored, labels, release="third").cubes) == 24


def test_nothing_is_accepted_of_a_release_with_another_field_and_the_status_names_the_reason(
    project: LoopProject,
) -> None:
    """Multiplied by 1.4, noise and all; unchanged, labels of the same cubes are accepted."""
    outcome = accept_new(project, ingest_scaled(project, 1.4))
    assert outcome.accepted == {}
    assert marks(project) == {}
    assert re.match(r"This release is not like those .*: noise 2\d\.\d G, and \d\d\.\d G in the", outcome.sentences[0])
    settings = project.context.settings
    (line,) = acceptance_lines(read_status(project.registry, project=project.id, settings=settings))
    assert line.value.startswith("0 of 20 cubes, by v0001. This release is not like those trained on: noise 2")
    assert "nothing is accepted" in line.value


def test_a_version_made_by_other_code_accepts_nothing(project: LoopProject) -> None:
    """Its audit sample was scored by another formula than new cubes would be; the remedy is in the status."""
    made_by(project, "0.1.0+000000000000")
    outcome = accept_new(project)
    assert outcome.accepted == {}
    assert outcome.random_checks == ()
    assert marks(project) == {}
    settings = project.context.settings
    (line,) = acceptance_lines(read_status(project.registry, project=project.id, settings=settings))
    assert "v0001 was made by other code (0.1.0+000000000000, now " in line.value
    assert 'press "Start training" in Label Studio, and the release is accepted anew' in line.value
    found = read_status(project.registry, project=project.id, settings=settings)
    assert found.other_code == OtherCode(version="v0001", made="0.1.0+000000000000", now=code_version())
    assert "other-code" in {finding.cause for finding in find_all(found)}
    assert read_folder(settings, project.id).code == "0.1.0+000000000000"
    newest = project.admit()
    assert read_status(project.registry, project=project.id, settings=settings).other_code == OtherCode(
        version="v0001", made="0.1.0+000000000000", now=code_version(), newer=newest
    )
    project.registry.publish(newest, why="of this code")
    assert read_status(project.registry, project=project.id, settings=settings).other_code is None
    assert read_folder(settings, project.id).code is None


def test_accepted_labels_are_withdrawn_with_a_version_made_by_other_code(project: LoopProject) -> None:
    """Also those that were accepted before the upgrade, where the release is accepted again; the rest stays."""
    assert len(accept_new(project).accepted) > 4
    made_by(project, "0.1.0+000000000000")
    assert accept_new(project).accepted == {}
    assert kinds(project)["accepted"] == 0


def test_a_version_of_another_package_with_the_same_learning_code_accepts(project: LoopProject) -> None:
    made_by(project, code_version().replace("0.1.0+", "0.0.9+"))
    assert len(accept_new(project).accepted) > 4


def made_by(project: LoopProject, code: str) -> None:
    """Write another code version into the card of v0001."""
    path = project.registry.folder("v0001") / "card.json"
    card = json.loads(path.read_text())
    assert card["code_version"] == code_version()
    path.write_text(json.dumps({**card, "code_version": code}))


def test_the_same_release_with_its_own_field_is_accepted(project: LoopProject) -> None:
    outcome = accept_new(project, ingest_scaled(project, 1.0))
    assert len(outcome.accepted) > 4
    assert not any("not like" in sentence or "unknown" in sentence for sentence in outcome.sentences)


def test_drift_is_named_even_if_there_is_no_guarantee_to_withdraw(project: LoopProject) -> None:
    outcome = accept_new(project, replace(ingest_scaled(project, 2.0), rate=0.02))
    assert outcome.sentences[0].startswith("This release is not like those trained on: noise ")


def test_a_version_without_field_statistics_accepts_nothing(project: LoopProject) -> None:
    """Such as one of an earlier helioloop. What was accepted before is withdrawn."""
    assert accept_new(project).accepted
    (project.registry.folder("v0001") / TRAINED_FIELDS_FILE).unlink()
    outcome = accept_new(project)
    assert (outcome.accepted, outcome.random_checks) == ({}, ())
    assert kinds(project)["accepted"] == 0
    assert "v0001 was made before helioloop kept statistics" in outcome.sentences[0]
    assert outcome.sentences[-1] == WITHDRAWN


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_nothing_is_accepted_of_a_release_with_too_few_regions_to_compare(project: LoopProject, factor: float) -> None:
    """Four regions, with a field like the others or not."""
    few = accept_new(project, ingest_scaled(project, factor, n=4))
    assert (few.accepted, marks(project)) == ({}, {})
    assert few.sentences == (
        "Whether this release is like those trained on is unknown: 4 new regions and 24 trained on are too few to "
        "compare field strengths and probabilities; at least 5 new ones are needed: put cubes of more regions into the "
        "release, or let people label it.",
        WITHDRAWN,
    )


def test_a_release_that_has_grown_beyond_the_regions_needed_is_accepted(project: LoopProject) -> None:
    """As one that is watched: four regions, and then twenty in the same folder."""
    assert accept_new(project, ingest_scaled(project, 1.0, n=4)).accepted == {}
    shutil.rmtree(project.context.settings.release_roots[1] / "scaled")
    assert len(accept_new(project, ingest_scaled(project, 1.0)).accepted) > 4
