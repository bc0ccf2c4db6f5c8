"""Commands that write a table: it replaces none of the files that the command reads, and can be written at the end."""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, Final

import click

from helioloop.errors import WrongUsage
from helioloop.files import atomic
from helioloop_worker.commands.options import TablePath

OF_RELEASES: Final = ("labels.csv", "release.toml", "crude-labels.ecsv")
"""Tables of a release; named here, because `helioloop.data` needs astropy."""
_ONLY_OF_RELEASES: Final = ("release.toml", "crude-labels.ecsv")
"""Of these tables, those that nobody else has."""
_FITS_BLOCK: Final = 2880
"""Bytes of the first block of a FITS file's header."""
_OF_CUBES: Final = (".fits", ".fit", ".fts", ".fz", ".gz")
_OF_MODELS: Final = (".json", ".jsonl", ".safetensors", ".npy")
"""Endings of the files in a model folder."""
_STANDARD_OUTPUT: Final = (Path("/dev/stdout"), Path("/dev/fd/1"), Path("/proc/self/fd/1"))
_OF_OTHER_FORMATS: Final = (
    ".ecsv", ".fit", ".fits", ".fts", ".gz", ".hdf5", ".html", ".json", ".jsonl", ".npy", ".npz", ".ods", ".parquet",
    ".tsv", ".vot", ".xls", ".xlsx", ".xml", ".zip",
)  # fmt: skip
"""Endings by which other programs choose how to read a file."""


class WrittenTable(TablePath):
    """A file that a `WritingCommand` writes: CSV, if the subclass has no other rule for its name."""

    def check_name(self, option: str, path: Path) -> None:
        """Refuse a name by which CSV would be read as something else, and the dash that is standard output elsewhere.

        Raises
        ------
        WrongUsage
            If the file has such a name.
        """
        if str(path) == "-":
            raise WrongUsage(f"{option} - would be a file called -; give {option} /dev/stdout for standard output")
        if path.suffix.lower() in _OF_OTHER_FORMATS:
            bare = path.with_suffix("")
            raise WrongUsage(
                f"{option} {path} is written as CSV, and programs take a file ending in {path.suffix} for another "
                f"format; give {option} {bare if bare.suffix == '.csv' else path.with_suffix('.csv')}"
            )


WRITTEN_TABLE: Final = WrittenTable()
out_option = click.option(
    "--out", required=True, type=WRITTEN_TABLE, help="CSV to write. An existing file is replaced in one step."
)


class WritingCommand(click.Command):
    """A command with an option of the type `WRITTEN_TABLE`.

    The file is checked when all parameters are known, because options may be given in any order. Where it goes to
    standard output, what the command says goes to standard error, so that a pipe receives the table alone.
    """

    def invoke(self, ctx: click.Context) -> object:
        """Run the command.

        Raises
        ------
        WrongUsage
            If a file to write is another one that is named, a file of a model folder, or one that is, or would be
            read as, a part of a release; or if its name is that of another format.
        OSError
            If a file to write could not be written now: the command would find that after its work.
        """
        written = []
        for param in self.params:
            path = ctx.params.get(str(param.name))
            if not isinstance(param.type, WrittenTable) or not isinstance(path, Path):
                continue
            self._check(param, path, ctx.params)
            _check_no_release(param.opts[0], path)
            param.type.check_name(param.opts[0], path)
            atomic.check_replaceable(path)
            written.append(path)
        with _said_aside(written):
            return super().invoke(ctx)

    def _check(self, written: click.Parameter, path: Path, values: Mapping[str, Any]) -> None:
        option = written.opts[0]
        for param in self.params:
            other = values.get(str(param.name))
            if param is written or not isinstance(other, Path):
                continue
            if _is_same(path, other):
                raise WrongUsage(
                    f"{option} {path} is also what {param.opts[0]} names, and would be replaced; give {option} a name "
                    "of its own"
                )
            if _is_file_of(other, path):
                raise WrongUsage(
                    f"{option} {path} would replace a file of {other}, which is read; give {option} another name"
                )


def _said_aside(written: Iterable[Path]) -> AbstractContextManager[object]:
    """Send what is printed to standard error while one of the tables goes to standard output."""
    return redirect_stdout(sys.stderr) if any(path in _STANDARD_OUTPUT for path in written) else nullcontext()


def _check_no_release(option: str, path: Path) -> None:
    """Refuse a path that is, or would be taken for, a table or a cube of a release, which no parameter need name."""
    name = path.name.lower()
    if name.endswith(_OF_CUBES) and _is_image(path):
        raise WrongUsage(f"{option} {path} would replace an image, as a cube is; give {option} another name")
    try:
        beside = {other.name for other in path.parent.iterdir() if not other.name.startswith(".")} - {path.name}
    except OSError:  # a folder that is absent or may not be read: writing has a sentence for it
        return
    has_cubes = any(other.endswith(".fits") for other in beside)
    is_release = not beside.isdisjoint(_ONLY_OF_RELEASES) or any(other.endswith(".dt.fits") for other in beside)
    if has_cubes and (name in OF_RELEASES or (is_release and name.endswith(_OF_CUBES))):
        raise WrongUsage(
            f"{option} {path} would be read as a part of the release in {path.parent}; give {option} another name or "
            "another folder"
        )


def _is_image(path: Path) -> bool:
    """Return whether a file is a FITS file whose first part is an image; a catalogue has a table, in its second."""
    try:
        with path.open("rb") as file:
            header = file.read(_FITS_BLOCK).decode("ascii", "replace")
    except OSError:
        return False
    axes = re.search(r"NAXIS {3}= +(\d+)", header)
    return header.startswith("SIMPLE") and axes is not None and int(axes[1]) > 1


def _is_same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other) and not (path.exists() and not path.is_file())


def _is_file_of(folder: Path, path: Path) -> bool:
    """Return whether a path is that of a cube or a table of the release in a folder, or of a file of its models."""
    real, name = Path(os.path.realpath(path)), path.name.lower()
    if not folder.is_dir() or not real.is_relative_to(os.path.realpath(folder)):
        return False
    return name in OF_RELEASES or name.endswith((*_OF_CUBES, *_OF_MODELS))
