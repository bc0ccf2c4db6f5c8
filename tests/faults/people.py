"""Annotators and Label Studio's own requests, in threads of their own, while workers and services come to harm."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from helioloop.errors import LabelStudioError
from tests.faults.label_studio import ServedLabelStudio
from tests.faults.web import Backend
from tests.worker.conftest import emerges

WORDS: Final = ("emergence", "non-emergence")
LOST_EVENTS: Final = 0.2
"""Fraction of the events that Label Studio never sends."""
EVENT_SECONDS: Final = 1.0
"""Label Studio waits this long for the answer to an event."""
PREDICT_SECONDS: Final = 30.0
"""Label Studio waits 100 s for predictions."""


class People:
    """Annotators who answer, change and delete, and open tasks.

    Parameters
    ----------
    served : ServedLabelStudio
        Where they work.
    project : int
        The project.
    cubes : dict
        Task -> cube.
    backends : sequence of Backend
        Any one of them gets an event.
    on_status : callable
        Called with the status of each answer of a backend.
    published : callable
        Returns the published version.
    seed : int
        Of what they do.
    rate_hz : float
        Corrections a second.
    """

    def __init__(
        self,
        served: ServedLabelStudio,
        project: int,
        cubes: dict[int, str],
        backends: Sequence[Backend],
        *,
        on_status: Callable[[int], None],
        published: Callable[[], str | None],
        seed: int,
        rate_hz: float,
    ) -> None:
        self._served, self._project, self._cubes, self._backends = served, project, cubes, backends
        self._on_status, self._published, self._rate_hz = on_status, published, rate_hz
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._annotation: dict[int, int] = {}
        self.corrections = self.opened = 0
        self._may_work, self._ends = threading.Event(), threading.Event()
        self._turn = threading.Lock()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._annotate, self._open_tasks)]
        for thread in self._threads:
            thread.start()

    def work(self) -> None:
        """Let them work."""
        self._may_work.set()

    def pause(self) -> None:
        """Let them finish what they do, and pause."""
        self._may_work.clear()
        with self._turn:
            pass

    def close(self) -> None:
        """Send them home."""
        self._ends.set()
        self._may_work.set()
        for thread in self._threads:
            thread.join()

    def press_start(self) -> None:
        """Press "Start training"."""
        self._send("START_TRAINING")

    def correct(self) -> None:
        """Answer, change or delete the answer of a random task; some of the events are lost on the way."""
        task = self._random.choice([*self._cubes])
        is_wrong = self._random.random() < 0.15  # else too few of a class might be left to train on
        word = WORDS[emerges(self._cubes[task]) == is_wrong]
        number, action = self._annotation.get(task), "ANNOTATION_UPDATED"
        with self._served.lock:
            if number is None:
                self._annotation[task] = self._served.fake.annotate(task, word)
                action = "ANNOTATION_CREATED"
            elif self._random.random() < 0.1:
                self._served.fake.delete_annotation(number)
                del self._annotation[task]
                action = "ANNOTATIONS_DELETED"
            else:
                self._served.fake.revise(number, word)
        self.corrections += 1
        if self._random.random() >= LOST_EVENTS:
            self._send(action)

    def _annotate(self) -> None:
        while self._may_work.wait() and not self._ends.is_set():
            with self._turn:
                if self._may_work.is_set() and not self._ends.is_set():
                    self.correct()
            time.sleep(self._random.uniform(0.0, 2.0 / self._rate_hz))

    def _send(self, action: str) -> None:
        backend = self._random.choice(self._backends)
        body = {"action": action, "project": {"id": self._project}}
        answer = backend.call("POST", "/webhook", body, timeout_seconds=EVENT_SECONDS)
        if answer is not None:
            self._on_status(answer[0])

    def _open_tasks(self) -> None:
        """Open tasks, for which Label Studio asks a backend and stores its answer, however late."""
        chance = random.Random(self._random.random())  # noqa: S311
        while self._may_work.wait() and not self._ends.is_set():
            task = chance.choice([*self._cubes])
            version = self._published()  # Label Studio has asked /setup for it
            with self._served.lock:
                now = self._served.fake.tasks_now(self._project, [task])[0]
                info = self._served.fake.project(self._project)
            if version is not None and not any(row.model_version == version for row in now.predictions):
                self._ask(chance.choice(self._backends), {"id": task, "data": dict(now.data)}, info.label_config)
            time.sleep(chance.uniform(0.0, 0.3))

    def _ask(self, backend: Backend, task: dict[str, Any], label_config: str) -> None:
        body = {"tasks": [task], "project": f"{self._project}.1", "label_config": label_config, "params": {}}
        answer = backend.call("POST", "/predict", body, timeout_seconds=PREDICT_SECONDS)
        if answer is None:
            return
        status, content = answer
        self._on_status(status)
        entry = content["results"][0] if status == 200 and content.get("results") else None
        if entry:
            self.opened += 1
            # One that does not fit the labelling configuration any more is dropped.
            with self._served.lock, suppress(LabelStudioError):
                self._served.fake.import_predictions(self._project, [{"task": task["id"], **entry}])
