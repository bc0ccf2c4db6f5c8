"""Pretrained weights: members begin from a network that was trained on synthetic cubes, whose truth is known.

Crude labels are wrong most often where a region emerges weakly or inside an older one, so networks that learn from them
alone learn that these are no emergences. The files are made by ``tests/benchmarks/pretraining.py``. Needs torch (extra
``worker``).
"""

from importlib import resources
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from helioloop.errors import SettingsError
from helioloop.model.provenance import WEIGHTS


def load_pretrained(network: nn.Module, name: str) -> None:
    """Replace the weights of a network by pretrained ones.

    Parameters
    ----------
    network : nn.Module
        On a CPU.
    name : str
        Name of the file without its ending: a recipe's name, or that and the one generator that made the cubes, the
        usual and the varied ones.

    Raises
    ------
    SettingsError
        If there are no such weights, they are damaged, or they are those of another network.
    """
    path = pretrained_file(name)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SettingsError(f"{path} cannot be read ({error}); install helioloop again") from None
    expected = network.state_dict()
    if {key: value.shape for key, value in weights.items()} != {key: value.shape for key, value in expected.items()}:
        raise SettingsError(
            f"the pretrained weights {name} do not fit this network; use the widths of the recipe that they were made "
            "for, or a recipe without pretrained weights"
        )
    network.load_state_dict(weights)


def pretrained_file(name: str) -> Path:
    """Return the file with pretrained weights; an unknown name is a `SettingsError` that lists those there are."""
    folder = Path(str(resources.files("helioloop"))) / WEIGHTS
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.safetensors"))) or "none"
        raise SettingsError(f"there are no pretrained weights {name!r}; choose one of: {known}")
    return path
