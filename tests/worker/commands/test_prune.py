"""`helioloop prune`: what it prints, asks and removes, and what it leaves alone without its services."""

from pathlib import Path

import pytest
from tests import whole
from tests.worker.conftest import LoopProject
from tests.worker.shell import run_one_of

from helioloop.settings import Settings
from helioloop_worker.commands import learning, options, prune

Data = dict[str, dict[str, str]]


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> LoopProject:
    """Three published versions with 2 kB of weights each; no Label Studio answers, and the cache is empty."""
    loop_project.import_cubes(task_data)
    for _ in range(3):
        version = loop_project.publish()
        (loop_project.registry.folder(version) / "fold0-0.safetensors").write_bytes(whole.weights(2000))
    settings = loop_project.context.settings.model_copy(
        update={"label_studio_url": "http://127.0.0.1:9", "cache_root": loop_project.model_dir.parent / "cache"}
    )
    use(settings, monkeypatch)
    return loop_project


def use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (prune, options):
        monkeypatch.setattr(module, "load_settings", lambda: settings)


def weights(project: LoopProject) -> list[str]:
    """Return the versions that have weights."""
    return sorted({path.parent.name for path in project.model_dir.glob("versions/*/*.safetensors")})


def test_a_dry_run_prints_what_would_go(project: LoopProject) -> None:
    result = run_one_of(prune.commands(), "prune", "--model-dir", project.model_dir, "--keep", "1", "--dry-run")
    assert result.exit_code == 0
    assert "weights and masking curves of v0001, v0002" in result.stdout
    assert "4.0 kB would be removed; nothing was" in result.stdout
    assert weights(project) == ["v0001", "v0002", "v0003"]


def test_nothing_is_removed_unless_somebody_agrees(project: LoopProject) -> None:
    """Without a terminal nobody can be asked."""
    result = run_one_of(prune.commands(), "prune", "--model-dir", project.model_dir, "--keep", "1")
    assert result.exit_code == 2
    assert "give --yes or --dry-run" in result.stderr
    assert weights(project) == ["v0001", "v0002", "v0003"]


def test_the_versions_that_are_kept_can_be_published_and_the_others_not(project: LoopProject) -> None:
    """Twice is as good as once; `helioloop versions` lists those without weights."""
    words = ("prune", "--model-dir", project.model_dir, "--keep", "2", "--yes")
    first, second = run_one_of(prune.commands(), *words), run_one_of(prune.commands(), *words)
    assert "removed: weights and masking curves of v0001" in first.stdout
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "there is nothing to remove" in second.stdout
    assert weights(project) == ["v0002", "v0003"]
    listed = run_one_of(learning.commands(), "versions", "--model-dir", project.model_dir).stdout
    assert "without weights, removed by `helioloop prune`: v0001; they cannot be published" in listed
    refused = run_one_of(learning.commands(), "rollback", "v0001", "--model-dir", project.model_dir)
    assert refused.exit_code == 1
    assert "choose one of: v0002, v0003" in refused.stderr
    rolled = run_one_of(learning.commands(), "rollback", "v0002", "--model-dir", project.model_dir)
    assert rolled.exit_code == 0


def test_without_label_studio_the_media_files_stay_and_the_rest_goes(project: LoopProject) -> None:
    """The reason is printed, and the exit status is that of a missing service."""
    media = project.context.settings.media_dir(project.id) / "made"
    media.mkdir(parents=True)
    (media / "cube00-0123456789ab.mp4").write_bytes(b"v")
    result = run_one_of(prune.commands(), "prune", "--project", str(project.id), "--keep", "1", "--yes")
    assert result.exit_code == 1
    assert "HELIOLOOP_LABEL_STUDIO_API_KEY is not set" in result.stderr
    assert weights(project) == ["v0003"]
    assert list(media.iterdir())


def test_without_redis_the_rounds_in_the_making_stay(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project.context.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    use(settings.model_copy(update={"cache_root": project.model_dir / "none"}), monkeypatch)
    result = run_one_of(prune.commands(), "prune", "--project", str(project.id), "--keep", "1", "--yes")
    assert result.exit_code == 1
    assert "Redis at redis://127.0.0.1:1/0" in result.stderr
    assert weights(project) == ["v0003"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = run_one_of(prune.commands(), "prune", "--model-dir", tmp_path / "none", "--yes")
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr


def test_the_help_teaches_what_goes_what_stays_and_cron() -> None:
    text = " ".join(run_one_of(prune.commands(), "prune", "--help").output.split())
    for part in ("What goes", "What stays", "never touched", "Safe to repeat", "prune --project 1 --yes (crontab"):
        assert part in text
