"""Which versions of Label Studio are supported; README has the same table."""

import pytest

from helioloop_worker.labelstudio.supported import is_supported


@pytest.mark.parametrize(
    ("version", "supported"),
    [
        ((1, 19, 0), False),
        ((1, 20, 0), True),
        ((1, 20), True),
        ((1, 21, 0), False),
        ((1, 23, 0), False),
        ((1, 23, 1), True),
        ((1, 23, 2), True),
        ((1, 24, 0), False),
    ],
)
def test_versions_that_drop_timeline_ranges_or_were_not_tested_are_not_supported(
    version: tuple[int, ...], supported: bool
) -> None:
    """1.21.0 to 1.23.0 drop predictions; later ones than 1.23 are unknown."""
    assert is_supported(version) is supported
