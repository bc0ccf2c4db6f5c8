"""Names of versions and their numbers."""

import pytest

from helioloop.registry.version_names import is_version_name, number_of, version_name


@pytest.mark.parametrize(("number", "name"), [(1, "v0001"), (9999, "v9999"), (10000, "v10000")])
def test_a_name_and_its_number_give_each_other(number: int, name: str) -> None:
    """Also beyond the four digits that names have at first."""
    assert version_name(number) == name
    assert is_version_name(name)
    assert number_of(name) == number
