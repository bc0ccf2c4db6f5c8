"""The commands ``helioloop report`` and ``helioloop screens``."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import TEXT, needs_extra
from helioloop.errors import WrongUsage
from helioloop.settings import load_settings
from helioloop.words import count
from helioloop_worker.commands.options import FOLDER, TABLE, project_option


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [report, screens]


@click.command()
@project_option
@click.option(
    "--out",
    type=TABLE,
    help="HTML file to write. An existing file is replaced in one step.  [default: the project's page in Label Studio]",
)
def report(project: int, out: Path | None) -> None:
    """Write the report of a project as one page.

    \b
    The page shows:
      rounds          labels verified, hits, estimate of the wrong labels left, and
                      what is saved against verifying all
      human work      answers and hours of each annotator, from Label Studio
      reliability     of cubes at probability p, which fraction emerges
      crude labels    against verified ones, and how many of them are wrong
      frames          emergence intervals of the model against verified frames
      annotators      how far they agree, and Krippendorff's alpha
      versions        with reasons and the outcome of the promotion check
      gallery         the cubes that disagree most, with frames and masking curve

    A figure that has too few data yet is replaced by a sentence that says what it needs. The page is one HTML file
    without scripts and without outside resources, to read, print or send; it follows the reader's light or dark theme.

    The worker writes the same page after each round. Everyone who may see the project in Label Studio can open it
    there, with the Label Studio login; this command prints the address. Cubes that wait for a random check are left
    out of the gallery, so that nobody sees the model's answer before giving one.

    Labels are read anew from Label Studio; nothing is changed there.

    \b
    Examples:
      helioloop report --project 1
      helioloop report --project 1 --out report.html
    """
    with needs_extra("worker"):
        from helioloop.files import atomic
        from helioloop_worker.commands.runtime import open_runtime
        from helioloop_worker.context import Context
        from helioloop_worker.labelstudio.project import read_project
        from helioloop_worker.loop.announcing import write_report
        from helioloop_worker.reports.page import REPORT_PAGE
        from helioloop_worker.reports.report import make_report
    context = Context(load_settings())
    settings = context.settings
    state = read_project(context.label_studio, project, settings=settings)
    with open_runtime(*settings.release_roots, profile=state.profile) as runtime:
        page = make_report(state, context.registry(project), runtime.load, report=runtime.report)
    if out is not None:
        atomic.write_text(out, page)
        click.echo(f"{out}: the report of project {project}")
        return
    path = write_report(context, project, page)
    if not path.exists():
        click.echo(
            f"the report of project {project} is not shown: a cube in its gallery became a random check while it was "
            "made; a worker makes another one"
        )
        return
    click.echo(f"{path}: the report of project {project}")
    click.echo(f"in Label Studio: {settings.page_url(project, REPORT_PAGE)}")


@click.command()
@project_option
@click.option("--version", type=TEXT, required=True, help="Model version, for example v0002; a superseded one too.")
@click.option("--out", required=True, type=FOLDER, help="Folder to write into. Files of an earlier call are replaced.")
@click.option(
    "--cube", "cubes", type=TEXT, multiple=True, help="Only this cube; can be repeated.  [default: all with a score]"
)
def screens(project: int, version: str, out: Path, cubes: tuple[str, ...]) -> None:
    """Write what the labelling screens showed of a version.

    \b
    For each cube that the version scored, in a subfolder of its release:
      CUBE-….curve.json   masking curve, spread of the members, emergence interval, flux
      CUBE-….reason.txt   why the task was shown, and the facts beside the video, as HTML

    Label Studio shows these files at addresses that never change, so the next version replaces them. They are
    written again from the version's stored scores, in the form that this release of helioloop gives them. A version
    whose masking curves were removed by `helioloop prune` is refused, and so is one that was never published.

    \b
    These are as they are now:
      crude labels       where the label table was corrected, the corrected one
      class names        those of the labelling configuration
      facts              those of the last ingestion
      cubes              those that have a task
      random checks      shown as after the answer; before it they show nothing of the model

    The folder must not be in the media folder, from where Label Studio gets the present screens. Tasks are read from
    Label Studio; nothing is changed there.

    \b
    Example:
      helioloop screens --project 1 --version v0002 --out shown-by-v0002
    """
    with needs_extra("worker"):
        from helioloop_worker.context import Context
        from helioloop_worker.labelstudio.project import read_project
        from helioloop_worker.loop.screen_files import export_screens
    context = Context(load_settings())
    registry = context.registry(project)
    if version not in registry.versions():
        known = ", ".join(registry.versions()) or "none"
        raise WrongUsage(f"project {project} has no version {version!r}; its versions are: {known}")
    published = list(dict.fromkeys(line.version for line in registry.history()))
    if version not in published:
        raise WrongUsage(
            f"{version} was never published, so no screen showed it; choose one of: {', '.join(published) or 'none'}"
        )
    if registry.is_pruned(version):
        raise WrongUsage(
            f"the masking curves of {version} were removed by `helioloop prune`, so its screens cannot be made again; "
            "restore its folder from a backup, or choose another version"
        )
    if (served := _served_folder(out, context.settings.media_root)) is not None:
        raise WrongUsage(
            f"{served} is in the media folder {context.settings.media_root}, from where Label Studio gets the present "
            "screens; give a folder outside"
        )
    state = read_project(context.label_studio, project, settings=context.settings)
    if unknown := sorted({*cubes} - state.tasks.keys()):
        raise WrongUsage(f"project {project} has no cube {unknown[0]!r}; give the name in the column `cube`")
    written = export_screens(
        state,
        registry.scores_of(version, [state.tasks[cube].cube for cube in cubes]) if cubes else registry.scores(version),
        version=version,
        media=context.settings.media_dir(project),
        folder=out,
        cubes=cubes,
    )
    click.echo(f"{out}: what the screens of {count(written, 'cube')} showed for {version}")


def _served_folder(out: Path, media_root: Path) -> Path | None:
    """Return the folder or subfolder whose files would replace those that Label Studio shows; None if there is none."""
    folders = [out, *(path for path in out.glob("*") if path.is_dir())]
    root = media_root.resolve()
    return next((folder for folder in folders if folder.resolve().is_relative_to(root)), None)
