"""One table of settings: environment variables prefixed ``HELIOLOOP_`` (and ``REDIS_URL``), read when asked for.

Ground floor. ``docs/settings.md`` shows the same table; a test holds the two together.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SettingsParseError

from helioloop.errors import SettingsError


def user_cache() -> Path:
    """Return the user's cache folder, where the XDG base directory specification puts it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "helioloop"


class Settings(BaseSettings):
    """Every setting of helioloop, with its default, unit and meaning."""

    model_config = SettingsConfigDict(env_prefix="HELIOLOOP_", extra="ignore", populate_by_name=True)

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("HELIOLOOP_REDIS_URL", "REDIS_URL"),
        description="Redis between web and workers. Who can write to it can run code on the workers: keep it private, "
        "with a password.",
    )
    label_studio_url: str = Field("http://127.0.0.1:8080", description="Label Studio as the worker reaches it.")
    label_studio_api_key: SecretStr | None = Field(
        None, description="Access token of Label Studio: legacy token or personal access token."
    )
    label_studio_timeout_seconds: float = Field(120.0, gt=0, description="Longest wait for one answer of Label Studio.")

    model_root: Path = Field(
        Path("helioloop-data/models"), description="Folder of model folders, one per Label Studio project."
    )
    release_roots: list[Path] = Field(
        default_factory=list,
        description="JSON list of folders; a cube is `<one of them>/<release>/<cube>.fits`, nothing else is opened.",
    )
    media_root: Path = Field(
        Path("helioloop-data/media"),
        description="Label Studio's local-files document root; videos go to `helioloop/project-<id>/` in it.",
    )
    cache_root: Path = Field(
        default_factory=user_cache, description="Folder for preprocessed cubes; may be deleted at any time."
    )

    backend_host: str = Field("127.0.0.1", description="Address the backend binds to.")
    backend_port: int = Field(9090, ge=1, le=65535, description="Port the backend binds to.")
    backend_threads: int = Field(8, ge=1, description="Request threads of the backend's one process.")
    basic_auth_user: str | None = Field(None, description="User name Label Studio must give to the backend.")
    basic_auth_password: SecretStr | None = Field(None, description="Password to that user name.")
    webhook_secret: SecretStr | None = Field(
        None, description="Value of the header `X-Helioloop-Secret` that our webhook carries."
    )
    max_request_mib: int = Field(64, ge=1, description="Largest request body the backend reads.")
    predict_wait_seconds: float = Field(2.0, ge=0, description="Longest wait of an answer for missing scores.")
    predict_wait_tasks: int = Field(5, ge=0, description="An answer waits only when at most this many scores miss.")

    class_emergence: str = Field("emergence", description="Choice value in the labelling configuration.")
    class_non_emergence: str = Field("non-emergence", description="Choice value in the labelling configuration.")

    retrain_events: int = Field(20, ge=1, description="Annotation events that make the worker judge at once.")
    retrain_quiet_seconds: float = Field(60.0, ge=0, description="Quiet after the last event before it judges.")
    retrain_max_wait_seconds: float = Field(600.0, ge=0, description="Longest wait after the first event.")
    retrain_verified: int = Field(20, ge=1, description="Newly verified cubes that start a round by themselves.")
    recipe: Literal["auto", "quick", "accurate", "paper", "paper-adamw"] = Field(
        "auto",
        description="Network and schedule that rounds train; auto is accurate where the worker of role train that "
        "plans the round has a GPU, else quick: name one where workers of role train have different devices.",
    )
    epochs: int | None = Field(
        None, ge=1, description="Passes over the training cubes instead of the recipe's; fewer are quicker and worse."
    )
    seed: int = Field(0, ge=0, description="Seed of the first member; member k adds k.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run; auto takes CUDA if there.")

    grace_seconds: float = Field(
        7200.0, ge=0, description="How long superseded predictions stay, for submits already opened."
    )
    sweep_seconds: float = Field(300.0, gt=0, description="Time between two sweeps.")
    real_data: Path | None = Field(None, description="Folder of the real video BARD0310_19981206, for the tests.")
    require_services: bool = Field(
        False, description="`1` in tests: an absent service or browser is a failure, not a skip (set in CI)."
    )

    def api_key(self) -> str:
        """Return the Label Studio token, or say how to set it."""
        if self.label_studio_api_key is None:
            raise SettingsError(
                "HELIOLOOP_LABEL_STUDIO_API_KEY is not set; the worker needs a Label Studio access token: copy one "
                "from Account & Settings in Label Studio and export it"
            )
        return self.label_studio_api_key.get_secret_value()

    def model_dir(self, project: int) -> Path:
        """Return the model folder of a Label Studio project."""
        return self.model_root / f"project-{project:d}"

    def media_dir(self, project: int) -> Path:
        """Return the folder of a project's videos, a strict subfolder of Label Studio's document root."""
        return self.media_root.resolve() / "helioloop" / f"project-{project:d}"


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the settings from the environment, once per process.

    Raises
    ------
    SettingsError
        Where a variable has a value that breaks its rule; the sentence names variable and rule, never the value of a
        secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"HELIOLOOP_{_variable(first['loc'])}: {first['msg']}; see docs/settings.md") from None
    except SettingsParseError as error:
        raise SettingsError(f"{error}; lists are written as JSON, for example '[\"/data\"]'") from None


def _variable(place: tuple[int | str, ...]) -> str:
    return str(place[0] if place else "").upper().removeprefix("HELIOLOOP_")


def plain_url(url: str) -> str:
    """Return a service's URL as it may be shown: without user name, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
