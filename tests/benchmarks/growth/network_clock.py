"""A clock that runs while networks of the recipe quick compute, in calls of the networks and of masking curves."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from helioloop.model.architectures import find_architecture
from helioloop.model.per_frame_network import PerFrameNetwork
from helioloop.model.recipes import QUICK


@dataclass
class Clock:
    """Wall and CPU time inside networks so far."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    inside: bool = False

    def timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method whose calls are timed; calls within others count once."""

        def call(*arguments: Any, **options: Any) -> Any:
            if self.inside:  # a masking curve calls its networks
                return method(*arguments, **options)
            self.inside, begun, cpu = True, time.perf_counter(), time.process_time()
            try:
                return method(*arguments, **options)
            finally:
                self.inside = False
                self.seconds += time.perf_counter() - begun
                self.cpu_seconds += time.process_time() - cpu

        return call


@contextmanager
def network_clock() -> Iterator[Clock]:
    """Time every call of a network of `quick` within the block, and every masking curve."""
    clock, architecture = Clock(), type(find_architecture(QUICK.network))
    with ExitStack() as patched:
        for kind, name in ((PerFrameNetwork, "forward"), (architecture, "masked_logits")):
            patched.enter_context(patch.object(kind, name, clock.timed(getattr(kind, name))))
        yield clock
