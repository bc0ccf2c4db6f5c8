"""Make the pretrained weights in core/helioloop/model/weights: networks trained on synthetic cubes with true labels.

    make pretrained                           hours on two cores; on a GPU not measured since there are varied cubes
    make pretrained ARGS="--recipe quick"     the weights of one recipe
    make pretrained ARGS="--n 40 40 40 40 --out bench-data/weights"    a quick look

Cubes and inputs stay in the work folder, 7 MB each, so that a run after an interruption makes none twice; networks are
trained anew. Weights are written for each recipe that names some: of a network trained on the cubes of all generators,
which is what rounds use, and of one for each generator that is measured, with which `make bench-science` measures on
the other, see `KINDS`. Other weights are another code version, so that versions published before count as made by other
code.

The weights of `accurate` in the package were made before there were varied kinds, of 2,000 cubes of elements and 1,500
of flux transport, on a GPU; those of `quick` for flux transport alone were, too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import click
import joblib
import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, Release
from helioloop.data.truth import read_truth
from helioloop.environment.pools import make_pool
from helioloop.files import atomic
from helioloop.model.architectures import find_architecture
from helioloop.model.device import Device, choose_device
from helioloop.model.input_cache import InputCache
from helioloop.model.inputs import FloatArray
from helioloop.model.recipes import RECIPES, Recipe
from helioloop.model.training import Examples, train
from helioloop.progress import Report
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.synthetic import Generator, make_release

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "core" / "helioloop" / "model" / "weights"
DATA_SEED = 101
"""Of the cubes. No other benchmark has it, and no recipe was chosen on it; see docs/science.md for theirs."""
NETWORK_SEED = 1000
N_CUBES = {
    Generator.ELEMENTS: 2000,
    Generator.FLUX_TRANSPORT: 1500,
    Generator.VARIED_ELEMENTS: 2000,
    Generator.VARIED_FLUX_TRANSPORT: 800,
}
"""Cubes of each generator."""
KINDS = {
    "": tuple(Generator),
    f"-{Generator.ELEMENTS}": (Generator.ELEMENTS, Generator.VARIED_ELEMENTS),
    f"-{Generator.FLUX_TRANSPORT}": (Generator.FLUX_TRANSPORT,),
}
"""What the names of weights end in, and the generators of the cubes that their networks have seen. Those of flux
transport alone have not seen its varied kind, which adds nothing on elements (docs/science.md)."""
PRETRAINED = tuple(name for name, recipe in RECIPES.items() if recipe.pretrained is not None)
(NETWORK,) = {RECIPES[name].network for name in PRETRAINED}
"""The network that these recipes have in common, of different widths: one set of inputs serves all."""
CUBES_AT_A_TIME = 20
FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCubes:
    """The network inputs of synthetic cubes, with their true labels.

    Parameters
    ----------
    inputs : list of ndarray
        Network input of each cube.
    emergence : ndarray of float32, shape (n,)
        1 where a region emerges, 0 elsewhere.
    regions : list of str
        Region of each cube.
    """

    inputs: list[FloatArray]
    emergence: FloatArray
    regions: list[str]


def pretraining(recipe: Recipe) -> Recipe:
    """Return how the network of a recipe is pretrained.

    The labels are true, so they are hardly smoothed and not kept from being learned by heart. There are many cubes, so
    batches are larger and epochs more.
    """
    return replace(
        recipe, pretrained=None, early_learning=0.0, label_smoothing=0.02, batch=64, epochs=40, learning_rate=6e-3
    )


def make_cubes(folder: Path, generator: Generator, *, n: int, report: Report) -> TrueCubes:
    """Make `n` cubes and return the inputs of `NETWORK`; what is in `folder` is not made again."""
    release = folder / "releases" / f"{generator}-{n}-{DATA_SEED}"
    truth = release.with_name(f"{release.name}-truth.csv")
    make_release(release, n=n, seed=DATA_SEED, truth=truth, report=report, generator=generator)
    inputs = InputCache(
        architecture=find_architecture(NETWORK),
        instrument=MDI,
        load=Loader(roots=(release.parent,), cache=folder / "cache", instrument=MDI),
        folder=folder / "inputs",
    )
    known, rows = read_truth(truth), Release.open(release).rows
    parts = [rows[k : k + CUBES_AT_A_TIME] for k in range(0, n, CUBES_AT_A_TIME)]
    cubes: list[CubeInfo] = []
    with make_pool(joblib.cpu_count()) as pool:
        for part in pool.map(_prepare, [release.name] * len(parts), parts, [inputs] * len(parts)):
            cubes.extend(part)
            report(len(cubes), n, "preparing cubes")
    return TrueCubes(
        inputs=[inputs(cube) for cube in cubes],
        emergence=np.array([known[cube.name].label is Label.EMERGENCE for cube in cubes], dtype=np.float32),
        regions=[cube.region or cube.name for cube in cubes],
    )


def _prepare(release: str, rows: Sequence[LabelRow], inputs: InputCache) -> list[CubeInfo]:
    """Return some cubes of a release; their inputs are kept afterwards. Runs in a process of a pool."""
    load = inputs.load
    assert isinstance(load, Loader)
    cubes = [load.parse(load.read_files(release, row.cube))[0] for row in rows]
    for cube in cubes:
        inputs(cube)
    return cubes


def pretrain(recipe: Recipe, cubes: Sequence[TrueCubes], device: Device, report: Report) -> nn.Module:
    """Return the network of a recipe, trained on all these cubes, on a CPU."""
    inputs = list(chain.from_iterable(some.inputs for some in cubes))
    network = train(
        Examples(
            inputs=inputs.__getitem__,
            targets=np.concatenate([some.emergence for some in cubes]),
            groups=list(chain.from_iterable(some.regions for some in cubes)),
        ),
        architecture=find_architecture(recipe.network), recipe=pretraining(recipe), instrument=MDI, seed=NETWORK_SEED,
        dropout=recipe.dropouts[0], device=device, report=report,
    )  # fmt: skip
    return network.cpu()


def wrong_fraction(network: nn.Module, cubes: TrueCubes) -> float:
    """Return the fraction of cubes whose class a network gives wrongly."""
    with torch.inference_mode():
        logits = [network(torch.from_numpy(one)[None])[0].item() for one in cubes.inputs]
    return float(np.mean((np.array(logits) > 0.0) != (cubes.emergence > 0.5)))


@click.command()
@click.option("--folder", type=FOLDER, default=ROOT / "bench-data" / "pretraining", show_default="bench-data/…")
@click.option("--out", type=FOLDER, default=WEIGHTS, show_default="core/helioloop/model/weights")
@click.option(
    "--n",
    nargs=len(N_CUBES),
    type=click.IntRange(min=1),
    default=tuple(N_CUBES.values()),
    show_default=True,
    help=f"Cubes of {', '.join(N_CUBES)}.",
)
@click.option(
    "--recipe", "recipes", type=click.Choice(PRETRAINED), multiple=True, default=PRETRAINED, show_default=True
)
def main(*, folder: Path, out: Path, n: tuple[int, ...], recipes: tuple[str, ...]) -> None:
    """Train the networks that members begin from, and write their weights."""
    device = replace(choose_device("auto"), bf16=False)  # networks this small gain nothing from it
    made = {
        generator: make_cubes(folder, generator, n=count, report=_say)
        for generator, count in zip(N_CUBES, n, strict=True)
    }
    for recipe in (RECIPES[name] for name in recipes):
        for ending, generators in KINDS.items():
            name = f"{recipe.name}{ending}"
            network = pretrain(recipe, [made[one] for one in generators], device, _say)
            wrong = {str(one): round(wrong_fraction(network, cubes), 4) for one, cubes in made.items()}
            click.echo(f"{name}: wrong class {json.dumps(wrong)}")
            weights = {key: value.contiguous() for key, value in network.state_dict().items()}
            atomic.write_bytes(out / f"{name}.safetensors", save(weights))


def _say(done: int, total: int, what: str) -> None:
    if done == total or done % 100 == 0:
        click.echo(f"  {what}, {done} of {total}")


if __name__ == "__main__":
    main()
