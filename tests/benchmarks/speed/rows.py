"""The rows of `make bench`: what is timed, with what it is compared, and which ratio is to be reached."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.speed import gridding, masking, scoring, serving, status, training, two_workers, writeback
from tests.benchmarks.speed.timing import Sides, Times, measure
from tests.benchmarks.speed.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A comparison.

    Parameters
    ----------
    work, reference : str
        What is timed, and with what it is compared.
    sides : callable
        Makes both sides, or the times where these are not the shortest ones of two ways.
    to_reach : float
        The ratio that is to be reached.
    ours_by_reference : bool
        True where the ratio is our time divided by the reference's, and a small one is good.
    """

    work: str
    reference: str
    sides: Callable[[Work], Sides | Times]
    to_reach: float
    ours_by_reference: bool = False

    def measure(self, work: Work) -> Times:
        """Return the times."""
        found = self.sides(work)
        return found if isinstance(found, Times) else measure(found)

    def ratio(self, times: Times) -> float:
        """Return the ratio of the times."""
        return times.ours / times.reference if self.ours_by_reference else times.reference / times.ours


NO_OP = "no-op of label-studio-ml 1.0.9, same gunicorn"
ONE_BY_ONE = "one mask, one member at a time"
ROWS = {
    "masking_paper": Row(
        work="masking curve, authors' CNN, 10 members", reference=ONE_BY_ONE, sides=masking.paper, to_reach=4
    ),
    "masking_per_frame": Row(
        work="masking curve, per-frame network, 10 members",
        reference=ONE_BY_ONE,
        sides=masking.per_frame,
        to_reach=12,
    ),
    "gridding": Row(
        work="gridding 10 cubes in memory", reference="`numpy.interp` per pixel", sides=gridding.gridding, to_reach=5
    ),
    "training_bare_loop": Row(
        work="training a member, `quick`",
        reference="bare loop over tensors in memory",
        sides=training.training,
        to_reach=0.9,
    ),
    "two_workers": Row(
        work="a round of 10 members, `quick`, two train workers on a core each",
        reference="one worker",
        sides=two_workers.two_workers,
        to_reach=1.7,
    ),
    "scoring": Row(
        work="scoring and locating 12 cubes, `quick`", reference=ONE_BY_ONE, sides=scoring.scoring, to_reach=3
    ),
    "status": Row(
        work="`helioloop status`",
        reference="`helioloop --help`",
        sides=status.status,
        to_reach=5,
        ours_by_reference=True,
    ),
    "predict_1": Row(
        work="`/predict`, stored, 1 task",
        reference=NO_OP,
        sides=serving.predict_1,
        to_reach=1.2,
        ours_by_reference=True,
    ),
    "predict_100": Row(
        work="`/predict`, stored, 100 tasks",
        reference=NO_OP,
        sides=serving.predict_100,
        to_reach=1.5,
        ours_by_reference=True,
    ),
    "predict_1000": Row(
        work="`/predict`, stored, 1,000 tasks",
        reference=NO_OP,
        sides=serving.predict_1000,
        to_reach=2,
        ours_by_reference=True,
    ),
    "webhook_sequence": Row(
        work="`/webhook`, one after the other, p99 while a round runs",
        reference="p99 idle",
        sides=serving.webhook_sequence,
        to_reach=2,
        ours_by_reference=True,
    ),
    "webhook_parallel": Row(
        work="`/webhook`, 50 at once, p99 while a round runs",
        reference="p99 idle",
        sides=serving.webhook_parallel,
        to_reach=2,
        ours_by_reference=True,
    ),
    "writeback": Row(
        work="write-back of a version, 2,000 predictions, Label Studio 1.23.2",
        reference=f"a call for each prediction, {writeback.SINGLE} measured and scaled",
        sides=writeback.writeback,
        to_reach=100,
    ),
}
