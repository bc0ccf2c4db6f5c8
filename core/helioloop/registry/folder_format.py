"""The format number of a model folder: ``format.json``, written first and checked by every reader.

A folder whose number is unknown, damaged or missing is refused: reading its files would give wrong results.
"""

import json
from pathlib import Path
from typing import Final

from helioloop import __version__
from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.registry.version_names import CARD_FILE, FOLDER

FORMAT: Final = 1
"""The format that this version of helioloop reads and writes."""
FILE_NAME: Final = "format.json"


def check_format(model_dir: Path) -> None:
    """Do nothing where a model folder has the format `FORMAT`, or has no versions yet.

    Raises
    ------
    RegistryError
        Where the format number is another one or damaged, or is missing although the folder has versions, or where
        the folder is that of one version, or the one in which versions are.
    """
    number = _read(model_dir / FILE_NAME)
    if number is None:
        if (model_dir / CARD_FILE).exists() or any(model_dir.glob(f"v*/{CARD_FILE}")):
            raise RegistryError(
                f"{model_dir} is a part of a model folder, with {CARD_FILE} of a version; versions are found "
                f"in the folder that has {FILE_NAME} and {FOLDER}: give that one, or copy the whole of it"
            )
        versions = model_dir / FOLDER
        if versions.is_dir() and any(versions.iterdir()):
            raise RegistryError(
                f"{model_dir} has model versions but no {FILE_NAME}: an earlier development version of helioloop made "
                "it, and this one cannot read it; train again in a new folder, or move this one away"
            )
    elif number != FORMAT:
        raise RegistryError(
            f"{model_dir} has format {number}, and helioloop {__version__} reads format {FORMAT} only; use the "
            "helioloop version that made the folder, or move the folder away and train again"
        )


def ensure_format(model_dir: Path) -> None:
    """Check a model folder before something is written into it; a new folder gets its format number.

    Raises
    ------
    RegistryError
        As `check_format`.
    """
    check_format(model_dir)
    if not (model_dir / FILE_NAME).exists():
        atomic.write_json(model_dir / FILE_NAME, {"format": FORMAT})


def _read(path: Path) -> int | None:
    """Return the number in a format file; None where there is no file."""
    try:
        number = json.loads(path.read_text())["format"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        number = None
    if not isinstance(number, int) or isinstance(number, bool):
        raise RegistryError(
            f'{path} is not {{"format": {FORMAT}}}; restore it, or move the model folder away and train again'
        )
    return number
