"""The figures of the report, each an inline SVG. In go numbers that other modules have computed.

No figure contains a name of a cube, region or annotator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from helioloop.evaluation.audit import RoundAudit
from helioloop.evaluation.reliability import ReliabilityBin
from helioloop.records.scores import CubeScore, Emergence
from helioloop_worker.reports.svg import (
    BAD,
    EMERGENCE,
    FAINT,
    GOOD,
    LINE,
    NON_EMERGENCE,
    TEXT,
    as_svg,
    drawing,
)

FEWEST_BARS = 5
"""The axis of the rounds has place for so many: a single bar would be as wide as the figure."""
MOST_NAMES = 30
"""Of more rounds the axis names every second one, every third one, and so on."""
LONG_AXIS_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_LABELLED_SECONDS = {1.0: "1 s", 10.0: "10 s", 60.0: "1 min", 600.0: "10 min", 3600.0: "1 h"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedCube:
    """A verified emergence: the frame of a human, what the model located, and whether the human's frame may be used.

    Parameters
    ----------
    cube : str
        Cube name.
    verified_frame : int
        0-based.
    found : Emergence
        By members that were not trained on the cube.
    unmoved : bool
        True where the frame is the one that the model had proposed.
    sampled : bool
        True in the audit sample.
    """

    cube: str
    verified_frame: int
    found: Emergence
    unmoved: bool
    sampled: bool

    @property
    def covered(self) -> bool:
        """Whether the interval contains the verified frame, ends included."""
        return self.found.frame_lo <= self.verified_frame <= self.found.frame_hi


def rounds_figure(versions: Sequence[str], rounds: Sequence[RoundAudit]) -> str:
    """Return the verifications of each round, and the estimate of the wrong labels left."""
    with drawing(11.4, 3.2, columns=2) as (figure, (left, right)):
        x = np.arange(len(rounds))
        hits = np.array([one.hits for one in rounds])
        ranked = np.array([one.ranked for one in rounds])
        all_ = np.array([one.verifications for one in rounds])
        left.bar(x, hits, color=BAD, width=0.62, label="by rank, label was wrong")
        left.bar(x, ranked - hits, bottom=hits, color=GOOD, width=0.62, label="by rank, label was right")
        left.bar(x, all_ - ranked, bottom=ranked, color=FAINT, width=0.62, label="for the audit sample")
        left.set_ylabel("cubes verified in the round")
        left.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        left.set_ylim(0, max(all_.max(), 1) * 1.05)
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.0, handleheight=1.0)
        estimated = [(k, one.wrong_left) for k, one in enumerate(rounds) if one.wrong_left is not None]
        if estimated:
            value = np.array([estimate.value for _, estimate in estimated])
            ends = [[e.value - e.lo for _, e in estimated], [e.hi - e.value for _, e in estimated]]
            right.errorbar(
                [k for k, _ in estimated], value, yerr=ends, color=TEXT, marker="o", markersize=5, capsize=4,
                linewidth=1.2,
            )  # fmt: skip
        else:
            right.text(0.5, 0.5, "no estimate yet", transform=right.transAxes, ha="center", color=TEXT)
        right.set_ylim(bottom=0)
        right.set_ylabel("wrong labels left")
        right.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        for axes in (left, right):
            named = slice(None, None, -(-len(rounds) // MOST_NAMES))
            axes.set_xticks(x[named], versions[named], rotation=0 if len(rounds) < 9 else 90)
            axes.set_xlim(-0.6, max(len(rounds), FEWEST_BARS) - 0.4)
            axes.grid(visible=False, axis="x")
        return as_svg(
            figure,
            name="rounds",
            title="Rounds: labels verified and wrong labels left",
            description="Left: cubes verified in each round, by whether the label was wrong. Right: estimate of the "
            "wrong labels left after each round with its 90 % interval. The table below has the numbers.",
        )


def reliability_figure(bins: Sequence[ReliabilityBin]) -> str:
    """Return the reliability diagram: fraction of emergences against the probability."""
    with drawing(4.8, 4.3) as (figure, (axes,)):
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle=(0, (4, 3)))
        fraction = np.array([one.fraction.value for one in bins])
        ends = [
            [one.fraction.value - one.fraction.lo for one in bins],
            [one.fraction.hi - one.fraction.value for one in bins],
        ]
        axes.errorbar(
            [one.mean_p for one in bins], fraction, yerr=ends, color=EMERGENCE, marker="o", markersize=5, capsize=3,
            linewidth=1.2,
        )  # fmt: skip
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set_xlabel("P(emergence) by the model")
        axes.set_ylabel("fraction that emerges")
        return as_svg(
            figure,
            name="reliability",
            title="Reliability diagram",
            description="Fraction of verified emergences against the model's probability, in bins, on the audit "
            "sample. On the diagonal, probabilities are right. The table has the numbers.",
        )


def frames_figure(cubes: Sequence[TimedCube], *, n_frames: int) -> str:
    """Return the model's emergence frames with their intervals against the verified frames (both counted from 1)."""
    with drawing(4.8, 4.7) as (figure, (axes,)):
        axes.plot([1, n_frames], [1, n_frames], color=FAINT, linewidth=1.0, linestyle=(0, (4, 3)))
        for sampled, unmoved, color, marker, label in (
            (False, True, FAINT, "x", "submitted unchanged"),
            (False, False, NON_EMERGENCE, "s", "set by a human, chosen by rank"),
            (True, False, EMERGENCE, "o", "set by a human, audit sample"),
        ):
            chosen = [one for one in cubes if one.unmoved is unmoved and (unmoved or one.sampled is sampled)]
            if not chosen:
                continue
            y = np.array([one.found.frame for one in chosen]) + 1
            ends = np.array(
                [[one.found.frame - one.found.frame_lo, one.found.frame_hi - one.found.frame] for one in chosen]
            )
            axes.errorbar(
                [one.verified_frame + 1 for one in chosen], y, yerr=np.clip(ends.T, 0, None), color=color,
                marker=marker, markersize=4, linestyle="none", linewidth=1.0, label=label,
            )  # fmt: skip
        axes.set(xlim=(0, n_frames + 1), ylim=(0, n_frames + 1), aspect="equal")
        axes.set_xlabel("verified frame")
        axes.set_ylabel("frame located by the model")
        figure.legend(loc="outside upper left", ncols=1, handlelength=1.2)
        return as_svg(
            figure,
            name="frames",
            title="Emergence frames: model against human",
            description="Each mark is a verified emergence; the bar is the model's interval. On the diagonal, both "
            "frames are equal. The sentences beside the figure give the coverage.",
        )


def times_figure(seconds: Sequence[float]) -> str:
    """Return a histogram of the time for one answer, on a logarithmic axis."""
    with drawing(4.8, 2.7) as (figure, (axes,)):
        lowest, highest = LONG_AXIS_SECONDS[0], max((LONG_AXIS_SECONDS[-1], *seconds))
        edges = np.geomspace(lowest, highest * 1.001, 25)
        axes.hist(np.clip(seconds, lowest, highest), bins=list(edges), color=NON_EMERGENCE)
        axes.set_xscale("log")
        axes.set_xticks(list(_LABELLED_SECONDS), list(_LABELLED_SECONDS.values()))
        axes.set_xticks([value for value in LONG_AXIS_SECONDS if value not in _LABELLED_SECONDS], minor=True)
        axes.set_xticklabels([], minor=True)
        axes.axvline(float(np.median(seconds)), color=TEXT, linewidth=1.2)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("time for one answer (line: median)")
        axes.set_ylabel("answers")
        return as_svg(
            figure,
            name="times",
            title="Time for one answer",
            description="Histogram of the time that annotators had a task open before they submitted it.",
        )


def curve_figure(score: CubeScore, *, name: str, verified_frame: int | None) -> str:
    """Return the masking curve of a cube with the emergence interval and, where a human set one, the verified frame."""
    with drawing(3.3, 1.5) as (figure, (axes,)):
        curve = np.asarray(score.curve if score.curve is not None else (), dtype=np.float64)
        x = np.arange(1, len(curve) + 1)
        _mark_emergence(axes, score.emergence)
        axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(x, curve, color=EMERGENCE, linewidth=1.5)
        if verified_frame is not None:
            axes.axvline(verified_frame + 1, color=TEXT, linewidth=1.2, linestyle=(0, (1, 1)))
        axes.set(xlim=(1, max(len(curve), 2)), ylim=(0, 1))
        axes.set_yticks([0, 0.5, 1])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("frames seen")
        return as_svg(
            figure,
            name=name,
            title="Masking curve",
            description="P(emergence) as a function of the last frame that the model sees; the band is the interval of "
            "the emergence frame, the dotted line a human's frame.",
        )


def _mark_emergence(axes: Axes, found: Emergence | None) -> None:
    if found is not None:
        axes.axvspan(found.frame_lo + 1, found.frame_hi + 1, color=LINE, linewidth=0)
        axes.axvline(found.frame + 1, color=EMERGENCE, linewidth=1.0)
