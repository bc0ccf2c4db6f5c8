"""Answers to /predict: the stored scores of the published version, one entry per task, in order.

The web process loads no model and opens no path that a task names: a task gives a cube's name and content hash, and
those only look up what a worker has scored. Scores that are missing are requested from the workers, once.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import redis

from helioloop.files.names import is_plain_name
from helioloop.labelstudio.tasks import cube_of
from helioloop.logs import fields
from helioloop.messaging import queues
from helioloop.messaging.claims import Claims
from helioloop.messaging.messages import SCORE_CHUNK, Score
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.score_store import StoredScores
from helioloop.registry.unscorable import read_unscorable, unscorable_path
from helioloop.settings import Settings
from helioloop_backend.after_answer import after_answer
from helioloop_backend.answers import Answer, Wordings
from helioloop_backend.current_labels import CurrentLabels, ProjectLabels
from helioloop_backend.file_cache import FileCache
from helioloop_backend.model_folders import ModelFolders
from helioloop_backend.project_files import ProjectControls, PublishedVersions, VersionFrames
from helioloop_backend.redis_claim import RedisClaim

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.05


class Predictor:
    """Answers from stored scores, requests missing ones from the workers, and waits for a few of them.

    Parameters
    ----------
    settings : Settings
        Model folders, class values, how long to wait.
    connection : redis.Redis
        Takes the scoring jobs.
    redis_claim : RedisClaim
        Whether that Redis serves this model root; else no job is sent.
    scores : StoredScores
        Stored scores of all projects.
    claims : Claims
        Cubes whose scores were requested already.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connection: redis.Redis,
        redis_claim: RedisClaim,
        scores: StoredScores,
        claims: Claims,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._redis_claim = redis_claim
        self._scores = scores
        self._claims = claims
        self._folders = ModelFolders(settings)
        self._frames = VersionFrames(self._folders)
        self._labels = CurrentLabels(self._folders)
        self._unscorable_files: FileCache[frozenset[str]] = FileCache()
        self._random_checks: FileCache[RandomChecks | None] = FileCache()
        self._published = PublishedVersions(self._folders)
        self._project_controls = ProjectControls(settings, self._folders)
        self._wordings = Wordings()
        self._blind_cubes: dict[int, tuple[RandomChecks, Mapping[str, CurrentLabel], frozenset[str]]] = {}
        # Half of the threads may wait for scores; the others keep /health and /webhook answering.
        self._waiting_slots = threading.BoundedSemaphore(max(1, settings.backend_threads // 2))
        self._may_wait = settings.backend_threads > 1

    def published(self, project: int) -> str | None:
        """Return the published version of a project, or None; a damaged pointer is a `RegistryError`."""
        return self._published.get(project)

    def answer(self, project: int, tasks: Sequence[Any], label_config: str) -> Answer:
        """Return what each task gets.

        Parameters
        ----------
        project : int
            Id of the Label Studio project.
        tasks : sequence
            Tasks as Label Studio sent them, whatever they hold.
        label_config : str
            The labelling configuration that Label Studio sent.

        Raises
        ------
        ConfigurationError
            Where a version is published and the labelling configuration lacks the controls to write to.
        RegistryError
            Where the project's model folder is damaged.
        """
        version = self._published.get(project)
        if version is None:
            after_answer(partial(_log_unpublished, project, len(tasks)))
            nothing = [None] * len(tasks)
            return Answer(found=nothing, wording=None, hits=0, misses=0, unscorable=0, foreign=len(tasks))
        controls = self._project_controls.get(project, label_config)
        wording = self._wordings.get(project, version, controls, n_frames=self._frames.get(project, version))
        labels = self._labels.of_project(project, controls, n_frames=wording.n_frames)
        blind = self._blind(project, labels)
        stored = self._scores.recent(project, version)
        plain: set[str] = set()
        found: list[tuple[CubeScore, Label | None] | None] = []
        rest: dict[int, CubeInfo] = {}
        foreign = n_blind = 0
        for place, task in enumerate(tasks):
            data = task.get("data") if isinstance(task, dict) else None
            score = _stored_score(stored, data, plain)
            if score is not None and score.cube not in blind:
                found.append((score, labels.label(task)))
                continue
            found.append(None)
            cube = cube_of(data)
            if cube is None:
                foreign += 1
            elif cube.name in blind:
                n_blind += 1
            else:
                rest[place] = cube
        missing: list[CubeInfo] = []
        if rest:
            later = self._look_up(project, version, list(rest.values()))
            for place, cube in rest.items():
                score = later.get(cube.key)
                found[place] = None if score is None else (score, labels.label(tasks[place]))
            missing = self._missing(project, version, list(rest.values()), later)
        hits = len(found) - found.count(None)
        answer = Answer(
            found=found,
            wording=wording,
            hits=hits,
            misses=len(missing),
            unscorable=len(tasks) - hits - len(missing) - foreign - n_blind,
            foreign=foreign,
            blind=n_blind,
        )
        after_answer(partial(_log, project, version, answer))
        return answer

    def _blind(self, project: int, labels: ProjectLabels) -> frozenset[str]:
        """Return the cubes of random checks that nobody had answered when the worker last read the annotations.

        Where they cannot be read there is no answer at all, because Label Studio would store predictions of them.
        """
        folder = self._folders.get(project)
        checks = self._random_checks.get_sound(folder.random_checks, lambda: RandomChecks.read(folder.path))
        if checks is None:
            return frozenset()
        held = self._blind_cubes.get(project)
        if held is None or held[0] is not checks or held[1] is not labels.known:
            held = self._blind_cubes[project] = (checks, labels.known, checks.blind(labels.known))
        return held[2]

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
            str(unscorable_path(folder, version)), lambda: read_unscorable(folder, version)
        )
        excluded = unscorable or frozenset()
        return [cube for cube in cubes if cube.key not in found and cube.sha256 not in excluded]

    def _request_scores(self, project: int, version: str, missing: Sequence[CubeInfo]) -> bool:
        """Send scoring jobs for cubes that nobody has requested yet; False where Redis does not take them."""
        try:
            if self._redis_claim.is_refused():
                return False
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


def _stored_score(stored: Mapping[Key, CubeScore], data: Any, plain: set[str]) -> CubeScore | None:
    """Return the score of the cube that a task's data name, where it is stored; None for all other data.

    Parameters
    ----------
    stored : mapping
        Scores by name and content hash.
    data : object
        The task's ``data``, whatever it holds.
    plain : set of str
        Names of releases that were found to be plain; such a name is added.
    """
    if not isinstance(data, dict):
        return None
    try:
        score = stored.get((data.get("cube"), data.get("sha256")))  # type: ignore[arg-type] # of any type
    except TypeError:  # a list or an object
        return None
    if score is None:
        return None
    release = data.get("release")
    if release not in plain if isinstance(release, str) else True:
        if not is_plain_name(release):
            return None
        plain.add(release)
    return score


def _log_unpublished(project: int, n_tasks: int) -> None:
    """Log that a request came before the first version."""
    sentence = "project %d: %d tasks get no prediction: no version is published"
    logger.info(sentence, project, n_tasks, extra=fields(project=project, tasks=n_tasks))


def _log(project: int, version: str, answer: Answer) -> None:
    """Log how many tasks got a prediction, and why the others got none."""
    counts = answer.counts
    logger.info(
        "project %d: %d tasks: %s",
        project,
        len(answer.found),
        ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none",
        extra=fields(project=project, version=version, tasks=len(answer.found), **counts),
    )
