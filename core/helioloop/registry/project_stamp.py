"""The file ``project.json`` in a folder of one project: its title, and the time at which Label Studio created it.

Folders are found by the project's number, and another Label Studio, or a new database, counts from 1 again. No two
projects of one number were created at the same time.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.files.access import denied_reading

FILE_NAME: Final = "project.json"
_SAME_WITHIN: Final = timedelta(milliseconds=1)
"""Moving Label Studio's database by way of JSON cuts its times to milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStamp:
    """The project of a folder: its title when that was written, and when Label Studio created it (UTC)."""

    title: str
    created_at: datetime

    @property
    def shown(self) -> str:
        """Title and time, for messages."""
        return f"project {self.title!r}, created {shown_time(self.created_at)}"

    def is_of(self, created_at: datetime) -> bool:
        """Return whether this is the project that was created then."""
        return abs(self.created_at - created_at) <= _SAME_WITHIN

    def write(self, folder: Path, project: int) -> None:
        """Write the file of project number `project`."""
        values = {"project": project, "title": self.title, "created_at": self.created_at.isoformat()}
        atomic.write_json(folder / FILE_NAME, values)

    @classmethod
    def read(cls, folder: Path, *, kind: str) -> Self | None:
        """Return the project of a folder; None where none is written.

        Parameters
        ----------
        folder : Path
            The folder; it need not exist.
        kind : str
            What it is, for messages.

        Raises
        ------
        RegistryError
            Where the file is damaged or may not be read.
        """
        path = folder / FILE_NAME
        try:
            values: Any = json.loads(path.read_text(encoding="utf-8"))
            title, created_at = str(values["title"]), parse_time(values["created_at"])
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise RegistryError(denied_reading(path, error)) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, kind, str(error)) from None
        if created_at is None:
            raise _damaged(path, kind, "created_at is not a time")
        return cls(title=title, created_at=created_at)


def parse_time(text: Any) -> datetime | None:
    """Return a time in ISO 8601, in UTC; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def shown_time(time: datetime) -> str:
    """Return a time for messages."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _damaged(path: Path, kind: str, why: str) -> RegistryError:
    return RegistryError(
        f"{path} does not name the project of a {kind} folder ({why}); delete it if the folder is this project's: it "
        "is written again"
    )
