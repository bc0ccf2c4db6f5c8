"""What a worker process works with, put together once: settings, Redis, Label Studio, folders, device.

The composition root of the worker. Jobs ask for it when they run; nothing is opened at import.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import redis

from helioloop.data.cache import CubeCache
from helioloop.data.release import ReleaseRoots
from helioloop.errors import CubeError, ReleaseError
from helioloop.instrument import MDI, Instrument
from helioloop.messaging import queues
from helioloop.messaging.retrain_state import RedisRetrainState, RetrainState
from helioloop.model.device import Device, choose_device
from helioloop.records import CubeRef
from helioloop.registry.versions import Registry
from helioloop.settings import Settings, load_settings
from helioloop_worker.labelstudio.client import Gateway
from helioloop_worker.labelstudio.port import LabelStudio


@dataclass(frozen=True)
class Context:
    """The parts that a job needs; the dear ones are made when first asked for."""

    settings: Settings
    instrument: Instrument = MDI

    @cached_property
    def connection(self) -> redis.Redis:
        """Redis, for queue and cache."""
        return queues.connect(self.settings, timeout_seconds=30.0)

    @cached_property
    def state(self) -> RetrainState:
        """What each project's retraining waits for."""
        return RedisRetrainState(self.connection)

    @cached_property
    def gateway(self) -> LabelStudio:
        """Label Studio."""
        return Gateway.from_settings(self.settings)

    @cached_property
    def device(self) -> Device:
        """Where networks run."""
        return choose_device(self.settings.device)

    @cached_property
    def roots(self) -> ReleaseRoots:
        """The folders that releases are found in; no other path is ever opened for a task."""
        return ReleaseRoots(self.settings.release_roots)

    @cached_property
    def cache(self) -> CubeCache:
        """Preprocessed cubes."""
        return CubeCache(self.settings.cache_root, self.instrument)

    @property
    def inputs(self) -> Path:
        """Folder of inputs prepared for networks, shared by members and rounds."""
        return self.settings.cache_root / "inputs"

    def registry(self, project: int) -> Registry:
        """Return the model folder of a project."""
        return Registry(self.settings.model_dir(project))

    def load(self, ref: CubeRef) -> npt.NDArray[np.float16]:
        """Return a cube on the grid; see `helioloop.model.inputs.Load`.

        Raises
        ------
        CubeError
            Where its files are in no release root, cannot be read, or are not those that were ingested.
        """
        try:
            path = self.roots.path(ref.release, ref.cube)
        except ReleaseError as error:
            raise CubeError(str(error)) from None
        return self.cache.load(path, ref.sha256)


@lru_cache(maxsize=1)
def context() -> Context:
    """Return this process's context."""
    return Context(load_settings())
