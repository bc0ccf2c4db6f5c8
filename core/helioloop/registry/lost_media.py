"""Media files that tasks show and that are not in the media folder: ``lost-media.json`` in the model folder.

Reconciliation looks for them, where the media folder is seen. The status tells of them, on whichever machine it runs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from helioloop.files import atomic

FILE_NAME: Final = "lost-media.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LostMedia:
    """Cubes whose media files are missing.

    Parameters
    ----------
    at : str
        When reconciliation looked (UTC, ISO 8601).
    releases : mapping of str to int
        Release -> its number of such cubes.
    """

    at: str
    releases: Mapping[str, int]


def read_lost_media(model_dir: Path) -> LostMedia | None:
    """Return the cubes whose media files are missing; None where there are none, or the file is damaged."""
    try:
        values = json.loads((model_dir / FILE_NAME).read_text(encoding="utf-8"))
        releases = {str(release): int(cubes) for release, cubes in values["releases"].items()}
        return LostMedia(at=str(values["at"]), releases=releases) if releases else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_lost_media(model_dir: Path, lost: LostMedia) -> None:
    """Write the cubes whose media files are missing; where none are, delete the file."""
    if lost.releases:
        atomic.write_json(model_dir / FILE_NAME, asdict(lost))
    else:
        (model_dir / FILE_NAME).unlink(missing_ok=True)


def forget_lost_media(model_dir: Path, release: str) -> None:
    """Forget the missing files of a release, because they were just made; the next reconciliation looks again."""
    if (lost := read_lost_media(model_dir)) is not None and release in lost.releases:
        others = {name: cubes for name, cubes in lost.releases.items() if name != release}
        write_lost_media(model_dir, LostMedia(at=lost.at, releases=others))
