"""What another deployment writes into the project, too, for ``helioloop status``."""

from pathlib import Path

from helioloop.registry.replaced_predictions import read_replaced_predictions
from helioloop.registry.shown_versions import ReplacedVersions, read_replaced_versions
from helioloop_worker.reports.status_facts import ContestedFacts
from helioloop_worker.reports.times import iso_time


def read_contested(model_dir: Path, version: str, *, now: float, shown_seconds: float) -> ContestedFacts | None:
    """Return what is contested of a version; None where nothing is.

    It is shown until reconciliation has found none of it again, so many seconds after it was to be replaced next.
    """
    for read in (read_replaced_predictions, read_replaced_versions):
        found = read(model_dir, version, now=now)
        if found is not None and found.is_contested and now <= found.next_at + shown_seconds:
            return ContestedFacts(
                version=found.version,
                replaced=len(found.times),
                last_at=iso_time(found.times[-1]),
                next_at=iso_time(found.next_at),
                other=found.other if isinstance(found, ReplacedVersions) else None,
            )
    return None
