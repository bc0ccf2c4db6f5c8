"""Which reports of a job are written down: not all, but the beginning and the end of each stage."""

import pytest

from helioloop_worker.loop import job_progress


def test_each_stage_is_written_when_it_begins_and_ends_and_now_and_then_between(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also a stage that begins right after another one, so that nobody reads that the one before still runs."""
    now = 100.0
    beats: list[float] = []
    monkeypatch.setattr(job_progress.time, "monotonic", lambda: now)
    report = job_progress.job_report(also=lambda: beats.append(now))
    with caplog.at_level("INFO", logger=job_progress.__name__):
        report(0, 0, "reading the release")
        report(0, 3, "preparing cubes")
        now = 100.5
        report(1, 3, "preparing cubes")
        now = 101.5
        report(2, 3, "preparing cubes")
        now = 101.6
        report(3, 3, "preparing cubes")
    assert beats == [100.0, 100.0, 101.5, 101.6]
    assert caplog.messages == ["reading the release", "preparing cubes, 0 of 3", "preparing cubes, 3 of 3"]
