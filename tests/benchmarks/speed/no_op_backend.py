"""The reference of the rows of /predict: the server of label-studio-ml 1.0.9 with a model that predicts nothing."""

from typing import Any

from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase


class NoOp(LabelStudioMLBase):  # type: ignore[misc] # published untyped
    """Answers each task with an empty prediction."""

    def predict(self, tasks: list[Any], **_more: Any) -> list[dict[str, Any]]:
        """Return one entry per task."""
        return [{"result": [], "score": 0.0} for _ in tasks]

    def fit(self, *_arguments: Any, **_more: Any) -> dict[str, Any]:
        """Train nothing."""
        return {}


app = init_app(NoOp)
