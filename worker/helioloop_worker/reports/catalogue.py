"""A project's catalogue: what every cube counts as now, what the published version says of it, and when it emerged.

Above `view`; reads Label Studio and the model folder, changes neither. What is said of probabilities and intervals
stands on the project's random draw alone: the verified start of the check list.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from helioloop import tables
from helioloop.data.frame_times import FrameTime, cube_frame_time
from helioloop.data.release import ReleaseRoots
from helioloop.data.truth import TrueCube
from helioloop.errors import CubeError, RegistryError, ReleaseError
from helioloop.evaluation.audit_order import audit_order, sampled_prefix
from helioloop.evaluation.audit_sample import AuditSample, predicted_emergence
from helioloop.evaluation.calibration import (
    IntervalCalibration,
    ProbabilityCalibration,
    intervals_in_words,
    probabilities_in_words,
)
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records import CubeScore, CurrentLabel, Emergence, Label
from helioloop.registry.versions import Registry
from helioloop.workflows.cells import decimal, frame_cells, time_cells
from helioloop_worker.labelstudio.project import CubeTask, ProjectState

COLUMNS = (
    "release",
    "cube",
    "region",
    "label",
    "label_source",
    "crude_label",
    "label_predicted",
    "disagreement",
    "p_emergence",
    "p_spread",
    "p_calibrated",
    "emergence_frame",
    "emergence_frame_lo",
    "emergence_frame_hi",
    "emergence_frame_from",
    "emergence_time_utc",
    "emergence_time_tai",
    "model_version",
)
DRAW_COLUMNS = ("cube", "label", "emergence_frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cube of the catalogue.

    Parameters
    ----------
    task : CubeTask
        The cube.
    label : CurrentLabel
        What it counts as.
    score : CubeScore or None
        What the version says of it; None where it has not spoken yet.
    p_calibrated : float or None
        Calibrated probability of emergence; None where too few random labels allow none.
    found : Emergence or None
        The emergence frame; a human's is its own interval. None where the class is another or unknown.
    source : str
        Whose frame it is and what its interval is worth, in the words of the table.
    time : FrameTime or None
        When that frame starts; None without a frame, or where the files give no start.
    """

    task: CubeTask
    label: CurrentLabel
    score: CubeScore | None
    p_calibrated: float | None
    found: Emergence | None
    source: str
    time: FrameTime | None

    def row(self, version: str) -> dict[str, str | int]:
        """Return the cube's row of the table; empty means unknown."""
        label, score = self.label, self.score
        agreement = None if score is None or label.label is None else score.agreement(label.label)
        return {
            "release": self.task.cube.release,
            "cube": self.task.cube.name,
            "region": self.task.cube.region or "",
            "label": label.label or "",
            "label_source": label.source,
            "crude_label": label.crude or "",
            "label_predicted": "" if score is None else score.predicted,
            "disagreement": decimal(None if agreement is None else 1.0 - agreement),
            "p_emergence": decimal(None if score is None else score.p_emergence),
            "p_spread": decimal(None if score is None else score.p_spread),
            "p_calibrated": decimal(self.p_calibrated),
            **frame_cells(self.found),
            "emergence_frame_from": self.source,
            **time_cells(self.time),
            "model_version": "" if score is None else version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A project at one moment.

    Parameters
    ----------
    version : str
        The version that speaks.
    entries : tuple of Entry
        All cubes of the project, in the order of its tasks.
    draw : AuditSample
        The cubes that probabilities and intervals are calibrated on.
    probabilities, intervals
        The calibrations; None where there are too few labels or frames.
    coverage : float
        Part of the true frames that calibrated intervals are to contain.
    """

    version: str
    entries: tuple[Entry, ...] = field(repr=False)
    draw: AuditSample
    probabilities: ProbabilityCalibration | None
    intervals: IntervalCalibration | None
    coverage: float

    def sentences(self) -> tuple[str, ...]:
        """Return in plain words what the figures of the table are worth."""
        silent = sum(entry.score is None for entry in self.entries)
        n_random, n_frames = len(self.draw.cubes), len(self.draw.timed[1])
        verified = sum(entry.label.verified for entry in self.entries)
        uncalibrated = self.probabilities is None or self.intervals is None
        return (
            f"{len(self.entries)} cubes, {verified} of them verified, {n_random} of these drawn at random; "
            f"{self.version} speaks.",
            *((f"Of {silent} cubes it has not spoken yet: the worker scores them.",) if silent else ()),
            probabilities_in_words(self.probabilities),
            intervals_in_words(self.intervals, n_frames=n_frames, coverage=self.coverage),
            *(("For both, label the next random checks that `helioloop status` names.",) if uncalibrated else ()),
        )


def make_catalogue(
    view: ProjectState,
    registry: Registry,
    runtime: Runtime,
    *,
    roots: ReleaseRoots,
    coverage: float,
) -> Catalogue:
    """Put a project's catalogue together.

    Parameters
    ----------
    view : ProjectState
        The project as Label Studio shows it.
    registry : Registry
        Its model folder; the published version speaks.
    runtime : Runtime
        Its `on_excluded` is called for each cube whose file gives no time.
    roots : ReleaseRoots
        Where the cubes' files are: the time of a frame is read from them.
    coverage : float
        Fraction of the true frames that intervals are to contain.

    Raises
    ------
    RegistryError
        If nothing is published yet.
    """
    version = registry.published()
    if version is None:
        raise RegistryError(f"{registry.root} holds no published version yet; ingest a release first")
    scores = registry.scores(version)
    labels = {cube: label for cube, label in view.snapshot.cubes.items() if cube in view.tasks}
    unmoved = find_unmoved(labels, registry)
    draw = read_draw(Plan.read(registry.folder(version)), scores, labels, unmoved=unmoved)
    probabilities = ProbabilityCalibration.calibrate(draw.p_emergence, draw.emergence)
    instrument = runtime.instrument
    start = instrument.frozen_frames
    intervals = IntervalCalibration.calibrate(*draw.timed, start=start, coverage=coverage)
    model = "model, uncalibrated" if intervals is None else f"model, calibrated {coverage:g}"
    entries = []
    for done, task in enumerate(view.tasks.values(), start=1):
        label, score = view.label(task.cube.name), scores.get(task.cube.key)
        found = _verified_frame(label)
        source = "annotator, unmoved" if task.cube.name in unmoved else "annotator"
        if found is None and (found := _seen(label, score)) is not None:
            source = model
            if intervals is not None:
                found = intervals.apply(found, start=start, n_frames=instrument.n_frames)
        entries.append(
            Entry(
                task=task,
                label=label,
                score=score,
                p_calibrated=None
                if probabilities is None or score is None
                else float(probabilities.apply(np.array([score.p_emergence]))[0]),
                found=found,
                source="" if found is None else source,
                time=None if found is None else _time(task, found.frame, runtime, roots),
            )
        )
        runtime.report(done, len(view.tasks), "reading cubes' times")
    return Catalogue(
        version=version,
        entries=tuple(entries),
        draw=draw,
        probabilities=probabilities,
        intervals=intervals,
        coverage=coverage,
    )


def find_unmoved(labels: Mapping[str, CurrentLabel], registry: Registry) -> set[str]:
    """Return the cubes whose verified frame is one that a version made before had proposed for them.

    Label Studio fills predictions in, and an emergence submitted as it stood comes back with the model's own frame.
    That says little of where a human would have put it. A later version that comes to a human's frame by itself is
    right, and no reason to doubt the human.
    """
    verified = {cube: label.verified_frame for cube, label in labels.items() if label.verified_frame is not None}
    submitted = {cube: datetime.fromisoformat(by_hand.at) for cube, by_hand in verified.items()}
    unmoved = set()
    for version in registry.versions():
        made = datetime.fromisoformat(registry.card(version).created_at)
        unmoved |= {
            cube
            for (cube, _), score in registry.scores(version).items()
            if cube in verified
            and score.emergence is not None
            and score.emergence.frame == verified[cube].frame
            and made <= submitted[cube]
        }
    return unmoved


def read_draw(
    plan: Plan,
    scores: Mapping[tuple[str, str], CubeScore],
    labels: Mapping[str, CurrentLabel],
    *,
    unmoved: Collection[str] = (),
) -> AuditSample:
    """Return a project's random draw: the longest verified run from the start of the check list.

    The list is of the cubes that the version was trained on and has scored out of fold; its order is a hash of their
    content, so whoever labels them in that order labels cubes drawn at random. Cubes in `unmoved` have no frame there.
    """
    refs = {cube.name: cube for cube in plan.labelled if cube.key in scores}
    verified = {name: label for name in refs if (label := labels.get(name)) is not None and label.verified}
    drawn = sorted(sampled_prefix(audit_order(refs.values()), verified))
    return AuditSample(
        cubes=tuple(
            (scores[name, refs[name].sha256], _verified(verified[name], framed=name not in unmoved)) for name in drawn
        ),
        folds=tuple(plan.folds[name] for name in drawn),
    )


def write_catalogue(path: Path, catalogue: Catalogue) -> None:
    """Write a row per cube as CSV with the columns `COLUMNS`, in one step."""
    tables.write_table(path, COLUMNS, (entry.row(catalogue.version) for entry in catalogue.entries))


def write_draw(path: Path, draw: AuditSample) -> None:
    """Write the random draw as the table that ``helioloop triage --random`` takes, in one step."""
    rows = (
        {"cube": true.cube, "label": true.label, "emergence_frame": "" if true.frame is None else true.frame}
        for _, true in draw.cubes
    )
    tables.write_table(path, DRAW_COLUMNS, rows)


def _verified(label: CurrentLabel, *, framed: bool) -> TrueCube:
    if label.label is None:
        raise TypeError("a verified label is a label")
    frame = label.verified_frame.frame if framed and label.verified_frame is not None else None
    return TrueCube(cube=label.cube, label=label.label, frame=frame, kind="")


def _verified_frame(label: CurrentLabel) -> Emergence | None:
    """Return the frame that a human submitted."""
    if label.verified_frame is None:
        return None
    frame = label.verified_frame.frame
    return Emergence(frame=frame, frame_lo=frame, frame_hi=frame)


def _seen(label: CurrentLabel, score: CubeScore | None) -> Emergence | None:
    """Return the emergence that the version sees, unless a human saw that there is none."""
    if score is None or (label.verified and label.label is Label.NON_EMERGENCE):
        return None
    return predicted_emergence(score)


def _time(task: CubeTask, frame: int, runtime: Runtime, roots: ReleaseRoots) -> FrameTime | None:
    """Return when a frame starts; None, too, where the cube's file cannot be read."""
    try:
        path = roots.path(task.cube.release, task.cube.name)
        return cube_frame_time(path, frame, cadence_seconds=runtime.instrument.cadence_seconds)
    except (CubeError, ReleaseError) as error:
        if runtime.on_excluded is not None:
            runtime.on_excluded(task.cube.name, CubeError(str(error)))
        return None
