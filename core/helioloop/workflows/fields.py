"""Measures the field statistics of cubes, and keeps those of the cubes that a version is trained on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from helioloop.data.field_statistics import field_statistics
from helioloop.errors import CubeError, RegistryError
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.field_statistics import FieldStatistics
from helioloop.registry.known_cards import known_card
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE, read_trained_fields, write_trained_fields
from helioloop.registry.versions import Registry

Measure = Callable[[Sequence[CubeInfo]], dict[Key, FieldStatistics]]
"""Returns the field statistics of cubes by name and content hash."""


def keep_trained_fields(plan: Plan, staging: Path, measure: Measure) -> None:
    """Write the field statistics of a plan's labelled cubes into its staging folder, unless they are there.

    Those that the published version has of the same content are not measured again.
    """
    if not (staging / TRAINED_FIELDS_FILE).exists():
        known = _parent_fields(plan, staging)
        fields = {cube.key: known[cube.key] for cube in plan.labelled if cube.key in known}
        new = measure([cube for cube in plan.labelled if cube.key not in known])
        write_trained_fields(staging, fields | new)


def _parent_fields(plan: Plan, staging: Path) -> Mapping[Key, FieldStatistics]:
    """Return the field statistics of the plan's parent, where the same code measured them on the same grid."""
    if plan.parent is None:
        return {}
    registry = Registry(staging.parent.parent)
    try:
        card = known_card(registry, plan.parent)
        fields = read_trained_fields(registry.folder(plan.parent))
    except RegistryError:  # lost or damaged: all are measured
        return {}
    is_same = (card.code_version, card.instrument) == (plan.code_version, plan.instrument.as_dict())
    return fields if fields is not None and is_same else {}


def measure_fields(cubes: Sequence[CubeInfo], runtime: Runtime) -> dict[Key, FieldStatistics]:
    """Return the field statistics of the cubes that can be read, by name and content hash."""
    fields = {}
    for done, cube in enumerate(cubes, start=1):
        try:
            found = field_statistics(runtime.load(cube), clip_gauss=runtime.instrument.clip_gauss)
        except CubeError:
            found = None  # it is excluded, with the reason, where it is scored
        if found is not None:
            fields[cube.key] = found
        runtime.report(done, len(cubes), "measuring fields")
    return fields
