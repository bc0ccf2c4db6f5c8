"""The field statistics of the cubes that a version was trained on: ``field-statistics.json`` in its folder.

The file is written into the staging folder of the round, so that it is part of the version from the start. Versions
made by an earlier helioloop do not have it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.cubes import Key
from helioloop.records.field_statistics import FieldStatistics

TRAINED_FIELDS_FILE: Final = "field-statistics.json"


def write_trained_fields(folder: Path, fields: Mapping[Key, FieldStatistics]) -> None:
    """Write the statistics of a round's cubes into its staging folder, in one step."""
    atomic.write_json(
        folder / TRAINED_FIELDS_FILE,
        {
            "cubes": [
                {"cube": name, "sha256": sha256, **fields[name, sha256].as_dict()} for name, sha256 in sorted(fields)
            ]
        },
    )


def read_trained_fields(folder: Path) -> dict[Key, FieldStatistics] | None:
    """Return the statistics in a staging or version folder by cube name and content hash; None without the file.

    Raises
    ------
    RegistryError
        If the file is damaged.
    """
    path = folder / TRAINED_FIELDS_FILE
    try:
        entries = json.loads(path.read_text())["cubes"]
        return {(entry.pop("cube"), entry.pop("sha256")): FieldStatistics.from_dict(entry) for entry in entries}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"{path} does not contain field statistics ({error!r}); restore it, or delete it: drift is unknown then"
        ) from None
