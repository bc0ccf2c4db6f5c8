"""The bits of QUALITY, which archives and tools write in many ways. Needs no package."""

import math
from typing import Any

_UNSIGNED = 0xFFFFFFFF


def quality_bits(value: Any) -> int | None:
    """Return QUALITY as an unsigned 32-bit number; None where it is missing or no whole number.

    JSOC writes it signed, drms as hexadecimal text, and tables with a missing value as floating-point numbers.
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        text = value.strip()
        try:
            return int(text, 0 if text.lower().startswith("0x") else 10) & _UNSIGNED
        except ValueError:
            value = text
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    # A 64-bit integer is not made a float, which has 53 bits.
    if not math.isfinite(number) or number != int(number):
        return None
    return (int(value) if not isinstance(value, str) else int(number)) & _UNSIGNED
