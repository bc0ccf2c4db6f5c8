"""CSV tables: read back as written, and errors that name file and line."""

from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.files.tables import Row, read_table, write_table


def test_a_written_table_is_read_back(tmp_path: Path) -> None:
    """Cells with commas, quotes and line breaks come back as they were."""
    path = tmp_path / "folder" / "t.csv"
    rows = [{"a": "1,5", "b": 'say "x"'}, {"a": "two\nlines", "b": ""}]
    write_table(path, ("a", "b"), rows)
    assert path.read_text() == 'a,b\n"1,5","say ""x"""\n"two\nlines",\n'
    assert [row.cells for row in read_table(path, needed=("a", "b"), error=RegistryError)] == rows


def test_what_editors_and_spreadsheets_write_is_read(tmp_path: Path) -> None:
    """A byte order mark, CRLF, spaces around cells, empty lines, other columns, short and long rows are accepted."""
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffb, a ,note\r\n 2 ,1,x\r\n\r\n4\r\n6,5,é,7,8\r\n".encode())
    assert read_table(path, needed=("a", "b"), key="a", error=RegistryError) == [
        Row(f"{path}, line 2", {"b": "2", "a": "1", "note": "x"}),
        Row(f"{path}, line 4", {"b": "4", "a": "", "note": ""}),
        Row(f"{path}, line 5", {"b": "6", "a": "5", "note": "é"}),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "has no column 'a'; its first line must name a,b"),
        (b"a,c\n1,2\n", "has no column 'b'"),
        (b"a,b\n1,2\n3,4\n1,5\n", "line 4: a '1' is there twice; remove one of the two rows"),
        (b'a,b\n1,2\n3,"4\n', "line 3: it is not CSV"),
        (b"a,b\n\xff,2\n", "cannot be read as UTF-8 text"),
        (None, "is missing; write a CSV table that has at least the header line a,b"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path: Path, content: bytes | None, text: str) -> None:
    """The class of the error is the one that the caller names."""
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RegistryError) as raised:
        read_table(path, needed=("a", "b"), key="a", error=RegistryError)
    assert str(raised.value).startswith(str(path))
    assert text in str(raised.value)


def test_without_a_key_rows_may_repeat(tmp_path: Path) -> None:
    """Equal rows are all returned."""
    (tmp_path / "t.csv").write_text("a\n1\n1\n")
    rows = read_table(tmp_path / "t.csv", needed=("a",), error=RegistryError)
    assert [row.cells for row in rows] == [{"a": "1"}, {"a": "1"}]
