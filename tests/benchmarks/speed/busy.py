"""Trains members for ever, as a worker does during a round; for the rows of /webhook."""

import sys
from pathlib import Path

from helioloop.data.loader import Loader
from helioloop.data.release import Release
from helioloop.model.device import CPU
from helioloop.model.members import train_member
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.instrument import MDI
from helioloop.workflows.readable_cubes import readable_cubes
from helioloop_worker.priority import lower_priority, yielding


def main(release: str, folder: str, begun: str, number: str) -> None:
    """Train; a file in `begun` shows that the training runs."""
    lower_priority()
    with yielding():
        train(release, folder, begun, number)


def train(release: str, folder: str, begun: str, number: str) -> None:
    """Train member after member."""
    loader = Loader(roots=(Path(release).parent,), cache=Path(folder) / "cubes", instrument=MDI)
    runtime = Runtime(instrument=MDI, load=loader, device=CPU, inputs=Path(folder) / "inputs")
    cubes = [cube for cube in readable_cubes(Release.open(Path(release)), runtime) if cube.label is not None]
    plan = make_plan(cubes, recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="a benchmark")
    members = Path(folder) / f"{Path(begun).name}-members-{number}"
    k = 0
    while True:
        for member in plan.members:
            k += 1
            (Path(begun) / number).touch()
            staging = members / str(k)
            staging.mkdir(parents=True)
            train_member(plan, member.name, staging, runtime)


if __name__ == "__main__":
    main(*sys.argv[1:])
