"""The controls of a project: ``controls.json`` in its model folder, with its class words and names of controls.

``helioloop init`` reads them from the project's own labelling configuration and writes the file. A folder without it is
older: there the words of the settings count.
"""

import json
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.files.access import denied_reading
from helioloop.records.controls import Controls
from helioloop.registry.folder_format import check_format, ensure_format

FILE_NAME: Final = "controls.json"


def controls_path(model_dir: Path) -> Path:
    """Return the file with the controls of a model folder."""
    return model_dir / FILE_NAME


def read_project_controls(model_dir: Path) -> Controls | None:
    """Return the controls that are written in a model folder; None where none are.

    Raises
    ------
    RegistryError
        If the file is damaged or may not be read, or the folder has another format.
    """
    check_format(model_dir)
    path = controls_path(model_dir)
    try:
        return Controls.from_dict(json.loads(path.read_text(encoding="utf-8"))["controls"])
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise RegistryError(denied_reading(path, error)) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"{path} does not describe the controls of a project ({error}); delete it and run "
            "`helioloop init --project ID` with the project's id, which writes it again"
        ) from None


def write_project_controls(model_dir: Path, controls: Controls) -> None:
    """Write the controls of a model folder in one step.

    Raises
    ------
    RegistryError
        If the folder has another format.
    """
    ensure_format(model_dir)
    atomic.write_json(controls_path(model_dir), {"controls": controls.as_dict()})
