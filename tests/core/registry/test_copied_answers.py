"""The answers to copied tasks that are not blind: kept in the model folder."""

from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.registry.copied_answers import FILE_NAME, add_copied_answers, read_copied_answers


def test_answers_are_added_and_never_forgotten(tmp_path: Path) -> None:
    assert read_copied_answers(tmp_path) == frozenset()
    add_copied_answers(tmp_path, [])
    assert not (tmp_path / FILE_NAME).exists()
    add_copied_answers(tmp_path, ["3", "5"])
    add_copied_answers(tmp_path, ["4"])
    assert read_copied_answers(tmp_path) == {"3", "4", "5"}


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', "5"])
def test_a_damaged_file_is_refused_with_the_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(RegistryError, match="restore it from a backup, or delete it"):
        read_copied_answers(tmp_path)
