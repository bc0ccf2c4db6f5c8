"""What a worker process works with: settings, Redis, Label Studio, cubes, device. The worker's composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import redis

from helioloop.data.loader import Loader
from helioloop.data.release import ReleaseRoots
from helioloop.instrument import MDI, Instrument
from helioloop.messaging import redis_client
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import RetrainState
from helioloop.model.device import Device, choose_device
from helioloop.model.ensemble import EnsembleCache
from helioloop.model.recipes import Recipe, find_recipe
from helioloop.model.runtime import OnExcluded, Runtime
from helioloop.progress import Report
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.port import LabelStudio

REDIS_SECONDS = 30.0
"""Longest wait for one answer of Redis."""


def _open_redis(settings: Settings) -> redis.Redis:
    return redis_client.connect(settings, timeout_seconds=REDIS_SECONDS)


def _recipe(settings: Settings, device: Device) -> Recipe:
    return find_recipe(settings.recipe, gpu=device.kind == "cuda").in_epochs(settings.epochs)


@dataclass(frozen=True)
class Context:
    """The parts that jobs work with. Redis, Label Studio and the device are opened when first used.

    Parameters
    ----------
    settings : Settings
        Folders, addresses, rules.
    instrument : Instrument
        The grid of all projects.
    open_redis, open_label_studio : callable
        Open the two services; tests give those of their own.
    recipe_for : callable
        Returns what rounds train, for the settings and the device.
    """

    settings: Settings
    instrument: Instrument = MDI
    open_redis: Callable[[Settings], redis.Redis] = _open_redis
    open_label_studio: Callable[[Settings], LabelStudio] = LabelStudioClient.from_settings
    recipe_for: Callable[[Settings, Device], Recipe] = _recipe

    @cached_property
    def connection(self) -> redis.Redis:
        """Redis, for queues and the retrain state."""
        return self.open_redis(self.settings)

    @cached_property
    def state(self) -> RetrainState:
        """What each project's retraining waits for."""
        return RedisRetrainState(self.connection)

    @cached_property
    def label_studio(self) -> LabelStudio:
        """Label Studio."""
        return self.open_label_studio(self.settings)

    @cached_property
    def device(self) -> Device:
        """Where networks run."""
        return choose_device(self.settings.device)

    @property
    def recipe(self) -> Recipe:
        """What rounds train."""
        return self.recipe_for(self.settings, self.device)

    @cached_property
    def ensembles(self) -> EnsembleCache:
        """Loaded ensembles, kept between the jobs of one process."""
        return EnsembleCache(device=self.device)

    @property
    def roots(self) -> ReleaseRoots:
        """The folders of releases; no other path is opened for a task."""
        return ReleaseRoots(self.settings.release_roots)

    @property
    def loader(self) -> Loader:
        """Returns gridded cubes of the release roots."""
        return Loader(
            roots=tuple(self.settings.release_roots), cache=self.settings.cache_root, instrument=self.instrument
        )

    def runtime(self, report: Report, *, on_excluded: OnExcluded | None = None) -> Runtime:
        """Return what training and scoring work with; `report` is called with the progress."""
        return Runtime(
            instrument=self.instrument,
            load=self.loader,
            device=self.device,
            inputs=self.settings.cache_root / "inputs",
            report=report,
            on_excluded=on_excluded,
        )

    def registry(self, project: int) -> Registry:
        """Return the model folder of a project."""
        return Registry(self.settings.model_dir(project))
