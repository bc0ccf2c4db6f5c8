"""The names of the settings: ``HELIOLOOP_<SETTING>``, aliases from Label Studio's tools, ``…_FILE`` for secrets."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

PREFIX: Final = "HELIOLOOP_"
FILE_SUFFIX: Final = "_FILE"
"""A variable ``NAME_FILE`` names a file that contains the value of ``NAME``, as secrets of Docker and Kubernetes do."""

ALIASES: Final = {
    "redis_url": "REDIS_URL",
    "redis_password": "REDIS_PASSWORD",
    "label_studio_url": "LABEL_STUDIO_URL",
    "label_studio_api_key": "LABEL_STUDIO_API_KEY",
    "model_root": "MODEL_DIR",
    "backend_port": "PORT",
    "backend_threads": "THREADS",
    "basic_auth_user": "BASIC_AUTH_USER",
    "basic_auth_password": "BASIC_AUTH_PASS",
    "log_level": "LOG_LEVEL",
}
"""Setting -> its name in label-studio-ml, its example servers and the Label Studio SDK."""
SECRETS: Final = frozenset(
    {"redis_url", "redis_password", "label_studio_api_key", "basic_auth_password", "webhook_secret"}
)
"""Settings whose value is never shown (of ``redis_url``, the password)."""
FROM_FILES: Final = SECRETS | {"basic_auth_user"}
"""Settings that can be read from a file."""
BACKEND_ONLY: Final = frozenset(
    {
        "backend_host",
        "backend_port",
        "backend_threads",
        "max_request_mib",
        "predict_wait_seconds",
        "predict_wait_tasks",
    }
)
"""Settings that a worker does not use."""
BACKEND: Final = BACKEND_ONLY | frozenset(
    {
        "redis_url",
        "redis_password",
        "label_studio_url",
        "label_studio_public_url",
        "model_root",
        "basic_auth_user",
        "basic_auth_password",
        "webhook_secret",
        "class_emergence",
        "class_non_emergence",
        "retrain_events",
        "retrain_quiet_seconds",
        "retrain_max_wait_seconds",
        "log_level",
        "log_format",
    }
)
"""Settings that the backend uses."""

_FORMER: Final = {"HELIOLOOP_SWEEP_SECONDS": "HELIOLOOP_RECONCILE_SECONDS"}
"""Variables that had another name before."""
_NOT_SETTINGS: Final = frozenset({"HELIOLOOP_FAULT_SEED", "HELIOLOOP_SCREENSHOTS", "HELIOLOOP_STILLS"})
"""Variables of the tests and of ``make`` beside those that start with ``HELIOLOOP_TEST_``."""
_TESTS: Final = "HELIOLOOP_TEST_"
_SERVICE_LINK: Final = re.compile(r"HELIOLOOP_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP)\w*)")
"""Variables that Kubernetes sets in each container for a Service that is named helioloop or helioloop-something."""
_SERVICE_ADDRESS: Final = re.compile(r"(?:tcp|udp|sctp)://")
_LIKE_PREFIX: Final = 0.8
_LIKE_NAME: Final = 0.6


def is_address(setting: str) -> bool:
    """Return whether a setting is the address of a service, in which somebody may have written credentials."""
    return setting.endswith("_url") or setting == "media_bucket"


def own_name(setting: str) -> str:
    """Return helioloop's own variable of a setting."""
    return PREFIX + setting.upper()


def base_names(setting: str) -> tuple[str, ...]:
    """Return the variables that give a setting's value directly, the one that takes precedence first."""
    alias = ALIASES.get(setting)
    return (own_name(setting),) if alias is None else (own_name(setting), alias)


def all_names(setting: str) -> tuple[str, ...]:
    """Return all variables of a setting, those that name a file after the one that they stand for."""
    bases = base_names(setting)
    if setting not in FROM_FILES:
        return bases
    return tuple(name for base in bases for name in (base, base + FILE_SUFFIX))


def is_of_helioloop(variable: str) -> bool:
    """Return True for a variable that can change what helioloop does: one of its own, or an alias."""
    return variable.upper().startswith(PREFIX) or variable in _alias_names()


def unknown_names(variables: Mapping[str, str], settings: Collection[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the variables that look like helioloop's and are not, each with the nearest known name or None.

    Parameters
    ----------
    variables : mapping
        Names and values of the environment variables that are set and not empty.
    settings : collection of str
        Names of all settings.
    """
    known = {name for setting in settings for name in all_names(setting)}
    for variable in sorted(variables):
        name = variable.upper()
        if name in known or name in _NOT_SETTINGS or name.startswith(_TESTS):
            continue
        if _SERVICE_LINK.fullmatch(name) or is_service_link(name, variables[variable]):
            continue
        if name.startswith(PREFIX):
            yield variable, _nearest(name, known)
        elif _has_misspelt_prefix(name):
            close = _nearest(PREFIX + name[len(PREFIX) :].lstrip("_"), known)
            if close is not None:
                yield variable, close


def is_service_link(variable: str, value: str) -> bool:
    """Return True for ``…_PORT=tcp://…``, which Kubernetes sets for a Service; it is not a port."""
    return variable.upper().endswith("PORT") and _SERVICE_ADDRESS.match(value) is not None


def _alias_names() -> frozenset[str]:
    return frozenset(name for setting in ALIASES for name in all_names(setting))


def _nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that was probably meant; None if no name is like it."""
    if name in _FORMER:
        return _FORMER[name]
    for setting, alias in ALIASES.items():
        for suffix in ("", FILE_SUFFIX) if setting in FROM_FILES else ("",):
            if name == PREFIX + alias + suffix:
                return own_name(setting) + suffix
    own = [candidate for candidate in known if candidate.startswith(PREFIX)]
    if name.endswith(FILE_SUFFIX):
        own = [candidate for candidate in own if candidate.endswith(FILE_SUFFIX)] or own
    rest = name.removeprefix(PREFIX)
    ending = [candidate for candidate in own if rest and candidate.endswith(f"_{rest}")]
    if len(ending) == 1:
        return ending[0]
    found = difflib.get_close_matches(
        rest, sorted(candidate.removeprefix(PREFIX) for candidate in own), n=1, cutoff=_LIKE_NAME
    )
    return PREFIX + found[0] if found else None


def _has_misspelt_prefix(name: str) -> bool:
    likeness = difflib.SequenceMatcher(None, name[: len(PREFIX)], PREFIX).ratio()
    return likeness >= _LIKE_PREFIX and not name.startswith(PREFIX)
