"""The settings of the tab that lists tasks by prediction score, lowest first, without accepted ones."""

from typing import Any

HIDDEN_COLUMNS = [
    "tasks:inner_id",
    "tasks:annotators",
    "tasks:comment_authors",
    "tasks:comment_count",
    "tasks:unresolved_comment_count",
    "tasks:annotations_results",
    "tasks:predictions_results",
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
"""Columns that the sorted tab hides, so that video, score and crude label are side by side."""


_TRIAGE = "filter:tasks:data.triage"
NOT_ACCEPTED = {
    "conjunction": "or",  # "does not contain accepted" would leave out tasks whose data have no such key
    "items": [
        {"filter": _TRIAGE, "operator": "empty", "type": "String", "value": True},
        {"filter": _TRIAGE, "operator": "contains", "type": "String", "value": "random check"},
    ],
}
"""Filter for tasks whose label was not accepted without a human."""


def tab_settings(title: str) -> dict[str, Any]:
    """Return the settings of the tab as Label Studio stores them."""
    return {
        "title": title,
        "type": "list",
        "target": "tasks",
        "ordering": ["tasks:predictions_score"],
        "filters": NOT_ACCEPTED,
        "hiddenColumns": {"explore": HIDDEN_COLUMNS, "labeling": HIDDEN_COLUMNS},
        "columnsWidth": {},
        "columnsDisplayType": {},
        "gridWidth": 4,
    }
