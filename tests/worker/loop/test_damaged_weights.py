"""Damaged weights of the published version: its round is repeated once, whatever became of the versions after it."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.worker.conftest import CUBES, SETTLED, LoopProject, work

from helioloop.messaging.messages import TrainMember
from helioloop.registry.completeness import missing_parts
from helioloop.registry.staging import Staging
from helioloop_worker.loop import damaged_weights, rounds
from helioloop_worker.loop.damage import put_damaged_aside
from helioloop_worker.loop.reconcile import reconcile

Data = dict[str, dict[str, str]]


def cut(path: Path) -> None:
    """Cut a file off, as a disk that fails does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def project(loop_project: LoopProject, trained: Path, task_data: Data) -> LoopProject:
    """A project whose v0001 is published and has real weights."""
    shutil.copytree(trained, loop_project.model_dir, dirs_exist_ok=True)
    loop_project.import_cubes(task_data)
    return loop_project


def said(project: LoopProject) -> list[str]:
    """Return what is done about damage now."""
    return put_damaged_aside(project.context, project.id)


def reject_a_version(project: LoopProject) -> None:
    """Let a later version be rejected by the promotion check."""
    folder = project.registry.folder(project.admit())
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "verdict": {"publish": False, "reason": "it is worse"}}))


def test_only_the_damaged_member_is_trained_and_an_equal_version_is_published(project: LoopProject) -> None:
    """By the whole loop; the version before it had no weights for new cubes."""
    before = project.registry.folder("v0001")
    sound = (before / "fold1-0.safetensors").read_bytes()
    scores = project.registry.scores("v0001", curves=False)
    cut(before / "fold0-0.safetensors")
    (sentence,) = [found for found in reconcile(project.context, project.id).done if "damaged" in found]
    assert sentence.startswith("the published v0001 is damaged (fold0-0.safetensors")
    assert sentence.endswith("its round is repeated")
    work(project)
    after = project.registry.folder("v0002")
    assert project.registry.published() == "v0002"
    made = project.registry.card("v0002")
    assert missing_parts(after, made.member_files, fingerprint=made.fingerprint) == []
    assert (after / "fold1-0.safetensors").read_bytes() == sound
    assert project.registry.card("v0002").reason == "weights of v0001 are damaged"
    found = project.registry.scores("v0002", curves=False)
    assert {key: round(score.p_emergence, 3) for key, score in found.items()} == {
        key: round(score.p_emergence, 3) for key, score in scores.items()
    }
    assert said(project) == []


def test_weights_that_are_no_numbers_are_trained_again_with_those_that_are_cut_off(project: LoopProject) -> None:
    """Their file is whole, so that only reading them shows it."""
    before = project.registry.folder("v0001")
    cut(before / "fold0-0.safetensors")
    path = before / "fold1-0.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    weights = {
        key: torch.full_like(value, torch.nan) if value.is_floating_point() else value
        for key, value in load_file(path).items()
    }
    save_file(weights, path, metadata=metadata)
    reconcile(project.context, project.id)
    work(project)
    after = load_file(project.registry.folder("v0002") / "fold1-0.safetensors")
    assert all(bool(torch.isfinite(value).all()) for value in after.values())


@pytest.mark.parametrize("since", ["rejected", "rolled back", "too few labels"])
def test_what_came_after_the_version_does_not_stand_in_the_way(project: LoopProject, since: str) -> None:
    """Before, nothing was done and nothing was said in these cases."""
    if since == "rejected":
        reject_a_version(project)
    elif since == "rolled back":
        project.publish()
        project.registry.publish("v0001", why="a human")
    else:
        tasks = project.read().tasks
        for cube in CUBES:
            project.label_studio.annotate(tasks[cube].ids[0], "non-emergence")
    cut(project.registry.folder("v0001") / "fold0-0.safetensors")
    assert said(project)[0].endswith("its round is repeated")
    running = project.context.state.running(project.id)
    assert running is not None
    assert running.fingerprint == project.registry.card("v0001").fingerprint
    assert f"member-{project.id}-{running.fingerprint[:16]}-fold0-0" in project.queued()


def test_a_repeated_round_that_fails_is_not_made_for_ever(project: LoopProject) -> None:
    """It is parked after three attempts, as any round."""
    cut(project.registry.folder("v0001") / "fold0-0.safetensors")
    assert said(project) != []
    assert said(project) == []
    (fingerprint,) = Staging(project.model_dir).fingerprints()
    plan = damaged_weights.Plan.read(Staging(project.model_dir).folder(fingerprint))
    for _ in range(3):
        rounds.retry(project.context, project.id, plan)
    assert Staging(project.model_dir).parked(fingerprint) is not None
    assert project.context.state.running(project.id) is None
    assert said(project) == []


def test_a_running_round_is_waited_for(project: LoopProject) -> None:
    """It may replace the version; where it does not, the next reconciliation repeats the version's round."""
    cut(project.registry.folder("v0001") / "fold0-0.safetensors")
    project.context.state.begin(project.id, "f" * 64, now=time.time() - SETTLED)
    assert said(project) == []
    project.context.state.end(project.id, "f" * 64)
    assert said(project) != []


@pytest.mark.parametrize("is_newest", [True, False])
def test_with_other_learning_code_a_round_on_the_current_labels_is_requested(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, is_newest: bool
) -> None:
    """Other code would train other members. Beside a rejected version that would be rejected again, nothing is done."""
    if not is_newest:
        reject_a_version(project)
    cut(project.registry.folder("v0001") / "fold0-0.safetensors")
    monkeypatch.setattr(damaged_weights, "code_version", lambda: "another")
    assert [sentence.rpartition(": ")[2] for sentence in said(project)] == ["a round is requested"] * is_newest
    assert (f"plan-round-{project.id}" in project.queued()) is is_newest
    assert said(project) == []
    assert TrainMember(project=project.id, fingerprint="f" * 64, member="fold0-0").job_id not in project.queued()


def test_damaged_growth_odds_of_the_published_version_are_measured_again(project: LoopProject) -> None:
    """Its round is repeated without training: the weights are sound."""
    odds = project.registry.folder("v0001") / "growth-odds.json"
    odds.write_text("{")
    assert said(project) == ["the published v0001 is damaged (growth-odds.json is damaged): its round is repeated"]
    (fingerprint,) = Staging(project.model_dir).fingerprints()
    assert len([*Staging(project.model_dir).folder(fingerprint).glob("*.safetensors")]) == 2


def test_a_damaged_plan_of_the_published_version_requests_a_round(project: LoopProject) -> None:
    """Without it no other cube can be scored; a round on the current labels gives a version with another one."""
    cut(project.registry.folder("v0001") / "plan.json")
    assert said(project) == ["the published v0001 is damaged (plan.json is cut off): a round is requested"]
    assert f"plan-round-{project.id}" in project.queued()
    work(project)
    assert project.registry.published() == "v0002"
    assert said(project) == []


def test_a_version_that_was_pruned_is_not_damaged(project: LoopProject) -> None:
    (project.registry.folder("v0001") / "fold0-0.safetensors").unlink()
    (project.registry.folder("v0001") / "pruned.json").write_text("{}")
    assert said(project) == []
