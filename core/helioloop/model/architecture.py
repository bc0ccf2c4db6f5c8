"""The interface of a network architecture: input, augmentation, network and masking in one object.

To add an architecture, write one module with a network and a subclass of `Architecture`, and register an instance (see
`helioloop.model.architectures`). Needs torch (extra ``worker``).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from helioloop.model.device import Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.model.recipes import Augmentation, Recipe
from helioloop.records.instrument import Instrument

NetworkT = TypeVar("NetworkT", bound=nn.Module)
NetworkT_contra = TypeVar("NetworkT_contra", bound=nn.Module, contravariant=True)


class Architecture(ABC, Generic[NetworkT]):
    """Everything about a kind of network that training, scoring and masking need.

    Calling a network on a batch of prepared inputs returns the logits of P(emergence), shape (batch,).

    Attributes
    ----------
    name : str
        The value of ``Recipe.network``.
    input_format : str or None
        Identifies what `prepare` computes; change it with every change of `prepare`. Inputs are then kept in memory
        during a training, and in a folder across trainings. None: the inputs are too large to be kept.
    """

    name: ClassVar[str]
    input_format: ClassVar[str | None] = None

    @abstractmethod
    def prepare(self, video: FieldVideo) -> FloatArray:
        """Return the network input of one cube or masked video, without the batch axis.

        Parameters
        ----------
        video : FieldVideo
            The cube; its first frames are frozen.

        Returns
        -------
        ndarray, shape (n_times, ...)
            Finite values. The first axis is time: a static clip repeats one of its entries.
        """

    @abstractmethod
    def build(self, recipe: Recipe, instrument: Instrument, *, dropout: float) -> NetworkT:
        """Return a new network, its weights drawn from torch's global generator."""

    @abstractmethod
    def logit_bias(self, network: NetworkT) -> Tensor:
        """Return the parameter that is added to every logit, shape (1,)."""

    @abstractmethod
    def augment(
        self,
        inputs: Tensor,
        symmetries: Tensor,
        others: Tensor | None,
        *,
        settings: Augmentation,
        generator: torch.Generator,
    ) -> Tensor:
        """Return a batch of inputs, each varied at random in a way that does not change its label.

        Parameters
        ----------
        inputs : Tensor, shape (batch, n_times, ...)
            Prepared inputs.
        symmetries : Tensor of int, shape (batch,)
            Symmetry transform of each cube: bit 0 inverts the polarity, bit 1 flips east and west.
        others : Tensor or None
            Inputs like `inputs`, of cubes labelled non-emergence, for additive mixing.
        settings : Augmentation
            What is varied, and by how much.
        generator : torch.Generator
            The source of all random numbers.
        """

    def masked_logits(self, networks: Sequence[NetworkT], video: FieldVideo, *, device: Device) -> Tensor:
        """Return the logits of each network for the masked videos of one cube.

        Masked video i repeats frame i from frame i on. This implementation runs the networks on every masked video; an
        architecture that can reuse work between masks overrides it.

        Parameters
        ----------
        networks : sequence of networks
            In evaluation mode, on `device`.
        video : FieldVideo
            The cube.
        device : Device
            Where to compute. The caller has entered ``torch.inference_mode()`` and ``device.autocast()``.

        Returns
        -------
        Tensor, shape (len(networks), n_frames - frozen_frames)
            Column k belongs to the mask at frame ``frozen_frames + k``.
        """
        columns = []
        for frame in range(video.instrument.frozen_frames, video.instrument.n_frames):
            inputs = torch.from_numpy(self.prepare(video.masked(frame)))[None].to(device.kind)
            columns.append(torch.cat([network(inputs).float() for network in networks]))
        return torch.stack(columns, dim=1)

    def resident_inputs(
        self,
        n_cubes: int,  # noqa: ARG002
        *,
        instrument: Instrument,  # noqa: ARG002
        device: Device,  # noqa: ARG002
    ) -> "ResidentInputs[NetworkT] | None":
        """Return memory on a device for the inputs of a release, from which members train together.

        Parameters
        ----------
        n_cubes : int
            Number of cubes.
        instrument : Instrument
            The grid.
        device : Device
            Where to keep them.

        Returns
        -------
        ResidentInputs or None
            None, as here, where members of this architecture are trained one after another.
        """
        return None


class ResidentInputs(Protocol[NetworkT_contra]):
    """The inputs of many cubes in the memory of a device, see `helioloop.model.joint_training`."""

    def put(self, first: int, cubes: Sequence[npt.NDArray[np.floating]], /) -> None:
        """Store gridded cubes as the inputs `first` and following."""

    def logits(self, network: NetworkT_contra, chosen: Tensor, symmetries: Tensor | None = None, /) -> Tensor:
        """Return the logits (batch,) of the inputs `chosen` under their symmetry transforms."""


AnyArchitecture = Architecture[Any]
"""An architecture, whatever its network's class."""
