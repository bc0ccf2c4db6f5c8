"""Releases whose folder is away, as the status names them."""

from pathlib import Path

from tests.worker.reports.test_audit import NAMES, admit, publish, snapshot

from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_worker.reports.status_reading import read_status


def test_a_release_that_the_published_version_was_trained_without_is_still_missed(tmp_path: Path) -> None:
    """v0001 knows three cubes of release s; v0002 was trained while its folder was away, which it still is."""
    (tmp_path / "releases" / "r").mkdir(parents=True)
    settings = Settings(model_root=tmp_path / "models", release_roots=[tmp_path / "releases"])
    registry = Registry(settings.model_dir(1))
    labels = snapshot({})
    labels.write(registry.root)
    first = admit(registry, day=1, releases=dict.fromkeys(NAMES[:3], "s"))
    second = admit(registry, day=2, names=NAMES[3:])
    publish(registry, (first, 1), (second, 2))
    assert read_status(registry, project=1, settings=settings).missing_releases == ("s",)

    (tmp_path / "releases" / "s").mkdir()
    assert read_status(registry, project=1, settings=settings).missing_releases == ()
