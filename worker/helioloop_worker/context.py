"""The composition root of a worker process: settings, Redis, Label Studio, cubes and device."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import redis

from helioloop.data.loader import Loader
from helioloop.data.release import ReleaseRoots
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import RetrainState
from helioloop.model.device import Device, choose_device
from helioloop.model.ensemble import EnsembleCache
from helioloop.model.recipes import Recipe, find_recipe
from helioloop.model.runtime import OnExcluded, Runtime
from helioloop.progress import Report
from helioloop.records.profiles import Profile
from helioloop.registry.project_profile import read_project_profile
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.kept_projects import KeptProjects
from helioloop_worker.labelstudio.port import LabelStudio
from helioloop_worker.media.choice import make_media
from helioloop_worker.media.port import Media
from helioloop_worker.own_redis import open_redis

REDIS_SECONDS = 30.0
"""Longest wait for one answer from Redis."""


def _open_redis(settings: Settings) -> redis.Redis:
    return open_redis(settings, timeout_seconds=REDIS_SECONDS)


def _recipe(settings: Settings, device: Device) -> Recipe:
    return find_recipe(settings.recipe, gpu=device.kind == "cuda").in_epochs(settings.epochs)


@dataclass(frozen=True)
class Context:
    """The settings and services of jobs. Redis, Label Studio and the device are opened when they are first used.

    Parameters
    ----------
    settings : Settings
        Folders, addresses and rules.
    open_redis, open_label_studio : callable
        Open the two services; tests pass functions of their own.
    recipe_for : callable
        Returns the recipe of rounds, for the settings and the device.
    """

    settings: Settings
    open_redis: Callable[[Settings], redis.Redis] = _open_redis
    open_label_studio: Callable[[Settings], LabelStudio] = LabelStudioClient.from_settings
    recipe_for: Callable[[Settings, Device], Recipe] = _recipe

    @cached_property
    def connection(self) -> redis.Redis:
        """Redis, for queues and the retrain state."""
        return self.open_redis(self.settings)

    @cached_property
    def state(self) -> RetrainState:
        """The retrain state of all projects: waiting events, running rounds, follow-up runs."""
        return RedisRetrainState(self.connection)

    @cached_property
    def label_studio(self) -> LabelStudio:
        """Label Studio."""
        return self.open_label_studio(self.settings)

    @cached_property
    def projects(self) -> KeptProjects:
        """The projects of Label Studio as read by this process."""
        return KeptProjects(self.label_studio, self.settings)

    @cached_property
    def media(self) -> Media:
        """The place from which Label Studio gets videos, curves and reasons."""
        return make_media(self.settings)

    @cached_property
    def device(self) -> Device:
        """The device on which networks run."""
        return choose_device(self.settings.device)

    @property
    def recipe(self) -> Recipe:
        """The recipe of rounds."""
        return self.recipe_for(self.settings, self.device)

    @cached_property
    def ensembles(self) -> EnsembleCache:
        """Loaded ensembles, kept between the jobs of one process."""
        return EnsembleCache(device=self.device)

    @property
    def roots(self) -> ReleaseRoots:
        """The folders of releases; files outside them are not opened."""
        return ReleaseRoots(self.settings.release_roots)

    def profile_of(self, project: int) -> Profile:
        """Return the profile of a project's cubes; ``mdi`` before its first ingestion."""
        return read_project_profile(self.settings.model_dir(project))

    def loader(self, profile: Profile) -> Loader:
        """Return the loader that reads cubes of the release roots by a profile and grids them for its instrument."""
        return Loader(
            roots=tuple(self.settings.release_roots),
            cache=self.settings.cache_root,
            instrument=profile.instrument,
            profile=profile,
        )

    def runtime(self, project: int, report: Report, *, on_excluded: OnExcluded | None = None) -> Runtime:
        """Return the runtime of training and scoring for a project; `report` is called with the progress."""
        profile = self.profile_of(project)
        return Runtime(
            instrument=profile.instrument,
            profile=profile,
            load=self.loader(profile),
            device=self.device,
            inputs=self.settings.cache_root / "inputs",
            report=report,
            on_excluded=on_excluded,
        )

    def registry(self, project: int) -> Registry:
        """Return the model folder of a project."""
        return Registry(self.settings.model_dir(project))
