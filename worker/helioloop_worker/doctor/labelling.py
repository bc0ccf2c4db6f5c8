"""Check of the labelling configuration: controls, classes, frame rate, and the fields that it shows."""

import re
from typing import Final

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.config import FPS, project_controls
from helioloop.records.controls import Controls
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok
from helioloop_worker.doctor.label_studio import RIGHTS

CONFIGURATION: Final = "labelling-configuration"

_UNUSABLE = Cause(
    check=CONFIGURATION,
    name="unusable",
    remedy="Correct it in Label Studio (Settings, Labeling Interface) or set HELIOLOOP_CLASS_EMERGENCE and "
    "HELIOLOOP_CLASS_NON_EMERGENCE; labeling_config/bipoles.xml is the example.",
)
_NO_TIMELINE = Cause(
    check=CONFIGURATION,
    name="no-timeline",
    doubtful=True,
    remedy="Add <TimelineLabels> for the <Video>, as in labeling_config/bipoles.xml; without it no onset is written "
    "or read.",
)
_FIELDS = Cause(
    check=CONFIGURATION,
    name="missing-fields",
    remedy="Remove the tags of these fields from the labelling configuration, or ingest the releases into a new "
    "project: "
    "tasks get their fields when they are imported.",
)

CAUSES: Final = (_UNUSABLE, _NO_TIMELINE, _FIELDS)

_VARIABLE: Final = re.compile(r"""\bvalue(?:List)?\s*=\s*["']\$([A-Za-z_]\w*)["']""")
_SCREEN_FIELDS: Final = ("curve", "reason")


def shown_fields(config: str) -> list[str]:
    """Return the fields of a task's data that a configuration shows, such as ``video`` for ``value="$video"``."""
    return sorted(set(_VARIABLE.findall(config)))


def _controls(facts: Facts, config: str) -> Controls:
    """Return the project's controls; a configuration that does not fit them is a `ConfigurationError`."""
    settings = facts.settings
    return project_controls(
        config, facts.controls, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence
    )


def _check_configuration(facts: Facts) -> Finding:
    info = facts.info
    if info is None or not info.has_json or not isinstance(info.body, dict):
        return not_tried(CONFIGURATION, "the project was not read")
    config = str(info.body.get("label_config") or "")
    try:
        controls = _controls(facts, config)
    except ConfigurationError as error:
        return _UNUSABLE.found(facts, str(error))
    data = first_data(facts)
    if data is not None:
        missing = [name for name in shown_fields(config) if name not in data]
        if missing:
            return _FIELDS.found(facts, f"the configuration shows {', '.join(missing)}, which the first task lacks")
    if controls.timeline is None:
        return _NO_TIMELINE.found(facts, "no <TimelineLabels> belongs to the <Video>")
    lacking = [name for name in _SCREEN_FIELDS if name not in shown_fields(config)]
    without = f", without {' and '.join(lacking)}" if lacking else ""
    return ok(CONFIGURATION, f"classes {' and '.join(controls.values.values())} at {FPS} frames per second{without}")


def first_data(facts: Facts) -> dict[str, object] | None:
    """Return the data of the first task; None where there is none."""
    body = facts.task.body if facts.task is not None and facts.task.has_json else None
    tasks = body.get("tasks") if isinstance(body, dict) else None
    data = tasks[0].get("data") if isinstance(tasks, list) and tasks and isinstance(tasks[0], dict) else None
    return data if isinstance(data, dict) else None


def video_address(facts: Facts) -> str | None:
    """Return the address of the first task's video; None without a task, or where it has no address."""
    data, info = first_data(facts), facts.info
    if data is None:
        return None
    config = info.body.get("label_config") if info is not None and isinstance(info.body, dict) else ""
    try:
        field = _controls(facts, str(config or "")).video_field
    except ConfigurationError:
        field = "video"
    address = data.get(field)
    return address if isinstance(address, str) and address else None


CHECKS: Final = (Check(name=CONFIGURATION, run=_check_configuration, needs=(RIGHTS,), project=True),)
