"""Answers to /predict: the stored scores of the published version, one entry per task, in order.

The web process loads no model and opens no path that a task names: a task gives a cube's name and content hash, and
those only look up what a worker has scored. Scores that are missing are requested from the workers, once.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from helioloop.labelstudio.config import project_controls
from helioloop.labelstudio.predictions import prediction
from helioloop.labelstudio.tasks import cube_of
from helioloop.logs import fields
from helioloop.messaging import queues
from helioloop.messaging.claims import Claims
from helioloop.messaging.messages import SCORE_CHUNK, Score
from helioloop.records.controls import Controls
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.scores import CubeScore
from helioloop.registry.project_controls import controls_path, read_project_controls
from helioloop.registry.random_checks import RandomChecks, random_checks_path
from helioloop.registry.score_store import StoredScores
from helioloop.registry.unscorable import read_unscorable, unscorable_path
from helioloop.registry.versions import Card, Registry
from helioloop.settings import Settings
from helioloop_backend.current_labels import CurrentLabels
from helioloop_backend.file_cache import FileCache

logger = logging.getLogger(__name__)

Entry = dict[str, Any] | list[Any]
"""A prediction in Label Studio's JSON, or ``[]`` where there is none: Label Studio then stores nothing."""

POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Entries in the order of the tasks, and how many tasks there were of each kind.

    Parameters
    ----------
    entries : list
        One per task.
    hits : int
        Tasks whose cube has a stored score.
    misses : int
        Tasks whose cube is not scored yet.
    unscorable : int
        Tasks whose cube the published version could not score.
    foreign : int
        Tasks that are not helioloop's; all tasks while no version is published.
    blind : int
        Tasks of random checks that nobody has answered: they get no prediction.
    """

    entries: list[Entry]
    hits: int
    misses: int
    unscorable: int
    foreign: int
    blind: int = 0


class Predictor:
    """Answers from stored scores, requests missing ones from the workers, and waits for a few of them.

    Parameters
    ----------
    settings : Settings
        Model folders, class values, how long to wait.
    connection : redis.Redis
        Takes the scoring jobs.
    scores : StoredScores
        Stored scores of all projects.
    claims : Claims
        Cubes whose scores were requested already.
    """

    def __init__(self, settings: Settings, *, connection: redis.Redis, scores: StoredScores, claims: Claims) -> None:
        self._settings = settings
        self._connection = connection
        self._scores = scores
        self._claims = claims
        self._cards: dict[tuple[int, str], Card] = {}
        self._labels = CurrentLabels(settings)
        self._unscorable_files: FileCache[frozenset[str]] = FileCache()
        self._random_checks: FileCache[RandomChecks | None] = FileCache()
        self._controls: FileCache[Controls | None] = FileCache()
        # Half of the threads may wait for scores; the others keep /health and /webhook answering.
        self._waiting_slots = threading.BoundedSemaphore(max(1, settings.backend_threads // 2))
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
            sentence = "project %d: %d tasks get no prediction: no version is published"
            logger.info(sentence, project, len(tasks), extra=fields(project=project, tasks=len(tasks)))
            return Answer(entries=[[] for _ in tasks], hits=0, misses=0, unscorable=0, foreign=len(tasks))
        n_frames = self._n_frames(project, version)
        controls = self._controls_of(project, label_config)
        cubes = [cube_of(task.get("data")) if isinstance(task, dict) else None for task in tasks]
        blind = self._blind(project)
        named = [cube for cube in cubes if cube is not None and cube.name not in blind]
        found = self._look_up(project, version, named)
        entries: list[Entry] = []
        for task, cube in zip(tasks, cubes, strict=True):
            score = None if cube is None or cube.name in blind else found.get(cube.key)
            if score is None:
                entries.append([])
                continue
            current = self._labels.label(project, task, controls, n_frames=n_frames)
            entries.append(prediction(score, current, controls, model_version=version, n_frames=n_frames))
        hits = sum(1 for entry in entries if entry)
        misses = len(self._missing(project, version, named, found))
        answer = Answer(
            entries=entries,
            hits=hits,
            misses=misses,
            unscorable=len(named) - hits - misses,
            foreign=cubes.count(None),
            blind=len(tasks) - cubes.count(None) - len(named),
        )
        _log(project, version, answer)
        return answer

    def _controls_of(self, project: int, label_config: str) -> Controls:
        """Return the controls of a project, by the words that its model folder keeps."""
        folder = self._settings.model_dir(project)
        kept = self._controls.get(controls_path(folder), lambda: read_project_controls(folder))
        if kept is None:
            kept = read_project_controls(folder)  # raises where the file is there but damaged
        return project_controls(
            label_config,
            kept,
            emergence=self._settings.class_emergence,
            non_emergence=self._settings.class_non_emergence,
        )

    def _blind(self, project: int) -> frozenset[str]:
        """Return the cubes of random checks that nobody had answered when the worker last read the annotations."""
        folder = self._settings.model_dir(project)
        checks = self._random_checks.get(random_checks_path(folder), lambda: RandomChecks.read(folder))
        return frozenset() if checks is None else checks.blind(self._labels.known(project))

    def _look_up(self, project: int, version: str, cubes: Sequence[CubeInfo]) -> dict[Key, CubeScore]:
        """Return the stored scores, after a short wait for those that a worker may be about to store."""
        unique = list({cube.key: cube for cube in cubes}.values())
        found = self._scores.get(project, version, unique)
        missing = self._missing(project, version, unique, found)
        if not missing or not self._request_scores(project, version, missing):
            return found
        settings = self._settings
        if len(missing) > settings.predict_wait_tasks or not self._may_wait:
            return found
        if not self._waiting_slots.acquire(blocking=False):
            return found
        try:
            deadline = time.monotonic() + settings.predict_wait_seconds
            while missing and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                found |= self._scores.get(project, version, missing)
                missing = self._missing(project, version, missing, found)
        finally:
            self._waiting_slots.release()
        return found

    def _missing(
        self, project: int, version: str, cubes: Sequence[CubeInfo], found: dict[Key, CubeScore]
    ) -> list[CubeInfo]:
        """Return the cubes whose score is worth requesting: neither stored nor known to be unscorable."""
        folder = self._settings.model_dir(project)
        unscorable = self._unscorable_files.get(
            unscorable_path(folder, version), lambda: read_unscorable(folder, version)
        )
        excluded = unscorable or frozenset()
        return [cube for cube in cubes if cube.key not in found and cube.sha256 not in excluded]

    def _request_scores(self, project: int, version: str, missing: Sequence[CubeInfo]) -> bool:
        """Send scoring jobs for cubes that nobody has requested yet; False where Redis does not take them."""
        try:
            claimed = self._claims.claim(project, version, missing)
            for start in range(0, len(claimed), SCORE_CHUNK):
                try:
                    chunk = tuple(claimed[start : start + SCORE_CHUNK])
                    queues.send(self._connection, Score(project=project, version=version, cubes=chunk))
                except redis.RedisError:
                    self._claims.release(project, version, claimed[start:])
                    raise
        except redis.RedisError as error:
            logger.error(
                "project %d: scores could not be requested from Redis (%s)",
                project,
                type(error).__name__,
                extra=fields(project=project, version=version),
            )
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


def _log(project: int, version: str, answer: Answer) -> None:
    """Log how many tasks got a prediction, and why the others got none."""
    counts = {
        "hits": answer.hits,
        "misses": answer.misses,
        "unscorable": answer.unscorable,
        "foreign": answer.foreign,
        "blind": answer.blind,
    }
    logger.info(
        "project %d: %d tasks: %s",
        project,
        len(answer.entries),
        ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none",
        extra=fields(project=project, version=version, tasks=len(answer.entries), **counts),
    )
