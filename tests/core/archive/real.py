"""Where real magnetograms are, beside the real video."""

import os
from pathlib import Path

import pytest


def real_folder() -> Path:
    """Return the folder of real magnetograms; absent it skips at a desk and fails in CI."""
    folder = Path(os.environ.get("HELIOLOOP_REAL_DATA") or "../shared/data/bard0310").parent / "real"
    if folder.is_dir():
        return folder.resolve()
    said = f"{folder} does not hold real magnetograms; name the folder beside it in HELIOLOOP_REAL_DATA"
    if os.environ.get("HELIOLOOP_REQUIRE_SERVICES") == "1":
        pytest.fail(said)
    pytest.skip(said)
