"""The section of docs/science.md on simulated campaigns."""

from tests.benchmarks.bench import Figures
from tests.benchmarks.measured import Measured
from tests.benchmarks.tables import find, side_by_side, with_missing

CLOSING = "closing"
_SUMMARY = {
    "verified at the end": ("verified", "%"),
    "labels still wrong at the end": ("wrong_left", "%1"),
    "accuracy at the end": ("accuracy", "3"),
    "class wrong among emergences under 7e20 Mx, at the end": ("weak_class_wrong", "of"),
    "expected calibration error at the end, ten bins, no random labels": ("calibration_error", "3"),
    "… with 100 random labels, on the other cubes": ("calibration_error_100", "3"),
    "rounds with an estimate of the wrong labels left": ("rounds_estimated", "0"),
    "… whose 90 % interval contains the true number": ("rounds_covered", "0"),
}
_BY_ROUND = {
    "verified": ("verified_fraction", "%"),
    "hit rate": ("hit_rate", "%"),
    "labels wrong": ("true_wrong_fraction", "%1"),
    "wrong labels left, estimated (90 % interval)": ("estimate", "interval"),
    "… truly": ("true_wrong_left", "0"),
    "AUROC of the classes": ("auroc", "3"),
    "AUROC of the wrong labels": ("error_auroc", "3"),
    "emergence frame, median error": ("frame_error_frames", "1"),
}


def section(measured: Measured) -> str:
    """Return the section; empty without figures."""
    if not measured:
        return ""
    by_round = Measured(
        seeds=measured.seeds,
        figures={
            generator: {seed: rounds(one) for seed, one in of_seed.items()}
            for generator, of_seed in measured.figures.items()
        },
    )
    names = {
        f"{what}, {_in_words(one)}": (f"{one}.{path}", form)
        for what, (path, form) in _BY_ROUND.items()
        for one in _all_rounds(by_round)
        if _any(by_round, f"{one}.{path}")
    }
    return (
        "## Campaigns\n\nThe truth answers in place of the human. Each round verifies a tenth of the cubes. Once "
        "fewer than three in four of a round's were wrong, the next ones also verify cubes sampled at random, one in "
        "ten of all verified; the closing round only trains.\n\n"
        + with_missing(side_by_side(measured, _SUMMARY), measured)
        + "\n\nRound by round:\n\n"
        + side_by_side(by_round, names)
    )


def rounds(campaign: Figures) -> Figures:
    """Return the rounds of a campaign by number, the last one as "closing", each with its estimate and its ends."""
    found = {}
    for one in campaign["rounds"]:
        lo, hi, left = one["wrong_left_lo"], one["wrong_left_hi"], one["wrong_left"]
        estimate = None if left is None else {"value": left, "lo": lo, "hi": hi}
        found[str(one["round"]) if one["verifications"] else CLOSING] = {**one, "estimate": estimate}
    return found


def _all_rounds(by_round: Measured) -> list[str]:
    """Return the names of all rounds in their order, the closing one last."""
    names = {name for generator in by_round.figures for one in by_round.there(generator) for name in one}
    return sorted(names, key=lambda name: (name == CLOSING, 0 if name == CLOSING else int(name)))


def _any(by_round: Measured, path: str) -> bool:
    return any(find(one, path) is not None for generator in by_round.figures for one in by_round.there(generator))


def _in_words(name: str) -> str:
    return "closing round" if name == CLOSING else f"round {name}"
