"""The command ``helioloop ingest``."""

from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop.errors import ServiceError, WrongUsage
from helioloop.settings import Settings, load_settings
from helioloop_worker.commands.options import EXISTING_FOLDER, project_option
from helioloop_worker.commands.runtime import show_doubt


@click.command()
@click.argument("release", type=EXISTING_FOLDER)
@project_option
@click.option("--detach", is_flag=True, help="Queue the job and return at once.")
def ingest(release: Path, project: int, detach: bool) -> None:
    """Import a release into a Label Studio project.

    Safe to repeat and to interrupt. Each cube is checked as by `helioloop check`, rendered as an H.264 video and
    imported as a task. A cube that cannot be used is excluded with its reason, and the others are imported. If there is
    no model version yet, the first round then trains on the crude labels; otherwise the new cubes are scored and appear
    with predictions.

    The labels in labels.csv become crude labels, also in rows with verified 1: in Label Studio only annotations are
    labels of humans. After a correction of labels.csv ingest the release again: crude labels follow the table, except
    for cubes that a human has labelled, and each change is printed. A cube whose row was removed keeps its label.

    The first release sets the profile of the project: cadence, number of frames and patch, as in its release.toml. A
    release of another profile is refused; ingest it into a project of its own.

    A worker of the role train does the work. Its progress is shown here; Ctrl-C ends the display, not the job. At the
    end the latest video is fetched through Label Studio, as a browser does; where that fails, the command prints cause
    and remedy and exits with 1. With --detach nothing is fetched: run `helioloop doctor` once the job is done. The
    folder RELEASE must be in one of the folders that HELIOLOOP_RELEASE_ROOTS lists.

    \b
    Example:
      helioloop ingest /data/releases/release-3 --project 1
    """
    with needs_extra("worker"):
        from helioloop.data.release import ReleaseRoots
        from helioloop.messaging import messages, queues
        from helioloop_worker.own_redis import open_redis
        from helioloop_worker.terminal import follow_job
    settings = load_settings()
    if ReleaseRoots(settings.release_roots).folder(release.resolve().name).resolve() != release.resolve():
        raise WrongUsage(
            f"{release} is not the first folder of that name in HELIOLOOP_RELEASE_ROOTS "
            f"({', '.join(map(str, settings.release_roots))}), so the worker would read another one; rename one of them"
        )
    connection = open_redis(settings)
    message = messages.Ingest(project=project, release=release.resolve().name)
    queues.require_worker(connection, message.queue)
    queues.send(connection, message, anew=True)
    if detach:
        click.echo(
            f"job {message.job_id} is queued; `helioloop status --project {project}` shows its progress, warned and "
            "excluded cubes, and the error if it fails; changed crude labels are in the worker's log; not tried: "
            f"whether annotators can see the videos; once the job is done, `helioloop doctor --project {project}` "
            "shows it"
        )
        return
    outcome = follow_job(connection, message)
    excluded = outcome["excluded"]
    click.echo(
        f"release {outcome['release']}: {outcome['imported']} cubes imported, {outcome['present']} already present, "
        f"{len(excluded)} excluded, {len(outcome['warned'])} warned, {len(outcome['relabelled'])} crude labels changed"
    )
    for change in outcome["relabelled"]:
        click.echo(f"  crude label of {change['cube']}: {change['old'] or 'none'} -> {change['new'] or 'none'}")
    for doubt in outcome["doubts"]:
        show_doubt(doubt)
    for entry in outcome["warned"]:
        click.echo(f"  warned: {entry['cube']}: {entry['reason']}", err=True)
    for entry in excluded:
        click.echo(f"  excluded: {entry['cube']}: {entry['reason']}", err=True)
    click.echo(fetched_video(settings, project, outcome["release"]))


def fetched_video(settings: Settings, project: int, release: str) -> str:
    """Fetch the latest video of a release through Label Studio, as a browser does, and return a line about it."""
    from helioloop_worker.labelstudio.client import LabelStudioClient
    from helioloop_worker.labelstudio.media_check import check_latest_video
    from helioloop_worker.labelstudio.project import read_controls

    if settings.label_studio_api_key is None:
        return "media: no video was fetched, because HELIOLOOP_LABEL_STUDIO_API_KEY is not set for this command"
    label_studio = LabelStudioClient.from_settings(settings)
    controls = read_controls(label_studio.project(project), settings=settings)
    try:
        return check_latest_video(label_studio, settings, project, controls, release=release)
    except ServiceError as error:
        raise ServiceError(f"the tasks are imported, but no annotator can see their videos: {error}") from None
