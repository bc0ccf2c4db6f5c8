"""The parts of a correction's way to fresh predictions, from what helioloop itself records of it.

The workers log the end and the seconds of each job, and the backend logs each event of Label Studio, both as JSON. No
part is measured by waiting.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from helioloop.errors import ServiceError

_JOB = re.compile(r"job (\w+) (?:is done|failed) after ([\d.]+) s")
_OVERLAP_SECONDS = 0.5
"""Parts may overlap by so much: the log has tenths of a second, and the next job may start before an end is logged."""
STEPS = {
    "plan_round": "the round is planned",
    "train_member": "members are trained",
    "score_round": "all cubes are scored",
    "locate": "emergence frames are located",
    "close_round": "the version is checked and published",
}
"""Job of a round -> what it does, in the order of the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedJob:
    """A job that has ended, as its worker logged it.

    Parameters
    ----------
    name : str
        The job's function.
    version : str or None
        The version that it works on, for a write-back.
    begun, ended : float
        Unix seconds; the log has the duration in tenths of a second.
    failed : bool
        Whether it failed.
    """

    name: str
    version: str | None
    begun: float
    ended: float
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the way.

    Parameters
    ----------
    what : str
        What happens in it.
    begun, ended : float
        Seconds since the correction was submitted.
    jobs : tuple of float
        The seconds of each job that it consists of.
    """

    what: str
    begun: float
    ended: float
    jobs: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.ended - self.begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A correction's way to fresh predictions.

    Parameters
    ----------
    parts : tuple of Part
        In the order of time; none overlaps another.
    seconds : float
        The whole, measured by the benchmark's own clock.
    predict_seconds : float
        When the backend answered /predict with the new version for the first time.
    setup : str
        How many tasks, members and workers there were, and the load of the machine meanwhile.
    """

    parts: tuple[Part, ...]
    seconds: float
    predict_seconds: float
    setup: str = ""

    @property
    def not_explained(self) -> float:
        """Seconds of the whole that are in no part: pauses between jobs."""
        return self.seconds - sum(part.seconds for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What the benchmark measured itself; Unix seconds.

    Parameters
    ----------
    submitted : float
        Before the last correction was sent to Label Studio.
    predicted : float
        The backend answered with the new version.
    switched : float
        Label Studio had the new version as that of the project, and all of its predictions.
    ended : float
        The version was written back, and Label Studio had a fresh prediction of every task.
    """

    submitted: float
    predicted: float
    switched: float
    ended: float


def logged_jobs(lines: Iterable[str]) -> list[LoggedJob]:
    """Return the jobs that ended, from lines of a worker's log; other lines are skipped."""
    jobs = []
    for line in lines:
        entry = _entry(line)
        if (found := _JOB.match(entry.get("message", ""))) is not None:
            name, seconds = found.groups()
            ended = datetime.fromisoformat(entry["time"]).timestamp()
            failed = "failed" in found[0]
            jobs.append(
                LoggedJob(
                    name=name, version=entry.get("version"), begun=ended - float(seconds), ended=ended, failed=failed
                )
            )
    return sorted(jobs, key=lambda job: job.ended)


def logged_events(lines: Iterable[str]) -> list[float]:
    """Return when events of annotations were counted, in Unix seconds, from lines of the backend's log."""
    entries = map(_entry, lines)
    return [
        datetime.fromisoformat(entry["time"]).timestamp()
        for entry in entries
        if str(entry.get("action", "")).startswith("ANNOTATION") and entry.get("outcome") in {"queued", "joined"}
    ]


def way(moments: Moments, *, jobs: Sequence[LoggedJob], events: Sequence[float], quiet_seconds: float) -> Way:
    """Return the parts of the way.

    Parameters
    ----------
    moments : Moments
        What was measured besides.
    jobs : sequence of LoggedJob
        All jobs of the workers.
    events : sequence of float
        When the backend counted events, in Unix seconds.
    quiet_seconds : float
        The check waits for so long after the last event.

    Raises
    ------
    ServiceError
        Where an event, a check or a step is not recorded, or parts overlap.
    """
    since = moments.submitted
    event = max((at for at in events if at >= since), default=None)
    if event is None:
        raise ServiceError("the backend's log has no event of the correction: Label Studio sent none, or it was lost")
    checks = [job for job in jobs if job.name == "check_retraining" and job.begun >= event]
    plans = _of("plan_round", jobs, after=event)
    check = max((job for job in checks if job.ended <= plans[0].begun + 1.0), key=lambda job: job.ended, default=None)
    if check is None:
        raise ServiceError("the log has no retrain check between the correction and the planning of the round")
    due = min(event + quiet_seconds, check.begun)
    spans = [
        ("Label Studio stores the correction, its webhook is counted", since, event, ()),
        (f"quiet time of {quiet_seconds:g} s after the last correction", event, due, ()),
        ("the check waits for its worker", due, check.begun, ()),
        ("the retrain check reads what changed", check.begun, check.ended, (check,)),
    ]
    for name, what in STEPS.items():
        found = _of(name, jobs, after=event)
        spans.append((what, min(job.begun for job in found), max(job.ended for job in found), tuple(found)))
    closed = spans[-1][2]
    (written,) = _of("write_back", [job for job in jobs if job.ended > closed], after=closed - 1.0)[-1:]
    switched = min(moments.switched, written.ended)
    spans += [
        ("write-back: predictions are in Label Studio, which shows the version", written.begun, switched, (written,)),
        ("write-back: curves, reasons and tabs", switched, written.ended, ()),
        ("every task is found to have a fresh prediction", written.ended, moments.ended, ()),
    ]
    return Way(
        parts=tuple(_consecutive(spans, since)),
        seconds=moments.ended - since,
        predict_seconds=moments.predicted - since,
    )


def _consecutive(spans: Iterable[tuple[str, float, float, Sequence[LoggedJob]]], since: float) -> Iterator[Part]:
    """Yield the parts; one that begins before the end of the part before it begins there."""
    before = since
    for what, begun, ended, jobs in spans:
        if begun < before - _OVERLAP_SECONDS:
            raise ServiceError(f"“{what}” begins {before - begun:.1f} s before the end of the part before it")
        begins = max(begun, before)
        before = max(begins, ended)
        seconds = tuple(job.ended - job.begun for job in jobs)
        yield Part(what=what, begun=begins - since, ended=before - since, jobs=seconds)


def table(found: Way) -> str:
    """Return the parts as a table in Markdown, with the setup above it."""
    lines = [found.setup, "", "| part | begins after | takes | jobs |", "|---|---|---|---|"]
    lines += [
        f"| {part.what} | {part.begun:.1f} s | {part.seconds:.1f} s | {_jobs(part.jobs)} |" for part in found.parts
    ]
    lines.append(f"| not explained: between jobs | | {found.not_explained:.1f} s | |")
    lines.append(f"| **all** | | **{found.seconds:.1f} s** | |")
    return "\n".join(lines)


def _jobs(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return ""
    return f"{len(seconds)}, {min(seconds):.1f} to {max(seconds):.1f} s each"


def _of(name: str, jobs: Sequence[LoggedJob], *, after: float) -> list[LoggedJob]:
    found = [job for job in jobs if job.name == name and job.begun >= after - 0.1]
    if not found:
        raise ServiceError(f"the logs have no job {name} after the correction")
    return found


def _entry(line: str) -> dict[str, str]:
    """Return a line's fields; none where it is not an entry of the log, such as one that is still being written."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
