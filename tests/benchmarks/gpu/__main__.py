"""The command behind `make bench-gpu`. The figures of each step are written when it ends."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from helioloop.model.architecture import Architecture
from helioloop.model.device import CPU, choose_device
from tests.benchmarks.gpu.figures import Figures, machine
from tests.benchmarks.gpu.masking import masking
from tests.benchmarks.gpu.operations import ceilings, forward_flops
from tests.benchmarks.gpu.retraining import one_by_one, precision, retrain
from tests.benchmarks.gpu.scale import ARCHITECTURE, FULL, TINY
from tests.benchmarks.gpu.steps import kernels, steps
from tests.benchmarks.gpu.videos import Videos


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench-data/gpu.json"), show_default=True)
@click.option("--tiny", is_flag=True, help="Tiny sizes, to see that all steps run; on a CPU too.")
@click.option("--only", default="", help="Comma-separated steps; all by default.")
def main(out: Path, *, tiny: bool, only: str) -> None:
    """Measure training and masking of the authors' CNN on a GPU, and write the figures to a JSON file."""
    device = choose_device("auto")
    if device.kind != "cuda" and not tiny:
        raise click.ClickException("there is no GPU here, so nothing is measured; --tiny runs all steps at tiny sizes")
    scale = TINY if tiny else FULL
    wanted = set(filter(None, only.split(",")))
    figures = Figures(out, {})
    figures.add("machine", **machine(device))
    assert isinstance(ARCHITECTURE, Architecture)
    flops, first = forward_flops(scale.recipes[0], scale.instrument)
    figures.add(
        "operations", forward_gflop=flops / 1e9, first_layer_gflop=first / 1e9, step_gflop=(3 * flops - first) / 1e9
    )

    begun = time.perf_counter()
    videos = Videos(scale.cubes, scale.instrument, device if device.kind == "cuda" else CPU)
    click.echo(f"  (making {scale.cubes} videos took {time.perf_counter() - begun:.1f} s)")
    paper, adamw = scale.recipes
    all_epochs = replace(paper, name="paper, all epochs", patience=paper.epochs)
    folder: list[Path] = []

    def masks() -> None:
        masking(figures, videos, scale, device, folder[0] if folder else None)

    parts: dict[str, Callable[[], object]] = {
        "ceilings": lambda: ceilings(figures, scale, device),
        "streams": lambda: steps(figures, videos, scale, device, streams_only=True),
        "steps": lambda: steps(figures, videos, scale, device),
        "paper-adamw": lambda: folder.append(retrain(figures, videos, scale, device, adamw)),
        "masking": masks,
        "learning": lambda: precision(figures, videos, scale, device),
        "kernels": lambda: kernels(figures, videos, scale, device, out.parent),
        "paper": lambda: retrain(figures, videos, scale, device, paper),
        "one-by-one": lambda: one_by_one(figures, videos, scale, device),
        "paper-all-epochs": lambda: retrain(figures, videos, scale, device, all_epochs),
    }
    for name, part in parts.items():
        if name in wanted or (not wanted and name != "streams"):
            with figures.step(name):
                part()


if __name__ == "__main__":
    main()
