"""The versions of Label Studio that the tests run on."""

from typing import Final

OLDEST: Final = (1, 23)
"""Major and minor number of the oldest tested version."""
NEWEST: Final = (1, 23)
"""Major and minor number of the newest tested version."""
SUPPORTED_RANGE: Final = " to ".join(dict.fromkeys(f"{major}.{minor}" for major, minor in (OLDEST, NEWEST)))
"""Both, for sentences."""
