"""What several tests of Label Studio's JSON begin with."""

import pytest
from tests.core.labelstudio.annotated import CONTROLS

from helioloop.records.controls import Controls


@pytest.fixture
def controls() -> Controls:
    return CONTROLS
