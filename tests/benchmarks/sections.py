"""The sections of docs/science.md, one function each: stored figures in, Markdown out; empty without figures."""

from helioloop.synthetic import Generator
from tests.benchmarks.frame_figures import COVERAGE, REPEATS
from tests.benchmarks.measured import HEADS, Measured, Stored
from tests.benchmarks.parts import CONFIDENCE, RATE
from tests.benchmarks.tables import side_by_side, single, table, with_missing, written

REFERENCE_RANGE = (0.80, 0.87)
"""Error-detection AUROC of the fixed reference on releases of the first generator of the intended difficulty."""


def first(measured: Measured) -> str:
    if not measured:
        return ""
    names = {
        "AUROC of the classes, against the truth": ("auroc", "3"),
        "accuracy": ("accuracy", "3"),
        "true skill statistic": ("true_skill", "3"),
        "AUROC of the wrong labels": ("error_auroc", "3"),
        "precision among the k most suspicious": ("precision_at_k", "3"),
        "wrong labels, k": ("wrong_labels", "0"),
        "class wrong among emergences under 7e20 Mx": ("weak_class_wrong", "of"),
        "wrong labels contradicted inside an older region": ("inside_contradicted", "of"),
        "emergences without a frame": ("no_frame", "of"),
        "non-emergences given a frame": ("frame_given", "of"),
        "expected calibration error, ten bins, no random labels": ("calibration_error", "3"),
        "… with 100 random labels, on the other cubes": ("calibration_error_100", "3"),
        "seconds: members trained": ("times.epochs", "0"),
        "seconds: cubes scored, emergences located": ("times.scoring", "0"),
        "seconds: fields and growth measured": ("times.measuring", "0"),
    }
    return "## The first round, on crude labels\n\n" + with_missing(side_by_side(measured, names), measured)


def reference(measured: Measured) -> str:
    if not measured:
        return ""
    names = {
        "random forest on hand-made features, AUROC of the wrong labels": ("forest.error_auroc", "3"),
        "… precision among the k most suspicious": ("forest.precision_at_k", "3"),
        "the networks alone, by disagreement: AUROC": ("networks.error_auroc", "3"),
        "… precision among the k of the networks": ("networks.precision_at_k", "3"),
        "the local growth alone, by disagreement: AUROC": ("growth.error_auroc", "3"),
        "… precision among the k of the growth": ("growth.precision_at_k", "3"),
        "the loop, which combines both: AUROC": ("loop.error_auroc", "3"),
        "… precision among the k of the loop": ("loop.precision_at_k", "3"),
        "cleanlab, self-confidence: AUROC": ("cleanlab.self_confidence_error_auroc", "3"),
        "cleanlab, self-confidence: precision": ("cleanlab.self_confidence_precision_at_k", "3"),
        "cleanlab, normalized margin: AUROC": ("cleanlab.normalized_margin_error_auroc", "3"),
        "cleanlab, normalized margin: precision": ("cleanlab.normalized_margin_precision_at_k", "3"),
        "cleanlab's list of issues: how many": ("cleanlab.issues", "0"),
        "… of these wrong": ("cleanlab.precision", "%"),
        "… of the wrong ones listed": ("cleanlab.recall", "%"),
    }
    lo, hi = REFERENCE_RANGE
    values = {
        seed: one["forest"]["error_auroc"]
        for seed, one in zip(measured.seeds, measured.of(Generator.ELEMENTS), strict=True)
        if one is not None
    }
    outside = [f"{value:.3f} on data seed {seed}" for seed, value in values.items() if not lo <= value <= hi]
    verdict = (
        f"**Warning: the reference is outside {lo:.2f}–{hi:.2f} ({', '.join(outside)}) on elements: these releases are "
        "easier or harder than intended; figures cannot be compared with earlier ones.**"
        if outside
        else f"On elements it is within {lo:.2f}–{hi:.2f} on every release: they are as hard as intended. Flux "
        "transport has no such range."
        if values
        else f"On elements it is to be within {lo:.2f}–{hi:.2f}."
    )
    return (
        "## How hard the releases are\n\n"
        "The fixed reference uses the same crude labels and folds: two dozen features as a solar physicist would "
        "measure them by hand, and a random forest. cleanlab ranks by the same out-of-fold probabilities as the loop; "
        f"with two classes its rankings equal the loop's.\n\n{verdict}\n\n"
        + with_missing(side_by_side(measured, names), measured)
    )


def frames(stored: Stored) -> str:
    names = {
        "median error, frames": ("frame_error_frames", "1"),
        "within 15 frames": ("frame_near", "%"),
        "no frame located": ("no_frame", "of"),
        "non-emergences given a frame": ("frame_given", "of"),
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
        "median width, raw": ("interval_frames", "0"),
        "median width, calibrated": ("calibrated.width_frames", "0"),
    }
    parts = {"first": "After the first round", "campaign": "After the campaign"}
    tables = [
        f"{title}:\n\n" + with_missing(side_by_side(stored[part], names), stored[part])
        for part, title in parts.items()
        if stored[part]
    ]
    if not tables:
        return ""
    return (
        "## Emergence frames\n\nOver all true emergences; one without a located frame is infinitely far. Intervals "
        f"are calibrated to contain {written(COVERAGE, '%')} on a random half of the located emergences and tested on "
        f"the other half, {REPEATS} times.\n\n" + "\n\n".join(tables)
    )


def triage(measured: Measured) -> str:
    if not measured:
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
    sampled = next(one["sampled"] for generator in HEADS for one in measured.there(generator))
    return (
        "## A new release\n\nThe version that the campaign left pre-labels the release of the next data seed, by "
        "the same generator. "
        f"The guarantee is computed from an audit sample of {sampled} cubes of its own release: at most "
        f"{written(RATE, '%')} wrong, with {written(CONFIDENCE, '%')} confidence; repeated for {REPEATS} random "
        "samples.\n\n" + with_missing(side_by_side(measured, names), measured)
    )


def accurate(measured: Measured, first: Measured) -> str:
    if not measured:
        return ""
    names = {
        "AUROC of the classes": ("auroc", "3"),
        "AUROC of the wrong labels": ("error_auroc", "3"),
        "precision among the k most suspicious": ("precision_at_k", "3"),
        "accuracy": ("accuracy", "3"),
        "emergence frame, median error": ("frame_error_frames", "1"),
        "… within 15 frames": ("frame_near", "%"),
        "the authors' estimate: median error": ("frames_by.steepest.frame_error_frames", "1"),
        "the authors' estimate: within 15 frames": ("frames_by.steepest.frame_near", "%"),
    }
    rows = []
    for what, (path, form) in names.items():
        cells = []
        for generator in HEADS:
            wide = measured.of(generator)[0]
            quick = None if wide is None else first.of(generator)[0]
            cells += [single(wide, path, form), single(quick, path, form)]
        rows.append((what, *cells))
    heads = [f"{head}: {words}" for head in HEADS.values() for words in ("`accurate`, one member per fold", "`quick`")]
    return (
        "## The recipe for a GPU, with one member per fold, on a CPU\n\n"
        f"Data seed {measured.seeds[0]}; for comparison `quick`, with two members per fold.\n\n"
        + with_missing(table(("figure", *heads), rows), measured)
    )


def paper(measured: Measured) -> str:
    if not measured:
        return ""
    names = {"AUROC of the classes": ("auroc", "3"), "AUROC of the wrong labels": ("error_auroc", "3"),
             "accuracy": ("accuracy", "3")}  # fmt: skip
    ones = {head: measured.of(generator)[0] for generator, head in HEADS.items()}
    stopped = " and ".join(
        f"{one['seconds'] / 60:.0f} minutes ({one['epochs']} epochs of 20) on {head}"
        for head, one in ones.items()
        if one is not None
    )
    rows = [
        (what, *(single(one, f"{network}.{path}", form) for one in ones.values() for network in ("paper", "quick")))
        for what, (path, form) in names.items()
    ]
    heads = [f"{head}: {words}" for head in HEADS.values() for words in ("authors' CNN, cut short", "quick")]
    return (
        f"## The authors' network, cut short\n\nData seed {measured.seeds[0]}, one member, one fold, **stopped after "
        f"{stopped}** on this machine: this measures not what it can reach, only what it reaches here in that time. "
        "For comparison `quick`, complete, on the same cubes.\n\n"
        + with_missing(table(("figure", *heads), rows), measured)
    )
