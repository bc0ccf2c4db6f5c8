"""Crude labels in Label Studio follow the label table of their release until a human has labelled the cube."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from helioloop.data.release import LABELS_FILE, LabelRow
from helioloop.records.labels import Label
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.data_edits import note_data_edit
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.loop.known_cubes import KnownCube, KnownCubes
from helioloop_worker.loop.written_back import require_whole_write_back

FIELD = "crude_label"
"""The field of a task's data; all other fields never change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedLabel:
    """A crude label that was changed in Label Studio; an empty text is no label."""

    cube: str
    old: str
    new: str


def crude_text(label: Label | None) -> str:
    """Return a crude label as the data of a task have it."""
    return "" if label is None else label.value


def follow_table(
    context: Context,
    project: int,
    release: str,
    rows: Mapping[str, LabelRow],
    known: KnownCubes,
    *,
    renamed: Collection[str] = (),
) -> tuple[tuple[ChangedLabel, ...], list[str]]:
    """Give the tasks of a release the crude labels of its table.

    A cube that a human has labelled keeps its crude label: the audit compares it with the human's label.

    Parameters
    ----------
    context : Context
        Settings and Label Studio.
    project : int
        Label Studio project.
    release : str
        Name of the release.
    rows : mapping of str to LabelRow
        The rows of the table by cube, of cubes with a task.
    known : KnownCubes
        What the tasks had when they were read last.
    renamed : collection of str
        Releases that are gone, whose cubes are read from this one: its table counts for their tasks, too.

    Returns
    -------
    changed : tuple of ChangedLabel
        In the order of `rows`.
    doubts : list of str
        What differs and was not changed, one sentence for each reason.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call; repeat the ingestion.
    ConfigurationError
        Where the project's labelling configuration lacks the controls, so annotations cannot be read.
    """
    differing = {
        cube: (row, task)
        for cube, row in rows.items()
        if (task := known.find(cube)) is not None and task.crude is not row.label
    }
    if not differing:
        return (), []
    state = read_project(context.label_studio, project, settings=context.settings)
    changed: list[ChangedLabel] = []
    tasks: dict[str, list[int]] = defaultdict(list)
    doubts = _Doubts(release, {release, *renamed})
    for cube, (row, task) in differing.items():
        if cube not in state.tasks:
            continue  # it was deleted meanwhile
        if _is_kept(cube, row, task, state, doubts):
            continue
        old, new = crude_text(state.label(cube).crude), crude_text(row.label)
        if old != new:
            changed.append(ChangedLabel(cube=cube, old=old, new=new))
            tasks[new] += state.tasks[cube].ids
    model_dir = context.settings.model_dir(project)
    for new, ids in tasks.items():
        require_whole_write_back(model_dir)  # before the change, too: it may break off in the middle
        note_data_edit(model_dir)
        try:
            context.label_studio.set_data_field(project, ids, FIELD, new)
        finally:
            note_data_edit(model_dir)
            require_whole_write_back(model_dir)
    if changed:
        read_project(context.label_studio, project, settings=context.settings)  # writes the label snapshot
    return tuple(changed), doubts.sentences()


def _is_kept(cube: str, row: LabelRow, task: KnownCube, state: ProjectState, doubts: "_Doubts") -> bool:
    """Tell whether the crude label stays although the table has another one; the reason is added to `doubts`."""
    current = state.label(cube)
    if current.verified:  # of tied votes the crude label still counts
        if current.label is not row.label:
            doubts.labelled.append(cube)
        return True
    if task.release not in doubts.own_releases:
        doubts.elsewhere.append(cube)
        return True
    return False


class _Doubts:
    """Cubes whose crude label differs from the table's and stays, by reason."""

    def __init__(self, release: str, own_releases: Collection[str]) -> None:
        self.release = release
        self.own_releases = own_releases
        self.labelled: list[str] = []
        self.elsewhere: list[str] = []

    def sentences(self) -> list[str]:
        """Return one sentence for each reason that occurred."""
        kinds = (
            (self.labelled, "a human has given it another label in Label Studio, which counts"),
            (self.elsewhere, "its task belongs to another release, whose table counts"),
        )
        return [
            f"{LABELS_FILE} of release {self.release} has a label of cube {with_others(cubes)} that is not used: {why}"
            for cubes, why in kinds
            if cubes
        ]


def with_others(cubes: Sequence[str]) -> str:
    """Return the first of some cubes, and how many more there are."""
    return cubes[0] if len(cubes) == 1 else f"{cubes[0]} (and {len(cubes) - 1} more)"
