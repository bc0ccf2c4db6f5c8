"""The labelling configuration in ``helioloop status``: what lacks in it, or what differs from when it was set up."""

from typing import Final

from helioloop.errors import RegistryError
from helioloop.labelstudio.control_changes import control_changes
from helioloop.registry.prediction_controls import read_prediction_controls
from helioloop.registry.project_controls import read_project_controls
from helioloop.registry.versions import Registry
from helioloop_worker.reports.failing_jobs import FailingJob
from helioloop_worker.reports.finding import Found, sentence

STEP: Final = "reconciliation step configuration"
"""Kind of the failing job where the configuration lacks a control."""


def read_configuration_change(registry: Registry, version: str | None) -> str | None:
    """Return in a sentence what differs from the configuration at `helioloop init`; None where nothing does.

    The present configuration is that with which the predictions of the published version were written.
    """
    try:
        before = read_project_controls(registry.root)
        now = None if version is None else read_prediction_controls(registry.root).get(version)
    except RegistryError:  # `damaged_controls` gives the reason
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged; reconciliation puts it aside
        return None
    if before is None or now is None or (change := control_changes(before, now)) is None:
        return None
    return f"changed since `helioloop init`: {change}; predictions are written with what there is"


def damaged_controls(registry: Registry) -> str | None:
    """Return in a sentence what is wrong with the kept controls of a project; None where nothing is."""
    try:
        read_project_controls(registry.root)
    except RegistryError as error:
        return str(error)
    return None


def damaged_finding(reason: str | None, project: int | None) -> Found:
    """Return sentence and action where the kept controls are damaged; else nothing."""
    if reason is None:
        return []
    return [
        (
            f"{reason.partition('; ')[0]}. Until it does, no label is read and no prediction written.",
            f"Delete that file and run `helioloop init --project {project}`, which writes it again, then `helioloop "
            f"retry --project {project}`, which puts back the jobs that failed meanwhile.",
        )
    ]


def lacking_controls(jobs: tuple[FailingJob, ...], project: int | None) -> Found:
    """Return sentence and action where the labelling configuration lacks a control; else nothing."""
    return [
        (
            f"{sentence(job.reason)} Until it has them, no label is read and no prediction written.",
            "Change it back in Label Studio (Settings, Labeling Interface), or give each class's former value to its "
            f"choice as an alias; for other words run `helioloop init --project {project}` with them. The loop then "
            "goes on by itself.",
        )
        for job in jobs
        if job.kind == STEP
    ]
