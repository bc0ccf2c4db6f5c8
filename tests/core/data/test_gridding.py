"""Gridding: arrays that can be checked by hand, and a slow reference that follows the documented steps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.core.data.slow_gridding import bad_frames_slowly, corner_regions_slowly, to_grid_slowly

from helioloop.data.bad_frames import bad_frames
from helioloop.data.cubes import Cube, read_cube
from helioloop.data.gridding import fill_off_disk, frame_use, to_grid
from helioloop.data.off_disk import corner_regions, off_disk
from helioloop.errors import CubeError
from helioloop.records.instrument import MDI, Instrument

TOY = Instrument(name="TOY", cadence_seconds=100.0, n_frames=7, size_px=4, clip_gauss=1000.0, frozen_frames=1)
QUIET = np.array([[10, -20, 30, -40], [15, 25, -35, 45], [-12, 22, 32, -42], [11, -21, 31, 41]], dtype=np.float32)


def _cube(observed: object, seconds: object) -> Cube:
    return Cube(
        name="C",
        observed_gauss=np.asarray(observed, dtype=np.float32),
        seconds=np.asarray(seconds, dtype=np.float64),
        start=None,
        start_scale=None,
        region=None,
    )


def _gauss(gridded: np.ndarray) -> np.ndarray:
    return np.round((gridded.astype(np.float64) - 0.5) * 2000.0, 2)


def test_which_observations_are_used_is_told() -> None:
    """Before the grid; used; its slot's last one is empty; used, as the later of two; after the grid."""
    seconds = [-50.0, 0.0, 120.0, 180.0, 310.0, 390.0, 700.0]
    empty = np.zeros_like(QUIET)
    use = frame_use(_cube([QUIET, QUIET, QUIET, empty, QUIET, QUIET, QUIET], seconds), TOY)
    assert (use.observations, use.grid_frames) == ((1, 2, 5), (0, 1, 3))
    assert (use.before_grid, use.after_grid, use.bad, use.same_slot) == (1, 1, 1, 1)


# -- checked by hand ---------------------------------------------------------------------------------


def test_clip_and_scale() -> None:
    """−1000, 0 and 1000 G become 0, 0.5 and 1; stronger fields are clipped."""
    field = QUIET.copy()
    field[1, 1:3] = -1000.0, 1000.0
    field[2, 1:3] = 0.0, 5000.0
    gridded = to_grid(_cube([field], [0.0]), TOY)
    assert gridded.dtype == np.float32
    assert gridded.shape == (7, 4, 4)
    np.testing.assert_allclose(gridded[0, 1:3, 1:3], [[0.0, 1.0], [0.5, 1.0]])


def test_gaps_are_interpolated_and_ends_are_repeated() -> None:
    """An observation belongs to grid frame ⌊seconds / cadence⌋; gaps are linear, both ends are repeated."""
    gridded = to_grid(_cube([QUIET, QUIET + 40.0], [199.9, 500.0]), TOY)
    np.testing.assert_allclose(_gauss(gridded)[:, 1, 1], [25, 25, 35, 45, 55, 65, 65])


def test_times_outside_the_grid_are_dropped() -> None:
    """Frames before the start or after the end of the grid change nothing."""
    gridded = to_grid(_cube([QUIET + 300.0, QUIET, QUIET + 900.0], [-0.1, 300.0, 700.0]), TOY)
    np.testing.assert_allclose(_gauss(gridded), np.broadcast_to(QUIET, (7, 4, 4)), atol=0.01)


def test_last_of_several_in_one_grid_frame_is_kept() -> None:
    """Of several observations in one grid frame the last usable one is kept; a bad one is ignored."""
    gridded = to_grid(_cube([QUIET, QUIET + 7.0, np.full((4, 4), np.nan)], [300.0, 340.0, 399.0]), TOY)
    assert _gauss(gridded)[3, 1, 1] == 32


def test_bad_pixels_are_interpolated_in_time() -> None:
    """An on-disk NaN is interpolated in time between the values of its pixel; a pixel with NaN only becomes 0 G."""
    fields = np.stack([QUIET, QUIET + 10.0, QUIET + 20.0])
    fields[1, 1, 1] = np.nan
    fields[:, 2, 2] = np.nan
    gridded = _gauss(to_grid(_cube(fields, [0.0, 100.0, 400.0]), TOY))
    np.testing.assert_allclose(gridded[:, 1, 1], [25, 30, 35, 40, 45, 45, 45])
    np.testing.assert_allclose(gridded[:, 2, 2], 0)


@pytest.mark.parametrize("coding", [np.nan, 0.0, -1000.0, -32768.0])
def test_off_disk_by_any_coding(coding: float) -> None:
    """A coded region that touches a corner is off-disk; the same values elsewhere are on-disk."""
    fields = np.stack([QUIET, QUIET])
    fields[:, 0, :2] = coding
    fields[:, 1, 0] = coding
    fields[:, 2, 2] = 0.0
    gridded = to_grid(_cube(fields, [0.0, 100.0]), TOY)
    expected = np.zeros((4, 4), dtype=bool)
    expected[0, :2] = expected[1, 0] = True
    assert (np.isnan(gridded) == expected).all()
    assert (gridded[:, 2, 2] == 0.5).all()


@pytest.mark.parametrize("code", [5000.0, -999.0])
def test_an_unusual_code_of_many_pixels_is_off_disk(code: float) -> None:
    """The same pixels are off-disk as with NaN."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (5, 90, 90)).astype(np.float32)
    limb = np.arange(90) < 40 - 5 * np.arange(5)[:, None, None]
    seconds = np.arange(5) * MDI.cadence_seconds
    coded, plain = (to_grid(_cube(np.where(limb, value, field), seconds), MDI) for value in (code, np.nan))
    assert np.isnan(plain).any()
    np.testing.assert_array_equal(coded, plain)


def test_values_that_no_field_reaches_are_missing() -> None:
    """A lost pixel inside of the disk, coded as −32768, is interpolated; −6000 G is a field beyond the clip."""
    fields = np.stack([QUIET, QUIET + 10.0, QUIET + 20.0])
    fields[1, 1, 1] = -32768.0
    fields[1, 2, 2] = -6000.0
    gridded = _gauss(to_grid(_cube(fields, [0.0, 100.0, 200.0]), TOY))
    np.testing.assert_allclose(gridded[1, 1, 1], QUIET[1, 1] + 10.0, atol=0.01)
    assert gridded[1, 2, 2] == -1000.0


def test_diagonal_neighbours_are_not_connected() -> None:
    """Pixels of a corner region are connected through edges, not diagonally."""
    field = QUIET.copy()
    field[0, 0] = field[1, 1] = np.nan
    assert corner_regions(field[None], clip_gauss=1000.0)[0].nonzero() == (0, 0)


def test_limb_moves_in_steps() -> None:
    """Between an off-disk and an on-disk observation the nearest one decides, the earlier of two equally near."""
    fields = np.stack([QUIET, QUIET + 8.0])
    fields[0, 0, 0] = np.nan
    gridded = to_grid(_cube(fields, [100.0, 500.0]), TOY)
    assert np.isnan(gridded[:, 0, 0]).tolist() == [True, True, True, True, False, False, False]
    np.testing.assert_allclose(_gauss(gridded)[4:, 0, 0], 18)
    np.testing.assert_allclose(_gauss(gridded)[3, 1, 1], 29)


def test_a_corner_lost_in_one_frame_is_not_off_disk() -> None:
    """A corner that is coded in a single frame between two others is lost data and is interpolated."""
    fields = np.stack([QUIET, QUIET + 10.0, QUIET + 20.0])
    fields[1, :2, :] = 0.0
    gridded = to_grid(_cube(fields, [0.0, 100.0, 200.0]), TOY)
    np.testing.assert_allclose(_gauss(gridded)[1], QUIET + 10.0, atol=0.01)


def test_limb_at_both_ends() -> None:
    """A corner that is coded in the first or last frame, or in two frames in a row, is off-disk."""
    coded = np.zeros((6, 1, 1), dtype=bool)
    coded[[0, 2, 3, 5]] = True
    assert off_disk(coded)[:, 0, 0].tolist() == [True, False, True, True, False, True]
    assert off_disk(coded[:1])[:, 0, 0].tolist() == [True]


@pytest.mark.parametrize(
    "bad",
    [
        np.full((4, 4), np.nan),
        np.zeros((4, 4)),
        np.full((4, 4), 77.0),
        np.full((4, 4), -32768.0),
        np.where(np.indices((4, 4)).sum(0) % 2, 700.0, -700.0),
        np.where(np.arange(4) < 2, np.nan, 5.0) * np.ones((4, 4)),
    ],
    ids=["NaN", "zero", "constant", "blank", "noise", "constant beside NaN"],
)
def test_bad_frames_are_gaps(bad: np.ndarray) -> None:
    """A frame that is empty, constant or noise is treated as missing."""
    gridded = to_grid(_cube([QUIET, bad, QUIET + 20.0], [0.0, 100.0, 200.0]), TOY)
    np.testing.assert_allclose(_gauss(gridded)[1], QUIET + 10.0, atol=0.01)


@pytest.mark.parametrize("coding", [np.nan, 0.0, -32768.0])
def test_frames_before_the_patch_reaches_the_disk_are_off_disk(coding: float) -> None:
    """Coded frames before one that shows the limb are off-disk; coded frames elsewhere are gaps."""
    fields = np.stack([QUIET] * 5)
    fields[:2] = coding
    fields[2, :3] = coding
    fields[4] = coding
    gridded = to_grid(_cube(fields, np.arange(5) * 100.0), TOY)
    assert np.isnan(gridded).mean(axis=(1, 2)).tolist() == [1.0, 1.0, 0.75, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("seconds", "observations", "off_disk_fractions"),
    [
        ([310.0, 330.0, 350.0, 420.0], (1, 3), [0.5] * 4 + [1.0] * 3),
        ([310.0, 330.0, 350.0, 390.0], (1,), [0.5] * 7),
        ([200.0, 330.0, 350.0, 420.0], (0, 2, 3), [0.5] * 3 + [1.0] * 4),
    ],
    ids=["in its only slot", "in the only slot of the cube", "in a later slot"],
)
def test_a_patch_that_leaves_the_disk_within_a_slot_is_off_disk_unless_no_other_slot_shows_it(
    seconds: list[float], observations: tuple[int, ...], off_disk_fractions: list[float]
) -> None:
    """Two observations show half of the patch on the disk, the two after them none of it."""
    limb, blank = QUIET.copy(), np.zeros_like(QUIET)
    limb[:2] = 0.0
    cube = _cube([limb, limb + np.where(limb, 5.0, 0.0), blank, blank], seconds)
    use = frame_use(cube, TOY)
    assert use.observations == observations
    assert (use.bad, use.same_slot) == (0, 4 - len(observations))
    assert np.isnan(to_grid(cube, TOY)).mean(axis=(1, 2)).tolist() == off_disk_fractions


def test_active_regions_are_not_bad_frames() -> None:
    """A strong region on a third of the patch and a frame of tripled noise are good; a frame of strong noise is bad."""
    rng = np.random.default_rng(0)
    frames = rng.normal(0.0, 20.0, (9, 90, 90)).astype(np.float32)
    frames[4:, 30:60] += rng.normal(0.0, 800.0, (5, 30, 90))
    frames[7] *= 3.0
    assert not bad_frames(frames, np.zeros(frames.shape, dtype=bool), clip_gauss=1000.0).any()
    frames[2] *= 15.0
    assert bad_frames(frames, np.zeros(frames.shape, dtype=bool), clip_gauss=1000.0).nonzero()[0].tolist() == [2]


def test_fill_off_disk() -> None:
    """Off-disk pixels become 0.5 in a copy; other pixels and the original are unchanged."""
    gridded = np.array([[[np.nan, 0.25]]], dtype=np.float32)
    assert fill_off_disk(gridded).tolist() == [[[0.5, 0.25]]]
    assert np.isnan(gridded[0, 0, 0])


@pytest.mark.parametrize(
    ("observed", "seconds", "message"),
    [
        (np.zeros((1, 4, 5)), [0.0], "4 × 5 px"),
        (QUIET[None], [700.0], "none lies on the grid"),
        (QUIET[None], [-1.0], "none lies on the grid"),
        (np.zeros((2, 4, 4)), [0.0, 100.0], "none of its 2 frames"),
        (np.full((1, 4, 4), np.nan), [0.0], "none of its 1 frames"),
    ],
)
def test_cubes_without_a_usable_frame(observed: np.ndarray, seconds: list[float], message: str) -> None:
    """A cube with frames of another size, no frame on the grid, or only bad frames is refused."""
    with pytest.raises(CubeError, match=message):
        to_grid(_cube(observed, seconds), TOY)


def test_wrong_byte_order_looks_like_noise() -> None:
    """A quiet Sun with its bytes swapped is noise in every frame, and the message names the byte order."""
    quiet = np.random.default_rng(0).normal(0, 200, (3, 90, 90)).astype(np.int16)
    with pytest.raises(CubeError, match="byte order"):
        to_grid(_cube(quiet.byteswap() * 0.1, [0.0, 5760.0, 11520.0]), MDI)


# -- against the reference ---------------------------------------------------------------------------


def _reference(cube: Cube, instrument: Instrument) -> np.ndarray:
    """Grid a cube pixel by pixel, following the notes of `helioloop.data.gridding.to_grid`; all frames must be good."""
    size, clip = instrument.size_px, instrument.clip_gauss
    on_grid = {}
    for seconds, field in zip(cube.seconds, cube.observed_gauss, strict=True):
        frame = int(seconds // instrument.cadence_seconds)
        if 0 <= frame < instrument.n_frames:
            on_grid[frame] = field
    frames = sorted(on_grid)

    def touched(field: np.ndarray) -> set[tuple[int, int]]:
        coded = {(y, x) for y in range(size) for x in range(size) if not field[y, x] > -clip or field[y, x] == 0}
        border = [pixel for pixel in coded if pixel[0] in {0, size - 1} and pixel[1] in {0, size - 1}]
        found = set(border)
        while border:
            y, x = border.pop()
            for pixel in {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & coded - found:
                found.add(pixel)
                border.append(pixel)
        return found

    coded = [touched(on_grid[frame]) for frame in frames]
    off = [
        {pixel for pixel in coded[k] if k in {0, len(frames) - 1} or pixel in coded[k - 1] or pixel in coded[k + 1]}
        for k in range(len(frames))
    ]
    gridded = np.empty((instrument.n_frames, size, size))
    for y in range(size):
        for x in range(size):
            known = [
                (frame, np.clip(on_grid[frame][y, x], -clip, clip))
                for k, frame in enumerate(frames)
                if (y, x) not in coded[k] and not np.isnan(on_grid[frame][y, x])
            ]
            for frame in range(instrument.n_frames):
                nearest = min(range(len(frames)), key=lambda k: (abs(frames[k] - frame), frames[k]))
                gauss = np.interp(frame, *zip(*known, strict=True)) if known else 0.0
                gridded[frame, y, x] = np.nan if (y, x) in off[nearest] else 0.5 * (1.0 + gauss / clip)
    return gridded


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), n_obs=st.integers(1, 9), fraction=st.sampled_from([0.0, 0.05, 0.4]))
def test_against_the_slow_reference(seed: int, n_obs: int, fraction: float) -> None:
    """With missing, coded, repeated or unevenly spaced observations, the result equals that of the slow reference."""
    rng = np.random.default_rng(seed)
    observed = rng.normal(0.0, 30.0, (n_obs, 4, 4)).astype(np.float32)
    observed[rng.random(observed.shape) < 0.03] = 4000.0
    for coding in (np.nan, 0.0, -2000.0):
        observed[rng.random(observed.shape) < fraction / 3] = coding
    observed[:, 1:3, 1:3] = rng.normal(0.0, 30.0, (n_obs, 2, 2))  # so that every frame is good
    observed[:, 1, :] = np.where(rng.random((n_obs, 4)) < fraction, np.nan, rng.normal(0.0, 30.0, (n_obs, 4)))
    observed[:, 2] = rng.normal(0.0, 30.0, (n_obs, 4))
    cube = _cube(observed, np.sort([*rng.choice(np.arange(-100.0, 900.0), n_obs - 1, replace=False), 350.5]))
    usable = ~bad_frames(observed, corner_regions(observed, clip_gauss=1000.0), clip_gauss=1000.0)
    assume(usable[(cube.seconds >= 0) & (cube.seconds < 700)].all())
    np.testing.assert_allclose(to_grid(cube, TOY), _reference(cube, TOY), atol=1e-6)


SMALL = Instrument(name="SMALL", cadence_seconds=100.0, n_frames=60, size_px=13, clip_gauss=1000.0, frozen_frames=1)


def _difficult_cube(seed: int) -> Cube:
    """Return a cube with a moving limb, lost pixels, and lost, noisy, blank and doubled frames, at uneven times."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.choice(np.arange(-300, 6300, 50 if seed % 2 else 100), rng.integers(1, 60), replace=False))
    n, size = len(seconds), SMALL.size_px
    observed = rng.normal(0.0, rng.choice([5.0, 30.0, 90.0]), (n, size, size))
    for k in rng.integers(0, n, 3):
        observed[k] *= rng.choice([0.0, 1.0, 3.0, 8.0, 20.0])
    observed[rng.random(observed.shape) < rng.choice([0.0, 0.001, 0.02])] = rng.choice([np.nan, 0.0, -8000.0])
    across = rng.normal(0.0, 0.3) * np.arange(size)[:, None] + np.arange(size)[:: rng.choice([-1, 1])]
    moved = across + rng.uniform(0.2, 1.5) * np.arange(n)[:, None, None] - rng.uniform(0.0, 25.0)
    observed[moved < 0] = code = rng.choice([np.nan, 0.0, -2000.0, 5000.0])
    if seed % 5 == 0:  # regions of any shape at the corners
        observed[rng.random(observed.shape) < 0.6] = code
    if seed % 3 == 0:
        observed[moved > 30] = rng.choice([np.nan, 0.0, -2000.0])
    return _cube(observed, seconds)


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


def test_the_fast_way_gives_the_bits_of_the_slow_one() -> None:
    """Cubes with all kinds of gaps; each is gridded or refused by both ways."""
    refused = off = 0
    for seed in range(200):
        cube = _difficult_cube(seed)
        expected = to_grid_slowly(cube, SMALL)
        if expected is None:
            refused += 1
            with pytest.raises(CubeError, match=r"usable|none lies on the grid"):
                to_grid(cube, SMALL)
            continue
        assert _same_bits(to_grid(cube, SMALL), expected), seed
        off += bool(np.isnan(expected).any())
    assert 5 < refused < 100
    assert off > 100


def test_bad_frames_and_corner_regions_are_those_of_the_slow_way() -> None:
    """The same cubes; a few frames of any roughness are among smooth ones."""
    n_bad = 0
    for seed in range(200):
        observed = _difficult_cube(seed).observed_gauss
        at_corner = corner_regions(observed, clip_gauss=1000.0)
        assert np.array_equal(at_corner, corner_regions_slowly(observed, clip_gauss=1000.0)), seed
        bad = bad_frames(observed, at_corner, clip_gauss=1000.0)
        assert np.array_equal(bad, bad_frames_slowly(observed, at_corner, clip_gauss=1000.0)), seed
        n_bad += int(bad.sum())
    assert n_bad > 200


def test_off_disk_codes_give_the_same_result() -> None:
    """The same disk gives the same result with off-disk pixels coded as NaN, 0 or a large negative number."""
    rng = np.random.default_rng(3)
    field = rng.normal(0.0, 30.0, (40, 90, 90)).astype(np.float32)
    field[5:20, 40:60, 20:50] -= 1500.0  # an umbra beyond the clip, at the limb for a while
    limb = np.arange(90) < 45 - 3 * np.arange(40)[:, None, None] + 0.2 * np.arange(90)[:, None]
    seconds = np.arange(40) * 5.0 * MDI.cadence_seconds
    results = [to_grid(_cube(np.where(limb, coding, field), seconds), MDI) for coding in (np.nan, 0.0, -2000.0)]
    assert np.isnan(results[0]).any()
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_real_video(real_data: Path) -> None:
    """The real video fills the grid: off-disk only in the south-east corner of the first frames, and no gaps."""
    cube = read_cube(real_data / "BARD0310_19981206.fits")
    gridded = to_grid(cube, MDI)
    slowly = to_grid_slowly(cube, MDI)
    assert slowly is not None
    assert _same_bits(gridded, slowly)
    off = np.isnan(gridded)
    assert off[0].sum() == 476
    assert off[0, 0, 0]
    assert not off[40:].any()
    assert np.nanmin(gridded) >= 0.0
    assert np.nanmax(gridded) <= 1.0
    np.testing.assert_array_equal(gridded[176:], np.broadcast_to(gridded[175], gridded[176:].shape))
