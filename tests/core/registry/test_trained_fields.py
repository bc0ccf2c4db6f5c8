"""The field statistics that are kept with a version."""

from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.records.field_statistics import FieldStatistics
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE, read_trained_fields, write_trained_fields

ONE = FieldStatistics(noise_gauss=19.6, typical_gauss=15.0, peak_gauss=50.0)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """By name and content: two cubes of one name differ in their content."""
    fields = {("a", "0" * 64): ONE, ("a", "1" * 64): FieldStatistics(noise_gauss=1, typical_gauss=2, peak_gauss=3)}
    write_trained_fields(tmp_path, fields)
    assert read_trained_fields(tmp_path) == fields


def test_a_folder_of_an_earlier_helioloop_has_none(tmp_path: Path) -> None:
    assert read_trained_fields(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cubes": 1}', '{"cubes": [{"cube": "a", "sha256": "0", "noise_gauss": 1}]}',
             '{"cubes": [{"cube": "a", "sha256": "0", "noise_gauss": "x", "typical_gauss": 1, "peak_gauss": 1}]}']
)  # fmt: skip
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    """Cut off, of another form, or with a missing or wrong value."""
    (tmp_path / TRAINED_FIELDS_FILE).write_text(text)
    with pytest.raises(RegistryError, match="does not contain field statistics"):
        read_trained_fields(tmp_path)
