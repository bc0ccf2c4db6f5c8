"""Tests of means over squares of pixels."""

import numpy as np

from helioloop.model.area_means import area_means


def test_whole_pixels_have_the_same_bits_as_the_mean_of_each_square() -> None:
    """Fields of four orders of magnitude, in squares of one to six pixels; further rows and columns do not count."""
    random = np.random.default_rng(0)
    frames = (random.normal(size=(5, 31, 31)) * 10.0 ** random.uniform(-1, 3, size=(5, 31, 31))).astype(np.float32)
    for side in range(1, 7):
        n = 30 // side
        plain = frames[:, : n * side, : n * side].reshape(5, n, side, n, side).mean(axis=(2, 4))
        means = area_means(frames, n, side_px=side)
        assert means.dtype == np.float32
        np.testing.assert_array_equal(means, plain)


def test_a_pixel_that_two_squares_share_counts_in_each_by_its_area() -> None:
    """Two squares of one and a half pixels on a row of 0, 6, 12: (0 + 3) / 1.5 and (3 + 12) / 1.5."""
    frame = np.broadcast_to(np.array([0.0, 6.0, 12.0], dtype=np.float32), (1, 3, 3))
    np.testing.assert_allclose(area_means(frame, 2, side_px=1.5), [[[2.0, 10.0], [2.0, 10.0]]], rtol=1e-6)
