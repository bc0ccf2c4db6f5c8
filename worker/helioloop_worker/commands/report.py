"""The command ``helioloop report``."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop.settings import load_settings
from helioloop_worker.commands.options import TABLE, project_option


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [report]


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
        from helioloop_worker.reports.page import REPORT_PAGE
        from helioloop_worker.reports.report import make_report
    context = Context(load_settings())
    settings = context.settings
    state = read_project(context.label_studio, project, settings=settings)
    with open_runtime(*settings.release_roots, profile=state.profile) as runtime:
        page = make_report(state, context.registry(project), runtime.load, report=runtime.report)
    path = out or settings.media_dir(project) / REPORT_PAGE
    atomic.write_text(path, page)
    click.echo(f"{path}: the report of project {project}")
    if out is None:
        click.echo(f"in Label Studio: {settings.page_url(project, REPORT_PAGE)}")
