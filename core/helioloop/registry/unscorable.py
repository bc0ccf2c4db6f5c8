"""Cubes that a model version could not score: ``unscorable/<version>.json`` in a model folder.

The worker writes their content hashes. Requests for scores leave these cubes out, so that they are not tried again and
again.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from helioloop.environment.stored_times import is_recent
from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.cubes import CubeInfo
from helioloop.registry.folder_format import check_format, ensure_format


def unscorable_path(model_dir: Path, version: str) -> Path:
    """Return the file with the cubes that `version` could not score."""
    return model_dir / "unscorable" / f"{version}.json"


def read_unscorable(model_dir: Path, version: str) -> frozenset[str]:
    """Return the content hashes of the cubes that `version` could not score.

    Raises
    ------
    RegistryError
        Where the file is damaged, or the model folder has another format.
    """
    check_format(model_dir)
    path = unscorable_path(model_dir, version)
    try:
        hashes = json.loads(path.read_text())
    except FileNotFoundError:
        return frozenset()
    except ValueError as error:
        raise RegistryError(f"{path} is not JSON ({error}); delete it: its cubes are tried again") from None
    if not isinstance(hashes, list) or not all(isinstance(value, str) for value in hashes):
        raise RegistryError(f"{path} is not a list of content hashes; delete it: its cubes are tried again")
    return frozenset(hashes)


def add_unscorable(model_dir: Path, version: str, cubes: Iterable[CubeInfo]) -> None:
    """Add cubes to those that `version` could not score; without any, no file is written."""
    added = {cube.sha256 for cube in cubes}
    if added:
        ensure_format(model_dir)
        known = read_unscorable(model_dir, version)
        atomic.write_json(unscorable_path(model_dir, version), sorted(known | added))


def clear_unscorable(model_dir: Path, *, older_than_seconds: float = 0.0) -> bool:
    """Have all versions try all cubes again, because what could not be read may be readable now.

    Parameters
    ----------
    model_dir : Path
        The model folder.
    older_than_seconds : float
        Only where the last such cube was found so long ago.

    Returns
    -------
    bool
        Whether there were any.
    """
    found = False
    for path in (model_dir / "unscorable").glob("*.json"):
        with suppress(FileNotFoundError):  # another worker does the same
            if not is_recent(path.stat().st_mtime, now=time.time(), seconds=older_than_seconds):
                path.unlink()
                found = True
    return found
