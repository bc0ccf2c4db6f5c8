"""What one file gave, kept in a hidden folder of the release until its cubes are written.

An interrupted run finds its finished files here and goes on. Patches stay on disk, so that memory does not depend on
the number of files.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helioloop.errors import ReleaseError
from helioloop.files import atomic

Patch = NDArray[np.float32]

_RECIPE = "made-with.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledFile:
    """One input file, read.

    Parameters
    ----------
    place : str
        Path or URL of the file.
    key : str
        Its name in the spool: a hash of place, size and time of change.
    reason : str or None
        Why it is excluded; None where it gave patches.
    seconds : float
        Observation time as `passages.tai_seconds`; 0 where it is excluded.
    rotations : float
        Carrington rotation number at that time.
    time_card : str
        The header card that gave the time, with its text.
    factor : float
        Factor by which the field was brought to the scale of MDI.
    instrument : str or None
        Instrument whose field was taken on the profile's scale; None where the file names none or has its own factor.
    assumed : tuple of str
        What the file does not say and was assumed.
    regions : tuple of str
        Regions that it gave a patch of.
    asked : tuple of str
        For files that are read again when regions are added: what was looked for, see `Region.row`.
    """

    place: str
    key: str
    reason: str | None = None
    seconds: float = 0.0
    rotations: float = 0.0
    time_card: str = ""
    factor: float = 1.0
    instrument: str | None = None
    assumed: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        r"""File name, in printable ASCII as FITS headers need it; other characters are escapes, such as ``\xe9``."""
        name = self.place.rstrip("/").rsplit("/", 1)[-1]
        return "".join(c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode() for c in name)


@dataclass(frozen=True, slots=True)
class Spool:
    """A hidden folder with one entry for each file read."""

    folder: Path

    def claim(self, recipe: Mapping[str, Any]) -> None:
        """Make the folder for a run with this recipe, or find that of an interrupted one.

        Raises
        ------
        ReleaseError
            If an interrupted run had another recipe.
        """
        wanted = json.loads(json.dumps(recipe))
        path = self.folder / _RECIPE
        if path.exists():
            earlier = json.loads(path.read_text(encoding="utf-8"))
            differing = sorted(key for key in {*wanted, *earlier} if wanted.get(key) != earlier.get(key))
            if differing:
                raise ReleaseError(
                    f"{self.folder.parent} was begun with another {' and '.join(differing)}; an interrupted run goes "
                    f"on only with the same ones: repeat them, or remove {self.folder}"
                )
        else:
            atomic.write_json(path, wanted)

    def find(self, key: str) -> SpooledFile | None:
        """Return what was kept under a key; None where there is nothing."""
        path = self.folder / f"{key}.json"
        return _read(path) if path.exists() else None

    def all(self) -> list[SpooledFile]:
        """Return everything that was kept, by key."""
        return [_read(path) for path in sorted(self.folder.glob("*.json")) if path.name != _RECIPE]

    def drop(self, file: SpooledFile) -> None:
        """Remove what a file gave."""
        (self.folder / f"{file.key}.json").unlink(missing_ok=True)
        self.drop_patches(file)

    def drop_patches(self, file: SpooledFile) -> None:
        """Remove a file's patches and keep its record, so that it is not read again."""
        (self.folder / f"{file.key}.npz").unlink(missing_ok=True)

    def keep(self, file: SpooledFile, patches: Mapping[str, Patch]) -> SpooledFile:
        """Keep a file's patches, in the order of its regions, then its record; return the record."""
        if patches:
            content = io.BytesIO()
            arrays: dict[str, Any] = {f"p{k}": patches[region] for k, region in enumerate(file.regions)}
            np.savez(content, **arrays)
            atomic.write_bytes(self.folder / f"{file.key}.npz", content.getvalue())
        atomic.write_json(self.folder / f"{file.key}.json", asdict(file))
        return file

    def patch(self, file: SpooledFile, region: str) -> Patch:
        """Return the patch of a region that a file gave."""
        with np.load(self.folder / f"{file.key}.npz") as content:
            patch: Patch = content[f"p{file.regions.index(region)}"]
            return patch


def _read(path: Path) -> SpooledFile:
    values = json.loads(path.read_text(encoding="utf-8"))
    lists = {name: tuple(values.get(name, ())) for name in ("assumed", "regions", "asked")}
    return SpooledFile(**{**values, **lists})


def key_of(place: str) -> str:
    """Return a file's name in the spool; a file that was changed has another one."""
    state = ""
    if "://" not in place:
        try:
            stat = Path(place).stat()
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = "absent"
    # a byte of a name that is not UTF-8 is half of a surrogate pair in Python, which UTF-8 refuses
    return hashlib.sha256(f"{place}\0{state}".encode(errors="surrogatepass")).hexdigest()[:24]
