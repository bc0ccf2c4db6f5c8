"""How much disk a project uses, by a walk over its folders that opens no file."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = ".safetensors"
_UNIT = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """Bytes that a project uses, and bytes that are free.

    Parameters
    ----------
    model_bytes : int
        The model folder.
    weights_bytes : int
        Weights of all versions, as part of the model folder.
    staging_bytes : int
        Rounds in the making, as part of the model folder.
    model_free_bytes : int
        Free on the disk of the model folder.
    media_bytes, media_free_bytes : int or None
        The project's media folder, and what is free on its disk; None for a model folder alone, or without the folder.
    """

    model_bytes: int
    weights_bytes: int
    staging_bytes: int
    model_free_bytes: int
    media_bytes: int | None = None
    media_free_bytes: int | None = None

    def sentence(self) -> str:
        """Return the figures in words."""
        parts = f"{size_text(self.weights_bytes)} weights, {size_text(self.staging_bytes)} rounds in the making"
        text = f"model folder {size_text(self.model_bytes)} ({parts}), {size_text(self.model_free_bytes)} free"
        if self.media_bytes is not None and self.media_free_bytes is not None:
            text += f"; media {size_text(self.media_bytes)}, {size_text(self.media_free_bytes)} free"
        return text


def read_disk_use(model_dir: Path, media: Path | None) -> DiskUse:
    """Return the disk use of a model folder and, if given, of a media folder."""
    files = list(_files(model_dir))
    staging = f"{model_dir / 'staging'}{os.sep}"
    has_media = media is not None and media.is_dir()
    return DiskUse(
        model_bytes=sum(size for _, size in files),
        weights_bytes=sum(size for path, size in files if path.endswith(WEIGHTS) and not path.startswith(staging)),
        staging_bytes=sum(size for path, size in files if path.startswith(staging)),
        model_free_bytes=shutil.disk_usage(model_dir).free,
        media_bytes=sum(size for _, size in _files(media)) if media is not None and has_media else None,
        media_free_bytes=shutil.disk_usage(media).free if media is not None and has_media else None,
    )


def size_text(n_bytes: int) -> str:
    """Return a size with a decimal unit, such as ``1.5 GB``."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < _UNIT:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= _UNIT
    return f"{size:.1f} TB"


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield path and size of all files below a folder; what vanishes meanwhile is left out."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.path, entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
