"""CSV tables: read back as written or saved by spreadsheets, and errors that name file and line."""

import codecs
import csv
import errno
import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helioloop.errors import RegistryError, ReleaseError
from helioloop.files.table_header import DELIMITERS
from helioloop.files.tables import Row, WholeTable, read_table, read_whole_table, write_table


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
        (b"a,b\n\x81,2\n", "cannot be read as UTF-8"),
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


# -- what spreadsheets and editors save ------------------------------------------------------------


NEEDED = ("cube", "label", "verified")


def read(path: Path, content: bytes, **more: Sequence[str]) -> tuple[list[dict[str, str]], list[str]]:
    """Write a file; return the cells of its needed columns, and the doubts."""
    path.write_bytes(content)
    doubts: list[str] = []
    rows = read_table(path, needed=NEEDED, error=ReleaseError, on_doubt=doubts.append, **more)
    return [{name: row.cells[name] for name in NEEDED} for row in rows], doubts


CELLS = st.text(
    st.characters(codec="cp1252", exclude_categories=("Cc", "Zs")) | st.sampled_from(",;|\"' \n"), max_size=8
).map(str.strip)


@settings(deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(CELLS.filter(lambda text: text[:1] not in {"", "#"}), CELLS, CELLS), max_size=6),
    delimiter=st.sampled_from(DELIMITERS),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    names=st.permutations(NEEDED),
    extra=st.sampled_from([(), ("note",), ("", ""), ("Notes, remarks; more",)]),
    named=st.sampled_from(["plain", "upper", "spaced"]),
    separator_line=st.booleans(),
    empty_rows=st.integers(0, 3),
)
def test_every_way_of_saving_a_table_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    encoding: str,
    end: str,
    quoting: int,
    names: list[str],
    extra: tuple[str, ...],
    named: str,
    separator_line: bool,
    empty_rows: int,
) -> None:
    """Delimiter, encoding, line ends, quoting, order and case of the columns, and empty rows make no difference."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if end == "\r" else quoting  # csv does not quote a line feed then
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    shown = {"plain": str, "upper": str.upper, "spaced": lambda name: f" {name.title()} "}[named]
    writer.writerow([*map(shown, names), *extra])
    for row in rows:
        cells = dict(zip(NEEDED, row, strict=True))
        writer.writerow([*(cells[name] for name in names), *("" for _ in extra)])
    for _ in range(empty_rows):
        writer.writerow(["" for _ in (*names, *extra)])
    whole = (f"sep={delimiter}{end}" if separator_line else "") + text.getvalue()
    content = whole.encode(encoding)
    found, doubts = read(tmp_path_factory.getbasetemp() / "saved.csv", content)
    assert found == [dict(zip(NEEDED, row, strict=True)) for row in rows]
    certain = {"utf-8", "utf-8-sig", "utf-16", "utf-32"}
    if encoding in certain or (encoding == "cp1252" and whole.isascii()):
        assert doubts == []
    else:
        (doubt,) = doubts
        assert f"was read as {'Windows-1252' if encoding == 'cp1252' else 'UTF-16'}" in doubt


def test_excel_s_unicode_text_is_read(tmp_path: Path) -> None:
    """UTF-16 with a mark and tabs; the second row has a trailing tab."""
    content = codecs.BOM_UTF16_LE + "Cube\tLabel\tVerified\r\nSüd\temergence\t1\r\nA\t\t0\t\r\n".encode("utf-16-le")
    assert read(tmp_path / "t.csv", content) == (
        [{"cube": "Süd", "label": "emergence", "verified": "1"}, {"cube": "A", "label": "", "verified": "0"}],
        [],
    )


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;", "# made by a script; 2001", "", ";;;"])
def test_lines_before_the_header_are_skipped(tmp_path: Path, first: str) -> None:
    """Line numbers still count them."""
    path = tmp_path / "t.csv"
    path.write_text(f"{first}\ncube;label;verified\n0310;emergence;1\n")
    (row,) = read_table(path, needed=NEEDED, error=ReleaseError)
    assert (row.where, row.cells["cube"]) == (f"{path}, line 3", "0310")


def test_a_header_in_a_comment_is_the_header(tmp_path: Path) -> None:
    """As numpy's `savetxt` writes it."""
    found, _ = read(tmp_path / "t.csv", b"# cube,label,verified\nA,emergence,1\n")
    assert found == [{"cube": "A", "label": "emergence", "verified": "1"}]


def test_a_column_twice_is_read_where_its_cells_agree(tmp_path: Path) -> None:
    """With cells that differ it is an error that names both, whatever the case of the names."""
    found, doubts = read(tmp_path / "t.csv", b"cube,label,verified,Label\nA,emergence,1,emergence\n")
    assert (found[0]["label"], doubts) == ("emergence", [])
    with pytest.raises(
        ReleaseError, match="line 3: there are 2 columns 'label' and they have 'emergence' and 'non-emergence'"
    ):
        read(tmp_path / "t.csv", b"cube,label,verified,Label\nA,,1,\nB,emergence,1,non-emergence\n")


def test_a_column_twice_that_nobody_asks_for_is_doubtful(tmp_path: Path) -> None:
    """The first of them is read."""
    (tmp_path / "t.csv").write_bytes(b"cube,note,label,verified,note\nA,x,emergence,1,y\n")
    doubts: list[str] = []
    (row,) = read_table(tmp_path / "t.csv", needed=NEEDED, error=ReleaseError, on_doubt=doubts.append)
    assert row.cells["note"] == "x"
    assert [doubt.partition(", ")[2] for doubt in doubts] == [
        "line 2: column 'note' is there twice with different cells and the first is read"
    ]


def test_cells_under_no_column_name_are_doubtful(tmp_path: Path) -> None:
    """Rows 2 and 4 have some."""
    _, doubts = read(tmp_path / "t.csv", b"cube,label,verified,\nA,,0,,x\nB,,0,,\nC,,0,y\n")
    assert [doubt.partition(", ")[2] for doubt in doubts] == [
        "line 2 (and 1 more row): there are cells under no column name, and they are ignored"
    ]


@pytest.mark.parametrize(
    ("header", "row", "cells"),
    [
        ("name,lon,lat", "A,149,9,15,5", "5 cells and the header 3"),
        ("name,lon,lat", "A,149,9,15.5", "4 cells and the header 3"),
        ("name,lon,lat", "A,123,5,-17,2,1998-12-06", "6 cells and the header 3"),
        ("name,lon,lat", "1,A,149.9,15.5", "4 cells and the header 3"),  # R writes no name for the names of rows
        ("name,lon,lat", "A,149.9,15.5,see the note", "4 cells and the header 3"),
        ("lat,lon,name", "15,5,149,9,A", "5 cells and the header 3"),
        ("name,lon,lat,,", "A,149,9,15,5", "5 cells and the header 3"),
        ("name,lon,lat,,", "A,149,9,-17", "4 cells and the header 3"),
        ("name,lon,lat,,,", "A,149,9,15,5,1998-12-06", "6 cells and the header 3"),
    ],
)
def test_a_number_that_its_decimal_comma_cuts_in_two_is_refused(
    tmp_path: Path, header: str, row: str, cells: str
) -> None:
    """The next cells are those of other columns: 149,9 was read as the longitude 149 and the latitude 9."""
    (tmp_path / "t.csv").write_text(f"{header}\nB,1.5,2.5\n{row}\n")
    with pytest.raises(ReleaseError, match=rf"line 3: it has {cells}; a decimal comma, or .*put such cells in quotes"):
        read_table(tmp_path / "t.csv", needed=("name", "lat", "lon"), numbers=("lon", "lat"), error=ReleaseError)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("name,lon,lat", "A,149.9,15.5"),
        ("name,lon,lat", "A,149.9,15.5,,,"),  # Excel makes all rows as wide as the widest one
        ("name,lon,lat", 'A,"149,9","15,5"'),
        ("name;lon;lat", "A;149,9;15,5"),
        ("name\tlon\tlat", "A\t149,9\t15,5"),
        ("name;lon;lat", "A;149,9;15,5;a note"),
        ("name,lon,lat,", "A,149.9,15.5,7"),
        ("name,lon,lat,", "A,149.9,15.5,a note"),
        (",name,lon,lat", "0,A,149.9,15.5"),  # pandas writes the index so
    ],
)
def test_numbers_that_no_comma_cuts_are_read(tmp_path: Path, header: str, row: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n{row}\n")
    (found,) = read_table(tmp_path / "t.csv", needed=("name", "lon", "lat"), numbers=("lon", "lat"), error=ReleaseError)
    assert [found.cells[name].replace(",", ".") for name in ("name", "lon", "lat")] == ["A", "149.9", "15.5"]


def test_optional_columns_may_be_spelled_differently(tmp_path: Path) -> None:
    """Spaces, hyphens and case do not matter, also for columns that may be absent."""
    (tmp_path / "t.csv").write_text("Cube,Emergence Frame\nA,12\n")
    (row,) = read_table(tmp_path / "t.csv", needed=("cube",), optional=("emergence_frame",), error=ReleaseError)
    assert row.cells == {"cube": "A", "emergence_frame": "12"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"PK\x03\x04\x14\x00", "it is a spreadsheet or a ZIP archive and not text; save it as CSV in UTF-8"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (codecs.BOM_UTF8 + b"cube\xff", "cannot be read as UTF-8-SIG text"),
        (codecs.BOM_UTF16_LE + b"c\x00u", "cannot be read as UTF-16 text"),
        (b"cube label verified\nA emergence 1\n", "has no column 'cube'; .* and it names cube label verified: add it"),
        (b'"cube,label,verified\n', "line 1: it is not CSV"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    """The reason comes with a remedy."""
    with pytest.raises(ReleaseError, match=text):
        read(tmp_path / "t.csv", content)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ESTALE, "look whether its network file system is there"),
        (errno.EMFILE, "raise the limit on open files"),
        (errno.ENXIO, "check the disk, or write the file again"),
    ],
)
def test_a_table_has_the_remedies_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    """Those of the disk and of this process, too; what is not known is as for a damaged file."""

    def fail(_: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(ReleaseError, match=remedy):
        read_table(tmp_path / "t.csv", needed=("cube",), error=ReleaseError, on_doubt=[].append)


def test_a_table_that_cannot_be_opened_has_the_remedy_of_its_error(tmp_path: Path) -> None:
    """A folder in its place, and a link that leads back to itself; neither is to be written again."""
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for path, text in ((tmp_path, "name a file, not a folder"), (tmp_path / "loop.csv", "remove the link that leads")):
        with pytest.raises(ReleaseError, match=text):
            read_table(path, needed=("cube",), error=ReleaseError, on_doubt=[].append)


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("comment", ["# by Anna", "#", "# a, b; c", '# say "x"', '"# a, b"', "# it's 5\" wide"])
def test_a_table_that_is_written_again_has_its_comments(tmp_path: Path, delimiter: str, comment: str) -> None:
    """They are the same lines or, where a table with commas cannot have them, the same texts in quotes."""
    path, again = tmp_path / "t.csv", tmp_path / "again.csv"
    path.write_text(f"# first\r\n\r\n{comment}\r\n{delimiter.join(('a', 'b'))}\r\n{delimiter.join('12')}\r\n")
    table = read_whole_table(path, needed=("a", "b"), error=ReleaseError)
    assert table.comments == ("# first", comment)
    write_table(again, table.columns, (row.cells for row in table.rows), comments=table.comments)
    read = read_whole_table(again, needed=("a", "b"), error=ReleaseError)
    assert ([row.cells for row in read.rows], len(read.comments)) == ([{"a": "1", "b": "2"}], 2)
    assert again.read_text().startswith("# first\n")


def test_a_whole_table_has_its_columns_also_without_rows(tmp_path: Path) -> None:
    """The line of Excel that names the delimiter is no comment; a comment that is the header is none either."""
    path = tmp_path / "t.csv"
    path.write_text("sep=;\n# made by hand\n# note;a;b\n")
    assert read_whole_table(path, needed=("a", "b"), error=ReleaseError) == WholeTable(
        comments=("# made by hand",), columns=("note", "a", "b"), rows=[]
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b,n,n\n1,2,x,y\n", "t.csv: column 'n' is there twice; .* remove or rename one"),
        ("a,b,n,n\n1,2,x,x\n", "t.csv: column 'n' is there twice"),
        ("a,b,a\n1,2,1\n", "t.csv: column 'a' is there twice"),
        ("a,b\n1,2\n1,2,x\n1,2,y\n", r"line 3 \(and 1 more row\): there are cells under no column name; .* add it"),
        ('"# of two\nlines"\na,b\n1,2\n', "a comment before the header has several lines"),
        (",a,b\n0,1,2\n", "line 2: there are cells under no column name"),
    ],
)
def test_a_table_that_would_lose_something_is_not_written_again(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ReleaseError, match=reason):
        read_whole_table(path, needed=("a", "b"), error=ReleaseError)


def test_a_table_that_is_a_link_to_nothing_is_not_called_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.symlink_to("gone.csv")
    with pytest.raises(ReleaseError, match=r"t\.csv is a link to a file that does not exist: restore that file"):
        read_table(path, needed=("a",), error=ReleaseError)


def test_a_byte_of_a_file_name_that_is_not_text_is_written_as_an_escape(tmp_path: Path) -> None:
    """UTF-8 has no such character; letters of any script stay."""
    write_table(tmp_path / "t.csv", ("file",), [{"file": "m_\udce9.fits"}, {"file": "Fleck Ä β"}])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "file\nm_\\udce9.fits\nFleck Ä β\n"
