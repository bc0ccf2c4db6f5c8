"""The sections of docs/science.md, one function each: stored figures in, Markdown out; empty without figures."""

from collections.abc import Mapping

from tests.benchmarks.bench import Figures
from tests.benchmarks.bounds import REAL_FRAMES, Stored, frame_and_interval, real_inside
from tests.benchmarks.parts import CONFIDENCE, RATE
from tests.benchmarks.tables import find, of_all, per_seed, table, written
from tests.benchmarks.version_figures import COVERAGE, REPEATS

REFERENCE_RANGE = (0.80, 0.87)
"""Error-detection AUROC of the fixed reference on releases of the intended difficulty."""


def first(first: Mapping[int, Figures]) -> str:
    if not first:
        return ""
    names = {
        "AUROC of the classes, against the truth": ("auroc", "3"),
        "accuracy": ("accuracy", "3"),
        "true skill statistic": ("true_skill", "3"),
        "AUROC of the wrong labels": ("error_auroc", "3"),
        "precision among the k most suspicious": ("precision_at_k", "3"),
        "wrong labels, k": ("wrong_labels", "0"),
        "seconds: members trained": ("times.training", "0"),
        "seconds: cubes scored, emergences located": ("times.scoring", "0"),
    }
    return "## The first round, on crude labels\n\n" + per_seed(first, names)


def reference(reference: Mapping[int, Figures]) -> str:
    if not reference:
        return ""
    names = {
        "random forest on hand-made features, AUROC of the wrong labels": ("forest.error_auroc", "3"),
        "… precision among the k most suspicious": ("forest.precision_at_k", "3"),
        "the networks, by disagreement: AUROC": ("network.error_auroc", "3"),
        "… precision among the k": ("network.precision_at_k", "3"),
        "cleanlab, self-confidence: AUROC": ("cleanlab.self_confidence_error_auroc", "3"),
        "cleanlab, self-confidence: precision": ("cleanlab.self_confidence_precision_at_k", "3"),
        "cleanlab, normalized margin: AUROC": ("cleanlab.normalized_margin_error_auroc", "3"),
        "cleanlab, normalized margin: precision": ("cleanlab.normalized_margin_precision_at_k", "3"),
        "cleanlab's list of issues: how many": ("cleanlab.issues", "0"),
        "… of these wrong": ("cleanlab.precision", "%"),
        "… of the wrong ones listed": ("cleanlab.recall", "%"),
    }
    lo, hi = REFERENCE_RANGE
    values = {seed: one["forest"]["error_auroc"] for seed, one in reference.items()}
    outside = [f"{value:.3f} on data seed {seed}" for seed, value in values.items() if not lo <= value <= hi]
    verdict = (
        f"**Warning: the reference is outside {lo:.2f}–{hi:.2f} ({', '.join(outside)}): these releases are easier or "
        "harder than intended; figures cannot be compared with earlier ones.**"
        if outside
        else f"It is within {lo:.2f}–{hi:.2f} on every release: they are as hard as intended."
    )
    return (
        "## How hard the releases are\n\n"
        "The fixed reference uses the same crude labels and folds: two dozen features as a solar physicist would "
        "measure them by hand, and a random forest. cleanlab ranks by the same out-of-fold probabilities as the loop; "
        f"with two classes its rankings equal the loop's.\n\n{verdict}\n\n" + per_seed(reference, names)
    )


def campaigns(campaigns: Mapping[int, Figures]) -> str:
    if not campaigns:
        return ""
    names = {
        "verified at the end": ("verified", "%"),
        "labels still wrong at the end": ("wrong_left", "%1"),
        "accuracy at the end": ("accuracy", "3"),
        "rounds with an estimate of the wrong labels left": ("rounds_estimated", "0"),
        "… whose 90 % interval contains the true number": ("rounds_covered", "0"),
    }
    rows = [
        (
            str(seed),
            str(one["round"]) if one["verifications"] else "closing",
            f"{one['verified']} ({written(one['verified_share'], '%')})",
            written(one["hit_rate"], "%"),
            "-"
            if one["wrong_left"] is None
            else f"{one['wrong_left']:.0f} ({one['wrong_left_lo']:.0f}–{one['wrong_left_hi']:.0f})",
            f"{one['true_wrong_left']} ({written(one['true_wrong_share'], '%1')})",
            written(one["auroc"], "3"),
            written(one["error_auroc"], "3"),
            written(one["frame_error_frames"], "1"),
        )
        for seed, figures in campaigns.items()
        for one in figures["rounds"]
    ]
    heads = (
        "data seed",
        "round",
        "verified",
        "hit rate",
        "wrong left, estimated",
        "truly",
        "AUROC",
        "AUROC, errors",
        "frames",
    )
    return (
        "## Campaigns\n\nThe truth answers in place of the human. Each round verifies a tenth of the cubes, one in "
        "ten of these sampled at random; the closing round only trains.\n\n"
        + per_seed(campaigns, names)
        + "\n\n"
        + table(heads, rows)
    )


def frames(stored: Stored) -> str:
    names = {
        "median error, frames": ("frame_error_frames", "1"),
        "within 15 frames": ("frame_near", "%"),
        "no frame located": ("without_frame", "%"),
        "the authors' estimate, the steepest frame of the curve: median error": (
            "frames_by.steepest.frame_error_frames",
            "1",
        ),
        "the authors' estimate: within 15 frames": ("frames_by.steepest.frame_near", "%"),
        "the curve's ramp alone, without the flux: median error": ("frames_by.ramp.frame_error_frames", "1"),
        "the curve's ramp alone: within 15 frames": ("frames_by.ramp.frame_near", "%"),
        "true frame inside the raw interval": ("interval_coverage", "%"),
        "inside the calibrated interval": ("calibrated.coverage", "%"),
        "… deviation over random halves": ("calibrated.deviation", "%"),
        "… stretched by": ("calibrated.factor", "1"),
        "median width, raw": ("calibrated.raw_width_frames", "0"),
        "median width, calibrated": ("calibrated.width_frames", "0"),
    }
    parts = {"first": "After the first round", "campaign": "After the campaign"}
    tables = [f"{title}:\n\n" + per_seed(stored[part], names) for part, title in parts.items() if stored[part]]
    if not tables:
        return ""
    return (
        "## Emergence frames\n\nOver all true emergences; one without a located frame is infinitely far. Intervals "
        f"are calibrated to contain {written(COVERAGE, '%')} on a random half of the located emergences and tested on "
        f"the other half, {REPEATS} times.\n\n" + "\n\n".join(tables)
    )


def triage(triage: Mapping[int, Figures]) -> str:
    if not triage:
        return ""
    names = {
        "accepted": ("accepted", "%"),
        "… deviation over random samples": ("accepted_deviation", "%"),
        "wrong among the accepted": ("error_among_accepted", "%1"),
        "samples whose guarantee fails": ("guarantee_failed", "%"),
        "samples that support no guarantee": ("without_guarantee", "%"),
        "accuracy on the new release": ("accuracy", "3"),
        "true frame inside the calibrated interval": ("interval_coverage", "%"),
    }
    sampled = next(iter(triage.values()))["sampled"]
    return (
        "## A new release\n\nThe version that the campaign left pre-labels the release of the next data seed. "
        f"The guarantee is computed from an audit sample of {sampled} cubes of its own release: at most "
        f"{written(RATE, '%')} wrong, with {written(CONFIDENCE, '%')} confidence; repeated for {REPEATS} random "
        "samples.\n\n" + per_seed(triage, names)
    )


def real(real: Mapping[int, Figures]) -> str:
    if not real:
        return ""
    rows = [
        (
            str(seed),
            f"{one['p_emergence']:.3f} ± {one['p_spread']:.3f}",
            frame_and_interval(one),
            "yes" if real_inside(one) else "no",
        )
        for seed, one in real.items()
    ]
    lo, hi = REAL_FRAMES
    heads = ("trained on data seed", "p ± spread", "frame (raw interval)", f"{lo}–{hi} inside")
    cube = next(iter(real.values()))["cube"]
    return (
        f"## The real video\n\n{cube}, scored by the first round's members, which were trained on synthetic cubes and "
        f"crude labels only. The authors' ten models give {lo} to {hi}.\n\n" + table(heads, rows)
    )


def accurate(accurate: Mapping[int, Figures], first: Mapping[int, Figures]) -> str:
    if not accurate:
        return ""
    names = {
        "AUROC of the classes": ("auroc", "3"),
        "AUROC of the wrong labels": ("error_auroc", "3"),
        "precision among the k most suspicious": ("precision_at_k", "3"),
        "accuracy": ("accuracy", "3"),
        "emergence frame, median error": ("frame_error_frames", "1"),
        "… within 15 frames": ("frame_near", "%"),
    }
    parts = [
        f"Data seed {seed}; for comparison `quick`, with two members per fold.\n\n"
        + table(
            ("", "`accurate`, one member per fold", "`quick`"),
            [
                (what, written(find(one, path), form), written(find(first.get(seed), path), form))
                for what, (path, form) in names.items()
            ],
        )
        for seed, one in accurate.items()
    ]
    return "## The recipe for a GPU, with one member per fold, on a CPU\n\n" + "\n\n".join(parts)


def paper(paper: Mapping[int, Figures]) -> str:
    if not paper:
        return ""
    names = {"AUROC of the classes": ("auroc", "3"), "AUROC of the wrong labels": ("error_auroc", "3"),
             "accuracy": ("accuracy", "3")}  # fmt: skip
    parts = []
    for seed, one in paper.items():
        rows = [
            (what, written(one["paper"][path], form), written(one["quick"][path], form))
            for what, (path, form) in names.items()
        ]
        parts.append(
            f"Data seed {seed}, one member, one fold, **stopped after {one['seconds'] / 60:.0f} minutes** "
            f"({one['epochs']} epochs of 20) on this machine: this measures not what it can reach, only what it "
            "reaches here in that time. For comparison `quick`, complete, on the same cubes.\n\n"
            + table(("", "authors' CNN, cut short", "quick"), rows)
        )
    return "## The authors' network, cut short\n\n" + "\n\n".join(parts)


def kinds(stored: Stored) -> str:
    if not stored["first"]:
        return ""
    first, last = _by_kind(stored["first"]), _by_kind(stored["campaign"])
    rows = []
    for kind, one in sorted(first.items(), key=lambda entry: -entry[1]["wrong_classes"]):
        then = last.get(kind)
        rows.append(
            (
                kind,
                str(one["cubes"]),
                str(one["wrong_labels"]),
                str(one["wrong_seen"]),
                str(one["wrong_classes"]),
                "-" if then is None else str(then["wrong_labels"]),
                "-" if then is None else str(then["wrong_classes"]),
                of_all(one["frames_near"], one["frames"]),
                "-" if then is None else of_all(then["frames_near"], then["frames"]),
            )
        )
    heads = (
        "kind", "cubes", "wrong labels", "… contradicted", "class wrong", "labels wrong at the end",
        "class wrong at the end", "frame within 15", "… at the end",
    )  # fmt: skip
    return (
        "## What fails, and why\n\nBy kind of cube, all releases together, worst first; “at the end” is after the "
        "campaign.\n\n" + table(heads, rows)
    )


def _by_kind(of_seed: Mapping[int, Figures]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for figures in of_seed.values():
        for entry in figures["kinds"]:
            sums = total.setdefault(entry["kind"], {})
            for name, count in entry.items():
                if name != "kind":
                    sums[name] = sums.get(name, 0) + count
    return total
