"""Records in the model folder that helioloop changed the data of tasks, which Label Studio does not stamp as a change.

Processes that keep a project in memory read it completely again then; see `kept_projects`.
"""

import uuid
from pathlib import Path

from helioloop.files import atomic

FILE_NAME = "data-edit.txt"


def note_data_edit(model_dir: Path) -> None:
    """Record that the data of tasks were changed just now."""
    atomic.write_text(model_dir / FILE_NAME, uuid.uuid4().hex + "\n")


def last_data_edit(model_dir: Path) -> str:
    """Return a name for the last change of data; "" before the first."""
    try:
        return (model_dir / FILE_NAME).read_text()
    except FileNotFoundError:
        return ""
