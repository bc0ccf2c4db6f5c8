"""Reads the settings from environment variables: ``HELIOLOOP_…``, their aliases, and files with secrets.

``docs/settings.md`` has the same table; a test compares the two.
"""

import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from helioloop.environment import credentials, names
from helioloop.environment.addresses import (
    bucket_and_prefix,
    check_http_url,
    plain_url,
    redis_passwords,
    written_passwords,
)
from helioloop.environment.home import default_cache
from helioloop.environment.reading import Environment
from helioloop.environment.source import EnvironmentSource, first_refusal
from helioloop.environment.values import DeviceName, Folder, FolderElsewhere, Level, LogFormat, RecipeName, Seconds
from helioloop.errors import SettingsError

__all__ = ["Settings", "environment", "load_settings", "plain_url", "secret_values"]

LARGEST_SEED: Final = 2**32
"""Largest seed of a first member; torch's generators take more, so that there is room for the other members'."""
_PROJECT_FOLDER: Final = re.compile(r"project-(0|[1-9][0-9]*)")


class Settings(BaseSettings):
    """Every setting of helioloop, with its default, unit and meaning."""

    model_config = SettingsConfigDict(
        env_prefix=names.PREFIX, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="Redis that the backend and the workers share. Anyone who can write to it can delete and "
        "queue jobs: keep it private and set a password. Each deployment needs a database of its own, such as `…/1`.",
    )
    redis_password: SecretStr | None = Field(
        None, description="Password of Redis, where the address contains none; here no character needs encoding."
    )
    label_studio_url: str = Field(
        "http://127.0.0.1:8080", repr=False, description="Address at which the worker reaches Label Studio."
    )
    label_studio_public_url: str | None = Field(
        None,
        repr=False,
        description="Address at which browsers reach Label Studio, for links to the pages about a project; its path "
        "is also in the addresses of videos in tasks, so set it before the first ingestion. Without it, the address of "
        "the worker is used.",
    )
    label_studio_api_key: SecretStr | None = Field(
        None, description="Access token of Label Studio: a legacy token or a personal access token."
    )
    label_studio_timeout_seconds: Seconds = Field(
        120.0, gt=0, description="Longest wait for one response of Label Studio."
    )

    model_root: Folder = Field(
        Path("helioloop-data/models"), description="Folder that contains one model folder per Label Studio project."
    )
    release_roots: list[Folder] = Field(
        default_factory=list,
        description="JSON list of folders; a cube is `<one of them>/<release>/<cube>.fits`, and no file outside "
        "them is opened.",
    )
    media_root: Folder = Field(
        Path("helioloop-data/media"),
        description="Label Studio's document root for local files; videos are written to `helioloop/project-<id>/` "
        "in it.",
    )
    media_bucket: str | None = Field(
        None,
        description="S3-compatible bucket, such as `s3://BUCKET/PREFIX`, from which Label Studio gets videos, curves "
        "and reasons in place of local files; needs the extra `[s3]`. Credentials are not part of it: boto3 takes them "
        "from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.",
    )
    label_studio_media_root: FolderElsewhere | None = Field(
        None,
        description="The same folder as Label Studio sees it, where its path is another one there; without it, the "
        "path of the worker is used.",
    )
    cache_root: Folder = Field(
        default_factory=default_cache,
        description="Folder for gridded cubes and network inputs; it may be deleted at any time. On macOS the "
        "default is `~/Library/Caches/helioloop`.",
    )

    backend_host: str = Field("127.0.0.1", description="Address that the backend binds to.")
    backend_port: int = Field(9090, ge=1, le=65535, description="Port that the backend binds to.")
    backend_threads: int = Field(
        8, ge=1, le=1000, description="Request threads of the backend, which runs in one process."
    )
    basic_auth_user: str | None = Field(
        None, description="User name that Label Studio must send to the backend; without a colon."
    )
    basic_auth_password: SecretStr | None = Field(None, description="Password for that user name.")
    webhook_secret: SecretStr | None = Field(
        None, description="Value of the header `X-Helioloop-Secret` that helioloop's webhook sends."
    )
    max_request_mib: int = Field(64, ge=1, le=100_000, description="Largest request body that the backend reads.")
    predict_wait_seconds: Seconds = Field(
        2.0, ge=0, description="Longest time that a prediction request waits for missing scores."
    )
    predict_wait_tasks: int = Field(
        5, ge=0, description="A prediction request waits only if at most this many scores are missing."
    )

    class_emergence: str = Field(
        "emergence",
        description="Choice of the class emergence in new projects; `helioloop init` keeps the words of each project "
        "in its model folder.",
    )
    class_non_emergence: str = Field(
        "non-emergence",
        description="Choice of the class non-emergence in new projects; as above.",
    )

    retrain_events: int = Field(20, ge=1, description="Annotation events after which a retrain check runs at once.")
    retrain_quiet_seconds: Seconds = Field(
        60.0, ge=0, description="Time without annotation events after which a retrain check runs."
    )
    retrain_max_wait_seconds: Seconds = Field(
        600.0, ge=0, description="Longest time from the first annotation event to the retrain check."
    )
    retrain_verified: int = Field(20, ge=1, description="Newly verified cubes that are enough to start a round.")
    retrain_changed: int = Field(10, ge=1, description="Changed labels that are enough to start a round.")
    retrain_pause_seconds: Seconds = Field(
        1800.0,
        ge=0,
        description="Time without an annotation after which fewer changed labels start a round; reconciliation looks "
        "after it.",
    )
    random_checks: int = Field(
        10,
        ge=0,
        description="Least number of random checks that wait for an answer, without any prediction, at most a quarter "
        "of all cubes; a tenth of all cubes are random checks in any case. 0 for none: then only answers from before "
        "the first version support estimates and guarantees.",
    )
    recipe: RecipeName = Field(
        "auto",
        description="Network and training schedule of rounds; auto takes accurate if the worker with role train "
        "that plans the round has a GPU, else quick: name one if workers with role train have different devices.",
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Passes over the training cubes instead of the recipe's number; fewer take less time and give a "
        "worse model.",
    )
    seed: int = Field(
        0, ge=0, le=LARGEST_SEED, description="Seed of the first member; the seed of member k is this plus k."
    )
    device: DeviceName = Field("auto", description="Device that networks run on; auto takes CUDA if it is available.")
    training_yields: bool = Field(
        True,
        description="Whether training on a CPU lets any other program interrupt it (Linux's class for idle time), "
        "so that webhooks are answered at once; `false` on a machine that others keep busy, where it would "
        "hardly advance.",
    )

    grace_seconds: Seconds = Field(
        7200.0, ge=0, description="How long superseded predictions are kept, for annotators who have a task open."
    )
    reconcile_seconds: Seconds = Field(300.0, gt=0, description="Time between two reconciliations with Label Studio.")
    log_level: Level = Field(
        "info", description="Least severe lines that backend and workers log; `debug` also logs each request and job."
    )
    log_format: LogFormat = Field(
        "text", description="Form of the log of backend and workers: lines of text, or one JSON object per line."
    )
    real_data: Folder | None = Field(None, description="Folder of the real video BARD0310_19981206, for the tests.")
    require_services: bool = Field(
        False,
        description="`1` in tests: a missing service or browser fails the tests instead of skipping them (set in CI).",
    )

    @field_validator("label_studio_url", "label_studio_public_url")
    @classmethod
    def _check_address(cls, url: str | None) -> str | None:
        return None if url is None else check_http_url(url)

    @field_validator("media_bucket")
    @classmethod
    def _check_bucket(cls, address: str | None) -> str | None:
        if address is not None:
            bucket_and_prefix(address)
        return address

    @field_validator("basic_auth_user")
    @classmethod
    def _check_user(cls, user: str | None) -> str | None:
        return None if user is None else credentials.check_user(user)

    @field_validator("basic_auth_password")
    @classmethod
    def _check_password(cls, password: SecretStr | None) -> SecretStr | None:
        return _checked(password, credentials.check_sent)

    @field_validator("webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        return _checked(secret, credentials.check_sent)

    @field_validator("label_studio_api_key")
    @classmethod
    def _check_token(cls, token: SecretStr | None) -> SecretStr | None:
        return _checked(token, credentials.check_token)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's source knows neither aliases nor files
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of values: arguments, then environment variables."""
        return init_settings, EnvironmentSource(settings_cls)

    def api_key(self) -> str:
        """Return the access token of Label Studio.

        Raises
        ------
        SettingsError
            If it is not set.
        """
        if self.label_studio_api_key is None:
            raise SettingsError(
                "HELIOLOOP_LABEL_STUDIO_API_KEY is not set; the worker needs a Label Studio access token: copy one "
                "from Account & Settings in Label Studio and export it"
            )
        return self.label_studio_api_key.get_secret_value()

    def model_dir(self, project: int) -> Path:
        """Return the model folder of a Label Studio project."""
        return self.model_root / f"project-{project:d}"

    def projects(self) -> list[int]:
        """Return the ids of the Label Studio projects that have a model folder, in increasing order."""
        if not self.model_root.is_dir():
            return []
        found = (_PROJECT_FOLDER.fullmatch(folder.name) for folder in self.model_root.iterdir() if folder.is_dir())
        return sorted(int(match[1]) for match in found if match is not None)

    @property
    def backend_address(self) -> str:
        """Host and port at which the backend listens, an IPv6 address in brackets."""
        host = f"[{self.backend_host}]" if ":" in self.backend_host else self.backend_host
        return f"{host}:{self.backend_port}"

    def page_url(self, project: int, name: str) -> str:
        """Return the address of a page in a project's media folder; Label Studio serves it to those who may see it."""
        base = (self.label_studio_public_url or self.label_studio_url).rstrip("/")
        return f"{plain_url(base)}/data/local-files/?d=helioloop/project-{project:d}/{name}"

    def folders_of_data(self) -> list[tuple[str, Path]]:
        """Return the folders of models, media and releases, each with the name of its setting."""
        named = [("HELIOLOOP_MODEL_ROOT", self.model_root), ("HELIOLOOP_MEDIA_ROOT", self.media_root)]
        return [*named, *(("HELIOLOOP_RELEASE_ROOTS", root) for root in self.release_roots)]

    def media_dir(self, project: int) -> Path:
        """Return the folder of a project's videos; Label Studio serves only strict subfolders of its document root."""
        return _media_dir(self.media_root.resolve(), project)

    def storage_path(self, project: int) -> str:
        """Return the path of that folder as Label Studio sees it."""
        return str(_media_dir(self.label_studio_media_root or self.media_root.resolve(), project))


def _media_dir(root: Path, project: int) -> Path:
    return root / "helioloop" / f"project-{project:d}"


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the settings from the environment, once per process.

    Raises
    ------
    SettingsError
        If a variable has a value that is not allowed. The text names the variable and the rule; it shows no value that
        may be a secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(first_refusal(error, environment())) from None


def environment() -> Environment:
    """Return the environment variables of this process, as far as they give settings."""
    return Environment(os.environ, Settings.model_fields)


def secret_values(settings: Settings) -> tuple[str, ...]:
    """Return the values that must never be shown, longest first."""
    found = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    try:
        found += redis_passwords(settings.redis_url)
    except SettingsError:  # such an address is refused where it is used, and never shown
        found.append(settings.redis_url)
    for url in (settings.label_studio_url, settings.label_studio_public_url or ""):
        found += written_passwords(url)
    return tuple(sorted({value for value in found if value}, key=len, reverse=True))


def _checked(secret: SecretStr | None, check: Callable[[str], str]) -> SecretStr | None:
    return None if secret is None else SecretStr(check(secret.get_secret_value()))
