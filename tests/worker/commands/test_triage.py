"""``helioloop triage`` on small cubes made by hand: a release that is trained on, and a new one."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from tests.worker.shell import read_table, run_one_of

from helioloop import settings
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.frame_times import frame_time
from helioloop.data.loader import Loader
from helioloop.data.release_profile import write_release_profile
from helioloop.errors import RegistryError
from helioloop.evaluation.risk_control import make_guarantee
from helioloop.model import recipes
from helioloop.model.device import choose_device
from helioloop.model.ensemble import Ensemble
from helioloop.model.runtime import Runtime
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE
from helioloop.registry.versions import Registry
from helioloop.workflows import releases
from helioloop.workflows.prelabel_report import COLUMNS
from helioloop_worker.commands import learning, triage

N_OLD, N_NEW = 32, 8
SMALL = replace(MDI, size_px=30)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=SMALL)


def run(*words: str | Path) -> Result:
    """Run a command as the shell would."""
    return run_one_of((*learning.commands(), *triage.commands()), *words)


@dataclass(frozen=True, kw_only=True)
class Releases:
    """The release trained on, a new one, and the model folder."""

    old: Path
    new: Path
    models: Path

    def scores(self) -> dict[str, CubeScore]:
        """Out-of-fold scores by cube, in the order of the old release."""
        stored = {score.cube: score for score in Registry(self.models).scores("v0001").values()}
        return {row["cube"]: stored[row["cube"]] for row in read_table(self.old / "labels.csv")}


def write_cubes(folder: Path, numbers: range) -> list[str]:
    """Write small cubes of noise. Odd ones have a bipole from half way on; every fifth has only a date in its name."""
    folder.mkdir()
    bipole = np.zeros((22, SMALL.size_px, SMALL.size_px))
    bipole[11:, 9:21, 3:15], bipole[11:, 9:21, 15:27] = 500.0, -500.0
    names = [f"AR{k:03d}_2001{1 + k % 12:02d}{1 + k % 28:02d}" for k in numbers]
    for k, name in zip(numbers, names, strict=True):
        write_cube(
            folder / f"{name}.fits",
            np.random.default_rng(k).normal(0.0, 30.0, bipole.shape) + (k % 2) * bipole,
            np.arange(22) * 10.0 * SMALL.cadence_seconds,
            start=f"2001-{name[-4:-2]}-{name[-2:]}T01:30:00" if k % 5 else None,
            region=None,
            instrument=SMALL,
        )
    return names


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """A release to train on, and a new one: its table has no labels, is reversed, and lists a cube without a file."""
    folder = tmp_path_factory.mktemp("triage")
    old, new = folder / "old", folder / "new"
    rows = [f"{name},{list(Label)[1 - k % 2]},0\n" for k, name in enumerate(write_cubes(old, range(N_OLD)))]
    (old / "labels.csv").write_text("cube,label,verified\n" + "".join(rows))
    names = write_cubes(new, range(N_OLD, N_OLD + N_NEW))
    (new / "labels.csv").write_text("cube,label,verified\nlost,,0\n" + "".join(f"{name},,0\n" for name in names[::-1]))
    for release in (old, new):
        write_release_profile(release, PROFILE)
    tiny = replace(recipes.QUICK, epochs=12, min_steps=0, folds=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOLOOP_CACHE_ROOT", str(folder / "cache"))
        patch.setenv("HELIOLOOP_DEVICE", "cpu")
        patch.setitem(recipes.RECIPES, "quick", tiny)
        patch.setattr(releases, "process_count", lambda *_: 1)  # starting processes takes longer than the training
        settings.load_settings.cache_clear()
        trained = run("train", old, "--model-dir", folder / "models")
        assert trained.exit_code == 0, trained.output
        yield Releases(old=old, new=new, models=folder / "models")
    settings.load_settings.cache_clear()


def write_sample(path: Path, scores: dict[str, CubeScore], *, right: bool = True) -> Path:
    """Write an audit sample in which every class of the ensemble is right, or every one is wrong."""
    lines = [
        f"{score.cube},{Label.EMERGENCE if (score.predicted is Label.EMERGENCE) is right else Label.NON_EMERGENCE}"
        for score in scores.values()
    ]
    path.write_text("\n".join(("cube,label", *lines)))
    return path


def test_a_version_made_by_other_code_is_refused(made: Releases, tmp_path: Path) -> None:
    """Its audit sample has probabilities of another formula."""
    models = shutil.copytree(made.models, tmp_path / "models")
    path = Registry(models).folder("v0001") / "card.json"
    path.write_text(re.sub(r'("code_version": ").*(")', r"\g<1>0.1.0+000000000000\g<2>", path.read_text()))
    sample = write_sample(tmp_path / "sample.csv", made.scores())
    done = run("triage", made.new, "--model-dir", models, "--random", sample, "--out", tmp_path / "out.csv")
    assert done.exit_code == RegistryError.exit_code
    assert "v0001 was made by other code (0.1.0+000000000000, now " in done.output
    assert "train a new version with `helioloop train`" in done.output
    assert not (tmp_path / "out.csv").exists()


def test_sure_cubes_are_accepted_under_the_guarantee_and_the_others_go_to_a_human(
    made: Releases, tmp_path: Path
) -> None:
    """One row per readable cube in the table's order; a probability above the sample's threshold is accepted."""
    scores, out = made.scores(), tmp_path / "out.csv"
    sample = write_sample(tmp_path / "drawn.csv", scores)
    result = run(
        "triage", made.new, "--model-dir", made.models, "--random", sample, "--rate", "0.1", "--out", out
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "lost is excluded: " in result.stderr
    rows = read_table(out)
    assert out.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert [row["cube"] for row in rows] == [row["cube"] for row in read_table(made.new / "labels.csv")[1:]]
    p = np.array([score.p_emergence for score in scores.values()])
    guarantee = make_guarantee(p, p >= 0.5, rate=0.1)
    assert guarantee is not None
    for row in rows:
        sure = max(float(row["p_emergence"]), 1.0 - float(row["p_emergence"]))
        assert row["accepted"] == str(int(sure >= guarantee.threshold))
        assert (row["label_predicted"] == "emergence") == (float(row["p_emergence"]) >= 0.5)
        assert row["model_version"] == "v0001"
    accepted = sum(row["accepted"] == "1" for row in rows)
    assert accepted > 0
    frames = [row["emergence_frame"] for row in rows if row["label_predicted"] == "emergence"]
    assert any(frames)
    assert all(85 <= int(frame) <= 125 for frame in frames if frame)  # the bipole appears between 100 and 110
    assert f"{N_NEW} cubes scored by v0001: {accepted} accepted, {N_NEW - accepted} go to the human." in result.stdout
    assert (
        "Of labels accepted in this way at most 10 % are wrong in the long run, with 90 % confidence; among the "
        f"{accepted} accepted here "
    ) in result.stdout
    assert f"of {len(scores)} labels in the audit sample {len(scores)} pass, 0 of these are wrong" in result.stdout


def test_a_new_cube_is_scored_by_the_members_of_one_fold(made: Releases, tmp_path: Path) -> None:
    """Each of both folds scores some cubes; ``score`` uses all members for the same cubes, before and after."""
    words = (made.new, "--model-dir", made.models, "--out")
    assert run("score", *words, tmp_path / "before.csv").exit_code == 0
    sample = write_sample(tmp_path / "drawn.csv", made.scores())
    assert run("triage", *words, tmp_path / "out.csv", "--random", sample).exit_code == 0
    assert run("score", *words, tmp_path / "after.csv").exit_code == 0
    assert (tmp_path / "before.csv").read_bytes() == (tmp_path / "after.csv").read_bytes()
    ensemble = Ensemble.open(Registry(made.models).folder("v0001"), device=choose_device("cpu"))
    load = Loader(roots=(made.new.parent,), cache=settings.load_settings().cache_root, instrument=SMALL)
    work = Runtime(instrument=SMALL, profile=PROFILE, load=load, device=ensemble.device)
    used = set()
    for row, scored in zip(read_table(tmp_path / "out.csv"), read_table(tmp_path / "before.csv"), strict=True):
        cube, _ = load.parse(CubeFiles.read(made.new / f"{row['cube']}.fits"))
        means = [f"{ensemble.of_fold(fold).score(cube, work).p_emergence:.6f}" for fold in (0, 1)]
        assert float(scored["p_emergence"]) == pytest.approx(np.mean([float(mean) for mean in means]), abs=2e-6)
        used.add(means.index(row["p_emergence"]))
    assert used == {0, 1}


def test_a_rate_that_cannot_be_guaranteed_accepts_nothing(made: Releases, tmp_path: Path) -> None:
    """Exit 0: every cube goes to a human, and the smallest possible rate is printed."""
    scores, out = made.scores(), tmp_path / "out.csv"
    words = ("triage", made.new, "--model-dir", made.models, "--out", out, "--random")
    result = run(*words, write_sample(tmp_path / "drawn.csv", scores))
    assert result.exit_code == 0, result.output
    assert {row["accepted"] for row in read_table(out)} == {"0"}
    assert f"Nothing is accepted: {len(scores)} labels of the audit sample do not support a guarantee" in result.stdout
    assert "at least 114 labels are needed" in result.stdout
    assert "The smallest rate they support is 7 %" in result.stdout
    result = run(*words, write_sample(tmp_path / "drawn.csv", scores, right=False), "--rate", "0.1")
    assert (result.exit_code, "They do not support a rate up to 30 %" in result.stdout) == (0, True)


def test_verified_labels_are_never_overruled(made: Releases, tmp_path: Path) -> None:
    """Whether the ensemble agrees with them or not; and a cube of the sample is one under another name, too."""
    new, out = tmp_path / "new", tmp_path / "out.csv"
    shutil.copytree(made.new, new)
    sample = write_sample(tmp_path / "drawn.csv", made.scores())
    words = ("triage", new, "--model-dir", made.models, "--random", sample, "--rate", "0.1", "--out", out)
    before = run(*words)
    assert before.exit_code == 0, before.output
    assert "a human verified" not in before.stdout
    agreeing, contradicted, *others = [row for row in read_table(out) if row["accepted"] == "1"]
    assert others
    other = {str(Label.EMERGENCE): Label.NON_EMERGENCE, str(Label.NON_EMERGENCE): Label.EMERGENCE}
    verified = {
        agreeing["cube"]: agreeing["label_predicted"], contradicted["cube"]: other[contradicted["label_predicted"]]
    }  # fmt: skip
    lines = [f"{row['cube']},{verified.get(row['cube'], '')},{int(row['cube'] in verified)}" for row in read_table(out)]
    (new / "labels.csv").write_text("\n".join(("cube,label,verified", *lines, "AR999_20010101,,0")))
    shutil.copy(made.old / f"{read_table(sample)[0]['cube']}.fits", new / "AR999_20010101.fits")
    after = run(*words)
    assert after.exit_code == 0, after.output
    accepted = {row["cube"] for row in read_table(out) if row["accepted"] == "1"}
    assert accepted == {row["cube"] for row in others}
    n_human = N_NEW + 1 - len(others) - 3
    assert f": {len(others)} accepted, {n_human} go to the human, 3 have a label that a human verified." in after.stdout
    assert f"among the {len(others)} accepted here" in after.stdout


def test_emergences_get_a_calibrated_interval_and_a_time(made: Releases, tmp_path: Path) -> None:
    """On the old release, with stored scores 7 frames late. A date only in the name gives no time."""
    models, out = tmp_path / "models", tmp_path / "out.csv"
    shutil.copytree(made.models, models)
    stored = [
        replace(
            score,
            p_emergence=0.05 + 0.9 * (k % 2),
            curve=(0.0,),
            emergence=Emergence(frame=100 + k, frame_lo=96 + k, frame_hi=105 + k),
        )
        for k, score in enumerate(made.scores().values())
    ]
    Registry(models).add_scores("v0001", stored)
    lines = [
        f"{score.cube},{score.predicted},{score.emergence.frame - 7 if score.predicted is Label.EMERGENCE else ''}"
        for score in stored
        if score.emergence is not None
    ]
    (tmp_path / "drawn.csv").write_text("\n".join(("cube,label,emergence_frame", *lines)))
    words = ("triage", made.old, "--model-dir", models, "--out", out, "--random", tmp_path / "drawn.csv")
    result = run(*words, "--rate", "0.1")
    assert result.exit_code == 0, result.output
    assert "Probabilities: calibrated on 32 labels of the audit sample." in result.stdout
    assert "Intervals: calibrated on 16 verified frames to contain the true frame in 90 % of cases." in result.stdout
    for score, row in zip(stored, read_table(out), strict=True):
        assert (row["p_emergence"], row["accepted"]) == (f"{score.p_emergence:.6f}", "0")  # all are of the sample
        assert (float(row["p_calibrated"]) > 0.5) == (score.p_emergence > 0.5)
        if score.predicted is Label.NON_EMERGENCE or score.emergence is None:
            assert {row[name] for name in COLUMNS if "emergence_" in name or name == "interval"} == {""}
            continue
        frames = [row[f"emergence_frame{end}"] for end in ("_lo", "", "_hi")]
        # 6/4 of 4 before and of 5 after, and one
        assert frames == [str(score.emergence.frame + step) for step in (-7, 0, 8)]
        assert row["interval"] == "calibrated 0.9"
        day = f"2001-{score.cube[-4:-2]}-{score.cube[-2:]}"
        time = frame_time(f"{day}T01:30:00", score.emergence.frame, cadence_seconds=SMALL.cadence_seconds)
        by_name_alone = int(score.cube[2:5]) % 5 == 0
        expected = ("", "") if by_name_alone else (time.utc, time.tai)
        assert (row["emergence_time_utc"], row["emergence_time_tai"]) == expected
    result = run(*words, "--coverage", "0.99")
    assert "Intervals: uncalibrated, 16 verified frames are too few for 99 %." in result.stdout
    assert {row["interval"] for row in read_table(out)} == {"", "uncalibrated"}
    assert read_table(out)[1]["emergence_frame_hi"] == str(stored[1].emergence.frame_hi)


def noisy_copy(made: Releases, folder: Path) -> Path:
    """Write the new release with noise added until it is doubled, and return its folder."""
    shutil.copytree(made.new, folder)
    for k, path in enumerate(sorted(folder.glob("*.fits"))):
        cube = CubeFiles.read(path).cube()
        noise = np.random.default_rng(k).normal(0.0, 30.0 * np.sqrt(3.0), cube.observed_gauss.shape)
        path.unlink()
        write_cube(path, cube.observed_gauss + noise, cube.seconds, start=None, region=None, instrument=SMALL)
    return folder


def test_nothing_is_accepted_of_a_release_with_other_noise(made: Releases, tmp_path: Path) -> None:
    """Exit 0: the table is written without calibration, the guarantee is withdrawn, both values and a remedy are given.

    ``score`` warns of it, and writes its table too.
    """
    noisy, out = noisy_copy(made, tmp_path / "noisy"), tmp_path / "out.csv"
    words = ("--model-dir", made.models, "--out", out)
    sample = write_sample(tmp_path / "drawn.csv", made.scores())
    result = run("triage", noisy, *words, "--random", sample, "--rate", "0.1")
    assert result.exit_code == 0, result.output
    rows = read_table(out)
    assert len(rows) == N_NEW
    assert {(row["accepted"], row["p_calibrated"]) for row in rows} == {("0", "")}
    assert {row["interval"] for row in rows} <= {"", "uncalibrated"}
    assert f"{N_NEW} cubes scored by v0001: 0 accepted, {N_NEW} go to the human." in result.stdout
    (found,) = re.findall(r"not like those trained on: noise ([\d.]+) G, and ([\d.]+) G in the releases", result.stdout)
    assert float(found[0]) == pytest.approx(60.0, rel=0.1)
    assert float(found[1]) == pytest.approx(30.0, rel=0.1)
    assert "The risk guarantee is therefore withdrawn: nothing is accepted" in result.stdout
    assert "verify a random sample of it, train on it together with the earlier releases" in result.stdout
    assert "wrong in the long run, with 90 % confidence" not in result.stdout
    result = run("score", noisy, *words)
    assert result.exit_code == 0, result.output
    assert "helioloop: This release is not like those trained on: noise " in result.stderr
    assert len(read_table(out)) == N_NEW


def test_a_version_made_before_statistics_were_kept_accepts_nothing_and_says_what_is_unknown(
    made: Releases, tmp_path: Path
) -> None:
    models, out = tmp_path / "models", tmp_path / "out.csv"
    shutil.copytree(made.models, models)
    (models / "versions" / "v0001" / TRAINED_FIELDS_FILE).unlink()
    sample = write_sample(tmp_path / "drawn.csv", made.scores())
    words = ("--model-dir", models, "--out", out)
    result = run("triage", made.new, *words, "--random", sample, "--rate", "0.1")
    assert result.exit_code == 0, result.output
    assert {(row["accepted"], row["p_calibrated"]) for row in read_table(out)} == {("0", "")}
    assert "The risk guarantee is therefore withdrawn: nothing is accepted" in result.stdout
    assert "wrong in the long run, with 90 % confidence" not in result.stdout
    unknown = "Whether this release is like those trained on is unknown: version v0001 was made before"
    assert unknown in result.stdout
    assert unknown in run("score", made.new, *words).stderr
    assert unknown not in run("score", made.old, *words).stderr


@pytest.mark.parametrize("n", [1, 4, 5])
def test_a_release_with_too_few_regions_to_compare_is_left_to_people(made: Releases, tmp_path: Path, n: int) -> None:
    """Five are enough with a sample of 32. The table is written in any case."""
    small, out = tmp_path / "small", tmp_path / "out.csv"
    shutil.copytree(made.new, small)
    header, _, *rows = (small / "labels.csv").read_text().splitlines()
    (small / "labels.csv").write_text("\n".join((header, *rows[:n])))
    for row in rows[n:]:
        (small / f"{row.split(',')[0]}.fits").unlink()
    sample = write_sample(tmp_path / "drawn.csv", made.scores())
    result = run(
        "triage", small, "--model-dir", made.models, "--random", sample, "--rate", "0.1", "--out", out
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    written = read_table(out)
    assert len(written) == n
    assert ({row["accepted"] for row in written} == {"0"}) is (n < 5)
    assert (f"unknown: {n} new regions and 32 trained on are too few" in result.stdout) is (n < 5)
    assert ("at least 5 new ones are needed" in result.stdout) is (n < 5)
    assert ("wrong in the long run, with 90 % confidence" in result.stdout) is (n >= 5)


def test_a_sampled_cube_that_was_not_trained_on_is_wrong_usage(made: Releases, tmp_path: Path) -> None:
    """Exit 2; nothing is written, and the error names cube and remedy."""
    name = read_table(made.new / "labels.csv")[1]["cube"]
    (tmp_path / "drawn.csv").write_text(f"cube,label\n{name},emergence\n")
    out = tmp_path / "out.csv"
    words = ("triage", made.new, "--model-dir", made.models, "--random", tmp_path / "drawn.csv", "--out", out)
    result = run(*words)
    assert result.exit_code == 2
    assert f"'{name}'" in result.stderr
    assert "train on these labels too" in result.stderr
    assert run(*words, "--rate", "2").exit_code == 2
    assert not out.exists()


def test_help_demands_the_whole_sample() -> None:
    """It also shows an example."""
    text = " ".join(run("triage", "--help").stdout.split())
    assert "must hold ALL cubes of the sample, not only those found wrong" in text
    assert "helioloop triage release-4 --model-dir models --random drawn.csv" in text


def test_a_release_of_another_profile_is_labelled_only_on_request(made: Releases, tmp_path: Path) -> None:
    """Refused first, with both profiles named; with the option the table is written, and the guarantee withdrawn."""
    other, out = tmp_path / "other", tmp_path / "out.csv"
    shutil.copytree(made.new, other)
    like_hmi = replace(BUILT_IN["hmi"], instrument=replace(SMALL, name="HMI"))
    write_release_profile(other, like_hmi)
    sample = write_sample(tmp_path / "drawn.csv", made.scores())
    words = ("triage", other, "--model-dir", made.models, "--random", sample, "--rate", "0.1", "--out", out)
    refused = run(*words)
    assert (refused.exit_code, out.exists()) == (1, False)
    assert "version v0001 was trained on profile 'small' (MDI, 1 to the MDI scale)" in refused.stderr
    assert "the release has 'hmi' (HMI, 1.4 to the MDI scale)" in refused.stderr
    assert "--other-profile" in refused.stderr
    accepted = run(*words, "--other-profile")
    assert accepted.exit_code == 0, accepted.output
    assert "the release has 'hmi' (HMI, 1.4 to the MDI scale)" in accepted.stdout
    assert "The risk guarantee is therefore withdrawn: nothing is accepted" in accepted.stdout
    assert {row["accepted"] for row in read_table(out)} == {"0"}
    own = tmp_path / "own.csv"
    same = run("triage", made.new, *words[2:-1], own)
    assert (same.exit_code, "withdrawn" in same.output) == (0, False)
    scores = [[(row["cube"], row["p_emergence"]) for row in read_table(table)] for table in (out, own)]
    assert scores[0] == scores[1]  # the cubes are the same
    write_release_profile(other, replace(like_hmi, instrument=replace(SMALL, name="HMI", cadence_seconds=720.0)))
    assert "their grids differ (cadence_seconds 720 instead of 5760)" in run(*words, "--other-profile").stderr
