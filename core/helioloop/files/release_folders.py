"""Finds the folders of releases below the release roots, by names that come from tasks and cards."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from helioloop.files.names import is_plain_name


def find_release_folder(roots: Sequence[Path], release: str) -> Path | None:
    """Return the folder of a release in the first root that has it; None where none has, or the name is not plain.

    A link that leads out of its root does not count.

    Raises
    ------
    OSError
        Where a root cannot be looked at, for example on a network file system that is away.
    """
    if not is_plain_name(release):
        return None
    candidates = (root / release for root in roots)
    return next((folder for folder in candidates if folder.is_dir() and is_inside(folder, folder.parent)), None)


def missing_releases(roots: Sequence[Path], releases: Iterable[str]) -> tuple[str, ...]:
    """Return the releases that are in none of the roots, sorted by name.

    A release is not called missing where a root cannot be looked at: it may be there.
    """
    return tuple(release for release in sorted({*releases}) if _is_missing(roots, release))


def _is_missing(roots: Sequence[Path], release: str) -> bool:
    try:
        return find_release_folder(roots, release) is None
    except OSError:
        return False


def is_inside(path: Path, root: Path) -> bool:
    """Return True if `path` is in `root` after all links are resolved."""
    return path.resolve().is_relative_to(root.resolve())
