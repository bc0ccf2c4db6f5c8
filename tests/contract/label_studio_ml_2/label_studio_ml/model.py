"""The base class of models in 2.x: one instance per request, values in a cache by project and key."""

import json
import os
import sqlite3
from abc import ABC
from pathlib import Path
from typing import Any

from label_studio_sdk._extensions.label_studio_tools.core.label_config import parse_config
from label_studio_sdk.label_interface import LabelInterface


class _Cache:
    """Text by project and key, in a sqlite file that is opened when the library is imported."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cache.db"
        self._run("CREATE TABLE IF NOT EXISTS kept (project TEXT, key TEXT, value TEXT, PRIMARY KEY (project, key))")

    def _run(self, statement: str, *values: str) -> list[tuple[str, ...]]:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def __getitem__(self, place: tuple[str, str]) -> str | None:
        found = self._run("SELECT value FROM kept WHERE project = ? AND key = ?", *place)
        return found[0][0] if found else None

    def __setitem__(self, place: tuple[str, str], value: str) -> None:
        if not isinstance(value, str):
            raise ValueError("only text can be stored")  # noqa: TRY004 - as the library does
        self._run("REPLACE INTO kept VALUES (?, ?, ?)", *place, value)

    def __contains__(self, place: tuple[str, str]) -> bool:
        return self[place] is not None


CACHE = _Cache(Path(os.environ.get("MODEL_DIR", ".")))


class LabelStudioMLBase(ABC):
    INITIAL_MODEL_VERSION = "0.0.1"
    TRAIN_EVENTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "START_TRAINING")

    def __init__(self, project_id: str | None = None, label_config: str | None = None) -> None:
        self.project_id = project_id or ""
        if label_config is not None:
            self.use_label_config(label_config)
        if not self.model_version:
            self.set("model_version", self.INITIAL_MODEL_VERSION)
        self.setup()

    def setup(self) -> None:
        pass

    def use_label_config(self, label_config: str) -> None:
        self.label_interface = LabelInterface(config=label_config)
        if self.get("label_config") != label_config:
            self.set("label_config", label_config)
            self.set("parsed_label_config", json.dumps(parse_config(label_config)))

    def get(self, key: str) -> str | None:
        return CACHE[self.project_id, key]

    def set(self, key: str, value: str) -> None:
        CACHE[self.project_id, key] = value

    def has(self, key: str) -> bool:
        return (self.project_id, key) in CACHE

    def set_extra_params(self, extra_params: str) -> None:
        self.set("extra_params", extra_params)

    @property
    def extra_params(self) -> Any:
        kept = self.get("extra_params")
        return json.loads(kept) if kept else {}

    @property
    def label_config(self) -> str | None:
        return self.get("label_config")

    @property
    def parsed_label_config(self) -> Any:
        return json.loads(self.get("parsed_label_config"))  # type: ignore[arg-type]

    @property
    def model_version(self) -> str | None:
        return self.get("model_version") or None

    def predict(self, tasks: list[Any], context: Any = None, **kwargs: Any) -> Any:
        return None

    def fit(self, event: str, data: dict[str, Any], **more: Any) -> Any:
        return None

    def process_event(self, event: str, data: dict[str, Any], job_id: str, additional_params: dict[str, Any]) -> Any:
        if event in self.TRAIN_EVENTS:
            return self.fit(event=event, data=data, job_id=job_id, **additional_params)
        return None

    def get_first_tag_occurence(self, control_type: str, object_type: str) -> tuple[str, str, str]:
        found: tuple[str, str, str] = self.label_interface.get_first_tag_occurence(control_type, object_type)
        return found
