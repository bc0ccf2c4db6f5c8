"""Label Studio in memory, with every call counted: how many there are, and how many tasks or rows go through them."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CALL_SECONDS = 0.02
"""Time that a call takes beside its rows."""
ROW_SECONDS = {
    "tasks": 1.3e-3,
    "annotated_tasks": 1.6e-3,
    "tasks_after": 1.3e-3,
    "changed_tasks": 3.3e-3,
    "tasks_by_id": 3.3e-3,
    "predictions": 1.0e-3,
    "import_predictions": 0.9e-3,
    "import_tasks": 1.0e-3,
    "set_data_field": 0.2e-3,
    "delete_predictions": 0.1,
    "rescore": 0.1,
}
"""Time of a task or row in each call to Label Studio 1.23.2 with SQLite. For exports, listed tasks and imports it was
measured on 2,000 tasks; for the others it is an estimate."""


@dataclass
class Traffic:
    """Calls and rows of each kind, and the wall and CPU time of the fake and of what else is not helioloop's own."""

    calls: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    inside_seconds: float = 0.0
    inside_cpu_seconds: float = 0.0

    @property
    def server_seconds(self) -> float:
        """Time that a real Label Studio would take for them."""
        calls = CALL_SECONDS * sum(self.calls.values())
        return calls + sum(ROW_SECONDS.get(name, 0.0) * rows for name, rows in self.rows.items())


class CountedLabelStudio:
    """Passes every call on to a fake, and counts it."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.traffic = Traffic()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.fake, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            with self.apart():
                answer = method(*arguments, **options)
            self.traffic.calls[name] += 1
            self.traffic.rows[name] += _rows(arguments, answer)
            return answer

        return counted

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Leave the time within the block out of helioloop's own."""
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.traffic.inside_seconds += time.perf_counter() - begun
            self.traffic.inside_cpu_seconds += time.process_time() - cpu

    @contextmanager
    def counting(self) -> Iterator[Traffic]:
        """Count anew within the block, and yield the counts."""
        before, self.traffic = self.traffic, Traffic()
        try:
            yield self.traffic
        finally:
            self.traffic = before


def _rows(arguments: tuple[Any, ...], answer: Any) -> int:
    """Return how many tasks or rows a call read or changed: those in its answer, else those that it was given."""
    if isinstance(answer, list):
        return len(answer)
    sizes = [len(argument) for argument in arguments if isinstance(argument, list | tuple)]
    return max(sizes, default=1)
