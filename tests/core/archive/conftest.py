from pathlib import Path

import pytest
from tests.core.archive.real import real_folder


@pytest.fixture(scope="session")
def real() -> Path:
    """Return the folder of real magnetograms."""
    return real_folder()
