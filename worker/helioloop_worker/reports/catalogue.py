"""The catalogue of a project: for each cube its current label, its score and its emergence time.

Comes in: the project as read from Label Studio, and its model folder. Neither is changed. Probabilities and intervals
are calibrated on the project's audit sample alone.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from helioloop.data.frame_times import FrameTime, cube_frame_time
from helioloop.data.positions import CarringtonPosition, read_position
from helioloop.data.release import ReleaseRoots
from helioloop.errors import CubeError, RegistryError, ReleaseError
from helioloop.evaluation.audit_sample import AuditSample, predicted_emergence
from helioloop.evaluation.calibration import intervals_in_words, probabilities_in_words
from helioloop.labelstudio.tasks import CubeTask
from helioloop.model.runtime import Runtime
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.card import Card
from helioloop.registry.versions import Registry
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.reports.calibration import Calibration
from helioloop_worker.reports.catalogue_table import Entry
from helioloop_worker.reports.scored import read_scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A project at one moment.

    Parameters
    ----------
    project : ProjectInfo
        The project in Label Studio.
    labels_read_at : str
        When its labels were read, ISO 8601, UTC.
    card : Card
        How the published version was trained; its scores are used.
    entries : tuple of Entry
        All cubes of the project, in the order of its tasks.
    sample : AuditSample
        The cubes that probabilities and intervals are calibrated on.
    calibration : Calibration
        Both calibrations.
    """

    project: ProjectInfo
    labels_read_at: str
    card: Card
    entries: tuple[Entry, ...] = field(repr=False)
    sample: AuditSample
    calibration: Calibration

    @property
    def version(self) -> str:
        """Name of the published version."""
        return self.card.version

    def sentences(self) -> tuple[str, ...]:
        """Return a summary in words: how many cubes, and which figures are calibrated."""
        unscored = sum(entry.score is None for entry in self.entries)
        n_sampled, n_frames = len(self.sample.cubes), len(self.sample.timed[1])
        verified = sum(entry.label.verified for entry in self.entries)
        fitted = self.calibration
        uncalibrated = fitted.probabilities is None or fitted.intervals is None
        return (
            f"{len(self.entries)} cubes, {verified} of them verified, {n_sampled} of these in the audit sample; "
            f"scores by {self.version}.",
            *((f"{unscored} cubes are not scored yet: the worker scores them.",) if unscored else ()),
            probabilities_in_words(fitted.probabilities),
            intervals_in_words(fitted.intervals, n_frames=n_frames, coverage=fitted.coverage),
            *(
                ("For both, label the next cubes of the audit sample, which `helioloop status` lists.",)
                if uncalibrated
                else ()
            ),
        )


def make_catalogue(
    state: ProjectState,
    registry: Registry,
    runtime: Runtime,
    *,
    roots: ReleaseRoots,
    coverage: float,
    with_positions: bool = False,
) -> Catalogue:
    """Return the catalogue of a project.

    Parameters
    ----------
    state : ProjectState
        The project as read from Label Studio.
    registry : Registry
        Its model folder; the scores are those of the published version.
    runtime : Runtime
        Its `on_excluded` is called for each cube whose file cannot be read for the time.
    roots : ReleaseRoots
        Where the cubes' files are; frame times are read from them.
    coverage : float
        Fraction of the true frames that calibrated intervals contain.
    with_positions : bool
        True reads Carrington coordinates from the header of each cube, too.

    Raises
    ------
    RegistryError
        If no version is published yet.
    """
    scored = read_scored(state, registry, curves=False)
    if scored is None:
        raise RegistryError(f"{registry.root} holds no published version yet; ingest a release first")
    calibration = Calibration.on_sample(scored.sample, start=runtime.instrument.frozen_frames, coverage=coverage)
    entries = []
    for done, task in enumerate(state.tasks.values(), start=1):
        label, score = state.label(task.cube.name), scored.scores.get(task.cube.key)
        found, source = _emergence(label, score, calibration, runtime, unmoved=scored.unmoved)
        frame = None if found is None else found.frame
        time, position = _from_file(task, frame, runtime, roots, with_position=with_positions)
        entries.append(
            Entry(
                task=task,
                label=label,
                score=score,
                p_calibrated=calibration.probability(score),
                emergence=found,
                frame_source=source,
                time=time,
                position=position,
            )
        )
        runtime.report(done, len(state.tasks), "reading frame times")
    return Catalogue(
        project=state.info,
        labels_read_at=state.snapshot.read_at,
        card=scored.card,
        entries=tuple(entries),
        sample=scored.sample,
        calibration=calibration,
    )


def _emergence(
    label: CurrentLabel,
    score: CubeScore | None,
    calibration: Calibration,
    runtime: Runtime,
    *,
    unmoved: Collection[str],
) -> tuple[Emergence | None, str]:
    """Return a cube's emergence frame and its source: a human's frame if there is one, else the model's."""
    if label.verified_frame is not None:
        frame = label.verified_frame.frame
        source = "annotator, unmoved" if label.cube in unmoved else "annotator"
        return Emergence(frame=frame, frame_lo=frame, frame_hi=frame), source
    if score is None or (label.verified and label.label is Label.NON_EMERGENCE):
        return None, ""
    found = predicted_emergence(score)
    if found is None:
        return None, ""
    instrument = runtime.instrument
    calibrated = calibration.interval(found, start=instrument.frozen_frames, n_frames=instrument.n_frames)
    return calibrated, calibration.frame_source


def _from_file(
    task: CubeTask, frame: int | None, runtime: Runtime, roots: ReleaseRoots, *, with_position: bool
) -> tuple[FrameTime | None, CarringtonPosition | None]:
    """Return when a frame starts and where the region is; None where the cube's file does not have it.

    A file that cannot be read is reported once.
    """
    time: FrameTime | None = None
    position: CarringtonPosition | None = None
    if frame is None and not with_position:
        return None, None
    try:
        path = roots.path(task.cube.release, task.cube.name)
        if frame is not None:
            time = cube_frame_time(path, frame, cadence_seconds=runtime.instrument.cadence_seconds)
        if with_position:
            position = read_position(path)
    except (CubeError, ReleaseError) as error:
        if runtime.on_excluded is not None:
            runtime.on_excluded(task.cube.name, CubeError(str(error)))
    return time, position
