"""Commands that work on a Label Studio project: init, ingest, status, catalogue."""

import shlex
from pathlib import Path
from typing import Any

import click

from helioloop.cli import needs_extra, print_table
from helioloop.errors import ServiceError, WrongUsage
from helioloop.settings import load_settings

TABLE = click.Path(dir_okay=False, path_type=Path)
PART = click.FloatRange(min=0, max=1, min_open=True, max_open=True)


def commands() -> list[click.Command]:
    """Return this group's commands."""
    return [init, ingest, status, catalogue]


@click.command()
@click.option("--url", help="Label Studio as reached from here; default: HELIOLOOP_LABEL_STUDIO_URL.")
@click.option(
    "--api-key",
    envvar="HELIOLOOP_LABEL_STUDIO_API_KEY",
    help="Access token (legacy token or personal access token); better given in HELIOLOOP_LABEL_STUDIO_API_KEY, "
    "because command lines are visible to other users.",
)
@click.option("--title", default="helioloop", show_default=True, help="Title of the project to create or complete.")
@click.option(
    "--backend-url", help="The backend as Label Studio reaches it; default: http://<host>:<port> it binds to."
)
def init(url: str | None, api_key: str | None, title: str, backend_url: str | None) -> None:
    """Set a Label Studio project up for the loop; safe to repeat.

    Creates the project (or completes the one of that title): labelling configuration, video storage, the ML backend,
    a webhook with our secret, uncertainty sampling, and a tab sorted by score. Label Studio and the backend
    (`helioloop backend`) must be running. Prints the project's id, which the other commands take as --project.

    \b
      helioloop init --url http://127.0.0.1:8080 --api-key TOKEN --title "Release 3"
    """
    with needs_extra("worker"):
        from helioloop_worker.labelstudio.client import LabelStudioClient
        from helioloop_worker.labelstudio.setup import set_up
    changed: dict[str, Any] = {}
    if url:
        changed["label_studio_url"] = url
    settings = load_settings().model_copy(update=changed)
    key = api_key or settings.api_key()
    gateway = LabelStudioClient(
        settings.label_studio_url, api_key=key, timeout_seconds=settings.label_studio_timeout_seconds
    )
    backend = backend_url or f"http://{settings.backend_host}:{settings.backend_port}"
    project = set_up(gateway, settings, title=title, backend_url=backend)
    click.echo(f"project {project} is set up: {settings.label_studio_url}/projects/{project}/data")
    click.echo(f"next: helioloop ingest RELEASE --project {project}")


@click.command()
@click.argument("release", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--project", type=int, required=True, help="Label Studio project id, as `helioloop init` printed it.")
@click.option("--detach", is_flag=True, help="Send the job to the worker and return at once.")
def ingest(release: Path, project: int, detach: bool) -> None:
    """Check, render and import the cubes in the folder RELEASE; safe to repeat and to interrupt.

    A worker of role `train` does the work; its progress is shown here, and Ctrl-C only stops the showing. Each cube
    becomes an H.264 video and a task; a bad cube is set aside with its reason and the rest goes on. Before the first
    model version a round is trained on the crude labels; after it the new cubes are scored and arrive pre-labelled.

    RELEASE must lie in one of the folders in HELIOLOOP_RELEASE_ROOTS.
    """
    with needs_extra("worker"):
        from helioloop.data.release import ReleaseRoots
        from helioloop.messaging import messages, queues, redis_client
        from helioloop_worker.terminal import follow
    settings = load_settings()
    if ReleaseRoots(settings.release_roots).folder(release.resolve().name).resolve() != release.resolve():
        raise WrongUsage(
            f"{release} is not the folder of that name that the worker finds in HELIOLOOP_RELEASE_ROOTS "
            f"({', '.join(map(str, settings.release_roots))}); rename one of the two"
        )
    connection = redis_client.connect(settings)
    message = messages.Ingest(project=project, release=release.resolve().name)
    if not queues.has_worker(connection, message.queue):
        raise ServiceError(
            f"no worker serves the queue {message.queue}; start one with `helioloop worker --role train`"
        )
    queues.send(connection, message)
    if detach:
        click.echo(
            f"job {message.job_id} is sent; `helioloop status --project {project}` shows how far it is, what it set "
            "aside, and why it failed if it does"
        )
        return
    outcome = follow(connection, message)
    click.echo(
        f"release {outcome['release']}: {outcome['imported']} imported, {outcome['present']} were there, "
        f"{len(outcome['excluded'])} set aside"
    )
    for entry in outcome["excluded"]:
        click.echo(f"  set aside: {entry['cube']}: {entry['reason']}", err=True)


@click.command()
@click.option("--project", type=int, help="Label Studio project id.")
@click.option("--model-dir", type=click.Path(file_okay=False, path_type=Path), help="A model folder, without services.")
def status(project: int | None, model_dir: Path | None) -> None:
    """Show what a project or a model folder is at, what was left out of it, and what failed last.

    A project's book tells, for each round (model version), how many labels were verified and how many of those were
    wrong, how many are wrong still, and whether to go on. What is left is estimated from random checks alone: name by
    name, in the order printed last, label some of those cubes beside the ones that disagree most (in Label Studio,
    filter a tab by `cube`). Ten give a first estimate.
    """
    with needs_extra("worker"):
        from helioloop.messaging import redis_client
        from helioloop.messaging.redis_retrain_state import RedisRetrainState
        from helioloop.registry.label_snapshot import Snapshot
        from helioloop.registry.versions import Registry
        from helioloop_worker.reports import status as standing
    if (project is None) == (model_dir is None):
        raise WrongUsage("give either --project ID or --model-dir DIR; one of the two says what to show")
    settings = load_settings()
    folder = settings.model_dir(project) if project is not None else model_dir
    if folder is None or not folder.is_dir():
        raise WrongUsage(f"{folder} is no folder; name a model folder that exists, or run `helioloop init` first")
    place = f"--project {project}" if model_dir is None else f"--model-dir {shlex.quote(str(model_dir))}"
    lines = [*standing.of_models(Registry(folder), place=place), *standing.of_cubes(Registry(folder))]
    if project is not None:
        connection = redis_client.connect(settings)
        snapshot = Snapshot.read(folder)
        lines += standing.of_labels(snapshot)
        lines += standing.of_book(Registry(folder), snapshot)
        lines += standing.of_queue(connection, RedisRetrainState(connection), project)
        lines += standing.of_jobs(connection, settings, project)
    print_table([(line.what, line.stands) for line in lines])


@click.command()
@click.option("--project", type=int, required=True, help="Label Studio project id.")
@click.option("--out", required=True, type=TABLE, help="CSV to write; replaced in one step.")
@click.option("--draw", type=TABLE, help="Also write the project's random draw, for `helioloop triage --random`.")
@click.option(
    "--coverage", type=PART, default=0.9, show_default=True, help="Part of true frames that intervals are to contain."
)
def catalogue(*, project: int, out: Path, draw: Path | None, coverage: float) -> None:
    """Write what every cube of a project counts as now, what the published version says, and when it emerged.

    Labels are read from Label Studio anew; nothing is changed there. Probabilities and intervals are calibrated on the
    cubes that were labelled in the order of the random checks (`helioloop status` names the next ones): 30 labels, ten
    of each class, for probabilities; nine emergence frames for intervals of 90 %. Before there are enough, the table
    says so. A frame that was submitted where the model had put it is told as "unmoved", and calibrates nothing.

    \b
    Columns; one row per cube, in the order of the tasks; empty means unknown:
      release, cube, region
      label, label_source   what the cube counts as, and why: crude, majority, ground truth, tied
      crude_label, label_predicted
      disagreement          1 - probability of the label
      p_emergence, p_spread mean and standard deviation over the members that speak: of a cube that was
                            trained on, those that did not see it; of any other, all
      p_calibrated          of cubes at 0.8 about 80 % emerge
      emergence_frame       0-based grid frame, with _lo and _hi; _lo 0 means at or before
      emergence_frame_from  "annotator", "annotator, unmoved", "model, calibrated 0.9" or "model, uncalibrated"
      emergence_time_utc, emergence_time_tai
                            when that frame starts; where the cube's files give their start
      model_version         the version that speaks

    \b
    Example: the catalogue, and the next release pre-labelled on the strength of its random checks
      helioloop catalogue --project 1 --out catalogue.csv --draw drawn.csv
      helioloop triage release-4 --model-dir models/project-1 --random drawn.csv --out release-4.csv
    """
    with needs_extra("worker"):
        from helioloop_worker.commands.runtime import open_runtime
        from helioloop_worker.context import Context
        from helioloop_worker.labelstudio.project import read_project
        from helioloop_worker.reports.catalogue import make_catalogue, write_catalogue, write_draw
    context = Context(load_settings())
    state = read_project(context.label_studio, project, settings=context.settings, instrument=context.instrument)
    with open_runtime(*context.settings.release_roots) as runtime:
        made = make_catalogue(state, context.registry(project), runtime, roots=context.roots, coverage=coverage)
    write_catalogue(out, made)
    click.echo("\n".join((f"{out}: {len(made.entries)} rows", *made.sentences())))
    if draw is not None:
        write_draw(draw, made.draw)
        click.echo(f"{draw}: {len(made.draw.cubes)} cubes drawn at random")
