"""The annotations of a task one by one: which count, and how long they took."""

import math
from typing import Any

import pytest
from tests.core.labelstudio.annotated import CONTROLS, N_FRAMES, annotation, task

from helioloop.labelstudio.votes import submitted_votes


def test_skips_and_copies_do_not_count() -> None:
    """A skip is in neither list; a copy of a prediction has a remark."""
    copied = annotation(2, "emergence", "2026-01-02", parent_prediction=7, lead_time=None)
    skipped = annotation(3, "emergence", "2026-01-03", was_cancelled=True, lead_time=9.0)
    counted = annotation(1, "emergence", "2026-01-01", starts=(41,), lead_time=12.5)
    votes, remarks = submitted_votes(task(copied, skipped, counted), CONTROLS, n_frames=N_FRAMES)
    assert [(vote.annotator, vote.frame, vote.lead_seconds) for vote in votes] == [("1", 40, 12.5)]
    assert len(remarks) == 1
    assert "bulk action" in remarks[0]


@pytest.mark.parametrize("lead", [None, "12", True, math.nan, math.inf, -1.0, [12.0]])
def test_a_time_that_cannot_be_added_up_is_none(lead: Any) -> None:
    """The answer counts all the same."""
    (vote,), _ = submitted_votes(task(annotation(1, "emergence", "a", lead_time=lead)), CONTROLS, n_frames=N_FRAMES)
    assert vote.lead_seconds is None
