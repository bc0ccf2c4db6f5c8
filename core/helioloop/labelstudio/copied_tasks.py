"""Tasks that were copied from another project: their addresses lead to the files of that one.

In Label Studio a project is copied by export and import. Curve and reason of a copied task follow the model of the
project that it came from, so an answer to it is not blind, whatever predictions it has.
"""

import re
from collections.abc import Mapping, Set
from typing import Any, Final, TypeGuard

from helioloop.labelstudio.untrusted import as_list, as_mapping

_OF_PROJECT: Final = re.compile(r"/project-([1-9][0-9]{0,17})/[^/]+/[^/]+\Z")
"""The end of an address: the folder of a project, the release, and the file."""
_SCREEN: Final = ("curve", "reason")
"""The fields whose files show something of the model."""


def project_of(address: Any) -> int | None:
    """Return the number of the project whose file an address leads to; None for anything else."""
    match = _OF_PROJECT.search(address) if isinstance(address, str) else None
    return None if match is None else int(match[1])


def in_project(address: str, project: int) -> str:
    """Return the address of the same file of another project."""
    return _OF_PROJECT.sub(lambda match: match[0].replace(f"/project-{match[1]}/", f"/project-{project}/", 1), address)


def is_copied(data: Any, project: int) -> bool:
    """Return whether a task of a project shows curve or reason of another one."""
    values = as_mapping(data)
    return any(project_of(values.get(name)) not in {None, project} for name in _SCREEN)


def given_answers(entry: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the annotations that were submitted to a task itself; those that were imported with it are not.

    Parameters
    ----------
    entry : mapping
        A task as Label Studio exports it.
    """
    annotations = as_list(entry.get("annotations"))
    return frozenset(str(annotation.get("id")) for annotation in annotations if _is_given(annotation))


def without_blind_answers(entry: Mapping[str, Any], project: int, *, before: Set[str]) -> Mapping[str, Any]:
    """Return a task without what tells that annotations were blind, where the task showed another project's files.

    Parameters
    ----------
    entry : mapping
        A task as Label Studio exports it.
    project : int
        The project that it belongs to.
    before : set of str
        Ids of annotations that were submitted while their tasks showed the files of another project.
    """
    seen = given_answers(entry) if is_copied(entry.get("data"), project) else before
    annotations = entry.get("annotations")
    if not seen or not isinstance(annotations, list):
        return entry
    return {**entry, "annotations": [_not_blind(annotation, seen) for annotation in annotations]}


def _is_given(annotation: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return False for an imported annotation; Label Studio keeps the id that it had where it was exported."""
    return isinstance(annotation, Mapping) and annotation.get("import_id") is None


def _not_blind(annotation: Any, seen: Set[str]) -> Any:
    """Return an annotation; where it is one of `seen`, without the note that there was no prediction."""
    if not _is_given(annotation) or str(annotation.get("id")) not in seen:
        return annotation
    return {name: value for name, value in annotation.items() if name != "prediction" or value}
