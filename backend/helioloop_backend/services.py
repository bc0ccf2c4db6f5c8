"""The services of the backend, built once from the settings.

Nothing here uses the network: the backend starts while Redis is down.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import redis
from flask import current_app

from helioloop.messaging import redis_client
from helioloop.messaging.claims import RedisClaims
from helioloop.messaging.event_intake import EventIntake
from helioloop.registry.score_store import StoredScores
from helioloop.registry.versions import Registry
from helioloop.settings import Settings, load_settings
from helioloop_backend.metrics import Metrics
from helioloop_backend.predictions import Predictor
from helioloop_backend.readiness import Readiness
from helioloop_backend.redis_claim import RedisClaim

EXTENSION: Final = "helioloop"
REDIS_SECONDS: Final = 0.5
"""Longest wait for Redis: Label Studio waits one second for the answer to a webhook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Settings, Redis and the claim on it, intake of events, predictor, metrics and readiness of one app."""

    settings: Settings
    connection: redis.Redis
    redis_claim: RedisClaim
    intake: EventIntake
    predictor: Predictor
    metrics: Metrics
    readiness: Readiness

    def registry(self, project: int) -> Registry:
        """Return the model folder of a project."""
        return Registry(self.settings.model_dir(project))

    def projects(self) -> Iterator[int]:
        """Yield the projects that have a model folder, in order."""
        yield from self.settings.projects()


def build(settings: Settings) -> Services:
    """Return the services for these settings."""
    connection = redis_client.make_client(settings, timeout_seconds=REDIS_SECONDS)
    redis_claim = RedisClaim(settings, connection)
    scores = StoredScores(lambda project, version: Registry(settings.model_dir(project)).folder(version))
    return Services(
        settings=settings,
        connection=connection,
        redis_claim=redis_claim,
        intake=EventIntake(connection, settings),
        predictor=Predictor(
            settings, connection=connection, redis_claim=redis_claim, scores=scores, claims=RedisClaims(connection)
        ),
        metrics=Metrics(),
        readiness=Readiness(settings, connection, redis_claim),
    )


def current() -> Services:
    """Return the services of the running app; outside of an app, those of the environment's settings."""
    try:
        services: Services | None = current_app.extensions.get(EXTENSION)
    except RuntimeError:  # outside of an app
        services = None
    return _from_environment() if services is None else services


@lru_cache(maxsize=1)
def _from_environment() -> Services:
    return build(load_settings())
