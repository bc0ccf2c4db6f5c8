"""Networks that take no time: made-up scores in place of those of members, so that everything else can be measured."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from helioloop.model import ensemble
from helioloop.records.cubes import CubeInfo
from helioloop.records.scores import CubeScore
from helioloop_worker.loop import round_steps, scoring
from tests.benchmarks.growth.archive import Archive


@contextmanager
def no_networks(archive: Archive) -> Iterator[None]:
    """Let jobs score and locate without networks; the time in which the scores are made up does not count."""
    by_name = {cube.name: cube for cube in archive.cubes}

    def score(_: Any, cubes: Sequence[CubeInfo], *_more: Any) -> list[CubeScore]:
        with archive.label_studio.apart():
            return [archive.score(by_name[cube.name], located=False) for cube in cubes]

    def locate(_: Any, __: Any, scores: Sequence[CubeScore], *_more: Any, **_labels: Any) -> list[CubeScore]:
        with archive.label_studio.apart():
            return [archive.score(by_name[score.cube]) for score in scores]

    with ExitStack() as patched:
        patched.enter_context(patch.object(ensemble, "score_cubes", score))
        patched.enter_context(patch.object(ensemble, "load_members", lambda *_: {}))
        patched.enter_context(patch.object(ensemble.Ensemble, "p_networks", lambda *_: np.array([0.5])))
        for module in (round_steps, scoring):
            patched.enter_context(patch.object(module, "locate_emergences", locate))
        patched.enter_context(patch.object(ensemble.EnsembleCache, "open", lambda *_: None))
        yield
