"""The parked jobs of a project, kept where an emptied Redis does not lose them: ``parked-jobs.json`` in its folder.

Redis has the same; `helioloop.messaging.parked` compares the two.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from helioloop.files import atomic

log = logging.getLogger(__name__)

PARKED_JOBS: Final = "parked-jobs.json"


@dataclass(frozen=True, slots=True)
class ParkedJobs:
    """What the file has.

    Parameters
    ----------
    parked : mapping
        Name of a job -> what is known of its failures, as JSON.
    put_back_at : mapping
        Name of a job -> when it was put back, or succeeded, after it had been parked (Unix seconds). A state of Redis
        in which it was parked before is out of date.
    """

    parked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    put_back_at: Mapping[str, float] = field(default_factory=dict)


def read_parked_jobs(model_dir: Path) -> ParkedJobs:
    """Return what the file has; nothing where there is none, or where it is damaged: Redis has the same."""
    path = model_dir / PARKED_JOBS
    try:
        values = json.loads(path.read_text())
        parked = {str(key): dict(value) for key, value in values["parked"].items()}
        put_back_at = {str(key): float(value) for key, value in values["put_back_at"].items()}
        return ParkedJobs(parked, put_back_at)
    except FileNotFoundError:
        return ParkedJobs()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s is damaged (%s) and is written again", path, type(error).__name__)
        return ParkedJobs()


def write_parked_jobs(model_dir: Path, jobs: ParkedJobs) -> None:
    """Write the file of a model folder that exists."""
    with atomic.replacing(model_dir / PARKED_JOBS, make_folders=False) as new:
        new.write_text(json.dumps(asdict(jobs), indent=1) + "\n")
