"""The commands for a Label Studio project: ``helioloop init``, ``ingest``, ``status``, ``retry`` and ``catalogue``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from helioloop.cli import TEXT, needs_extra
from helioloop.environment.addresses import check_http_url
from helioloop.environment.credentials import check_token
from helioloop.errors import WrongUsage
from helioloop.settings import Settings, load_settings, plain_url
from helioloop_worker.commands.ingest import ingest
from helioloop_worker.commands.options import coverage_option, project_option
from helioloop_worker.commands.retry import retry
from helioloop_worker.commands.status import status
from helioloop_worker.commands.written_table import WRITTEN_TABLE, WritingCommand, WrittenTable
from helioloop_worker.reports.catalogue_endings import CSV, check_ending


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [init, ingest, status, retry, catalogue]


@click.command()
@click.option(
    "--url",
    type=TEXT,
    help="Label Studio's address as seen from this machine.  [default: HELIOLOOP_LABEL_STUDIO_URL]",
)
@click.option(
    "--api-key",
    type=TEXT,
    help="Access token (legacy token or personal access token). Prefer the variable HELIOLOOP_LABEL_STUDIO_API_KEY: "
    "other users of this machine can see command lines.",
)
@click.option("--title", type=TEXT, help="Title of the project to create or complete.  [default: helioloop]")
@click.option("--project", type=click.IntRange(min=1), help="Id of an existing project, instead of --title.")
@click.option(
    "--backend-url",
    type=TEXT,
    help="The backend's address as seen from Label Studio.  [default: http://HOST:PORT, where `helioloop backend` "
    "listens]",
)
@click.option("--emergence", type=TEXT, help="Choice of the class emergence in this project.")
@click.option("--non-emergence", type=TEXT, help="Choice of the class non-emergence in this project.")
@click.option("--choices", type=TEXT, help="Name of the <Choices> with both, where several have them.")
@click.option("--onset", type=TEXT, help="Timeline label of the emergence onset in this project.")
def init(
    *,
    url: str | None,
    api_key: str | None,
    title: str | None,
    project: int | None,
    backend_url: str | None,
    emergence: str | None,
    non_emergence: str | None,
    choices: str | None,
    onset: str | None,
) -> None:
    """Set up a Label Studio project; safe to repeat.

    Creates the project, or completes an existing one: video storage, ML backend, webhook with its secret, uncertainty
    sampling, and five tabs for the queue. Label Studio, Redis and the backend (`helioloop backend`) must be running.
    The command prints the project's id, which other commands take as --project.

    Of an existing project it prints what it found and what is missing. It never changes the labelling configuration,
    the text of the instruction, a task or an annotation; helioloop's own instruction gets its pictures. It reads the
    names of the controls and the words of the two classes from the project's own configuration and keeps them in the
    project's model folder, so projects with different words share one worker and one backend. If the words are not
    clear, it asks for --emergence and --non-emergence and names the choices that it saw. The words of a new project are
    these, or HELIOLOOP_CLASS_EMERGENCE and HELIOLOOP_CLASS_NON_EMERGENCE.

    ML backends and webhooks that helioloop registered earlier at other addresses are removed; those of others stay.

    At the end it tries what it set up: it fetches a file and the latest video through Label Studio, compares the
    backend's model folder with that of this machine, and has Label Studio send one event to the backend. It prints "is
    set up" only if all succeed; else it prints cause and remedy, and exits with 1.

    \b
    Examples:
      helioloop init --url http://127.0.0.1:8080 --title "Release 3"
      helioloop init --project 7 --emergence ja --non-emergence nein
    """
    with needs_extra("worker"):
        from helioloop.labelstudio.new_controls import GivenWords
        from helioloop_worker.labelstudio.client import LabelStudioClient
        from helioloop_worker.labelstudio.setup import set_up
        from helioloop_worker.labelstudio.setup_checks import check_set_up
        from helioloop_worker.own_redis import claim_if_it_answers
    if title is not None and project is not None:
        raise WrongUsage("--title and --project both name a project; give one of them")
    changed: dict[str, Any] = {}
    if url is not None:
        changed["label_studio_url"] = given_url(url)
    settings = load_settings().model_copy(update=changed)
    key = settings.api_key() if api_key is None else given_token(api_key)
    label_studio = LabelStudioClient(
        settings.label_studio_url, api_key=key, timeout_seconds=settings.label_studio_timeout_seconds
    )
    backend = default_backend_url(settings) if backend_url is None else backend_url
    claim_if_it_answers(settings)  # before the backend and the webhook of another deployment are removed
    given = GivenWords(emergence=emergence, non_emergence=non_emergence, choices=choices, onset=onset)
    number = set_up(
        label_studio,
        settings,
        title="helioloop" if title is None else title,
        project=project,
        backend_url=backend,
        given=given,
        say=click.echo,
    )
    check_set_up(label_studio, settings, number, backend_url=backend, say=click.echo)
    click.echo(f"project {number} is set up: {plain_url(settings.label_studio_url)}/projects/{number}/data")
    click.echo(f"next: helioloop ingest RELEASE --project {number}")


def given_token(token: str) -> str:
    """Return the token of --api-key if it follows the rule for the setting; no text contains it."""
    try:
        return check_token(token)
    except ValueError as error:
        raise WrongUsage(f"--api-key {error}") from None


def given_url(url: str) -> str:
    """Return the address of --url if it follows the rule for the setting."""
    try:
        return check_http_url(url)
    except ValueError as error:
        raise WrongUsage(f"--url {error}") from None


def default_backend_url(settings: Settings) -> str:
    """Return the address at which `helioloop backend` listens with these settings."""
    return f"http://{settings.backend_address}"


class CatalogueFile(WrittenTable):
    """A file whose ending chooses the format of a catalogue."""

    def check_name(self, option: str, path: Path) -> None:  # noqa: ARG002 - the sentence names the file alone
        """Refuse a name whose ending no format has."""
        check_ending(path)


@click.command(cls=WritingCommand)
@project_option
@click.option(
    "--out",
    required=True,
    type=CatalogueFile(),
    help="File to write: .csv, .ecsv, .vot (or .xml) or .fits. An existing file is replaced in one step.",
)
@click.option(
    "--draw",
    "sample",
    type=WRITTEN_TABLE,
    help="Also write the project's audit sample to this CSV, for `helioloop triage --random`.",
)
@coverage_option
def catalogue(*, project: int, out: Path, sample: Path | None, coverage: float) -> None:
    """Write all cubes of a project as a table.

    The table contains, for each cube, its current label, its score by the published version and its emergence time.
    Labels are read anew from Label Studio; nothing is changed there.

    Probabilities and intervals are calibrated on the audit sample: the cubes that were answered blind, in the random
    order that `helioloop status` lists. Probabilities need 30 labels, ten of each class; intervals of 90 % need nine
    emergence frames. With fewer, the table marks them as uncalibrated. A frame that was submitted unchanged, as the
    model had proposed it, is marked "unmoved" and is not used for calibration.

    The ending of --out chooses the format. ECSV, VOTable and FITS contain, besides the rows: description, unit and UCD
    of each column, the scale of the times, the position of the region, and the provenance (project, version, model
    card, releases, calibrations). Unknown values are masked, except that a VOTable has an empty text. astropy reads the
    times of ECSV as times, and those of FITS with `QTable.read(FILE, astropy_native=True)`; in a VOTable they are text
    with a TIMESYS.

    \b
    Columns; one row per cube, in the order of the tasks;
    an empty cell means unknown:
      release, cube, region
      label, label_source    the current label, and its source: crude, majority,
                             ground truth, tied
      crude_label, label_predicted
      disagreement           1 - probability of the label
      p_emergence, p_spread  mean and standard deviation over the members that were
                             not trained on the cube (all, for a cube that none saw)
      p_calibrated           of cubes at 0.8, about 80 % emerge
      emergence_frame        0-based grid frame, with the ends _lo and _hi of its
                             interval; _lo 0 means at frame 0 or earlier
      emergence_frame_from   "annotator", "annotator, unmoved",
                             "model, calibrated 0.9" or "model, uncalibrated"
      emergence_time_utc, emergence_time_tai
                             start of that frame, if the files give a start time
      model_version          the version that scored
      carrington_lon, carrington_lat
                             position of the region in degrees; not in .csv, and
                             only of cubes made by `cutouts` or `stack`

    \b
    Example: write the catalogue, then label the next release with its audit sample
      helioloop catalogue --project 1 --out catalogue.csv --draw drawn.csv
      helioloop triage release-4 --model-dir models/project-1 --random drawn.csv \\
          --out release-4.csv
    """
    with needs_extra("worker"):
        from helioloop_worker.commands.runtime import open_runtime
        from helioloop_worker.context import Context
        from helioloop_worker.labelstudio.project import read_project
        from helioloop_worker.reports.catalogue import make_catalogue
        from helioloop_worker.reports.catalogue_files import write_catalogue_file
        from helioloop_worker.reports.catalogue_table import write_sample
    context = Context(load_settings())
    state = read_project(context.label_studio, project, settings=context.settings)
    with open_runtime(*context.settings.release_roots, profile=state.profile) as runtime:
        made = make_catalogue(
            state,
            context.registry(project),
            runtime,
            roots=context.roots,
            coverage=coverage,
            with_positions=check_ending(out) != CSV,
        )
    write_catalogue_file(out, made)
    click.echo("\n".join((f"{out}: {len(made.entries)} rows", *made.sentences())))
    if sample is not None:
        write_sample(sample, made.sample)
        click.echo(f"{sample}: the audit sample, {len(made.sample.cubes)} cubes")
