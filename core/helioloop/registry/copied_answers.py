"""Annotations that were submitted while their tasks showed the files of another project: ``copied-answers.json``.

The tasks were copied from that project. Once they show the files of their own, nothing else tells that these answers
were not blind.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic

FILE_NAME: Final = "copied-answers.json"


def read_copied_answers(model_dir: Path) -> frozenset[str]:
    """Return the ids of these annotations in a project; a damaged file is a `RegistryError`."""
    path = model_dir / FILE_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return frozenset()
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(found, list):
        raise _damaged(path, "it is not a list")
    return frozenset(map(str, found))


def add_copied_answers(model_dir: Path, annotations: Iterable[str]) -> None:
    """Add annotations to the file."""
    before = read_copied_answers(model_dir)
    if more := {*annotations} - before:
        atomic.write_json(model_dir / FILE_NAME, sorted(before | more))


def _damaged(path: Path, why: str) -> RegistryError:
    return RegistryError(
        f"{path} is not a list of annotations ({why}); restore it from a backup, or delete it: answers that were given "
        "to copied tasks while these showed another project's files count as blind then"
    )
