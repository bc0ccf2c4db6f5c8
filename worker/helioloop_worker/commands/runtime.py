"""What commands that train or score work with: settings, device, a progress bar, a word for each bad cube."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from helioloop.errors import CubeError
from helioloop.instrument import MDI
from helioloop.settings import load_settings

if TYPE_CHECKING:
    from helioloop.workflows.releases import Workplace


@contextmanager
def workplace() -> "Iterator[Workplace]":
    """Put the workplace together; the progress bar stands on stderr and goes away at the end."""
    from helioloop.model.device import choose_device
    from helioloop.workflows.releases import Workplace
    from helioloop_worker.terminal import bars

    settings = load_settings()
    with bars(transient=True) as progress:
        bar = progress.add_task("")
        phase = ""

        def report(done: int, total: int, what: str) -> None:
            nonlocal phase
            if what != phase:
                progress.reset(bar)
                phase = what
            progress.update(bar, completed=done, total=total, description=what)

        def unreadable(cube: str, error: CubeError) -> None:
            click.echo(f"helioloop: {cube} is set aside: {error}", err=True)

        yield Workplace(
            instrument=MDI,
            cache=settings.cache_root,
            device=choose_device(settings.device),
            report=report,
            unreadable=unreadable,
        )
