"""The real Label Studio keeps the contract of the port, as the in-memory fake does."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Loop
from tests.e2e.empty_projects import empty_project, place_of
from tests.worker.labelstudio.contract.checks import CONTRACT
from tests.worker.labelstudio.contract.empty_project import EmptyProject

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture
def empty(loop: Loop, request: pytest.FixtureRequest) -> Iterator[EmptyProject]:
    """An empty project of the running Label Studio."""
    with (
        place_of(loop.settings, loop.stack.backend_url) as backend,
        empty_project(loop.label_studio, loop.client, loop.annotate, backend, title=request.node.name) as project,
    ):
        yield project


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_the_real_label_studio_keeps_the_contract(check: Callable[[EmptyProject], None], empty: EmptyProject) -> None:
    """Each check of the contract."""
    check(empty)
