"""Compares the data of a FITS file with the sums that its writer put into the headers (the convention of DATASUM)."""

import gzip
import io
import warnings

from astropy.io import fits

from helioloop.data.first_bytes import GZIP
from helioloop.data.fits import card_text


def data_sum_doubts(content: bytes) -> tuple[str, ...]:
    """Return a sentence for each HDU whose data have another sum than its card DATASUM; none without such cards.

    CHECKSUM, which covers the header too, is not compared: JSOC's exports write keywords into headers that have one.

    Parameters
    ----------
    content : bytes
        A FITS file that was read, gzipped or not.

    References
    ----------
    FITS standard 4.0, section 4.4.2.7 and appendix J.
    """
    if content.startswith(GZIP):
        content = gzip.decompress(content)
    if b"DATASUM " not in content:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about cards, which were said when the file was read
        with fits.open(io.BytesIO(content), disable_image_compression=True, memmap=False, lazy_load_hdus=False) as hdus:
            wrong = [
                number
                for number, hdu in enumerate(hdus)
                if card_text(hdu.header, "DATASUM").isdigit() and not hdu.verify_datasum()
            ]
    return tuple(
        f"its data in HDU {number} are not those of which DATASUM is the sum: they were damaged, or changed by a "
        "program that left the card; fetch or make the file again, or remove the card"
        for number in wrong
    )
