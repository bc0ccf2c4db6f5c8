"""The benchmark on a tiny release: every part except the authors' network, and the document."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.data.cubes import write_cube
from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, write_labels
from helioloop.model.device import CPU
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.instrument import MDI, Instrument
from helioloop.records.labels import Label
from helioloop.synthetic import Generator, making
from helioloop.workflows import experiment
from tests.benchmarks import parts
from tests.benchmarks.bench import Bench, NotAvailable, plain
from tests.benchmarks.document import render
from tests.benchmarks.reference import hand_made_features, out_of_fold, ranked
from tests.benchmarks.science import run

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=24, size_px=24, clip_gauss=1000.0, frozen_frames=3)
TINY = replace(QUICK, epochs=2, min_steps=0, batch=8, folds=2, dropouts=(0.2,))
N_CUBES = 40
ONSET = 12


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Two releases of small cubes, and a recipe that is quick."""
    folder, cache = tmp_path_factory.mktemp("bench"), tmp_path_factory.mktemp("cache")
    runtime = Runtime(
        instrument=SMALL,
        load=Loader(roots=(folder / "releases",), cache=cache, instrument=SMALL),
        device=CPU,
        inputs=cache / "inputs",
        on_excluded=lambda _cube, _error: None,
    )
    made = Bench(
        folder=folder, n=N_CUBES, seeds=(5, 6), recipe=TINY, member_seed=0, real_data=None,
        runtime=runtime,
    ).on(Generator.ELEMENTS)  # fmt: skip
    for seed in made.seeds:
        write_release(made, seed)
    with pytest.MonkeyPatch.context() as patch:
        # starting processes takes longer than what they do here
        patch.setattr(making, "make_pool", lambda *_, **__: ThreadPoolExecutor(1))
        patch.setattr(experiment, "process_count", lambda *_: 1)
        patch.setattr(parts, "ROUNDS", 1)
        patch.setattr(parts, "WIDE", replace(TINY, epochs=1))
        yield made


def write_release(bench: Bench, seed: int) -> None:
    """Write noise, in every second cube with a bipole from frame 12 on; every fifth crude label is wrong."""
    folder = bench.folder / "releases" / bench.key(seed)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows, truth = [], ["cube,label,emergence_frame,kind"]
    for k in range(N_CUBES):
        name, emerges = f"cube{seed}-{k:02d}", k % 2 == 1
        field = rng.normal(0.0, 20.0, (24, 24, 24))
        if emerges:
            field[ONSET:, 8:14, 7:12] += 600.0
            field[ONSET:, 10:16, 13:18] -= 600.0
        write_cube(
            folder / f"{name}.fits", field, np.arange(24) * 5760.0, start=f"2001-{1 + k % 12:02d}-01T00:00:00",
            region=name, instrument=SMALL,
        )  # fmt: skip
        says_emergence = emerges != (k % 5 == 0)
        label = Label.EMERGENCE if says_emergence else Label.NON_EMERGENCE
        rows.append(LabelRow(cube=name, label=label, verified=False))
        truth.append(f"{name},emergence,{ONSET},emerging" if emerges else f"{name},non-emergence,,quiet")
    bench.truth(seed).write_text("\n".join(truth))
    write_labels(folder / "labels.csv", rows)


def test_every_part_is_measured_once_and_written_down(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored figures are not measured again; a part that cannot be measured here is left out with a message."""
    monkeypatch.setattr(parts, "REPEATS", 3)
    chosen = [name for name in parts.EVERY_RUN if name != "reference"]
    run([bench], chosen, tmp_path / "science.md")
    output = capsys.readouterr().out
    assert output.count("begun") == 10  # five parts, two releases
    assert "real, elements, data seed 5: left out; the real video is not here" in output
    text = (tmp_path / "science.md").read_text()
    assert '$ make bench-science ARGS="--n 40 --seeds 5,6"' in text
    for heading in (
        "Against the bounds",
        "The first round",
        "Campaigns",
        "Emergence frames",
        "A new release",
        "The recipe for a GPU",
    ):
        assert f"\n## {heading}" in text
    assert re.search(r"\| one round from cached cubes \| [^|]+ \| [^|]+ \| 0\.\d min ± 0\.\d min, aim \|", text)
    timed = re.findall(r"^\| seconds: ([^|]+) \| (\d+) ± \d+ ", text, flags=re.MULTILINE)
    assert [what for what, _ in timed] == [
        "members trained", "cubes scored, emergences located", "fields and growth measured"
    ]  # fmt: skip
    assert "Not measured: flux transport, data seeds 5, 6." in text
    assert not re.search(r"\b(nan|inf|None)\b", text)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table

    run([bench], chosen, tmp_path / "again.md")
    assert capsys.readouterr().out.count("begun") == 3  # the real video and accurate, second release
    assert (tmp_path / "again.md").read_text() == text


def test_figures_of_another_recipe_are_not_valid(bench: Bench) -> None:
    """The stamp also contains generator, code and instrument."""
    bench.figures("made up", lambda _bench, _seed: {"figure": 1.0}, 5)
    assert bench.stored("made up", 5) is not None
    assert replace(bench, recipe=replace(TINY, epochs=3)).stored("made up", 5) is None


def test_networks_are_pretrained_on_the_generator_that_they_are_not_measured_on(bench: Bench) -> None:
    """What rounds use has seen both."""
    assert TINY.pretrained == "quick"
    assert bench.on(Generator.ELEMENTS).recipe.pretrained == "quick-flux-transport"
    assert bench.on(Generator.ELEMENTS).on(Generator.FLUX_TRANSPORT).recipe.pretrained == "quick-elements"


def test_releases_of_the_second_generator_have_names_of_their_own(bench: Bench) -> None:
    """Neither release nor figures of one generator are taken for the other's."""
    other = bench.on(Generator.FLUX_TRANSPORT)
    bench.figures("made up", lambda _bench, _seed: {"figure": 1.0}, 6)
    assert other.stored("made up", 6) is None
    assert other.key(5) != bench.key(5)


def test_both_generators_are_measured_in_one_run(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part by part, each generator's data seeds in turn; the document has a pair of columns for each."""
    both = [
        replace(bench.on(one), folder=tmp_path, real_data=tmp_path)
        for one in (Generator.ELEMENTS, Generator.FLUX_TRANSPORT)
    ]
    found = {"cube": "BARD", "p_emergence": 0.95, "p_spread": 0.01, "frame": 93, "frame_lo": 85, "frame_hi": 99}
    monkeypatch.setitem(parts.PARTS, "real", lambda one, seed: {**found, "authors_frame": len(one.key(seed))})
    run(both, ["real"], tmp_path / "science.md")
    begun = [line for line in capsys.readouterr().out.splitlines() if line.endswith("begun")]
    assert begun == [
        f"real, {generator}, data seed {seed}: begun"
        for generator in ("elements", "flux-transport")
        for seed in (5, 6)
    ]  # fmt: skip
    lengths = [len(one.key(5)) for one in both]
    row = f"| 5 | 0.950 ± 0.010 | 93 (85–99) | {lengths[0]} | 0.950 ± 0.010 | 93 (85–99) | {lengths[1]} |"
    assert row in (tmp_path / "science.md").read_text()


def test_the_reference_ranks_on_the_folds_of_the_networks(bench: Bench) -> None:
    """A forest on hand-made features, and cleanlab on the networks' probabilities; a warning outside its range."""
    pytest.importorskip("sklearn")
    pytest.importorskip("cleanlab")
    measured = bench.figures("reference", parts.reference, 5)
    assert 0.0 <= measured["forest"]["error_auroc"] <= 1.0
    # with two classes cleanlab's self-confidence ranks as the disagreement does
    assert measured["cleanlab"]["self_confidence_error_auroc"] == pytest.approx(measured["loop"]["error_auroc"])
    text = render(bench)
    inside = 0.80 <= measured["forest"]["error_auroc"] <= 0.87
    assert ("**Warning" in text) is not inside


def test_a_missing_release_is_made(bench: Bench) -> None:
    """By the generator, with its truth."""
    grid = replace(MDI, size_px=30)
    load = replace(bench.runtime.load, instrument=grid)
    few = replace(bench, n=1, runtime=replace(bench.runtime, instrument=grid, load=load))
    assert few.release(5).name == few.key(5) != bench.key(5)
    assert len(few.experiment(5).cubes) == 1
    assert few.is_drawn(5)
    assert not bench.is_drawn(5)


def test_hand_made_features_separate_an_emergence_from_a_region_that_existed() -> None:
    """The largest rise is where the flux appears; the off-disk part of the patch does not change a flux."""
    grid = replace(MDI, size_px=30)
    scaled = np.full((grid.n_frames, 30, 30), 0.5, dtype=np.float16)
    scaled[100:, 12:15, 10:15] = 0.9
    scaled[100:, 15:18, 15:20] = 0.1
    emerging = hand_made_features(scaled, grid)
    assert emerging["middle_largest_rise_frame"] == pytest.approx(100, abs=5)
    assert emerging["middle_first_at_50_percent_frame"] == pytest.approx(100, abs=5)
    assert emerging["late_separation"] == pytest.approx(np.hypot(3, 5), abs=0.1)
    there = hand_made_features(np.repeat(scaled[-1:], grid.n_frames, axis=0), grid)
    assert there["middle_entry_to_maximum"] == pytest.approx(0.0)
    assert emerging["middle_entry_to_maximum"] < -1.0
    half = scaled.copy()
    half[:, :, :5] = np.nan  # a sixth of the patch, without flux
    ratio = np.expm1(hand_made_features(half, grid)["patch_maximum"]) / np.expm1(emerging["patch_maximum"])
    assert ratio == pytest.approx(6 / 5, rel=1e-3)
    assert all(np.isfinite(value) for value in {**emerging, **there}.values())


def test_the_forest_does_not_score_cubes_it_was_trained_on() -> None:
    """Labels that are independent of the features cannot be predicted out of fold."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    features = [{"a": a, "b": b} for a, b in rng.normal(size=(200, 2)).tolist()]
    labels, folds = rng.random(200) < 0.5, np.arange(200) % 2
    p = out_of_fold(features, labels, folds, seed=0)
    wrong = rng.random(200) < 0.25
    assert ranked(p, labels, wrong)["error_auroc"] == pytest.approx(0.5, abs=0.15)


def test_numbers_that_are_not_finite_are_undefined() -> None:
    """JSON has no infinity: a median error without a frame becomes None, and fails its bound."""
    assert plain({"a": np.float64("inf"), "b": [np.int64(3), float("nan")], 4: (True,)}) == {
        "a": None, "b": [3, None], "4": [True],
    }  # fmt: skip


def test_triage_needs_two_releases(bench: Bench) -> None:
    """One of the two is the new one."""
    with pytest.raises(NotAvailable, match="second data seed"):
        parts.triage(replace(bench, seeds=(5,)), 5)
