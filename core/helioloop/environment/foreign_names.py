"""Variables of label-studio-ml, gunicorn and Redis clients that helioloop ignores, each with what to set instead."""

from collections.abc import Collection, Iterator
from typing import Final

from helioloop.environment.names import own_name

_ONE_PROCESS: Final = (
    "the backend always runs in one process; set HELIOLOOP_BACKEND_THREADS (or THREADS) for more threads"
)
_BACKEND: Final = {
    "WORKERS": _ONE_PROCESS,
    "WEB_CONCURRENCY": _ONE_PROCESS,
    "GUNICORN_CMD_ARGS": "set HELIOLOOP_BACKEND_HOST, HELIOLOOP_BACKEND_PORT and HELIOLOOP_BACKEND_THREADS instead",
}
"""Variable -> remedy; mentioned by the backend only."""
_ALL: Final = {
    "BASIC_AUTH_PASSWORD": ("basic_auth_password", "BASIC_AUTH_PASS"),
    "BASIC_AUTH_USERNAME": ("basic_auth_user", "BASIC_AUTH_USER"),
    "LABEL_STUDIO_HOST": ("label_studio_url", "LABEL_STUDIO_URL"),
    "LABEL_STUDIO_HOSTNAME": ("label_studio_url", "LABEL_STUDIO_URL"),
    "LABEL_STUDIO_API_TOKEN": ("label_studio_api_key", "LABEL_STUDIO_API_KEY"),
    "LABEL_STUDIO_ACCESS_TOKEN": ("label_studio_api_key", "LABEL_STUDIO_API_KEY"),
    "REDIS_HOST": ("redis_url", "REDIS_URL"),
    "REDIS_PORT": ("redis_url", "REDIS_URL"),
}
"""Variable -> the setting that was probably meant, and its alias; mentioned where that setting is not set."""


def ignored_foreign_names(variables: Collection[str], given: Collection[str], *, backend: bool) -> Iterator[str]:
    """Yield a sentence for each variable of other programs that helioloop ignores although it looks like a setting.

    Parameters
    ----------
    variables : collection of str
        Names of environment variables that are set and not empty.
    given : collection of str
        Settings that are set by one of their own names.
    backend : bool
        True in the backend.
    """
    for name, (setting, alias) in _ALL.items():
        if name in variables and setting not in given:
            yield f"{name} is ignored: it is not a name of a setting; set {alias} or {own_name(setting)} instead"
    if backend:
        for name, remedy in _BACKEND.items():
            if name in variables:
                yield f"{name} is ignored: {remedy}"
