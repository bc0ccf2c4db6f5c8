"""Options and arguments that several commands share, each declared once."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from helioloop.cli import TEXT, Text
from helioloop.environment.answering import silent_sentence
from helioloop.errors import ServiceError, WrongUsage
from helioloop.files.access import remedy_for_denial
from helioloop.files.atomic import is_stream
from helioloop.registry.versions import Registry
from helioloop.settings import LARGEST_SEED, load_settings

_Given = str | os.PathLike[str]
_Converted = str | bytes | os.PathLike[str]


class NamedPath(click.Path):
    """A path with a name: an empty one, as of a shell variable that is not set, would mean the current folder.

    The home folder takes the place of ``~``, which shells leave in ``--out=~/scores.csv``.
    """

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, readable=False, path_type=Path)

    def convert(self, value: _Given, param: click.Parameter | None, ctx: click.Context | None) -> _Converted:
        """Return the path; refuse an empty one, and one that this user may not read."""
        if not os.fspath(value).strip():
            self.fail("the path is empty, as of a shell variable that is not set; give a name, or . for this folder")
        path = Path(os.fsdecode(super().convert(_from_home(value), param, ctx)))
        if os.access(path, os.F_OK) and not os.access(path, os.R_OK):
            self.fail(f"{path} cannot be read (Permission denied); {remedy_for_denial(path)}")
        return path


class TablePath(NamedPath):
    """A file to read or to write. A link is followed, so that its file is replaced and the link stays."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: _Given, param: click.Parameter | None, ctx: click.Context | None) -> _Converted:
        """Return the path of the file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        return Path(os.path.realpath(path)) if path.is_symlink() and not is_stream(path) else path


class AnsweringFolder(NamedPath):
    """The path of a folder; where one does not answer, this is refused after seconds, and click would wait for ever."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, file_okay=False)

    def convert(self, value: _Given, param: click.Parameter | None, ctx: click.Context | None) -> _Converted:
        """Return the path of the folder."""
        name = "folder" if param is None else param.metavar or param.opts[0]
        if (sentence := silent_sentence([(name, _from_home(value))])) is not None:
            raise ServiceError(sentence)
        return super().convert(value, param, ctx)


def _from_home(value: _Given) -> Path:
    """Return a path with the home folder in place of ``~``; a name such as ``~notes.csv`` stays, if no user has it.

    Raises
    ------
    WrongUsage
        If the home folder is not known.
    """
    path = Path(value)
    if not os.fspath(value).startswith("~"):  # ./~ is a folder of that name, and its Path begins with ~
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        if path.parts[0] == "~":
            raise WrongUsage(
                f"{path} begins with ~, and the home folder is not known here; write the whole path, or set HOME"
            ) from None
        return path


class ProfileName(Text):
    """The name of a built-in profile, or the path of a TOML file, in which the home folder takes the place of ``~``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name or path as text."""
        text = super().convert(value, param, ctx)
        return os.fspath(_from_home(text)) if text.startswith("~") else text  # ./mdi is a file, and mdi is built in


class FiniteRange(click.FloatRange):
    """A number in a range; click takes `nan` for a number in any range, and `inf` where the range has no end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number; give a finite one", param, ctx)
        return float(number)


FOLDER = AnsweringFolder()
EXISTING_FOLDER = AnsweringFolder(exists=True)
TABLE = TablePath()
PROFILE = ProfileName()
PROGRAM = NamedPath(exists=True, dir_okay=False)
FRACTION = FiniteRange(min=0, max=1, min_open=True, max_open=True)
"""A fraction above 0 and below 1."""
FRACTION_OR_ALL = FiniteRange(min=0, max=1, min_open=True)
"""A fraction above 0, up to and including 1."""
PROJECT = click.IntRange(min=1)
SEED = click.IntRange(min=0, max=LARGEST_SEED)

release_argument = click.argument("folder", metavar="RELEASE", type=FOLDER)
model_dir_option = click.option("--model-dir", required=True, type=FOLDER, help="Folder of model versions.")
labels_option = click.option(
    "--labels",
    type=TABLE,
    help="CSV with the columns cube,label,verified. It replaces the label and the verified mark of the cubes it lists.",
)
seed_option = click.option(
    "--seed",
    type=SEED,
    help="Seed of the first ensemble member; member k uses seed + k.  [default: HELIOLOOP_SEED, 0]",
)
version_option = click.option("--version", type=TEXT, help="Model version that scores.  [default: the published one]")
other_profile_option = click.option(
    "--other-profile",
    is_flag=True,
    help="Score even if the version was trained on another profile than the release has; the grids must be the same.",
)
rate_option = click.option(
    "--rate",
    type=FRACTION,
    default=0.02,
    show_default=True,
    help="Largest fraction of labels accepted in this way that may be wrong in the long run.",
)
confidence_option = click.option(
    "--confidence", type=FRACTION, default=0.9, show_default=True, help="Probability with which the guarantee holds."
)
coverage_option = click.option(
    "--coverage",
    type=FRACTION,
    default=0.9,
    show_default=True,
    help="Fraction of true emergence frames that calibrated intervals contain.",
)
processes_option = click.option(
    "--processes", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]"
)
project_option = click.option(
    "--project", type=PROJECT, required=True, help="Label Studio project id, as `helioloop init` prints it."
)


def models_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options --model-dir DIR and --project ID, of which a command takes one."""
    project = click.option("--project", type=PROJECT, help="Label Studio project id; its model folder is used.")
    model_dir = click.option("--model-dir", type=FOLDER, help="Folder of model versions; needs no running service.")
    return model_dir(project(command))


def existing_registry(model_dir: Path) -> Registry:
    """Return the model folder that --model-dir names, for commands that make none.

    Raises
    ------
    WrongUsage
        If the folder does not exist.
    """
    if not model_dir.is_dir():
        raise WrongUsage(
            f"{model_dir} is not a folder; name an existing model folder with --model-dir, or make one with "
            "`helioloop train`"
        )
    return Registry(model_dir)


def find_registry(*, model_dir: Path | None, project: int | None) -> Registry:
    """Return the model folder that --model-dir or --project names.

    Raises
    ------
    WrongUsage
        If neither or both are given, or the folder that --model-dir names does not exist.
    """
    if model_dir is not None and project is None:
        return existing_registry(model_dir)
    if project is not None and model_dir is None:
        return Registry(load_settings().model_dir(project))
    raise WrongUsage("give either --model-dir DIR or --project ID, and not both")


def find_own_registry(*, model_dir: Path | None, project: int | None) -> Registry:
    """Return the model folder that --model-dir or --project names, for commands that change it.

    Where Label Studio does not say to which project it belongs, a sentence says so.

    Raises
    ------
    WrongUsage
        As `find_registry`.
    RegistryError
        Where the folder, or the project's media folder, belongs to another project.
    """
    from helioloop_worker.labelstudio.folder_owner import check_folder_owner

    registry = find_registry(model_dir=model_dir, project=project)
    doubt = None if project is None else check_folder_owner(load_settings(), project)
    if doubt is not None:
        click.echo(f"helioloop: {doubt}", err=True)
    return registry
