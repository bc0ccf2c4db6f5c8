"""Measures the field statistics of cubes, and keeps those of the cubes that a version is trained on."""

from collections.abc import Sequence
from pathlib import Path

from helioloop.data.field_statistics import field_statistics
from helioloop.errors import CubeError
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.field_statistics import FieldStatistics
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE, write_trained_fields


def keep_trained_fields(plan: Plan, staging: Path, runtime: Runtime) -> None:
    """Write the field statistics of a plan's labelled cubes into its staging folder, unless they are there."""
    if not (staging / TRAINED_FIELDS_FILE).exists():
        write_trained_fields(staging, measure_fields(plan.labelled, runtime))


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
