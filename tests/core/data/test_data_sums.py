"""Data that are not those of which DATASUM is the sum are found; other headers and packed files are no fault."""

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.data_sums import data_sum_doubts

FRAMES = np.arange(300, dtype=np.int16).reshape(3, 10, 10)


def _written(*hdus: fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU | fits.CompImageHDU, sums: bool = True) -> bytes:
    content = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(content, checksum=sums)
    return content.getvalue()


def _damaged(content: bytes, place: bytes) -> bytes:
    """Return the content with one other bit where `place` is."""
    changed = bytearray(content)
    changed[content.index(place)] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("packed", [False, True])
def test_a_changed_bit_is_found_in_its_hdu(packed: bool) -> None:
    """Of an image and a table of times; a file without the cards has none that differ."""
    times = fits.BinTableHDU.from_columns([fits.Column(name="SECONDS", format="D", array=np.arange(3.0) + 5.0)])
    content = _written(fits.PrimaryHDU(FRAMES), times)
    seconds = (np.arange(3.0) + 5.0).astype(">f8")
    image, table = _damaged(content, FRAMES.astype(">i2").tobytes()), _damaged(content, seconds.tobytes())
    pack = gzip.compress if packed else bytes
    assert data_sum_doubts(pack(content)) == ()
    assert [text[:17] for text in data_sum_doubts(pack(image))] == ["its data in HDU 0"]
    assert [text[:17] for text in data_sum_doubts(pack(table))] == ["its data in HDU 1"]
    assert (
        data_sum_doubts(_damaged(_written(fits.PrimaryHDU(FRAMES), sums=False), FRAMES.astype(">i2").tobytes())) == ()
    )


def test_both_of_two_hdus_of_one_name_are_named() -> None:
    content = _written(fits.PrimaryHDU(), fits.ImageHDU(FRAMES), fits.ImageHDU(FRAMES + 1))
    for frames in (FRAMES, FRAMES + 1):
        content = _damaged(content, frames.astype(">i2").tobytes())
    assert [text[:17] for text in data_sum_doubts(content)] == ["its data in HDU 1", "its data in HDU 2"]


def test_a_tile_compressed_image_and_a_card_that_was_changed() -> None:
    """JSOC's exports write keywords without a new CHECKSUM; the data are the same."""
    content = _written(fits.PrimaryHDU(), fits.CompImageHDU(FRAMES, compression_type="RICE_1"))
    assert data_sum_doubts(content) == ()
    assert data_sum_doubts(content.replace(b"HDU checksum updated", b"HDU checksum u_dated")) == ()
