"""The command behind `make bench-gpu`. The figures of each step are written when it ends."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import joblib

from helioloop.model.architecture import Architecture
from helioloop.model.device import CPU, choose_device
from tests.benchmarks.gpu.figures import Figures, machine
from tests.benchmarks.gpu.masking import masking
from tests.benchmarks.gpu.operations import ceilings, forward_flops
from tests.benchmarks.gpu.per_frame import per_frame_steps
from tests.benchmarks.gpu.retraining import one_by_one, precision, retrain, seeds
from tests.benchmarks.gpu.rounds import MadeRelease, rounds
from tests.benchmarks.gpu.scale import ARCHITECTURE, FULL, TINY
from tests.benchmarks.gpu.steps import kernels, steps
from tests.benchmarks.gpu.videos import Videos


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench-data/gpu.json"), show_default=True)
@click.option("--tiny", is_flag=True, help="Tiny sizes, to see that all steps run; on a CPU too.")
@click.option("--only", default="", help="Comma-separated steps; all but the rounds by default.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("bench-data/gpu"),
    show_default=True,
    help="Work folder of the rounds: the release, its cache and the models.",
)
@click.option("--recipes", default="", help="Comma-separated recipes of the rounds; all by default.")
@click.option("--processes", default="", help="Comma-separated numbers of processes of the rounds; one per core.")
def main(out: Path, *, tiny: bool, only: str, folder: Path, recipes: str, processes: str) -> None:
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
    on_videos = not wanted or bool(wanted - {"ceilings", "per-frame", "rounds"})
    videos = Videos(scale.cubes if on_videos else 2, scale.instrument, device if device.kind == "cuda" else CPU)
    click.echo(f"  (making {scale.cubes} videos took {time.perf_counter() - begun:.1f} s)")
    paper, adamw = scale.recipes
    all_epochs = replace(paper, name="paper, all epochs", patience=paper.epochs)
    trained: list[Path] = []

    def masks() -> None:
        masking(figures, videos, scale, device, trained[0] if trained else None)

    def whole_rounds() -> None:
        made = MadeRelease(folder=folder, n=scale.round_cubes, seed=11)
        counts = [int(count) for count in processes.split(",")] if processes else [joblib.cpu_count()]
        chosen = [recipe for recipe in scale.round_recipes if not recipes or recipe.name in recipes.split(",")]
        rounds(figures, made, device, chosen, processes=counts)

    parts: dict[str, Callable[[], object]] = {
        "ceilings": lambda: ceilings(figures, scale, device),
        "streams": lambda: steps(figures, videos, scale, device, streams_only=True),
        "steps": lambda: steps(figures, videos, scale, device),
        "paper-adamw": lambda: trained.append(retrain(figures, videos, scale, device, adamw)),
        "masking": masks,
        "seeds": lambda: seeds(figures, videos, scale, device),
        "per-frame": lambda: per_frame_steps(figures, scale.instrument, device, cubes=scale.small_cubes // 3),
        "learning": lambda: precision(figures, videos, scale, device),
        "kernels": lambda: kernels(figures, videos, scale, device, out.parent),
        "paper": lambda: retrain(figures, videos, scale, device, paper),
        "one-by-one": lambda: one_by_one(figures, videos, scale, device),
        "paper-all-epochs": lambda: retrain(figures, videos, scale, device, all_epochs),
        "rounds": whole_rounds,
    }
    for name, part in parts.items():
        if name in wanted or (not wanted and name not in {"streams", "rounds"}):
            with figures.step(name):
                part()


if __name__ == "__main__":
    main()
