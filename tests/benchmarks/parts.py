"""The parts of the benchmark, one function each: it takes the bench and a data seed and returns plain figures."""

import csv
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from helioloop.data.release import Release
from helioloop.data.truth import TrueCube
from helioloop.evaluation.risk_control import make_guarantee, split
from helioloop.files import atomic
from helioloop.model.ensemble import Ensemble, score_cubes
from helioloop.model.growth_odds import GrowthOdds
from helioloop.model.members import train_member
from helioloop.model.plan import make_plan
from helioloop.model.recipes import ACCURATE, PAPER
from helioloop.progress import Report
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.workflows.prelabel import prelabel_release
from helioloop.workflows.prelabel_report import Targets
from helioloop.workflows.releases import score_release
from helioloop.workflows.simulate import simulate_campaign, verifications_until
from tests.benchmarks.bench import Bench, Figures, NotAvailable
from tests.benchmarks.frame_figures import COVERAGE, REPEATS, authors_scores
from tests.benchmarks.reference import cleanlab_ranked, hand_made_features, out_of_fold, ranked
from tests.benchmarks.version_figures import version_figures

ROUNDS = 8
"""Rounds of verification in a campaign, at most."""
GOALS = {"to_3_percent": 0.03, "to_1_5_percent": 0.015}
RATE, CONFIDENCE = 0.02, 0.9
SAMPLED = 400
"""Cubes of the audit sample that a guarantee is computed from; two thirds of smaller releases."""
PAPER_SECONDS = 15 * 60.0
WIDE = replace(ACCURATE, dropouts=ACCURATE.dropouts[:1])
"""The recipe for a GPU with one member per fold, which a CPU can train in minutes."""


# -- the first round -----------------------------------------------------------------------------


def first(bench: Bench, seed: int) -> Figures:
    """Train on crude labels and evaluate against the truth."""
    experiment, registry = bench.experiment(seed), bench.registry(seed)
    clock = PhaseClock(experiment.runtime.report)
    plan = make_plan(
        experiment.cubes, recipe=bench.recipe, instrument=bench.runtime.instrument, seed=bench.member_seed, parent=None,
        reason="",
    )  # fmt: skip
    begun = any((registry.root / "staging" / plan.fingerprint).glob("*.safetensors"))
    trained = bench.first(seed, replace(experiment, runtime=replace(experiment.runtime, report=clock)))
    times = bench.folder / "figures" / f"seconds-{plan.fingerprint}.json"
    if trained.seconds is not None and not begun:  # the duration of an interrupted round is unknown
        atomic.write_json(times, {"seconds": trained.seconds, **clock.seconds})
    return {
        **version_figures(bench, seed, trained.scores, experiment.crude),
        "times": json.loads(times.read_text()) if times.exists() else {},
    }


class PhaseClock:
    """A progress report that passes everything on and adds up the duration of each phase of a round."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def __call__(self, done: int, total: int, what: str) -> None:
        """Count the time since the last call for the phase of this one: "epochs", "scoring", "measuring", …"""
        now, phase = time.perf_counter(), what.rpartition(": ")[2].partition(" ")[0]
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now
        self._report(done, total, what)


# -- the fixed reference, and cleanlab ------------------------------------------------------------


def reference(bench: Bench, seed: int) -> Figures:
    """Rank the same crude labels by a forest on hand-made features, by networks or growth alone, and by cleanlab."""
    experiment = bench.experiment(seed)
    trained = bench.first(seed)
    folds = {name: entry["fold"] for name, entry in bench.registry(seed).card(trained.version).labels.items()}
    features = []
    for done, cube in enumerate(experiment.cubes, start=1):
        features.append(hand_made_features(experiment.runtime.load(cube), bench.runtime.instrument))
        bench.runtime.report(done, len(experiment.cubes), "measuring cubes by hand")
    names = [cube.name for cube in experiment.cubes]
    crude = np.array([experiment.crude[name] is Label.EMERGENCE for name in names])
    true = np.array([experiment.truth[name].label is Label.EMERGENCE for name in names])
    p_forest = out_of_fold(features, crude, np.array([folds[name] for name in names]), seed=bench.member_seed)
    scores = [trained.scores[name] for name in names]
    p_emergence = np.array([score.p_emergence for score in scores])
    p_networks = np.array([score.p_emergence if score.p_networks is None else score.p_networks for score in scores])
    growth = np.array([np.nan if score.growth is None else score.growth for score in scores])
    odds = GrowthOdds.estimate(growth[~np.isnan(growth)].tolist())
    return {
        "forest": ranked(p_forest, crude, crude != true),
        "networks": ranked(p_networks, crude, crude != true),
        "growth": ranked(odds.combine(np.full(len(growth), 0.5), growth), crude, crude != true),
        "loop": ranked(p_emergence, crude, crude != true),
        "cleanlab": cleanlab_ranked(p_emergence, crude, crude != true),
        "wrong": int((crude != true).sum()),
    }


# -- a campaign -----------------------------------------------------------------------------------


def campaign(bench: Bench, seed: int) -> Figures:
    """Simulate a campaign, and evaluate its last version against the truth."""
    experiment, registry = bench.experiment(seed), bench.registry(seed)
    simulated = list(
        simulate_campaign(experiment, registry, recipe=bench.recipe, seed=bench.member_seed, rounds=ROUNDS)
    )  # fmt: skip
    n, last = len(experiment.cubes), simulated[-1]
    needed = {name: verifications_until(simulated, goal) for name, goal in GOALS.items()}
    scores = {score.cube: score for score in registry.scores(last.version).values()}
    labels = {name: Label(entry["label"]) for name, entry in registry.card(last.version).labels.items()}
    left = [(one.audit.wrong_left, one.wrong) for one in simulated if one.audit is not None and one.audit.wrong_left]
    return {
        **version_figures(bench, seed, scores, labels),
        "rounds": [one.row() for one in simulated],
        **{name: None if count is None else count / n for name, count in needed.items()},
        "verified": last.verified / n,
        "wrong_left": last.wrong / n,
        "rounds_estimated": len(left),
        "rounds_covered": sum(estimate.lo <= true <= estimate.hi for estimate, true in left),
        "version": last.version,
    }


# -- a new release ---------------------------------------------------------------------------------


def triage(bench: Bench, seed: int) -> Figures:
    """Pre-label the next data seed's release with the version that this one's campaign left."""
    new_seed = bench.next_seed(seed)
    if new_seed is None:
        raise NotAvailable("triage needs a second data seed: its release is the new one")
    version = bench.figures("campaign", campaign, seed)["version"]
    experiment, registry, new = bench.experiment(seed), bench.registry(seed), bench.experiment(new_seed)
    stored = {score.cube: score for score in registry.scores(version).values()}
    names, size = sorted(stored), min(SAMPLED, 2 * len(stored) // 3)
    samples = [np.random.default_rng((seed, k)).choice(names, size, replace=False).tolist() for k in range(REPEATS)]
    table = bench.folder / "samples" / f"{bench.key(seed)}.csv"
    _write_sample(table, (experiment.truth[name] for name in samples[0]))
    prelabelled = prelabel_release(
        bench.release(new_seed), registry, bench.runtime, sample=table, version=version,
        targets=Targets(rate=RATE, confidence=CONFIDENCE, coverage=COVERAGE),
    )  # fmt: skip
    p_new = np.array([one.score.p_emergence for one in prelabelled.cubes])
    wrong = np.array([one.score.predicted is not new.truth[one.score.cube].label for one in prelabelled.cubes])
    fractions, errors = [], []
    for sample in samples:
        p = np.array([stored[name].p_emergence for name in sample])
        true = np.array([experiment.truth[name].label is Label.EMERGENCE for name in sample])
        accepted, _ = split(p_new, make_guarantee(p, true, rate=RATE, confidence=CONFIDENCE))
        fractions.append(len(accepted) / len(p_new))
        errors.append(float(wrong[accepted].mean()) if len(accepted) else 0.0)
    covered = [
        one.emergence.frame_lo <= true.frame <= one.emergence.frame_hi
        for one in prelabelled.cubes
        if one.emergence is not None and one.coverage is not None
        and (true := new.truth[one.score.cube]).label is Label.EMERGENCE and true.frame is not None
    ]  # fmt: skip
    return {
        "new": bench.key(new_seed),
        "sampled": size,
        "accepted": fmean(fractions),
        "accepted_deviation": stdev(fractions),
        "error_among_accepted": fmean(errors),
        "guarantee_failed": fmean(error > RATE for error in errors),
        "without_guarantee": fmean(fraction == 0 for fraction in fractions),
        "accuracy": float(1 - wrong.mean()),
        "interval_coverage": fmean(covered) if covered else None,
    }


def _write_sample(path: Path, cubes: Iterable[TrueCube]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["cube", "label", "emergence_frame"])
        table.writerows([cube.cube, cube.label, "" if cube.frame is None else cube.frame] for cube in cubes)


# -- the real video --------------------------------------------------------------------------------


def real(bench: Bench, seed: int) -> Figures:
    """Score the real video with the version of the first round, which was trained on synthetic cubes only."""
    if bench.real_data is None:
        raise NotAvailable("the real video is not here: name its folder in HELIOLOOP_REAL_DATA")
    version = bench.first(seed).version
    _, scored = score_release(Release.open(bench.real_data), bench.registry(seed), bench.runtime, version=version)
    score = scored[0][1]
    authors = authors_scores([score], start=bench.runtime.instrument.frozen_frames)[0].emergence
    return {
        "cube": score.cube,
        "members": len(score.members),
        "p_emergence": score.p_emergence,
        "p_spread": score.p_spread,
        "authors_frame": None if authors is None else authors.frame,
        **dict.fromkeys(("frame", "frame_lo", "frame_hi")),
        **({} if score.emergence is None else asdict(score.emergence)),
    }


# -- the recipe for a GPU, with fewer members -------------------------------------------------------


def accurate(bench: Bench, seed: int) -> Figures:
    """Train `WIDE` on crude labels and evaluate against the truth."""
    if seed != bench.seeds[0]:
        raise NotAvailable("the recipe for a GPU is trained on the release of the first data seed alone")
    experiment = bench.experiment(seed)
    trained = experiment.train(
        experiment.cubes,
        Registry(bench.folder / "models" / f"{bench.key(seed)}-{WIDE.name}"),
        recipe=replace(bench, recipe=WIDE).on(bench.generator).recipe,
        seed=bench.member_seed,
        parent=None,
        reason="first round on crude labels",
    )
    return version_figures(bench, seed, trained.scores, experiment.crude)


# -- the authors' network, cut short ---------------------------------------------------------------


def paper(bench: Bench, seed: int) -> Figures:
    """Train one member of the authors' network for about `PAPER_SECONDS`; evaluate it and quick on its fold."""
    if seed != bench.seeds[0]:
        raise NotAvailable("the authors' network is trained on the release of the first data seed alone")
    experiment = bench.experiment(seed)
    _, epoch_seconds = _paper_member(bench, seed, 1)
    epochs = max(1, min(PAPER.epochs, int(PAPER_SECONDS / epoch_seconds)))
    scores, seconds = _paper_member(bench, seed, epochs)
    labels = {score.cube: experiment.crude[score.cube] for score in scores}
    quick = bench.first(seed).scores
    return {
        "epochs": epochs,
        "seconds": seconds,
        "paper": experiment.evaluate(scores, labels).figures(),
        "quick": experiment.evaluate([quick[cube] for cube in labels], labels).figures(),
    }


def _paper_member(bench: Bench, seed: int, epochs: int) -> tuple[list[CubeScore], float]:
    """Train the first member alone for `epochs`; return its scores of its fold, and the seconds of the training."""
    experiment, runtime = bench.experiment(seed), bench.runtime
    plan = make_plan(
        experiment.cubes, recipe=PAPER.in_epochs(epochs), instrument=runtime.instrument, seed=bench.member_seed,
        parent=None, reason="one member of the authors' network",
    )  # fmt: skip
    plan = replace(plan, members=plan.members[:1])
    member, staging = plan.members[0], bench.registry(seed).staging(plan.fingerprint)
    times = bench.folder / "figures" / f"seconds-{plan.fingerprint}.json"
    plan.save(staging)
    if not times.exists():
        begun = time.perf_counter()
        (staging / member.file).unlink(missing_ok=True)  # its training time is unknown
        train_member(plan, member.name, staging, replace(runtime, inputs=None))
        atomic.write_json(times, time.perf_counter() - begun)
    held_out = [cube for cube in plan.cubes if plan.folds[cube.name] == member.fold]
    scores = score_cubes(Ensemble.open(staging, device=runtime.device), held_out, replace(runtime, inputs=None))
    return scores, float(json.loads(times.read_text()))


PARTS = {
    "first": first,
    "reference": reference,
    "campaign": campaign,
    "triage": triage,
    "real": real,
    "accurate": accurate,
    "paper": paper,
}
"""All parts by name, in the order in which they run."""
FIRST_SEED_ONLY = ("accurate", "paper")
"""The parts that are measured on the release of the first data seed alone."""
EVERY_RUN = tuple(name for name in PARTS if name != "paper")
"""The parts that run if none is chosen; the authors' network takes half an hour and shows little."""
