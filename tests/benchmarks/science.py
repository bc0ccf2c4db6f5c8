"""Measure the method on releases whose truth is known, and write docs/science.md.

    make bench-science                                                          hours on a CPU
    make bench-science ARGS="--n 60 --seeds 1,2 --document bench-data/try.md"   a quick look
    make bench-science ARGS="--generator flux-transport"                        measures only the second generator

It can be interrupted at any time; the same command continues. `parts` measures, `document` renders what is measured on
both generators, side by side.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.errors import HelioloopError
from helioloop.files import atomic
from helioloop.model.recipes import QUICK
from helioloop.settings import load_settings
from helioloop_worker.commands.runtime import open_runtime
from tests.benchmarks.bench import MEASURED_ON, Bench, NotAvailable
from tests.benchmarks.document import render
from tests.benchmarks.parts import EVERY_RUN, PARTS

ROOT = Path(__file__).parents[2]
FOLDER = click.Path(file_okay=False, path_type=Path)
TABLE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--folder", type=FOLDER, default=ROOT / "bench-data", show_default="bench-data", help="Work folder.")
@click.option("--n", type=click.IntRange(min=1), default=600, show_default=True, help="Cubes of each release.")
@click.option("--seeds", default="11,12,13", show_default=True, help="Data seeds, one release each.")
@click.option("--figures", help=f"Parts to measure, of {','.join(PARTS)}.  [default: all but paper]")
@click.option(
    "--document",
    type=TABLE,
    default=ROOT / "docs" / "science.md",
    show_default="docs/science.md",
    help="Where to write; it shows what is measured on both generators.",
)
@click.option(
    "--generator",
    "generators",
    type=click.Choice([one.value for one in MEASURED_ON]),
    multiple=True,
    default=[one.value for one in MEASURED_ON],
    show_default="both",
    help="What makes the releases that are measured; can be repeated.",
)
def main(
    *, folder: Path, n: int, seeds: str, figures: str | None, document: Path, generators: tuple[str, ...]
) -> None:  # fmt: skip
    """Measure the method and write the figures down; stored figures are not measured again."""
    try:
        data_seeds = tuple(dict.fromkeys(int(seed) for seed in seeds.split(",")))
    except ValueError:
        raise click.BadParameter(f"{seeds!r} is not a list of numbers such as 11,12,13", param_hint="--seeds") from None
    chosen = EVERY_RUN if figures is None else tuple(figures.split(","))
    if unknown := [name for name in chosen if name not in PARTS]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(PARTS)}", param_hint="--figures")
    settings = load_settings()
    roots = [folder / "releases", *([settings.real_data.resolve().parent] if settings.real_data else [])]
    cache = None if "cache_root" in settings.model_fields_set else folder / "cache"
    with open_runtime(*roots, cache=cache) as runtime:
        bench = Bench(
            folder=folder,
            n=n,
            seeds=data_seeds,
            recipe=QUICK.in_epochs(settings.epochs),
            member_seed=settings.seed,
            real_data=settings.real_data,
            runtime=runtime,
        )
        run([bench.on(one) for one in MEASURED_ON if one in generators], chosen, document)


def run(benches: Sequence[Bench], chosen: Sequence[str], document: Path) -> None:
    """Measure the chosen parts on every release, and write the document again after each part on each generator."""
    for name in sorted(chosen, key=list(PARTS).index):
        for bench in benches:
            for seed in bench.seeds:
                try:
                    bench.figures(name, PARTS[name], seed)
                except NotAvailable as reason:
                    click.echo(f"{name}, {bench.generator}, data seed {seed}: left out; {reason}")
            atomic.write_text(document, render(bench))
    click.echo(f"{document} written")


if __name__ == "__main__":
    try:
        main()
    except HelioloopError as error:
        raise SystemExit(f"bench-science: {error}") from None
