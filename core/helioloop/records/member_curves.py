"""Masking curves of single members, packed as text: two bytes for each frame and member, in base64."""

import base64
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_STEPS = 65535
"""Largest two-byte number, for a probability of 1; so a probability is exact to 0.00001."""
_BETWEEN = "|"


@dataclass(frozen=True, slots=True)
class MemberCurves:
    """The masking curves of some members, in the order of the members.

    Parameters
    ----------
    packed : str
        One base64 text for each member, separated by ``|``; each holds little-endian two-byte numbers, 0 for P = 0 and
        65535 for P = 1.
    """

    packed: str

    @classmethod
    def pack(cls, curves: Iterable[Iterable[float]]) -> Self:
        """Return the packed curves; values are probabilities, curves (n_members, n_frames)."""
        return cls(_BETWEEN.join(_text(curve) for curve in curves))

    def unpack(self) -> tuple[tuple[float, ...], ...]:
        """Return the curves, (n_members, n_frames).

        Raises
        ------
        ValueError
            If the text is damaged.
        """
        return tuple(tuple(value / _STEPS for value in _numbers(text)) for text in self.packed.split(_BETWEEN))


def _text(curve: Iterable[float]) -> str:
    numbers = array("H", (round(_STEPS * min(max(p, 0.0), 1.0)) for p in curve))
    return base64.b64encode(_little_endian(numbers).tobytes()).decode("ascii")


def _numbers(text: str) -> "array[int]":
    numbers: array[int] = array("H")
    numbers.frombytes(base64.b64decode(text, validate=True))
    return _little_endian(numbers)


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
