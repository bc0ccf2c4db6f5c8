"""What the backend stands on, put together once from the settings: the only place that knows which parts are real.

Above `predictions` and `metrics`, below `events`, `model` and `wsgi`. Nothing here touches the network: the backend
starts while Redis is down.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import redis
from flask import current_app, has_app_context

from helioloop.messaging import queues
from helioloop.messaging.claims import RedisClaims
from helioloop.messaging.retrain_state import RedisRetrainState, RetrainState
from helioloop.registry.score_store import StoredScores
from helioloop.registry.versions import Registry
from helioloop.settings import Settings, load_settings
from helioloop_backend.metrics import Metrics
from helioloop_backend.predictions import Predictor

EXTENSION: Final = "helioloop"
REDIS_SECONDS: Final = 0.5
"""Longest wait for Redis: Label Studio gives a webhook one second in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What one app works with: settings, Redis, the retrain state, the predictor, the metrics."""

    settings: Settings
    connection: redis.Redis
    retrain: RetrainState
    predictor: Predictor
    metrics: Metrics

    def registry(self, project: int) -> Registry:
        """Return the model folder of a project."""
        return Registry(self.settings.model_dir(project))

    def projects(self) -> Iterator[int]:
        """Yield the projects that have a model folder, in order."""
        yield from self.settings.projects()


def build(settings: Settings) -> Services:
    """Put the services together."""
    connection = queues.client(settings, timeout_seconds=REDIS_SECONDS)
    scores = StoredScores(lambda project, version: Registry(settings.model_dir(project)).folder(version))
    return Services(
        settings=settings,
        connection=connection,
        retrain=RedisRetrainState(connection),
        predictor=Predictor(settings, connection=connection, scores=scores, claims=RedisClaims(connection)),
        metrics=Metrics(),
    )


def current() -> Services:
    """Return the services of the running app; those of the environment where the model is used outside of it."""
    if has_app_context() and EXTENSION in current_app.extensions:
        services: Services = current_app.extensions[EXTENSION]
        return services
    return _from_environment()


@lru_cache(maxsize=1)
def _from_environment() -> Services:
    return build(load_settings())
