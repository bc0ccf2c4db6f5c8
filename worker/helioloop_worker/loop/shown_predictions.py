"""Whether Label Studio shows the predictions of the published version as it should; else a write-back is sent."""

from collections.abc import Sequence

from helioloop.messaging import messages, queues
from helioloop.registry.acceptances import accepted_labels
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.unscorable import read_unscorable
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop import updating
from helioloop_worker.loop.changed_controls import changed_controls
from helioloop_worker.loop.contested_predictions import is_left, is_shown_or_left
from helioloop_worker.loop.random_checks import shown_rows
from helioloop_worker.loop.seen_project import SeenProject
from helioloop_worker.loop.stored_predictions import difference_sentence, differing_predictions, made_elsewhere
from helioloop_worker.loop.unscored import unscored_chunks
from helioloop_worker.loop.written_back import require_whole_write_back
from helioloop_worker.loop.written_screens import has_last_screens


def predictions(context: Context, project: int, found: SeenProject) -> str | None:
    """Send a write-back where Label Studio does not show the published version, as far as it is read."""
    version, state = context.registry(project).published(), found.state
    if version is not None and queues.is_parked(
        context.connection, messages.WriteBack(project=project, version=version)
    ):
        return None
    if version is not None and (change := changed_controls(context, project, version, state.controls)) is not None:
        why = f"the labelling configuration was changed: {change}; writing the predictions of {version} again"
        return _send_whole_write_back(context, project, version, why)
    if (sent := (_write_back if found.is_complete else _model_version)(context, project, state)) is not None:
        return sent
    model_dir, media = context.settings.model_dir(project), context.settings.media_dir(project)
    if version is None or has_last_screens(model_dir, media):
        return None
    why = "curves and reasons are not those written last, as after a restore of the media folder: writing them again"
    return _send_whole_write_back(context, project, version, why)


def _model_version(context: Context, project: int, state: ProjectState) -> str | None:
    """Send a write-back where Label Studio shows another version than the published one."""
    version = context.registry(project).published()
    if version is None or not state.tasks or is_shown_or_left(context, state.info, version):
        return None
    return _send_whole_write_back(context, project, version, f"{version} is published and not shown: writing back")


def _write_back(context: Context, project: int, state: ProjectState) -> str | None:
    """Send a write-back where Label Studio does not show the published version completely."""
    version = context.registry(project).published()
    if version is None:
        return None
    unscorable = read_unscorable(context.settings.model_dir(project), version)
    cubes = state.tasks
    snapshot = Snapshot.read(context.settings.model_dir(project))  # as last checked: a waiting change is checked first
    blind = blind_cubes(context.settings.model_dir(project), {} if snapshot is None else snapshot.cubes)
    tasks = {
        number
        for task in cubes.values()
        if task.cube.sha256 not in unscorable and task.cube.name not in blind
        for number in task.ids
    }
    all_rows = context.label_studio.predictions(project)
    if shown := shown_rows(all_rows, cubes, blind):
        return _send_whole_write_back(
            context,
            project,
            version,
            f"{count(len(shown), 'prediction')} of random checks that nobody has answered: deleting",
        )
    rows = [row for row in all_rows if row.model_version == version]
    lacking = len(tasks - {row.task for row in rows})
    accepted = accepted_labels(context.settings.model_dir(project), version)
    labels = {} if snapshot is None else updating.with_accepted(snapshot.cubes, accepted)
    scores = context.registry(project).scores(version, curves=False)
    if unscored := unscored_chunks(state, scores, unscorable):
        lost = {number for chunk in unscored for cube in chunk for number in cubes[cube.name].ids}
        if lost & {row.task for row in rows}:
            return _send_whole_write_back(
                context,
                project,
                version,
                f"{count(len(lost), 'task')} with predictions and without a score: scoring",
            )
    differing = differing_predictions(rows, state, scores, unscorable=unscorable)
    difference, left = difference_sentence(context, state, differing), frozenset[int]()
    if (elsewhere := made_elsewhere(context, state, differing)) and is_left(context, project, version, elsewhere):
        difference, left = None, frozenset(one.row.id for one in differing)
    outdated = len(updating.outdated(rows, cubes, scores, labels, without=left))
    if wrong := _wrong_rows(rows, version, difference=difference, outdated=outdated):
        return _send_whole_write_back(context, project, version, wrong)
    if not lacking and (not tasks or is_shown_or_left(context, state.info, version)):
        return None
    return _send_whole_write_back(context, project, version, _lacking(lacking, version))


def _send_whole_write_back(context: Context, project: int, version: str, why: str) -> str | None:
    """Send a write-back that looks at all tasks; return why, or None where one waits already."""
    require_whole_write_back(context.settings.model_dir(project))
    return why if queues.send(context.connection, messages.WriteBack(project=project, version=version)) else None


def _lacking(n: int, version: str) -> str:
    """Return what a write-back is for, in a sentence, where `n` tasks lack the prediction of a version."""
    if n:
        return f"{count(n, 'task')} without the prediction of {version}: writing back"
    return f"Label Studio shows another version than {version}: writing back"


def _wrong_rows(rows: Sequence[PredictionRow], version: str, *, difference: str | None, outdated: int) -> str | None:
    """Return what is wrong with the predictions of a version that are there, in a sentence; None where nothing is."""
    # Label Studio stores what a backend answers late, and what a worker imports that was stopped meanwhile.
    if doubled := len(rows) - len({row.task for row in rows}):
        return f"{count(doubled, 'task')} with a second prediction of {version}: deleting it"
    if difference is not None:
        return difference
    if outdated:
        return f"{count(outdated, 'score')} other than the agreement with the label: writing back"
    return None
