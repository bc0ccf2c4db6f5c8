"""The settings of helioloop's tabs in the Data Manager, as Label Studio stores them.

Finished and skipped tasks leave all of them but the tab of ties. Label Studio decides whether a task is finished: in a
project that wants several annotations of a task, the task stays until it has them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST

UNCERTAIN = (0.35, 0.65)
"""Agreement with the label between which a task counts as uncertain; 0.5 is a coin toss."""

HIDDEN_COLUMNS = [
    "tasks:inner_id",
    "tasks:annotators",
    "tasks:comment_authors",
    "tasks:comment_count",
    "tasks:unresolved_comment_count",
    "tasks:annotations_results",
    "tasks:predictions_results",
    "tasks:predictions_model_versions",
    "tasks:file_upload",
    "tasks:storage_filename",
    "tasks:created_at",
    "tasks:updated_at",
    "tasks:updated_by",
    "tasks:avg_lead_time",
    "tasks:draft_exists",
    "tasks:annotations_ids",
    "tasks:total_predictions",
    "tasks:cancelled_annotations",
    "tasks:completed_at",
    "tasks:data.curve",
    "tasks:data.reason",
    "tasks:data.sha256",
    "tasks:data.release",
]
"""Columns that the tabs hide, so that video, score and crude label are side by side. The list of model versions has the
superseded ones too."""
WIDTHS = {
    "tasks:id": 90,
    "tasks:predictions_score": 110,
    "tasks:data.cube": 140,
    "tasks:data.region": 90,
    "tasks:data.start": 140,
    "tasks:data.crude_label": 130,
    "tasks:data.triage": 150,
}
"""Widths of columns in pixels, so that the columns of each tab fit a window of 1280 pixels."""

_PLACES = ("explore", "labeling")
"""The list of tasks, and the narrow list beside an open task: each has hidden columns of its own."""
_Filter = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TabSettings:
    """One of helioloop's tabs.

    Parameters
    ----------
    title : str
        The title with which it is made.
    filters : tuple of dict
        Conditions that all hold for a task in the tab.
    ordering : str
        Column that sorts it, lowest first.
    hides : tuple of str
        Columns that a new tab hides besides `HIDDEN_COLUMNS`.
    always_hides : tuple of str
        Columns that the tab hides also where somebody shows them: in a blind task they would tell an answer.
    """

    title: str
    filters: tuple[_Filter, ...] = field(repr=False)
    ordering: str
    hides: tuple[str, ...] = ()
    always_hides: tuple[str, ...] = ()

    def kept(self) -> dict[str, Any]:
        """Return the settings that are restored when somebody changed them: filters and ordering."""
        return {
            "filters": {"conjunction": "and", "items": [dict(entry) for entry in self.filters]},
            "ordering": [self.ordering],
        }

    def new(self) -> dict[str, Any]:
        """Return all settings of a new tab."""
        hidden = [*HIDDEN_COLUMNS, *self.hides, *self.always_hides]
        return {
            "title": self.title,
            "type": "list",
            "target": "tasks",
            **self.kept(),
            "hiddenColumns": dict.fromkeys(_PLACES, hidden),
            "columnsWidth": dict(WIDTHS),
            "columnsDisplayType": {},
            "gridWidth": 4,
        }

    def restored(self, stored: Mapping[str, Any], *, as_new: bool = False) -> dict[str, Any]:
        """Return all settings of a stored tab, with those that helioloop decides put right.

        Those are filters, ordering and the columns that the tab always hides; with `as_new` the title and all columns
        that a new tab hides, too.
        """
        wanted = {**stored, **({} if self.matches(stored) else self.kept())}
        hides = self.always_hides
        if as_new:
            wanted["title"], hides = self.title, (*HIDDEN_COLUMNS, *self.hides, *self.always_hides)
        hidden = stored.get("hiddenColumns") or {}
        if any({*hides} - {*(hidden.get(place) or ())} for place in _PLACES):
            wanted["hiddenColumns"] = {
                **hidden,
                **{place: list(dict.fromkeys([*(hidden.get(place) or ()), *hides])) for place in _PLACES},
            }
        return wanted

    def matches(self, stored: Mapping[str, Any]) -> bool:
        """Return whether a stored tab has the filters and the ordering of this one."""
        return self.has_filters(stored) and stored.get("ordering") == self.kept()["ordering"]

    def has_filters(self, stored: Mapping[str, Any]) -> bool:
        """Return whether a stored tab has the filters of this one."""
        filters = stored.get("filters") or {}
        return filters.get("conjunction") == "and" and [
            _without_unknown(entry) for entry in filters.get("items") or ()
        ] == [dict(entry) for entry in self.filters]


def _condition(column: str, operator: str, value: Any, *, kind: str) -> _Filter:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _marked(mark: str) -> _Filter:
    return _condition("data.triage", "contains", mark, kind="String")


def _without_unknown(entry: Mapping[str, Any]) -> _Filter:
    return {key: entry.get(key) for key in ("filter", "operator", "type", "value")}


_WAITING = (
    _condition("completed_at", "empty", True, kind="Datetime"),
    _condition("cancelled_annotations", "equal", 0, kind="Number"),
)
_UNMARKED = _condition("data.triage", "empty", True, kind="String")
_SCORE = "tasks:predictions_score"

_MARK = "tasks:data.triage"
_REGION = "tasks:data.region"
_CRUDE = "tasks:data.crude_label"

FIRST = DISAGREEMENTS_FIRST
TABS = (
    TabSettings(title=FIRST, filters=(*_WAITING, _UNMARKED), ordering=_SCORE, hides=(_MARK,)),
    TabSettings(
        title="Uncertain",
        filters=(
            *_WAITING,
            _condition("predictions_score", "in", {"min": UNCERTAIN[0], "max": UNCERTAIN[1]}, kind="Number"),
            _UNMARKED,
        ),
        ordering=_SCORE,
        hides=(_MARK,),
    ),
    TabSettings(
        title="Random checks",
        filters=(*_WAITING, _marked("random check")),
        ordering=_MARK,
        always_hides=(_SCORE, _CRUDE),
    ),
    TabSettings(title="Ties between annotators", filters=(_marked("tied"),), ordering=_SCORE, hides=(_REGION,)),
    TabSettings(
        title="Accepted under guarantee", filters=(*_WAITING, _marked("accepted")), ordering=_SCORE, hides=(_REGION,)
    ),
)
EARLIER_TITLE = "Model disagrees first"
"""Title of the only tab that earlier versions of helioloop made; it becomes the first one."""
