"""``helioloop campaign`` and ``compare`` on a real release of small synthetic cubes whose truth is known."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
from click.testing import Result
from tests.worker.shell import read_table, run_one_of

from helioloop import settings, synthetic
from helioloop.data.release_profile import write_release_profile
from helioloop.model import recipes
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.versions import Registry
from helioloop.workflows import experiment
from helioloop_worker.commands import science

N_CUBES = 36
SMALL = replace(MDI, size_px=30)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=SMALL)


def run(*words: str | Path) -> Result:
    """Run a command as the shell would."""
    return run_one_of(science.commands(), *words)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A release, its truth, and a folder for models."""

    release: Path
    truth: Path
    models: Path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inputs]:
    """One release for this module, and a recipe of one epoch."""
    folder = tmp_path_factory.mktemp("science")
    synthetic.make_release(folder / "bench", n=N_CUBES, seed=5, truth=folder / "truth.csv", instrument=SMALL)
    write_release_profile(folder / "bench", PROFILE)
    tiny = replace(recipes.QUICK, epochs=1, min_steps=0, folds=2, dropouts=(0.2,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOLOOP_CACHE_ROOT", str(folder / "cache"))
        patch.setenv("HELIOLOOP_DEVICE", "cpu")
        patch.setitem(recipes.RECIPES, "quick", tiny)
        patch.setattr(experiment, "process_count", lambda *_: 1)  # starting processes takes longer than the training
        settings.load_settings.cache_clear()
        yield Inputs(release=folder / "bench", truth=folder / "truth.csv", models=folder / "models")
    settings.load_settings.cache_clear()


def test_a_campaign_is_simulated_and_continued(inputs: Inputs, tmp_path: Path) -> None:
    """Two rounds and a closing one, each a version and a row; existing versions are not trained again."""
    out = tmp_path / "campaign.csv"
    words = ("campaign", inputs.release, "--truth", inputs.truth, "--model-dir", inputs.models, "--out", out)
    result = run(*words, "--rounds", "1")
    assert result.exit_code == 0, result.output
    first = read_table(out)
    result = run(*words, "--rounds", "2")
    assert result.exit_code == 0, result.output
    rows = read_table(out)
    registry = Registry(inputs.models)
    assert registry.versions() == [row["version"] for row in rows] == ["v0001", "v0002", "v0003"]
    assert registry.published() is None
    assert [row | {"seconds": ""} for row in rows[:1]] == [row | {"seconds": ""} for row in first[:1]]
    assert [bool(row["seconds"]) for row in rows] == [False, False, True]
    assert [int(row["trained_on_verified"]) for row in rows] == [0, 4, 8]
    assert [registry.card(row["version"]).verified for row in rows] == [0, 4, 8]
    wrong = {row["cube"] for row in read_table(inputs.truth)} & {
        a["cube"]
        for a, b in zip(read_table(inputs.truth), read_table(inputs.release / "labels.csv"), strict=True)
        if a["label"] != b["label"]
    }
    flips = [int(row["flips"]) for row in rows]
    assert [int(row["true_wrong_left"]) for row in rows] == [
        len(wrong) - flips[0], len(wrong) - sum(flips[:2]), len(wrong) - sum(flips[:2])
    ]  # fmt: skip
    assert "Round 2: 4 cubes verified" in result.stdout
    assert "none yet" in result.stdout
    assert "3.0% wrong labels: " in result.stdout
    lines = result.stdout.splitlines()
    (heads,) = (number for number, line in enumerate(lines) if line.startswith("round "))
    assert lines[heads].split()[-6:] == ["AUROC", "errors", "frame", "near", "in", "interval"]
    figures = {"auroc": 3, "error_auroc": 3, "frame_error_frames": 1, "frame_near": 2, "interval_coverage": 2}
    assert [line.split()[-5:] for line in lines[heads + 1 : heads + 4]] == [
        [f"{float(row[name]):.{digits}f}" if row[name] else "-" for name, digits in figures.items()] for row in rows
    ]


def test_a_campaign_whose_corrected_labels_are_too_few_ends_with_the_rounds_before(
    inputs: Inputs, tmp_path: Path
) -> None:
    """By this truth nine cubes emerge, and the first round verifies all: the closing round has nothing to train on."""
    truth, out = tmp_path / "truth.csv", tmp_path / "campaign.csv"
    emergences = [row["cube"] for row in read_table(inputs.truth) if row["label"] == "emergence"][:9]
    labels = {
        row["cube"]: "emergence" if row["cube"] in emergences else "non-emergence" for row in read_table(inputs.truth)
    }
    truth.write_text("".join(["cube,label\n", *(f"{cube},{label}\n" for cube, label in labels.items())]))
    result = run(
        "campaign", inputs.release, "--truth", truth, "--model-dir", tmp_path / "models", "--out", out,
        "--batch-fraction", "1",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "closing round, with labels corrected by the truth: 9 cubes are labelled emergence; " in result.stderr
    assert [row["round"] for row in read_table(out)] == ["1"]
    assert ["1", f"{N_CUBES}", "(100%)"] in [line.split()[:3] for line in result.stdout.splitlines()]
    assert "3.0% wrong labels: reached after " in result.stdout


def test_recipes_are_compared_over_seeds(inputs: Inputs, tmp_path: Path) -> None:
    """One row per training in the CSV, one per recipe on the screen; existing versions are not trained again."""
    out = tmp_path / "compared.csv"
    words = ("compare", inputs.release, "--truth", inputs.truth, "--model-dir", tmp_path / "models", "--out", out)
    result = run(*words, "--recipe", "quick", "--seeds", "2")
    assert result.exit_code == 0, result.output
    rows = read_table(out)
    assert [(row["recipe"], row["seed"]) for row in rows] == [("quick", "0"), ("quick", "1000")]
    assert [row["cubes"] for row in rows] == [str(N_CUBES)] * 2
    assert rows[0]["auroc"] != rows[1]["auroc"]
    table = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert table["recipe"].split()[1:] == [
        "AUROC", "errors", "P@k", "acc", "TSS", "frame", "near", "in", "interval", "seconds"
    ]  # fmt: skip
    for name in ("auroc", "error_auroc", "precision_at_k", "accuracy"):
        figures = [float(row[name]) for row in rows]
        assert f"  {fmean(figures):.3f} ± {stdev(figures):.3f}  " in table["quick"]
    assert f"{N_CUBES} cubes evaluated" in result.stdout
    again = run(*words, "--recipe", "quick")
    assert again.exit_code == 0, again.output
    assert [row | {"seconds": ""} for row in rows[:1]] == read_table(out)


def test_the_papers_protocol_evaluates_november_and_december_alone(inputs: Inputs, tmp_path: Path) -> None:
    """No member was trained on these cubes."""
    out = tmp_path / "compared.csv"
    result = run(
        "compare", inputs.release, "--truth", inputs.truth, "--recipe", "quick", "--protocol", "paper",
        "--model-dir", tmp_path / "models", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    late = {row["cube"] for row in read_table(inputs.truth) if row["start"][5:7] in {"11", "12"}}
    assert late
    assert read_table(out)[0]["cubes"] == str(len(late))
    card = Registry(tmp_path / "models" / "quick-seed0").card("v0001")
    assert not late & set(card.labels)
    assert len(card.labels) == N_CUBES - len(late)


def test_a_truth_that_lacks_a_cube_is_wrong_usage(inputs: Inputs, tmp_path: Path) -> None:
    """Exit 2; nothing is trained, and the error names the cube."""
    lines = inputs.truth.read_text().splitlines()
    (tmp_path / "truth.csv").write_text("\n".join(lines[:-1]))
    for command in ("campaign", "compare"):
        result = run(command, inputs.release, "--truth", tmp_path / "truth.csv", "--model-dir", tmp_path / "models")
        assert result.exit_code == 2
        assert f"no row for cube {lines[-1].split(',')[0]}" in result.stderr
    assert not (tmp_path / "models").exists()


def test_the_crude_labels_of_the_release_are_no_truth(inputs: Inputs, tmp_path: Path) -> None:
    """Every crude label would count as right."""
    for command in ("campaign", "compare"):
        labels = inputs.release / "labels.csv"
        result = run(command, inputs.release, "--truth", labels, "--model-dir", tmp_path / "models")
        assert result.exit_code == 1
        assert f"labels.csv, line 2 (and {N_CUBES - 1} more rows): verified is '0'; in a truth table" in result.stderr
    assert not (tmp_path / "models").exists()


def test_a_verified_label_that_the_truth_contradicts_is_said(inputs: Inputs, tmp_path: Path) -> None:
    """The comparison ends for another reason: two labels are too few."""
    release = tmp_path / "release"
    shutil.copytree(inputs.release, release)
    first, second = (row["cube"] for row in read_table(inputs.truth)[:2])
    (release / "labels.csv").write_text(f"cube,label,verified\n{first},emergence,1\n{second},emergence,0\n")
    (tmp_path / "truth.csv").write_text(f"cube,label\n{first},non-emergence\n{second},non-emergence\n")
    result = run("compare", release, "--truth", tmp_path / "truth.csv")
    assert result.exit_code == 1
    assert f"truth.csv: cube {first} is non-emergence there, and its verified label is emergence in " in result.stderr


def test_an_unusable_truth_table_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    """Exit 1 for a table without the columns, 2 for an unknown recipe."""
    result = run("compare", inputs.release, "--truth", inputs.release / "labels.csv", "--recipe", "none")
    assert result.exit_code == 2
    (tmp_path / "truth.csv").write_text("cube\n")
    result = run("compare", inputs.release, "--truth", tmp_path / "truth.csv")
    assert (result.exit_code, "no column 'label'" in result.stderr) == (1, True)


@pytest.mark.parametrize("command", ["campaign", "compare"])
def test_help_shows_an_example(command: str) -> None:
    """A command line to try."""
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"helioloop {command} bench --truth bench-truth.csv" in result.stdout


@pytest.mark.parametrize("command", ["campaign", "compare"])
def test_experiments_in_a_folder_of_another_profile_are_refused(inputs: Inputs, tmp_path: Path, command: str) -> None:
    """As by `helioloop train`: versions of two profiles would lie side by side."""
    models = tmp_path / "models"
    for folder in (models, models / "quick-seed0"):
        write_project_profile(folder, BUILT_IN["gong"])
    result = run(command, inputs.release, "--truth", inputs.truth, "--model-dir", models, "--seed", "0")
    assert result.exit_code == 1
    assert "the release has profile 'small', but" in result.stderr
    assert "has profile 'gong' (" in result.stderr
    assert Registry(models).versions() == []
