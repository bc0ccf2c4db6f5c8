"""The command ``helioloop retry``: jobs that failed and rounds that are parked are put back."""

from typing import Final

import click

from helioloop.cli import TEXT, needs_extra
from helioloop.settings import load_settings
from helioloop_worker.commands.options import project_option

NOTHING: Final = "no job or round of project {project} is parked or waits for another attempt"


@click.command()
@project_option
@click.argument("jobs", type=TEXT, nargs=-1, metavar="[JOB]...")
def retry(*, project: int, jobs: tuple[str, ...]) -> None:
    """Try parked jobs and rounds of a project again.

    A job that fails is tried again after about 1, 4 and 16 minutes. After four failures it is parked with its reason,
    which `helioloop status` shows. An outage of Label Studio or Redis, or a full disk, parks no job. A round is parked
    after three failures without progress. A worker that starts tries parked jobs once more, each at most once in ten
    minutes; a job that has been parked for three hours is tried once more without that.

    Without JOB, all parked jobs, all jobs that wait for another attempt, and the parked rounds of the project are put
    back. JOB is the name of a job or of a step of reconciliation, as `helioloop status` lists it; if one of several is
    unknown, none is put back. Safe to repeat: nothing happens where nothing is parked or waits for another attempt.
    Reconciliation does the rest within HELIOLOOP_RECONCILE_SECONDS. Members of a parked round that are trained are not
    trained again if the labels are unchanged.

    \b
    Examples:
      helioloop retry --project 1
      helioloop retry --project 1 write-back-1-v0004
    """
    with needs_extra("worker"):
        from helioloop.messaging import redis_client
        from helioloop_worker.loop.failing import put_back
        from helioloop_worker.own_redis import open_redis
    settings = load_settings()
    connection = open_redis(settings)
    with redis_client.plain_errors(settings):
        put = put_back(connection, settings, project, jobs)
    for name, sentence in put.items():
        click.echo(f"{name}: {sentence}")
    if not put:
        click.echo(NOTHING.format(project=project))
