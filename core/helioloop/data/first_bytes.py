"""What a file is by its first bytes, whatever its name: FITS, or something else, and then what to do with it."""

import gzip
import zlib
from pathlib import Path
from typing import Final

FITS: Final = b"SIMPLE  ="
"""The first bytes of a FITS file."""
GZIP: Final = b"\x1f\x8b"
"""The first bytes of a gzip file."""
N_BYTES: Final = 24
"""As many first bytes tell all files apart that are told apart here."""
_BLOCK_BYTES: Final = 2880
"""Size of the blocks that a FITS file consists of (FITS 4.0, section 3.1)."""

_COMPRESSED: Final = {
    b"BZh": "bzip2",
    b"\x1f\x9d": "Unix compress",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_OTHER_FORMATS: Final = {
    b"\x89HDF": "an HDF5 file",
    b"#ASDF": "an ASDF file",
    b"CDF\x01": "a netCDF file",
    b"CDF\x02": "a netCDF file",
    b"SR\x00\x04": "an IDL save file",
}
_POINTERS: Final = {
    b"version https://git-lfs.": ("Git LFS", "git lfs pull"),
    b"/annex/objects/": ("git-annex", "git annex get"),
}
"""What a pointer begins with -> whose it is, and the command that brings the file."""


def why_not_fits(start: bytes) -> str | None:
    """Return what a file is instead of plain FITS, with the remedy; None for FITS.

    Parameters
    ----------
    start : bytes
        Its first `N_BYTES`, after decompression.
    """
    if start.startswith(FITS):
        return None
    if not start:
        return "the file is empty; download or make it again"
    for magic, name in _COMPRESSED.items():
        if start.startswith(magic):
            return f"it is compressed as {name}; plain, gzip and tile-compressed FITS are read: decompress it"
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            return f"it is {name}, and only FITS is read: write its images as FITS"
    for magic, (owner, command) in _POINTERS.items():
        if start.startswith(magic):
            return f"it is a pointer of {owner} to a file that was not downloaded; run `{command}` in its repository"
    shown = start[: len(FITS)]
    return f"it begins with {shown!r}, and a FITS file begins with 'SIMPLE  ='; download or make the file again"


def begins_as_fits(path: Path) -> bool:
    """Return True for a file, gzipped or not, whose first block is that of a FITS header, whatever the file's name.

    A header that was saved as text is none: it has lines, and a FITS header has no line ends.

    Parameters
    ----------
    path : Path
        A file; one that cannot be read is none. A pipe would be waited for.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(FITS))
            if not start.startswith((FITS, GZIP)):
                return False
            file.seek(0)
            block = (gzip.GzipFile(fileobj=file) if start.startswith(GZIP) else file).read(_BLOCK_BYTES)
    except (OSError, EOFError, zlib.error):
        return False
    return block.startswith(FITS) and len(block) == _BLOCK_BYTES and b"\n" not in block
