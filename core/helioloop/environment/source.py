"""Gives pydantic the values of the environment variables, and puts its refusals into sentences."""

import json
import os
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from helioloop.environment import names
from helioloop.environment.reading import Environment
from helioloop.errors import SettingsError

_LONGEST_VALUE = 100
_FOLDERS = "is not a JSON list of folders, for example '[\"/data\"]'; correct it"
_RULES = {"list_type": _FOLDERS, "path_type": _FOLDERS}
"""Rules in the words of users, where those of pydantic name types of Python; each is what follows the value."""


class EnvironmentSource(PydanticBaseSettingsSource):
    """The source of values that reads variables, aliases and files with secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text of a setting or None, its name, and whether the text is JSON."""
        return self._environment().value(field_name), field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """Return the values of the settings that are given.

        Raises
        ------
        SettingsError
            Where a variable is set together with the same name with ``_FILE``, a file cannot be used, or a list is not
            JSON.
        """
        environment, found = self._environment(), {}
        for name, field in self.settings_cls.model_fields.items():
            text = environment.value(name)
            if text is not None:
                found[name] = _from_json(name, text, environment) if self.field_is_complex(field) else text
        return found

    def _environment(self) -> Environment:
        return Environment(os.environ, self.settings_cls.model_fields)


def first_refusal(error: ValidationError, environment: Environment) -> str:
    """Return what is wrong with the first wrong value: the variable that gave it, the rule and the remedy.

    The value is shown only where it cannot be a secret.
    """
    first = error.errors(include_url=False)[0]
    setting = str(first["loc"][0] if first["loc"] else "")
    variable, value = _variable(setting, environment), first["input"]
    if isinstance(value, str) and names.is_service_link(variable, value):
        return (
            f"{variable} is {value!r}, which Kubernetes sets in each container for a Service of that name; set "
            "enableServiceLinks: false in the pod, or give the Service another name"
        )
    may_be_shown = setting not in names.FROM_FILES and not names.is_address(setting)
    shown = f" is {value[:_LONGEST_VALUE]!r}" if isinstance(value, str) and may_be_shown else ""
    own = names.own_name(setting)
    remedy = "" if variable == own else f"; correct it, or set {own}, which takes precedence"
    rule = _RULES.get(first["type"], first["msg"].removeprefix("Value error, "))
    is_clause = first["type"] in {"value_error", *_RULES}
    separator = (", which " if shown else " ") if is_clause else ": "
    return f"{variable}{shown}{separator}{rule}{remedy}; see docs/settings.md"


def _from_json(setting: str, text: str, environment: Environment) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError(
            f"{_variable(setting, environment)} is {text[:_LONGEST_VALUE]!r}, which is not JSON; lists are written as "
            "JSON, for example '[\"/data\"]'"
        ) from None


def _variable(setting: str, environment: Environment) -> str:
    """Return the variable that gives a setting, or helioloop's own name of it."""
    origin = environment.origin(setting)
    return names.own_name(setting) if origin is None else origin.variable
