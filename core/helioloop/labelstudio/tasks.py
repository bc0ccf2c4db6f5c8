"""Which cube a task of Label Studio is about: the one rule for web and worker.

A task's data come from whoever may import tasks. They name a cube and open nothing: a name becomes a path in `release`
alone, under the release roots.
"""

import re
from typing import Any, Final

from helioloop.names import LONGEST_NAME, is_plain_name
from helioloop.records import CubeInfo

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


def cube_of(data: Any) -> CubeInfo | None:
    """Return the cube that a task's data are about, without label; None for a task that is not helioloop's.

    Parameters
    ----------
    data : object
        The task's ``data``, whatever it holds. A cube's has ``cube``, ``release`` and ``sha256``, and perhaps
        ``region`` and ``start``.
    """
    if not isinstance(data, dict):
        return None
    release, cube, sha256 = data.get("release"), data.get("cube"), data.get("sha256")
    if not (is_plain_name(release) and is_plain_name(cube) and isinstance(sha256, str) and _SHA256.match(sha256)):
        return None
    return CubeInfo(
        release=release,
        name=cube,
        sha256=sha256,
        start=_text(str(data.get("start") or "").removesuffix("Z")),
        region=_text(data.get("region")),
    )


def _text(value: Any) -> str | None:
    """Return a word that says something; data may hold anything."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None
