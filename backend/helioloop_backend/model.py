"""The model class for servers of label-studio-ml, 1.0.9 and 2.x: ``init_app(HelioloopModel)`` returns helioloop's app.

helioloop needs no label-studio-ml; this module is for those who run its servers. Importing it replaces the app that
``init_app`` returns, because the library's own routes lose events (1.0.9 drops all but one at a time, 2.x ignores
``ANNOTATIONS_DELETED``), return tracebacks, log access tokens, and use no credentials of helioloop's settings. The
server starts the model class only with the first request, so wrong settings are refused here, at import.
"""

import json
from functools import cached_property
from typing import Any, Final

import defusedxml.ElementTree
from flask import Flask, Response, jsonify
from pydantic import SecretStr
from werkzeug.exceptions import ServiceUnavailable

from helioloop.settings import load_settings
from helioloop_backend import services
from helioloop_backend.auth import Authenticator
from helioloop_backend.project_model import ProjectModel
from helioloop_backend.routes import take_in
from helioloop_backend.wsgi import assemble

try:
    import label_studio_ml.api
    import label_studio_ml.model
except ModuleNotFoundError as error:
    raise ImportError(
        f"{error.name} is not installed, but helioloop's model class for servers of label-studio-ml needs it; install "
        "label-studio-ml, or start `helioloop backend`, which needs neither"
    ) from None

OWN_KEYS: Final = frozenset({"model_version", "label_config", "parsed_label_config"})
"""What `get` answers from the project; the library stores all other keys in its cache."""


class HelioloopModel(ProjectModel, label_studio_ml.model.LabelStudioMLBase):  # type: ignore[misc] # published untyped
    """The model of one project for one request, as label-studio-ml constructs and calls it.

    Parameters
    ----------
    project_id : str or int, optional
        ``"1"`` or ``"1.<created>"``.
    label_config : str, optional
        The labelling configuration that Label Studio sent.
    **_more : Any
        What 1.0.9 passes besides; not used.

    Notes
    -----
    The constructor of the base class is not called: it parses the configuration with a parser that follows DOCTYPEs,
    and that of 2.x writes each configuration into a cache on disk.
    """

    def __init__(self, project_id: str | int | None = None, label_config: str | None = None, **_more: Any) -> None:
        super().__init__(project_id, label_config)
        self.setup()

    def setup(self) -> None:
        """Do nothing; 2.x has this method for subclasses."""

    @property
    def model_version(self) -> str:
        """The published version of the project, or ``untrained``."""
        return self.published_version()

    @property
    def label_config(self) -> str:
        """The labelling configuration that Label Studio sent."""
        return self._label_config

    @property
    def parsed_label_config(self) -> dict[str, Any]:
        """The controls of the labelling configuration, as the library describes them."""
        if not self._label_config:
            return {}
        defusedxml.ElementTree.fromstring(self._label_config)  # refuses what the library's parser would follow
        parsed: dict[str, Any] = label_studio_ml.model.parse_config(self._label_config)
        return parsed

    @cached_property
    def label_interface(self) -> Any:
        """The labelling configuration as an object of the library; 2.x only."""
        return label_studio_ml.model.LabelInterface(config=self._label_config)

    def get(self, key: str) -> Any:
        """Return a stored value as text; the version and the configuration are those of the project."""
        if key == "parsed_label_config":
            return json.dumps(self.parsed_label_config)
        return getattr(self, key) if key in OWN_KEYS else super().get(key)

    def set(self, key: str, value: str) -> None:
        """Store a value.

        Raises
        ------
        ServiceUnavailable
            For the version and the configuration, which only helioloop's workers and Label Studio change; so a
            subclass whose `setup` sets a version, as that of the library's template does, is refused with this reason.
        """
        if key in OWN_KEYS:
            raise ServiceUnavailable(
                f"the model class sets {key}, but the version is the one that helioloop's workers published, and the "
                f"configuration comes from Label Studio; remove the call set({key!r}, …)"
            )
        super().set(key, value)

    def has(self, key: str) -> bool:
        """Return whether a value is stored."""
        return key in OWN_KEYS or bool(super().has(key))

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Take in an event; nothing is trained here.

        2.x calls ``fit(event, data, **kwargs)``, 1.0.9 ``fit(tasks, workdir, event=, data=, job_id=)``.
        """
        given = dict(zip(("event", "data"), args, strict=False)) if args and isinstance(args[0], str) else {}
        event, data = (given | kwargs).get("event"), (given | kwargs).get("data")
        if not isinstance(event, str) or not isinstance(data, dict):
            raise TypeError("the event has no action or no payload; Label Studio sends both")
        return super().fit(event, data)


class _Manager:
    """What 1.0.9 calls in the place of its manager: it keeps the model class, and opens no queue."""

    model_class: type[Any] = label_studio_ml.model.LabelStudioMLBase

    def initialize(self, model_class: type[Any], **_more: Any) -> None:
        """Keep the model class; a queue and a model folder of the library's are not used."""
        self.model_class = model_class


def _model_class() -> type[HelioloopModel]:
    """Return the class that `init_app` received."""
    manager = getattr(label_studio_ml.api, "_manager", None)
    found: type[Any] = label_studio_ml.api.MODEL_CLASS if manager is None else manager.model_class
    if not issubclass(found, HelioloopModel):
        raise ServiceUnavailable(
            f"the server was started with the model class {found.__name__}, but helioloop_backend.model was imported; "
            "pass HelioloopModel or a subclass to init_app, or remove the import"
        )
    return found


def _authenticator() -> Authenticator:
    """Return what checks requests: helioloop's credentials, or those that `init_app` of 2.x received."""
    settings = services.current().settings
    given = getattr(label_studio_ml.api, "BASIC_AUTH", None)
    if given is None:
        return Authenticator(settings)
    user, password = given
    update = {"basic_auth_user": user, "basic_auth_password": SecretStr(password)}
    if settings.basic_auth_user and update != {name: getattr(settings, name) for name in update}:
        raise ServiceUnavailable(
            "the server has other credentials than helioloop's settings; give the same to both, or only to one"
        )
    return Authenticator(settings.model_copy(update=update))


def _take_over() -> None:
    """Make `init_app` return helioloop's app.

    Raises
    ------
    ImportError
        Where this version of label-studio-ml has another API.
    SettingsError
        Where the settings are wrong.
    """
    library = label_studio_ml.api
    returned = getattr(getattr(library.init_app, "__code__", None), "co_names", ())
    known = hasattr(library, "MODEL_CLASS") or hasattr(library, "_manager")
    if not known or "_server" not in returned or not isinstance(getattr(library, "_server", None), Flask):
        raise ImportError(
            "this version of label-studio-ml has an API that helioloop does not support (1.0.9 and 2.x are), so its "
            "server could lose events or ignore credentials; start `helioloop backend` instead"
        )
    Authenticator(load_settings.__wrapped__())  # not cached: the first request reads the settings
    app = assemble(model_class=_model_class, authenticator=_authenticator)
    app.view_functions["health.health"] = _health
    app.view_functions["label_studio.webhook"] = _webhook
    library._server = app  # noqa: SLF001 - the library offers no way to replace its routes
    if hasattr(library, "_manager"):
        library._manager = _Manager()  # noqa: SLF001


def _health() -> Response:
    return jsonify({"status": "UP", "model_class": _model_class().__name__})


def _webhook() -> tuple[Response, int]:
    return jsonify({"status": "ok", "result": take_in(_model_class())}), 201


_take_over()
