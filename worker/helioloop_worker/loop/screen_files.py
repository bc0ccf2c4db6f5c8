"""Writes the files behind the labelling screen: facts at ingestion, curve and reason whenever scores are written back.

Task data cannot follow the model, because Label Studio changes a few tasks a second. So a task has fixed addresses, and
the files there are replaced. A reader sees the old file or the new one. `export_screens` writes what was shown for an
earlier version: the files are a function of the version's stored scores, the facts, the crude label, the class names
and the form that this release of helioloop gives them.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.cube_facts import CubeFacts
from helioloop.errors import ServiceError
from helioloop.files import atomic
from helioloop.labelstudio.tasks import CubeTask
from helioloop.progress import Report
from helioloop.records.cubes import Key
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop_worker.labelstudio.project import ProjectState, claim_media
from helioloop_worker.loop.curve_file import curve_json
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.reason import Judged, reason_html
from helioloop_worker.media.port import Media

TOGETHER = 100
"""Cubes whose files are flushed to disk together, between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The content of the two files of a task that follow the model: the curve as JSON, and the reason as HTML."""

    curve: str
    reason: str


def write_facts(names: MediaNames, facts: CubeFacts) -> None:
    """Write the facts about a cube."""
    atomic.write_text(names.facts, json.dumps(facts.as_dict(), separators=(",", ":"), allow_nan=False) + "\n")


def read_facts(names: MediaNames) -> CubeFacts | None:
    """Return the facts about a cube; None where there is no whole file of them."""
    try:
        return CubeFacts.from_dict(json.loads(names.facts.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):  # damaged: the next ingestion of the release writes it again
        return None


def write_first_screen(names: MediaNames, facts: CubeFacts, *, class_names: Mapping[Label, str]) -> None:
    """Write curve and reason of a new task, which no model has scored; files that are there are kept.

    The crude label is not among the facts: an answer given now counts as blind.
    """
    frozen = names.instrument.frozen_frames
    if not names.curve.exists():
        atomic.write_text(names.curve, curve_json(facts, None))
    if not names.reason.exists():
        text = reason_html(facts, crude=None, judged=None, class_names=class_names, frozen_frames=frozen)
        atomic.write_text(names.reason, text)


def write_screens(
    project_state: ProjectState,
    scores: Mapping[Key, CubeScore],
    *,
    version: str,
    media: Path,
    blind: Set[str] = frozenset(),
    served: Media,
    report: Report,
) -> int:
    """Write curve and reason of all tasks that show them, and return how many cubes have new content.

    Parameters
    ----------
    project_state : ProjectState
        Tasks, crude labels and class names. Tasks of before these files, which have no address for them, are left out.
    scores : mapping
        The scores of the version.
    version : str
        The version that is shown.
    media : Path
        The project's media folder.
    blind : set of str
        Names of cubes whose files must show nothing of the model.
    served : Media
        From where Label Studio gets the files.
    report : Report
        Called with the number of cubes done; what it raises ends the work, which can be repeated.

    Raises
    ------
    ServiceError
        Where the files cannot be written.
    RegistryError
        Where a bucket belongs to another project; nothing is written then.
    """
    tasks = [task for task in project_state.tasks.values() if "curve" in task.exported["data"]]
    changed = 0
    claimed = False
    for start in range(0, len(tasks), TOGETHER):
        report(start, len(tasks), "writing curves and reasons")
        new: dict[Path, bytes] = {}
        for task in tasks[start : start + TOGETHER]:
            names = _names(project_state, task, media)
            score, hidden = scores.get(task.cube.key), task.cube.name in blind
            screen = _screen(project_state, task, names, score, version=version, blind=hidden)
            if screen is None:
                continue
            files = {names.curve: screen.curve.encode(), names.reason: screen.reason.encode()}
            with _plain_errors(media):
                different = {path: content for path, content in files.items() if not _has(path, content)}
            if different and not claimed:
                claim_media(served, project_state.info, media=media)
                claimed = True
            for path, content in different.items():
                # Before the file is there: if this breaks off in between, the file is served again.
                served.serve(names.name(path), lambda content=content: content)  # type: ignore[misc]
            changed += bool(different)
            new |= different
        with _plain_errors(media):
            atomic.replace_many(new)
    report(len(tasks), len(tasks), "writing curves and reasons")
    return changed


def export_screens(
    project_state: ProjectState,
    scores: Mapping[Key, CubeScore],
    *,
    version: str,
    media: Path,
    folder: Path,
    cubes: Collection[str] = (),
) -> int:
    """Write what the screens show for a version into a folder, and return the number of cubes.

    The files have the names that they have below the media folder. A random check is written as it is shown after its
    answer. Facts, crude labels and class names are the present ones.

    Parameters
    ----------
    project_state : ProjectState
        Tasks, crude labels and class names.
    scores : mapping
        The scores of the version; a cube without one is left out.
    version : str
        The version; its masking curves must not have been pruned.
    media : Path
        The project's media folder, for the facts.
    folder : Path
        Where to write.
    cubes : collection of str
        Names of the cubes that are wanted; all if it is empty.
    """
    written = 0
    for name, task in project_state.tasks.items():
        score = scores.get(task.cube.key)
        if score is None or (cubes and name not in cubes):
            continue
        names = _names(project_state, task, media)
        screen = _screen(project_state, task, names, score, version=version, blind=False)
        if screen is not None:
            for path, text in ((names.curve, screen.curve), (names.reason, screen.reason)):
                atomic.write_text(folder / path.relative_to(media), text)
            written += 1
    return written


def _names(project_state: ProjectState, task: CubeTask, media: Path) -> MediaNames:
    cube = task.cube
    return MediaNames(
        media=media,
        release=cube.release,
        cube=cube.name,
        sha256=cube.sha256,
        instrument=project_state.profile.instrument,
    )


def _screen(
    project_state: ProjectState,
    task: CubeTask,
    names: MediaNames,
    score: CubeScore | None,
    *,
    version: str,
    blind: bool,
) -> Screen | None:
    """Return what the screen of a task shows; None where the facts are lost or on another grid."""
    instrument, facts = project_state.profile.instrument, read_facts(names)
    if facts is None or facts.n_frames != instrument.n_frames:
        return None
    reason = reason_html(
        facts,
        crude=project_state.label(task.cube.name).crude,
        judged=None if score is None else Judged(version=version, score=score),
        class_names=project_state.controls.class_names,
        frozen_frames=instrument.frozen_frames,
        blind=blind,
    )
    return Screen(curve=curve_json(facts, score, blind=blind), reason=reason)


def serve_screen(names: MediaNames, served: Media, *, video_field: str) -> dict[str, str]:
    """Make video, curve and reason available, and return their addresses as fields of a task's data.

    The field of the video has the name in the labelling configuration.
    """
    files = files_of_task(names, video_field=video_field)
    for path in files.values():
        served.serve(names.name(path), path.read_bytes)
    return {field: served.address(names.name(path)) for field, path in files.items()}


def files_of_task(names: MediaNames, *, video_field: str) -> dict[str, Path]:
    """Return the files whose addresses the data of a task have, by field."""
    return {video_field: names.video, "curve": names.curve, "reason": names.reason}


def _has(path: Path, content: bytes) -> bool:
    """Return whether a file has this content."""
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


@contextmanager
def _plain_errors(media: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"the files of the labelling screen in {media} cannot be written ({error.strerror}); free space or correct "
            "the permissions, then repeat this"
        ) from error
