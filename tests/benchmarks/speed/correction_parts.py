"""The parts of a correction's way to fresh predictions, from what helioloop itself records of it.

The workers log the end and the seconds of each job, and the backend logs each event of Label Studio, both as JSON. No
part is measured by waiting.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from helioloop.errors import ServiceError

_JOB = re.compile(r"job (\w+) (?:is done|failed) after ([\d.]+) s")
_ROUNDING_SECONDS = 0.1
"""The log has the duration of a job in tenths of a second."""
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


def way(
    moments: Moments, *, version: str, jobs: Sequence[LoggedJob], events: Sequence[float], quiet_seconds: float
) -> Way:
    """Return the parts of the way.

    Parameters
    ----------
    moments : Moments
        What was measured besides.
    version : str
        The new version.
    jobs : sequence of LoggedJob
        All jobs of the workers.
    events : sequence of float
        When the backend counted events, in Unix seconds.
    quiet_seconds : float
        The check waits for so long after the last event.

    Raises
    ------
    ServiceError
        Where an event, a check or a step is not recorded, or a step begins before the one that it follows.
    """
    since = moments.submitted
    event = max((at for at in events if at >= since), default=None)
    if event is None:
        raise ServiceError("the backend's log has no event of the correction: Label Studio sent none, or it was lost")
    later = [job for job in jobs if job.begun >= event - _ROUNDING_SECONDS]
    steps = {name: [job for job in later if job.name == name] for name in STEPS}
    written = [job for job in later if job.name == "write_back" and job.version == version][-1:]
    planned = min((job.begun for job in steps["plan_round"]), default=math.inf)
    checks = [job for job in later if job.name == "check_retraining" and job.begun < planned][-1:]
    for name, found in {"check_retraining": checks, **steps, "write_back": written}.items():
        if not found:
            raise ServiceError(f"the logs have no job {name} after the correction")
    check, writing = checks[0], written[0]
    due = min(event + quiet_seconds, check.begun)
    switched = min(moments.switched, writing.ended)
    spans: list[tuple[str, float, float, Sequence[LoggedJob]]] = [
        ("Label Studio stores the correction, its webhook is counted", since, event, ()),
        (f"quiet time of {quiet_seconds:g} s after the last correction", event, due, ()),
        ("the check waits for its worker", due, check.begun, ()),
        ("the retrain check reads what changed", check.begun, check.ended, checks),
    ]
    for name, what in STEPS.items():
        found = steps[name]
        spans.append((what, min(job.begun for job in found), max(job.ended for job in found), found))
    spans += [
        ("write-back: predictions are in Label Studio, which shows the version", writing.begun, switched, written),
        ("write-back: curves, reasons and tabs", switched, writing.ended, ()),
        ("every task is found to have a fresh prediction", writing.ended, moments.ended, ()),
    ]
    return Way(
        parts=tuple(_consecutive(spans, since)),
        seconds=moments.ended - since,
        predict_seconds=moments.predicted - since,
    )


def _consecutive(spans: Sequence[tuple[str, float, float, Sequence[LoggedJob]]], since: float) -> Iterator[Part]:
    """Yield the parts; a job that sends the next one counts until that begins, and what it does afterwards does not."""
    begins = [begun for _, begun, _, _ in spans] + [math.inf]
    for (what, begun, ended, jobs), after in zip(spans, begins[1:], strict=True):
        if after < begun - _ROUNDING_SECONDS:
            raise ServiceError(f"what follows “{what}” begins {begun - after:.1f} s before it")
        seconds = tuple(job.ended - job.begun for job in jobs)
        yield Part(what=what, begun=begun - since, ended=max(begun, min(ended, after)) - since, jobs=seconds)


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


def _entry(line: str) -> dict[str, str]:
    """Return a line's fields; none where it is not an entry of the log, such as one that is still being written."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
