"""Reads the cells of label and truth tables: labels, marks and frames, also as spreadsheets and scripts write them."""

import re
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from helioloop.errors import ReleaseError
from helioloop.files.tables import Row
from helioloop.records.labels import Label

Value = TypeVar("Value")

_QUOTES = "\"'`´‘’‚‛“”„‟«»"
_TRUE = {"true", "t", "yes", "y", "wahr", "vrai", "vero", "verdadero"}  # Excel writes TRUE in its own language
_FALSE = {"false", "f", "no", "n", "falsch", "faux", "falso"}
_MISSING = {"na", "n/a", "nan", "null"}
_LABELS = {"emergence": Label.EMERGENCE, "nonemergence": Label.NON_EMERGENCE}


def read_cell(row: Row, column: str, read: Callable[[str], Value]) -> Value:
    """Return what `read` reads from the cell of a column; a column that is not there is empty.

    Raises
    ------
    ReleaseError
        If `read` refuses the cell; the text names file, line, value and rule.
    """
    text = row.cells.get(column, "")
    try:
        return read(text)
    except ValueError as error:
        raise ReleaseError(f"{row.where}: {column} is {text!r}; {error}: correct it") from None


def unquoted(text: str) -> str:
    """Return a cell without surrounding quotes, and without Excel's ``="…"`` around text."""
    return text.removeprefix("=").strip(f"{_QUOTES} \t\xa0\ufeff")


def is_missing(text: str) -> bool:
    """Return True for NA, N/A, NaN and NULL, which scripts write for an empty cell."""
    return unquoted(text).casefold() in _MISSING


def read_label(text: str) -> Label | None:
    """Return the label in a cell in any case, with any hyphen or none; None for an empty cell.

    Raises
    ------
    ValueError
        If it is another word.
    """
    plain = unquoted(text)
    if not plain or is_missing(text):
        return None
    word = "".join(letter for letter in unicodedata.normalize("NFKC", plain).casefold() if not _is_separator(letter))
    if word not in _LABELS:
        raise ValueError(f"it must be {' or '.join(Label)}, or empty")
    return _LABELS[word]


def read_mark(text: str) -> bool:
    """Return whether a cell is 1, 1.0, true or yes; an empty one is False.

    Raises
    ------
    ValueError
        If it is none of these and not 0, 0.0, false or no.
    """
    plain = unquoted(text).casefold()
    if not plain or plain in _FALSE or is_missing(text):
        return False
    if plain in _TRUE:
        return True
    number = read_number(plain)
    if number not in {0.0, 1.0}:
        raise ValueError("it must be 0 or 1")
    return number == 1.0


def read_frame(text: str) -> int | None:
    """Return the frame number in a cell, such as 41 or 41.0; None for an empty cell.

    Raises
    ------
    ValueError
        If it is not a whole number of at least 0.
    """
    plain = unquoted(text)
    if not plain or is_missing(text):
        return None
    number = read_number(plain)
    if number is None or number < 0.0 or number != int(number):
        raise ValueError("it must be a frame number of at least 0, or empty")
    return int(number)


def read_number(text: str) -> float | None:
    """Return a decimal number with a point or a comma; None for other text."""
    if not re.fullmatch(r"[+-]?[0-9]{1,15}([.,][0-9]*)?", text):
        return None
    return float(text.replace(",", "."))


def _is_separator(letter: str) -> bool:
    """Return True for spaces, underscores, and hyphens and dashes of all kinds."""
    return letter in "_−\xad" or letter.isspace() or unicodedata.category(letter) == "Pd"
