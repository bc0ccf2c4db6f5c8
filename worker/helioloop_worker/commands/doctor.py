"""The command ``helioloop doctor``: every cause of “it does not work”, with its remedy."""

from collections.abc import Sequence

import click

from helioloop.cli import TEXT, needs_extra, print_table
from helioloop.settings import load_settings
from helioloop_worker.commands.options import PROJECT


def commands() -> Sequence[click.Command]:
    """Return the command of this module."""
    return [doctor]


@click.command()
@click.option(
    "--project",
    type=PROJECT,
    help="Label Studio project id.  [default: the only one that has a model folder]",
)
@click.option(
    "--backend-url",
    type=TEXT,
    help="The backend's address as Label Studio should have it.  [default: the registered one]",
)
@click.option("--json", "as_json", is_flag=True, help="Print all findings as one line of JSON.")
def doctor(*, project: int | None, backend_url: str | None, as_json: bool) -> None:
    """Find why it does not work, with the remedy.

    Run it where a worker runs, with the worker's settings. It asks Label Studio, the backend and Redis, fetches one
    video as a browser would, and looks at this machine; it takes 15 s at most. Each check is ok, doubtful, wrong, or
    not tried because another one is wrong. The first line names where to begin. The exit code is 1 if anything is
    wrong.

    It checks addresses in all directions (also whether Label Studio reaches the backend, as Label Studio itself sees
    it), private-address switches, the token and its user's rights, storage and videos, the labelling configuration, the
    model version in all places, the webhook and its secret, entries of earlier addresses, Redis, workers with their
    code and device, whether backend and workers see the same model folder, disk space, clocks and versions.

    Nothing in Label Studio is changed, and no secret is printed. docs/doctor.md lists all causes and remedies.

    \b
    Examples:
      helioloop doctor
      helioloop doctor --project 1 --backend-url http://backend.example.org:9090
      helioloop doctor --project 1 --json | jq -r '.findings[] | select(.verdict == "wrong") | .remedy'
    """
    with needs_extra("worker"):
        from helioloop_worker.doctor.examination import examine
        from helioloop_worker.doctor.gathering import gather
        from helioloop_worker.doctor.printing import as_json as to_json
        from helioloop_worker.doctor.printing import lines, summary
        from helioloop_worker.terminal import bar_report, bars
    settings = load_settings()
    with bars(transient=True) as progress:
        report = bar_report(progress, "gathering facts")
        facts = gather(settings, project, backend_url=backend_url, report=report)
    findings = examine(facts)
    if as_json:
        click.echo(to_json(findings, settings, project=facts.project))
    else:
        click.echo(summary(findings))
        print_table(lines(findings, settings))
    if any(finding.verdict == "wrong" for finding in findings):
        click.get_current_context().exit(1)
