"""Tasks that were copied from another project get the addresses of their own project's files.

Label Studio copies a project by export and import, also when it is moved to another server. The addresses then lead to
the files of the project that was copied: videos that may not be served here, and curves and reasons of its model.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from helioloop.labelstudio.copied_tasks import given_answers, in_project, project_of
from helioloop.labelstudio.tasks import cube_of
from helioloop.records.instrument import Instrument
from helioloop.registry.copied_answers import add_copied_answers
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.data_edits import note_data_edit
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.screen_files import files_of_task
from helioloop_worker.loop.written_back import require_whole_write_back


def show_own_files(
    context: Context,
    project: int,
    copied: Mapping[int, Mapping[str, Any]],
    *,
    cubes: Collection[str],
    video_field: str,
    instrument: Instrument,
) -> list[str]:
    """Let copied tasks show the files of their own project, and return what was done, one sentence for each other one.

    Parameters
    ----------
    context : Context
        Settings and Label Studio.
    project : int
        Label Studio project.
    copied : mapping of int to mapping
        The copied tasks by id, as Label Studio exports them.
    cubes : collection of str
        The cubes whose files were made just now.
    video_field : str
        Field of a task's data that has the address of the video.
    instrument : Instrument
        The grid of the project.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call; repeat the ingestion.
    """
    tasks: dict[tuple[str, int], list[int]] = defaultdict(list)
    origins: dict[int, int] = {}
    for number, entry in sorted(copied.items()):
        cube = cube_of(entry["data"])
        if cube is None or cube.name not in cubes:
            continue
        names = MediaNames(
            media=context.settings.media_dir(project),
            release=cube.release,
            cube=cube.name,
            sha256=cube.sha256,
            instrument=instrument,
        )
        for field, path in files_of_task(names, video_field=video_field).items():
            address = entry["data"].get(field)
            other = project_of(address)
            # Anywhere else, the files of this project are not where the address would lead then.
            own = context.media.address(names.name(path))
            if other not in {None, project} and in_project(address, project) == own and path.exists():
                tasks[field, other].append(number)
                origins[number] = other
    if not origins:
        return []
    model_dir = context.settings.model_dir(project)
    add_copied_answers(model_dir, frozenset().union(*(given_answers(copied[number]) for number in origins)))
    for (field, other), numbers in tasks.items():
        require_whole_write_back(model_dir)  # before the change, too: it may break off in the middle
        note_data_edit(model_dir)
        try:
            context.label_studio.set_data_field(
                project, numbers, field, f"/project-{project}/", replaced=f"/project-{other}/"
            )
        finally:
            note_data_edit(model_dir)
            require_whole_write_back(model_dir)
    return [
        f"{count(n, 'task')} copied from project {other} showed its videos, curves and reasons, and those of this "
        "project from now on; answers given until now do not count as blind"
        for other, n in sorted(Counter(origins.values()).items())
    ]
