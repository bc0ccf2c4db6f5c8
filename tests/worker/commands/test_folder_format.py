"""Commands and jobs on a model folder that another version of helioloop made."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cards import FINGERPRINT, bare_card
from tests.worker.conftest import LoopProject
from tests.worker.shell import run_one_of

from helioloop.errors import RegistryError
from helioloop.registry.versions import Registry
from helioloop_worker import jobs
from helioloop_worker.commands import learning, project


def _make_version(folder: Path) -> None:
    registry = Registry(folder)
    registry.publish(registry.admit(registry.staging(FINGERPRINT), bare_card()).version, why="test")


@pytest.mark.parametrize("words", [["versions"], ["rollback", "v0001"], ["status"]], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 2}', "has format 2, and helioloop"),
        (None, "model versions but no format.json"),
        ("x", "format.json is not"),
    ],
    ids=["unknown", "missing", "damaged"],
)
def test_commands_refuse_a_folder_of_another_format(
    tmp_path: Path, words: list[str], content: str | None, message: str
) -> None:
    """Status 1 and the sentence with the remedy."""
    _make_version(tmp_path)
    if content is None:
        (tmp_path / "format.json").unlink()
    else:
        (tmp_path / "format.json").write_text(content)
    result = run_one_of([*learning.commands(), *project.commands()], *words, "--model-dir", tmp_path)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("job", [jobs.check_retraining, jobs.reconcile], ids=lambda job: job.__name__)
def test_jobs_refuse_a_folder_of_another_format(loop_project: LoopProject, job: Callable[..., object]) -> None:
    """Neither labels nor a round are written into it."""
    _make_version(loop_project.model_dir)
    (loop_project.model_dir / "format.json").write_text('{"format": 2}')
    with pytest.raises(RegistryError, match="has format 2"):
        job(loop_project.context, loop_project.id)
    assert not (loop_project.model_dir / "labels.json").exists()
    assert list((loop_project.model_dir / "staging").iterdir()) == []
