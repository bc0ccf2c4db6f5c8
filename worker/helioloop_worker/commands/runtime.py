"""What commands that train or score open: a release, and the runtime with device, cube loader and progress bar."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.errors import CubeError
from helioloop.records.profiles import BUILT_IN, Profile
from helioloop.settings import load_settings

if TYPE_CHECKING:
    from helioloop.data.release import Release
    from helioloop.model.runtime import Runtime


def show_doubt(sentence: str) -> None:
    """Print a sentence about a doubtful value on stderr."""
    click.echo(f"helioloop: {sentence}", err=True)


def open_release(folder: Path, *, labels: Path | None = None) -> "Release":
    """Return the release in `folder`, with the labels of another table if one is given; doubts are printed."""
    from helioloop.data.release import Release

    release = Release.open(folder)
    if labels is not None:
        release = release.with_labels(labels)
    for sentence in release.doubts:
        show_doubt(sentence)
    return release


@contextmanager
def open_runtime(
    *roots: Path, release: Path | None = None, profile: Profile | None = None, cache: Path | None = None
) -> "Iterator[Runtime]":
    """Yield the runtime for cubes of the releases under `roots`.

    A progress bar is shown on stderr while it is open.

    Parameters
    ----------
    *roots : Path
        Folders that contain the releases.
    release : Path or None
        Folder of the release, which names the profile.
    profile : Profile or None
        The profile where there is no one release; None takes that of `release`, or `mdi` without one.
    cache : Path or None
        Folder of gridded cubes and prepared inputs; None takes the one in the settings.
    """
    from helioloop.data.loader import Loader
    from helioloop.data.release_profile import read_release_profile
    from helioloop.model.device import choose_device
    from helioloop.model.runtime import Runtime
    from helioloop_worker.terminal import bars

    settings = load_settings()
    if profile is None:
        profile = BUILT_IN["mdi"] if release is None else read_release_profile(release)
    instrument = profile.instrument
    folder = cache or settings.cache_root
    with bars(transient=True) as progress:
        bar = progress.add_task("")
        phase = ""

        def report(done: int, total: int, what: str) -> None:
            nonlocal phase
            if what != phase:
                progress.reset(bar)
                phase = what
            progress.update(bar, completed=done, total=total, description=what)

        def on_excluded(cube: str, error: CubeError) -> None:
            click.echo(f"helioloop: {cube} is excluded: {error}", err=True)

        yield Runtime(
            instrument=instrument,
            profile=profile,
            load=Loader(
                roots=tuple(root.resolve() for root in roots), cache=folder, instrument=instrument, profile=profile
            ),
            device=choose_device(settings.device),
            inputs=folder / "inputs",
            report=report,
            on_excluded=on_excluded,
        )
