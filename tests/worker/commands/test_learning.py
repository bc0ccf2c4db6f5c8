"""``helioloop train``, ``score``, ``versions`` and ``rollback`` on a real release of synthetic cubes."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from safetensors import safe_open
from safetensors.torch import save_file
from tests.worker.shell import read_table, run_one_of, run_printed

from helioloop import settings, synthetic
from helioloop.data.cubes import write_cube
from helioloop.data.release_profile import write_release_profile
from helioloop.model import recipes
from helioloop.model.growth_odds import GrowthOdds
from helioloop.model.plan import Plan
from helioloop.records.instrument import MDI, Instrument
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.profiles import BUILT_IN, Profile
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_profile import find_project_profile, read_project_profile, write_project_profile
from helioloop.registry.score_store import write_scores
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE
from helioloop.registry.versions import Registry
from helioloop.workflows import releases
from helioloop.workflows.damaged_version import version_damage
from helioloop.workflows.score_table import MEMBER_COLUMNS, SCORE_COLUMNS, member_cells, score_row
from helioloop_worker.commands import learning
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import find_all

N_CUBES = 40
SMALL = replace(MDI, size_px=30)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=SMALL, patch_deg=10.0)
"""Three pixels per degree, the fewest on which the local growth is measured."""


def run(*words: str | Path) -> Result:
    """Run a command as the shell would."""
    return run_one_of(learning.commands(), *words)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A release, its model folder, and the result of ``train``."""

    release: Path
    models: Path
    result: Result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """One release, trained on once in few epochs; one of its cubes is truncated, one has no label."""
    place = tmp_path_factory.mktemp("learning")
    release = place / "demo"
    synthetic.make_release(release, n=N_CUBES, seed=3, instrument=SMALL)
    write_release_profile(release, PROFILE)
    rows = read_table(release / "labels.csv")
    broken, unlabelled = release / f"{rows[7]['cube']}.fits", rows[3]["cube"]
    broken.write_bytes(broken.read_bytes()[:5000])
    table = "".join(
        f"{row['cube']},{'' if row['cube'] == unlabelled else row['label']},{row['verified']}\n" for row in rows
    )
    (release / "labels.csv").write_text("cube,label,verified\n" + table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOLOOP_CACHE_ROOT", str(place / "cache"))
        patch.setenv("HELIOLOOP_MODEL_ROOT", str(place / "projects"))
        patch.setenv("HELIOLOOP_DEVICE", "cpu")
        patch.setitem(recipes.RECIPES, "quick", replace(recipes.QUICK, epochs=2, min_steps=0))
        patch.setattr(releases, "process_count", lambda *_: 1)  # starting processes takes longer than the training
        settings.load_settings.cache_clear()
        yield Trained(
            release=release, models=place / "models", result=run("train", release, "--model-dir", place / "models")
        )
    settings.load_settings.cache_clear()


def test_train_publishes_a_version(trained: Trained) -> None:
    """It exits 0; the truncated cube is excluded with its reason, the unlabelled cube is not trained on."""
    assert trained.result.exit_code == 0, trained.result.output
    assert "v0001 published" in trained.result.stdout
    rows = read_table(trained.release / "labels.csv")
    bad = rows[7]["cube"]
    assert f"{bad} is excluded: " in trained.result.stderr
    registry = Registry(trained.models)
    assert registry.published() == "v0001"
    assert set(registry.card("v0001").labels) == {row["cube"] for row in rows if row["label"]} - {bad}
    assert rows[3]["cube"] not in registry.card("v0001").labels
    assert len(registry.scores("v0001")) == N_CUBES - 1


def test_no_member_scores_a_cube_it_was_trained_on(trained: Trained) -> None:
    """The recorded members are those of the cube's fold; all ten score the unlabelled cube."""
    registry = Registry(trained.models)
    card = registry.card("v0001")
    unlabelled = read_table(trained.release / "labels.csv")[3]["cube"]
    for score in registry.scores("v0001").values():
        if score.cube == unlabelled:
            assert set(score.members) == set(card.members)
        if score.cube in card.labels:
            folds = {card.members[member]["fold"] for member in score.members}
            assert folds == {card.labels[score.cube]["fold"]}


def test_score_writes_one_row_per_readable_cube_in_the_tables_order(trained: Trained, tmp_path: Path) -> None:
    """With the documented columns; unknown is empty; frames are ordered."""
    out = tmp_path / "scores.csv"
    result = run("score", trained.release, "--model-dir", trained.models, "--out", out)
    assert result.exit_code == 0, result.output
    assert out.read_text().splitlines()[0] == ",".join(SCORE_COLUMNS)
    rows, labels = read_table(out), read_table(trained.release / "labels.csv")
    assert [row["cube"] for row in rows] == [row["cube"] for k, row in enumerate(labels) if k != 7]
    stored = {score.cube: score for score in Registry(trained.models).scores("v0001").values()}
    for row in rows:
        p = float(row["p_emergence"])
        assert p == pytest.approx(stored[row["cube"]].p_emergence, abs=1e-6)
        if row["label"]:
            expected = 1 - p if row["label"] == "emergence" else p
            assert float(row["disagreement"]) == pytest.approx(expected, abs=2e-6)
        else:
            assert row["disagreement"] == ""
        frames = [row[f"emergence_frame{end}"] for end in ("_lo", "", "_hi")]
        assert frames == ["", "", ""] or 0 <= int(frames[0]) <= int(frames[1]) <= int(frames[2]) <= 224
        assert row["model_version"] == "v0001"


def test_members_add_what_networks_growth_and_each_member_estimate(trained: Trained, tmp_path: Path) -> None:
    """The first columns are those without the option; the authors' frame is the median of the members' frames."""
    plain, out = tmp_path / "plain.csv", tmp_path / "scores.csv"
    assert run("score", trained.release, "--model-dir", trained.models, "--out", plain).exit_code == 0
    assert run("score", trained.release, "--model-dir", trained.models, "--out", out, "--members").exit_code == 0
    assert out.read_text().splitlines()[0] == ",".join(SCORE_COLUMNS + MEMBER_COLUMNS)
    rows = read_table(out)
    assert [{name: row[name] for name in SCORE_COLUMNS} for row in rows] == read_table(plain)
    stored = {score.cube: score for score in Registry(trained.models).scores("v0001").values()}
    odds = GrowthOdds.read(Registry(trained.models).folder("v0001"))
    assert odds is not None
    assert odds.n_cubes == len(rows)
    located = 0
    for row in rows:
        assert row["members"].split() == list(stored[row["cube"]].members)
        assert float(row["growth"]) >= 1.0
        p, growth = float(row["p_networks"]), float(row["growth"])
        # Each member is combined with the growth, so the mean is only near the combination of the mean.
        assert abs(float(odds.combine(p, growth)) - float(row["p_emergence"])) < 0.2
        if row["emergence_frame"]:
            located += 1
        if row["steepest_frame"]:
            frames = [int(frame) for frame in row["steepest_frame_members"].split()]
            assert len(frames) == len(row["members"].split())
            assert float(row["steepest_frame"]) == np.median(frames)
            assert float(row["steepest_frame_spread"]) == pytest.approx(np.std(frames), abs=0.006)
        else:
            assert row["emergence_frame"] == row["steepest_frame_members"] == ""
    assert located


def test_labels_replace_label_and_verified(trained: Trained, tmp_path: Path) -> None:
    """The disagreement becomes its complement, the probability stays."""
    row = read_table(trained.release / "labels.csv")[0]
    other = "emergence" if row["label"] == "non-emergence" else "non-emergence"
    (tmp_path / "labels.csv").write_text(f"cube,label,verified\n{row['cube']},{other},1\n")
    tables = []
    for extra in ((), ("--labels", tmp_path / "labels.csv")):
        out = tmp_path / "scores.csv"
        assert run("score", trained.release, "--model-dir", trained.models, "--out", out, *extra).exit_code == 0
        tables.append(read_table(out)[0])
    before, after = tables
    assert after["label"] == other
    assert after["p_emergence"] == before["p_emergence"]
    assert float(after["disagreement"]) == pytest.approx(1 - float(before["disagreement"]), abs=2e-6)


def test_doubts_about_a_table_are_printed_once(trained: Trained, tmp_path: Path) -> None:
    """A table that was saved with semicolons and in upper case is read, and what is doubtful is said on stderr."""
    row = read_table(trained.release / "labels.csv")[0]
    (tmp_path / "labels.csv").write_text(f"CUBE;LABEL;VERIFIED\nother/{row['cube']}.FITS;EMERGENCE;WAHR\n")
    out = tmp_path / "scores.csv"
    result = run(
        "score", trained.release, "--model-dir", trained.models, "--out", out, "--labels", tmp_path / "labels.csv"
    )
    assert read_table(out)[0]["label"] == "emergence"
    doubts = [line for line in result.stderr.splitlines() if line.startswith("helioloop: ") and "is read as" in line]
    assert len(doubts) == 1
    assert f"is read as cube '{row['cube']}', although the name is that of a file in another folder" in doubts[0]


def test_training_again_does_nothing_and_force_repeats_it(trained: Trained, tmp_path: Path) -> None:
    """The forced version has the published one as parent, and the same scores: same seeds and inputs."""
    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    again = run("train", trained.release, "--model-dir", models)
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout
    assert Registry(models).versions() == ["v0001"]
    forced = run("train", trained.release, "--model-dir", models, "--force")
    assert forced.exit_code == 0, forced.output
    registry = Registry(models)
    assert registry.published() == "v0002"
    assert registry.card("v0002").parent == "v0001"
    assert registry.scores("v0002") == registry.scores("v0001")
    listed = run("versions", "--model-dir", models).stdout.splitlines()
    assert [line.split()[:2] for line in listed[2:]] == [["*", "v0002"]]
    assert run("rollback", "v0001", "--model-dir", models).exit_code == 0
    assert registry.published() == "v0001"


def lose_a_score(registry: Registry) -> None:
    """Remove the score of one cube, as a file that was cut off at the end of a line and then indexed anew."""
    folder = registry.folder("v0001") / "scores"
    scores = list(registry.scores("v0001").values())
    shutil.rmtree(folder)
    write_scores(folder, scores[1:])


def spoil_weights(path: Path) -> None:
    """Write weights that are not finite into a file, whose length and header stay right."""
    with safe_open(path, framework="pt") as file:
        weights, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    for value in weights.values():
        if value.is_floating_point():
            value.fill_(torch.nan)
    save_file(weights, path, metadata=metadata)


DAMAGES: dict[str, Callable[[Registry], object]] = {
    # what is damaged: how
    "weights deleted": lambda registry: first_weights(registry).unlink(),
    "weights cut off": lambda registry: cut(first_weights(registry)),
    "weights not finite": lambda registry: spoil_weights(first_weights(registry)),
    "plan cut off": lambda registry: cut(registry.folder("v0001") / "plan.json"),
    "growth odds deleted": lambda registry: (registry.folder("v0001") / "growth-odds.json").unlink(),
    "field statistics deleted": lambda registry: (registry.folder("v0001") / TRAINED_FIELDS_FILE).unlink(),
    "scores deleted": lambda registry: shutil.rmtree(registry.folder("v0001") / "scores"),
    "a score lost": lose_a_score,
}


def first_weights(registry: Registry) -> Path:
    return min(registry.folder("v0001").glob("*.safetensors"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", DAMAGES)
def test_training_again_makes_a_damaged_version_again(trained: Trained, tmp_path: Path, damage: str) -> None:
    """With the same scores, published, and whole; the weights that are sound are not trained again."""
    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    registry = Registry(models)
    scores, sound = registry.scores("v0001"), first_weights(registry).read_bytes()
    others = {path.name: path.read_bytes() for path in sorted(registry.folder("v0001").glob("*.safetensors"))[1:]}
    DAMAGES[damage](registry)
    again = run("train", trained.release, "--model-dir", models)
    assert again.exit_code == 0, again.output
    assert "v0002 published" in again.stdout
    assert registry.published() == "v0002"
    assert registry.card("v0002").reason == "v0001 is damaged"
    assert version_damage(registry, "v0002") is None
    made = registry.folder("v0002")
    assert {path.name: path.read_bytes() for path in sorted(made.glob("*.safetensors"))[1:]} == others
    if "weights" not in damage:
        assert min(made.glob("*.safetensors")).read_bytes() == sound
    found = registry.scores("v0002")
    assert {key: round(score.p_emergence, 4) for key, score in found.items()} == {
        key: round(score.p_emergence, 4) for key, score in scores.items()
    }
    assert "nothing to do" in run("train", trained.release, "--model-dir", models).stdout


def test_damaged_scores_are_named_before_the_training_and_their_remedy_leads_to_a_whole_version(
    trained: Trained, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    registry = Registry(models)
    (path,) = (registry.folder("v0001") / "scores").glob("*.jsonl")
    path.write_text("{\n")
    for index in path.parent.glob("index.sqlite"):
        index.unlink()
    refused = run("train", trained.release, "--model-dir", models)
    assert refused.exit_code == 1
    assert "delete that file: its cubes are scored again" in refused.stderr
    assert not (models / "staging").exists() or not [*(models / "staging").iterdir()]
    path.unlink()
    assert "v0002 published" in run("train", trained.release, "--model-dir", models).stdout


def test_versions_and_status_say_what_is_missing_of_a_damaged_version(trained: Trained, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    path = first_weights(Registry(models))
    assert "damaged" not in run("versions", "--model-dir", models).stdout
    path.unlink()
    assert f"v0001 is damaged and cannot be published: {path.name} is missing" in (
        run("versions", "--model-dir", models).stdout
    )
    verdict, *_ = find_all(read_status(Registry(models)))
    assert (verdict.cause, verdict.well) == ("damaged-version", False)
    assert verdict.sentence == f"v0001, which is published, is damaged: {path.name} is missing."
    assert f"Run `helioloop train RELEASE --model-dir {models}`" in verdict.action


@pytest.mark.parametrize("lost", [["published.json", "history.jsonl"], ["published.json"]], ids=["both", "pointer"])
def test_a_version_whose_publication_was_interrupted_is_published_by_the_next_command(
    trained: Trained, tmp_path: Path, lost: list[str]
) -> None:
    """Whether it stopped before or after the history was written; nothing is trained again."""
    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    for name in lost:
        (models / name).unlink()
    result = run("train", trained.release, "--model-dir", models)
    assert (result.exit_code, "v0001 published" in result.stdout) == (0, True), result.output
    assert (Registry(models).published(), Registry(models).versions()) == ("v0001", ["v0001"])
    assert [line.version for line in Registry(models).history()] == ["v0001"]


@pytest.mark.parametrize("pointer", [None, "{"], ids=["absent", "damaged"])
def test_a_lost_pointer_is_repaired_by_the_command_that_score_prints(
    trained: Trained, tmp_path: Path, pointer: str | None
) -> None:
    """Run as printed: it names version and folder."""
    models = tmp_path / "my models"
    shutil.copytree(trained.models, models)
    (models / "published.json").unlink()
    if pointer is not None:
        (models / "published.json").write_text(pointer)
    refused = run("score", trained.release, "--model-dir", models, "--out", tmp_path / "scores.csv")
    assert refused.exit_code == 1
    repaired = run_printed(learning.commands(), refused.stderr)
    assert repaired.exit_code == 0, repaired.output
    assert "published v0001, before nothing" in repaired.stdout
    assert Registry(models).published() == "v0001"


def test_a_worse_version_is_rejected_until_somebody_publishes_it(trained: Trained, tmp_path: Path) -> None:
    """Two epochs against nearly perfect scores: exit 1 with a reason; then published by hand; then forced."""
    models, corrections = tmp_path / "models", tmp_path / "labels.csv"
    shutil.copytree(trained.models, models)
    registry = Registry(models)
    known = registry.card("v0001").labels
    right = {cube: 0.99 if entry["label"] == "emergence" else 0.01 for cube, entry in known.items()}
    stored = [score for score in registry.scores("v0001").values() if score.cube in right]
    registry.add_scores("v0001", [replace(score, p_emergence=right[score.cube]) for score in stored])
    verified = "".join(f"{cube},{entry['label']},1\n" for cube, entry in known.items())
    corrections.write_text("cube,label,verified\n" + verified)
    command = ("train", trained.release, "--model-dir", models, "--labels", corrections)
    for _ in range(2):  # the second time nothing is trained
        refused = run(*command)
        assert refused.exit_code == 1
        assert "v0002 is rejected by the promotion check: on " in refused.stderr
        assert f"`helioloop rollback v0002 --model-dir {models}`, or train with --force" in refused.stderr
        assert registry.versions() == ["v0001", "v0002"]
        assert registry.published() == "v0001"
    listed = run("versions", "--model-dir", models).stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["*", "v0002", "v0002:"]
    assert "v0002: rejected by the promotion check: on " in listed
    assert run_printed(learning.commands(), refused.stderr).exit_code == 0
    assert registry.published() == "v0002"
    assert "nothing to do" in run(*command).stdout
    run("rollback", "v0001", "--model-dir", models)
    forced = run(*command, "--force")
    assert forced.exit_code == 0, forced.output
    assert "promotion check: published because it was requested, against the promotion check" in forced.stdout
    assert registry.published() == "v0003"


@pytest.mark.parametrize("command", ["train", "score"])
def test_an_unknown_cube_in_labels_is_wrong_usage(trained: Trained, tmp_path: Path, command: str) -> None:
    """Exit 2; the error names the cube."""
    (tmp_path / "labels.csv").write_text("cube,label,verified\nNOSUCH,emergence,1\n")
    more = ("--out", tmp_path / "scores.csv") if command == "score" else ()
    result = run(
        command, trained.release, "--model-dir", trained.models, "--labels", tmp_path / "labels.csv", *more
    )  # fmt: skip
    assert result.exit_code == 2
    assert "NOSUCH" in result.stderr


def test_too_few_labels_are_refused(trained: Trained, tmp_path: Path) -> None:
    """Exit 1; nothing is trained."""
    rows = read_table(trained.release / "labels.csv")
    table = "".join(f"{row['cube']},emergence,1\n" for row in rows)
    (tmp_path / "labels.csv").write_text("cube,label,verified\n" + table)
    result = run(
        "train", trained.release, "--model-dir", tmp_path / "models", "--labels", tmp_path / "labels.csv"
    )  # fmt: skip
    assert result.exit_code == 1
    assert "0 cubes are labelled non-emergence" in result.stderr
    assert Registry(tmp_path / "models").versions() == []


def test_a_model_folder_that_is_not_there_is_refused(trained: Trained, tmp_path: Path) -> None:
    """It is a path with a mistake in it, or nothing was trained yet; nothing is read before."""
    absent = tmp_path / "modles"
    result = run("score", trained.release, "--model-dir", absent, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert f"{absent} is not a folder; name an existing model folder" in result.stderr
    assert "or make one with `helioloop train`" in result.stderr


def test_scoring_before_training_and_unknown_versions_are_refused(trained: Trained, tmp_path: Path) -> None:
    """Exit 1; the error lists the existing versions."""
    nothing = run("score", trained.release, "--model-dir", tmp_path, "--out", tmp_path / "scores.csv")
    assert (nothing.exit_code, "has no published version" in nothing.stderr) == (1, True)
    other = run(
        "score", trained.release, "--model-dir", trained.models, "--version", "v0009", "--out", tmp_path / "scores.csv"
    )
    assert (other.exit_code, "v0001" in other.stderr) == (1, True)
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("place", [[], ["--model-dir", "models", "--project", "1"]])
def test_versions_takes_one_of_model_dir_and_project(place: list[str]) -> None:
    """Neither and both are wrong usage."""
    assert run("versions", *place).exit_code == 2


def test_versions_of_a_project_without_models(trained: Trained) -> None:  # noqa: ARG001 - for its settings
    """An empty model folder is reported and is not an error."""
    result = run("versions", "--project", "5")
    assert result.exit_code == 0
    assert "project-5 holds no version yet" in result.stdout


def test_a_frame_is_shown_only_if_ensemble_or_label_is_emergence() -> None:
    """A stored frame from an earlier label is not shown once both are non-emergence."""
    score = CubeScore(
        cube="c",
        sha256="",
        p_emergence=0.35,
        p_spread=None,
        members=("m",),
        emergence=Emergence(frame=90, frame_lo=80, frame_hi=99),
    )
    shown = score_row(Label.EMERGENCE, score, version="v0001")
    assert [shown[name] for name in SCORE_COLUMNS] == [
        "c", "emergence", "0.350000", "", "0.650000", 90, 80, 99, "v0001",
    ]  # fmt: skip
    for label in (Label.NON_EMERGENCE, None):
        assert score_row(label, score, version="v0001")["emergence_frame"] == ""


def test_without_a_local_growth_the_networks_probability_is_that_of_the_cube() -> None:
    """As for the recipe paper, and for versions trained before the growth was measured."""
    score = CubeScore(cube="c", sha256="0" * 64, p_emergence=0.75, p_spread=None, members=("fold0-0",))
    cells = member_cells(score, start=30)
    assert (cells["p_networks"], cells["growth"]) == (score_row(None, score, version="v0001")["p_emergence"], "")
    grown = member_cells(replace(score, p_networks=0.5, growth=3.5), start=30)
    assert (float(grown["p_networks"]), float(grown["growth"])) == (0.5, 3.5)


def test_the_plan_and_the_card_record_the_profile(trained: Trained) -> None:
    """Name, instrument, factor and size of a patch, as in the release's release.toml."""
    registry = Registry(trained.models)
    expected = {"name": "small", "instrument": "MDI", "to_mdi_factor": 1.0, "patch_deg": 10.0}
    assert registry.card("v0001").profile == Plan.read(registry.folder("v0001")).profile == expected


def test_a_release_of_another_profile_is_scored_only_on_request(trained: Trained, tmp_path: Path) -> None:
    """The refusal names both profiles and the option; with it, the difference is printed."""
    other, out = tmp_path / "other", tmp_path / "scores.csv"
    shutil.copytree(trained.release, other)
    like_hmi = replace(BUILT_IN["hmi"], instrument=replace(SMALL, name="HMI"), patch_deg=10.0)
    write_release_profile(other, like_hmi)
    words = ("score", other, "--model-dir", trained.models, "--out", out)
    refused = run(*words)
    assert refused.exit_code == 1
    for part in ("'small' (MDI, 1 to", "'hmi' (HMI, 1.4 to", "--other-profile"):
        assert part in refused.stderr
    assert not out.exists()
    accepted = run(*words, "--other-profile")
    assert accepted.exit_code == 0, accepted.output
    assert "the release has 'hmi'" in accepted.stderr
    write_release_profile(other, replace(like_hmi, instrument=replace(SMALL, size_px=20)))
    assert "their grids differ" in run(*words, "--other-profile").stderr


@pytest.mark.usefixtures("trained")
def test_a_profile_of_ones_own_trains_and_scores(tmp_path: Path) -> None:
    """Another cadence, number of frames, size and patch: frames stay on that grid."""
    grid = Instrument(name="OWN", cadence_seconds=3600.0, n_frames=40, size_px=24, clip_gauss=800.0, frozen_frames=4)
    profile = replace(PROFILE, name="own", instrument=grid, patch_deg=12.0)
    release, models, out = tmp_path / "own", tmp_path / "models", tmp_path / "scores.csv"
    release.mkdir()
    rng = np.random.default_rng(1)
    lines = []
    for k in range(24):
        field = rng.normal(0.0, 20.0, (40, 24, 24))
        if k % 2:
            field[20:, 8:14, 8:16] += 600.0
        seconds = np.arange(40) * grid.cadence_seconds
        path = release / f"own{k:02d}.fits"
        write_cube(path, field, seconds, start="2003-01-01T00:00:00", region=f"r{k}", instrument=grid)
        lines.append(f"own{k:02d},{'emergence' if k % 2 else 'non-emergence'},0\n")
    (release / "labels.csv").write_text("cube,label,verified\n" + "".join(lines))
    write_release_profile(release, profile)
    assert run("train", release, "--model-dir", models).exit_code == 0
    result = run("score", release, "--model-dir", models, "--out", out)
    assert result.exit_code == 0, result.output
    rows = read_table(out)
    assert len(rows) == 24
    assert all(0 <= int(row["emergence_frame"]) < 40 for row in rows if row["emergence_frame"])
    card = Registry(models).card("v0001")
    assert (card.profile["name"], card.instrument) == ("own", grid.as_dict())


def other_release(trained: Trained, folder: Path, profile: Profile) -> Path:
    """Copy the release and give it another profile."""
    shutil.copytree(trained.release, folder)
    write_release_profile(folder, profile)
    return folder


LIKE_HMI = replace(BUILT_IN["hmi"], instrument=replace(SMALL, name="HMI"), patch_deg=10.0)


@pytest.mark.parametrize("forced", [(), ("--force",)], ids=["plain", "forced"])
@pytest.mark.parametrize("known_by", ["profile.json", "the versions' cards"])
def test_a_model_folder_takes_one_profile(
    trained: Trained, tmp_path: Path, forced: tuple[str, ...], known_by: str
) -> None:
    """The first training writes it. A release of another one is refused before a cube is read, also with --force."""
    models = tmp_path / "models"
    shutil.copytree(trained.models, models)
    assert read_project_profile(models) == PROFILE
    if known_by != "profile.json":
        (models / "profile.json").unlink()
    refused = run("train", other_release(trained, tmp_path / "other", LIKE_HMI), "--model-dir", models, *forced)
    assert refused.exit_code == 1
    owner = "profile" if known_by == "profile.json" else "version v0001 of profile"
    assert f"the release has profile 'hmi', but {models} has {owner} 'small' (" in refused.stderr
    assert "to_mdi_factor 1.4 instead of 1" in refused.stderr
    assert "all versions in a model folder have one profile; give another --model-dir" in refused.stderr
    assert "is excluded" not in refused.stderr
    assert Registry(models).versions() == ["v0001"]


def test_training_into_a_projects_folder_obeys_the_project(trained: Trained, tmp_path: Path) -> None:
    """It has cubes that were ingested: of the profile that is written, or of mdi in older folders."""
    models, other = tmp_path / "models", other_release(trained, tmp_path / "other", LIKE_HMI)
    label = CurrentLabel(cube="A", label=Label.EMERGENCE, crude=Label.EMERGENCE)
    Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes={"A": label}).write(models)
    refused = run("train", other, "--model-dir", models)
    assert (refused.exit_code, f"but {models} has profile 'mdi' (" in refused.stderr) == (1, True)
    write_project_profile(models, PROFILE)
    refused = run("train", other, "--model-dir", models)
    assert (refused.exit_code, f"but {models} has profile 'small' (" in refused.stderr) == (1, True)
    assert Registry(models).versions() == []


def test_a_training_that_does_not_begin_sets_no_profile(trained: Trained, tmp_path: Path) -> None:
    """The release has no labels: the folder still takes any profile."""
    release = other_release(trained, tmp_path / "unlabelled", LIKE_HMI)
    rows = read_table(release / "labels.csv")
    (release / "labels.csv").write_text("cube,label,verified\n" + "".join(f"{row['cube']},,0\n" for row in rows))
    assert run("train", release, "--model-dir", tmp_path / "models").exit_code == 1
    assert find_project_profile(tmp_path / "models") is None


def test_patches_of_another_size_are_not_scored_on_request_either(trained: Trained, tmp_path: Path) -> None:
    """Pixels of 0.4 degrees are not those of a third of a degree that the version was trained on."""
    wider = replace(PROFILE, patch_deg=12.0)
    words = ("score", other_release(trained, tmp_path / "other", wider), "--model-dir", trained.models)
    refused = run(*words, "--out", tmp_path / "scores.csv", "--other-profile")
    assert refused.exit_code == 1
    assert "their grids differ (patch_deg 12 instead of 10)" in refused.stderr
