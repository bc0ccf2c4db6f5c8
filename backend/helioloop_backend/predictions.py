"""Answers to /predict: stored scores of the published version, one entry a task, in order; a miss is ``[]``.

The web process holds no model and opens no path that a task names: a task gives a cube's name and content hash, and
those only look up what a worker has scored. Misses are asked of the worker, once.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from helioloop.labelstudio.config import parse_config
from helioloop.labelstudio.predictions import prediction
from helioloop.labelstudio.tasks import cube_of
from helioloop.messaging import queues
from helioloop.messaging.claims import Claims
from helioloop.messaging.messages import SCORE_CHUNK, Score
from helioloop.records import CubeInfo, CubeScore, Key
from helioloop.registry.score_store import StoredScores
from helioloop.registry.versions import Card, Registry
from helioloop.settings import Settings
from helioloop_backend.current_labels import CurrentLabels

logger = logging.getLogger(__name__)

Entry = dict[str, Any] | list[Any]
"""A prediction in Label Studio's JSON, or ``[]`` for a miss: Label Studio then stores nothing."""

POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Entries in the order of the tasks, and what they were: scores found, cubes not scored yet, foreign tasks."""

    entries: list[Entry]
    hits: int
    misses: int
    foreign: int


class Predictor:
    """Looks up, asks the worker for what is missing, and waits for a few.

    Parameters
    ----------
    settings : Settings
        Where models are, how the classes are called, how long to wait.
    connection : redis.Redis
        Takes the jobs.
    scores : StoredScores
        What is known.
    claims : Claims
        What was asked for.
    """

    def __init__(self, settings: Settings, *, connection: redis.Redis, scores: StoredScores, claims: Claims) -> None:
        self._settings = settings
        self._connection = connection
        self._scores = scores
        self._claims = claims
        self._cards: dict[tuple[int, str], Card] = {}
        self._labels = CurrentLabels(settings)
        # Half of the threads may wait for scores; the others keep /health and /webhook answering.
        self._seats = threading.BoundedSemaphore(max(1, settings.backend_threads // 2))
        self._may_wait = settings.backend_threads > 1

    def answer(self, project: int, tasks: Sequence[Any], label_config: str) -> Answer:
        """Return one entry per task.

        Raises
        ------
        ConfigurationError
            Where a version is published and the labelling configuration lacks the controls to write to.
        RegistryError
            Where the project's model folder is damaged.
        """
        version = self._registry(project).published()
        if version is None:
            return Answer(entries=[[] for _ in tasks], hits=0, misses=0, foreign=len(tasks))
        n_frames = self._n_frames(project, version)
        controls = parse_config(
            label_config,
            emergence=self._settings.class_emergence,
            non_emergence=self._settings.class_non_emergence,
        )
        cubes = [cube_of(task.get("data")) if isinstance(task, dict) else None for task in tasks]
        found = self._look_up(project, version, [cube for cube in cubes if cube is not None])
        entries: list[Entry] = []
        for task, cube in zip(tasks, cubes, strict=True):
            score = None if cube is None else found.get(cube.key)
            if score is None:
                entries.append([])
                continue
            current = self._labels.label(project, task, controls, n_frames=n_frames)
            entries.append(prediction(score, current, controls, model_version=version, n_frames=n_frames))
        hits = sum(1 for entry in entries if entry)
        foreign = sum(1 for cube in cubes if cube is None)
        return Answer(entries=entries, hits=hits, misses=len(tasks) - hits - foreign, foreign=foreign)

    # -- scores ----------------------------------------------------------------------------------

    def _look_up(self, project: int, version: str, cubes: Sequence[CubeInfo]) -> dict[Key, CubeScore]:
        """Return the stored scores, after a short wait for those that a worker may be about to store."""
        found = self._scores.get(project, version, cubes)
        missing = [cube for cube in {cube.key: cube for cube in cubes}.values() if cube.key not in found]
        if not missing or not self._ask(project, version, missing):
            return found
        settings = self._settings
        if len(missing) > settings.predict_wait_tasks or not self._may_wait or not self._seats.acquire(blocking=False):
            return found
        try:
            deadline = time.monotonic() + settings.predict_wait_seconds
            while missing and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                found |= self._scores.get(project, version, missing)
                missing = [cube for cube in missing if cube.key not in found]
        finally:
            self._seats.release()
        return found

    def _ask(self, project: int, version: str, missing: Sequence[CubeInfo]) -> bool:
        """Have the cubes scored, except those asked for already; False where Redis does not take the jobs."""
        try:
            fresh = self._claims.claim(project, version, missing)
            for start in range(0, len(fresh), SCORE_CHUNK):
                try:
                    chunk = tuple(fresh[start : start + SCORE_CHUNK])
                    queues.send(self._connection, Score(project=project, version=version, cubes=chunk))
                except redis.RedisError:
                    self._claims.release(project, version, fresh[start:])
                    raise
        except redis.RedisError as error:
            logger.error("project %d: Redis takes no score job (%s)", project, type(error).__name__)
            return False
        return True

    def _registry(self, project: int) -> Registry:
        return Registry(self._settings.model_dir(project))

    def _n_frames(self, project: int, version: str) -> int:
        """Return the frames on the version's grid; a version's card never changes."""
        key = (project, version)
        if key not in self._cards:
            self._cards[key] = self._registry(project).card(version)
        return int(self._cards[key].instrument["n_frames"])
