"""What the timed work is done on: a made release in a folder, and networks with random weights."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from helioloop import synthetic
from helioloop.data.loader import Loader
from helioloop.data.release import Release
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.workflows.readable_cubes import readable_cubes
from tests.benchmarks.speed.servers import Servers, servers

SEED = 31
MEMBERS = 10


@dataclass(frozen=True)
class Work:
    """A folder and what is made in it when it is first asked for.

    Parameters
    ----------
    folder : Path
        A new folder.
    n : int
        Cubes of the release.
    """

    folder: Path
    n: int
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)

    @cached_property
    def release(self) -> Release:
        """A release of `n` cubes, as `helioloop make-release` makes it."""
        folder = self.folder / "release"
        synthetic.make_release(folder, n=self.n, seed=SEED, truth=self.folder / "truth.csv", workers=2)
        return Release.open(folder)

    @cached_property
    def runtime(self) -> Runtime:
        """Cubes from the cache, prepared inputs in a folder."""
        loader = Loader(roots=(self.folder,), cache=self.folder / "cubes", instrument=MDI)
        return Runtime(instrument=MDI, load=loader, device=CPU, inputs=self.folder / "inputs")

    @cached_property
    def cubes(self) -> tuple[CubeInfo, ...]:
        """The cubes with a crude label, all of them on the grid in the cache."""
        return tuple(cube for cube in readable_cubes(self.release, self.runtime) if cube.label is not None)

    @cached_property
    def servers(self) -> Servers:
        """The backend and its reference, running until `close`."""
        return self._stack.enter_context(servers(self.new_folder("servers")))

    def close(self) -> None:
        """Stop what was started."""
        self._stack.close()

    def gridded(self, cube: CubeInfo) -> FloatArray:
        """Return a cube on the grid."""
        return np.asarray(self.runtime.load(cube), dtype=np.float32)

    def new_folder(self, name: str) -> Path:
        """Return a new folder whose name begins with `name`."""
        for k in range(1_000):
            folder = self.folder / f"{name}-{k}"
            if not folder.exists():
                folder.mkdir()
                return folder
        raise FileExistsError(name)


def random_networks(recipe: Recipe) -> tuple[AnyArchitecture, list[nn.Module]]:
    """Return the recipe's architecture and ten networks in evaluation mode, their batch-norm statistics not 0 and 1."""
    architecture = find_architecture(recipe.network)
    networks: list[nn.Module] = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        network: nn.Module = architecture.build(recipe, MDI, dropout=0.2)
        for name, value in network.named_buffers():
            if name.endswith("running_mean"):
                value.normal_(0.0, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
        networks.append(network.eval())
    return architecture, networks


def curves_one_by_one(architecture: AnyArchitecture, networks: list[nn.Module], cube: FloatArray) -> FloatArray:
    """Return the masking curves by the plain loop: each network on each masked video, one at a time.

    Only the input is shared by the networks. Shape (len(networks), n_frames − frozen_frames).
    """
    curves = np.empty((len(networks), MDI.n_frames - MDI.frozen_frames), dtype=np.float32)
    with torch.inference_mode():
        for k, frame in enumerate(range(MDI.frozen_frames, MDI.n_frames)):
            x = torch.from_numpy(architecture.prepare(FieldVideo(cube, MDI).masked(frame)))[None]
            for member, network in enumerate(networks):
                curves[member, k] = float(torch.sigmoid(network(x)))
    return curves
