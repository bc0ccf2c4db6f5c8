"""helioloop as label-studio-ml sees it: one model class for 1.0.9 and 2.x, and the manager that 1.0.9 calls.

1.0.9 keeps one global model, loses events in a queue of length one and names jobs by the second; `Manager` replaces
those parts (fetch, predict, webhook). 2.x makes one instance per request. Both end in the same two functions:
`predictions` and `events`.
"""

from collections.abc import Sequence
from typing import Any, Final

from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager, ModelWrapper
from werkzeug.exceptions import BadRequest

from helioloop_backend import events, projects, services
from helioloop_backend.predictions import Entry

UNTRAINED: Final = "untrained"
"""What /setup answers before a project's first version."""


class HelioloopModel(LabelStudioMLBase):  # type: ignore[misc] # label-studio-ml is published without types
    """Serves stored scores and takes events in; holds nothing but the project and its configuration.

    Parameters
    ----------
    project_id : str or int
        ``"1"`` or ``"1.<created>"``; first positional argument in 2.x, keyword from `Manager`.
    label_config : str
        The labelling configuration that Label Studio sent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The base class is not called: 1.0.9's parses the configuration with a parser that follows DOCTYPEs, 2.x's
        # opens a cache on disk.
        positional = dict(zip(("project_id", "label_config"), args, strict=False))
        given = positional | kwargs
        project = given.get("project_id")
        self.project_id = "" if project is None else str(project)
        self.label_config = given.get("label_config") or ""
        self.setup()

    def setup(self) -> None:
        """Prepare nothing: 2.x calls this once per request."""

    @property
    def model_version(self) -> str:
        """The published version of the project, or ``untrained``."""
        registry = services.current().registry(projects.from_uid(self.project_id))
        return registry.published() or UNTRAINED

    def predict(self, tasks: Sequence[Any], context: Any = None, **kwargs: Any) -> list[Entry]:  # noqa: ARG002 - both APIs
        """Return one entry per task, in order; ``[]`` where no score is stored."""
        current = services.current()
        answer = current.predictor.answer(projects.from_uid(self.project_id), tasks, self.label_config)
        current.metrics.predicted(
            hits=answer.hits, misses=answer.misses, unscorable=answer.unscorable, foreign=answer.foreign
        )
        return answer.entries

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Take an event in; nothing is trained here.

        1.0.9 calls ``fit(tasks, workdir, event=, data=, job_id=)``, 2.x ``fit(event, data, **kwargs)``.
        """
        event, data = kwargs.get("event"), kwargs.get("data")
        if event is None and args and isinstance(args[0], str):
            event, data = args[0], data if len(args) == 1 else args[1]
        if not isinstance(event, str) or not isinstance(data, dict):
            raise BadRequest("an event needs its action and its payload")
        return events.receive(services.current(), event, {k: v for k, v in data.items() if k != "action"})


class Manager(LabelStudioMLManager):  # type: ignore[misc] # label-studio-ml is published without types
    """What the routes of label-studio-ml 1.0.9 call; stateless, so that one process serves any number of projects."""

    @classmethod
    def initialize(cls, model_class: type[HelioloopModel], **init_kwargs: Any) -> None:
        """Remember the model class; 1.0.9's own version would ping a Redis of its own settings."""
        cls.model_class = model_class
        cls.init_kwargs = init_kwargs

    @classmethod
    def fetch(cls, project: Any = None, label_config: Any = None, *_args: Any, **_kwargs: Any) -> ModelWrapper:
        """Return the project's model and its published version; keywords carry the user's access token: not kept."""
        model = cls.model_class(project_id=project, label_config=label_config)
        return ModelWrapper(model=model, model_version=model.model_version)

    @classmethod
    def predict(
        cls, tasks: Sequence[Any], project: Any = None, label_config: Any = None, *_args: Any, **kwargs: Any
    ) -> tuple[list[Entry], ModelWrapper]:
        """Return the entries and the model; /predict works without /setup before it."""
        wrapper = cls.fetch(project, label_config)
        return wrapper.model.predict(tasks, **kwargs), wrapper

    @classmethod
    def webhook(cls, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Take an event in."""
        answer: dict[str, Any] = cls.model_class().fit(event, data)
        return answer
