"""Decodes the bytes of a text table: UTF-8, UTF-16 and UTF-32 by their marks, and what editors write without a mark."""

import codecs

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_KINDS = (
    (b"PK\x03\x04", "a spreadsheet or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel spreadsheet"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"SIMPLE  =", "a FITS file"),
    (b"%PDF", "a PDF file"),
    (b"\x89HDF", "an HDF5 file"),
)
_MOST_NULS = 0.3
"""Fraction of zero bytes above which a text without a mark is UTF-16; ASCII in UTF-16 has 0.5."""


class NotText(ValueError):
    """Raised when bytes cannot be decoded; the text is a clause with the reason and the remedy."""


def decode_text(content: bytes) -> tuple[str, str | None]:
    """Return the text in `content`, and the name of its encoding where that was inferred.

    Parameters
    ----------
    content : bytes
        A whole file.

    Returns
    -------
    text : str
        Without a byte order mark.
    inferred : str or None
        ``"UTF-16"`` without a mark, or ``"Windows-1252"``; None if the file is UTF-8 or has a mark.

    Raises
    ------
    NotText
        If the content is another kind of file, or in none of these encodings.
    """
    for beginning, kind in _OTHER_KINDS:
        if content.startswith(beginning):
            raise NotText(f"it is {kind} and not text; save it as CSV in UTF-8")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(content, encoding), None
    byte_order = _utf16(content)
    if byte_order is not None:
        return _decoded(content, byte_order), "UTF-16"
    try:
        return content.decode(), None
    except UnicodeDecodeError:
        return _decoded(content, "cp1252"), "Windows-1252"  # contains Latin-1 but for control characters


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8 or Windows-1252" if encoding == "cp1252" else encoding.upper()
        raise NotText(f"it cannot be read as {name} text ({error.reason}); save it as CSV in UTF-8") from None


def _utf16(content: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark, by the zero bytes that ASCII has in it; None for other text."""
    half = len(content) // 2
    if len(content) % 2 or not half:
        return None
    first, second = content[::2].count(0) / half, content[1::2].count(0) / half
    if max(first, second) <= _MOST_NULS or min(first, second) > 0.0:
        return None
    return "utf-16-le" if second > first else "utf-16-be"
