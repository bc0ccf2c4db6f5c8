"""Networks, their inputs and their variations, on arrays one can check by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helioloop.errors import CubeError, SettingsError
from helioloop.instrument import MDI, Instrument
from helioloop.model.augmentation import CellAugmenter, FrameAugmenter
from helioloop.model.device import CPU, choose_device
from helioloop.model.inputs import FIELD_SCALE_GAUSS, InputCache, cell_steps, channel_frames, freeze_start, zero_level
from helioloop.model.networks import build
from helioloop.model.recipes import ACCURATE, PAPER, QUICK, RECIPES, Augmentation, Recipe, find_recipe
from helioloop.records import CubeInfo

TINY = Instrument(name="tiny", cadence_seconds=5760.0, n_frames=6, size_px=12, clip_gauss=1000.0, frozen_frames=2)


def level_cube(*fields_gauss: float) -> np.ndarray:
    """Frames of one value each, on TINY's grid."""
    frames = [np.full((12, 12), 0.5 * (1 + gauss / 1000.0)) for gauss in fields_gauss]
    return np.array(frames, dtype=np.float16)


def spotted_cube(*fields_gauss: float) -> np.ndarray:
    """Quiet frames with a spot of one value each, which fills the first cell of TINY's grid."""
    cube = level_cube(*[0.0] * len(fields_gauss))
    cube[:, :6, :6] = level_cube(*fields_gauss)[:, :6, :6]
    return cube


def test_the_first_frames_are_all_the_frozen_one() -> None:
    """Frames 0 and 1 become frame 2; the others stay."""
    frozen = freeze_start(level_cube(0, 100, 200, 300, 400, 500), TINY)
    field = (2 * frozen[:, 0, 0] - 1) * 1000
    np.testing.assert_allclose(field, [200, 200, 200, 300, 400, 500], atol=1)


def test_a_step_is_the_median_of_three_frames() -> None:
    """A single bad frame does not show; positive and negative fields go to channels of their own."""
    steps = cell_steps(spotted_cube(0, 0, 0, 300, -1000, 300), TINY)
    assert steps.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(steps[1, 0, 0, 0], np.arcsinh(300 / FIELD_SCALE_GAUSS), rtol=1e-3)
    np.testing.assert_allclose(steps[1, 1], 0)
    np.testing.assert_allclose(steps[:, 2], 1)


def test_off_disk_pixels_carry_no_field_and_lower_the_on_disk_fraction() -> None:
    """A quarter of one cell is off-disk: its mean field and its fraction are three quarters."""
    cube = spotted_cube(*[400] * 6)
    cube[:, :3, :3] = np.nan
    steps = cell_steps(cube, TINY)
    assert steps[0, 2, 0, 0] == pytest.approx(0.75)
    assert steps[0, 0, 0, 0] == pytest.approx(np.arcsinh(300 / FIELD_SCALE_GAUSS), rel=1e-3)
    assert steps[0, 2, 1, 1] == 1


def test_a_frames_zero_level_is_taken_off() -> None:
    """The same spot over offsets of 0, −8 and 24 G, one per step, gives the same input; an empty frame gives none."""
    offsets = np.repeat([0.0, -8.0, 24.0], 3)[:, None, None] / 2000.0
    instrument = Instrument(**{**TINY.as_dict(), "n_frames": 9})
    steps = cell_steps((spotted_cube(*[400] * 9) + offsets).astype(np.float16), instrument)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=2e-3)
    assert zero_level(np.full((1, 12, 12), np.nan, dtype=np.float32)).tolist() == [0.0]


def test_the_authors_network_sees_no_field_off_disk() -> None:
    """Off-disk becomes 0.5, which is 0 G."""
    cube = level_cube(*[400] * 6)
    cube[:, 0, 0] = np.nan
    frames = channel_frames(cube, TINY)
    assert frames[3, 0, 0] == 0.5
    assert frames[3, 1, 1] == pytest.approx(0.7, abs=1e-3)


def test_a_cube_off_the_grid_is_refused() -> None:
    """One frame less is another grid."""
    with pytest.raises(CubeError, match=r"\(5, 12, 12\)"):
        freeze_start(level_cube(0, 0, 0, 0, 0), TINY)


def test_prepared_inputs_are_kept_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    """The second read asks no cube; a truncated file is replaced."""
    asked = []

    def load(ref: CubeInfo) -> np.ndarray:
        asked.append(ref.name)
        return level_cube(0, 50, 100, 150, 200, 250)

    cache = InputCache(recipe=QUICK, instrument=TINY, load=load, folder=tmp_path)
    ref = CubeInfo(release="r", name="c", sha256="ab" * 32)
    first = cache(ref)
    np.testing.assert_array_equal(cache(ref), first)
    assert asked == ["c"]
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:40])
    np.testing.assert_array_equal(cache(ref), first)
    assert asked == ["c", "c"]


def test_the_per_frame_network_is_as_small_as_the_measured_one() -> None:
    """16k weights, whatever the number of frames."""
    network = build(QUICK, MDI, dropout=0.2)
    assert 15_000 < sum(p.numel() for p in network.parameters()) < 17_000
    assert network(torch.zeros(2, 75, 3, 15, 15)).shape == (2,)
    assert network(torch.zeros(2, 4, 3, 4, 4)).shape == (2,)


def test_the_authors_network_has_their_layers() -> None:
    """Nine convolutions with their filters and three dense layers; 90 px end as one place of 512 channels."""
    network = build(PAPER, MDI, dropout=0.5).eval()
    convolutions = [m.out_channels for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    dense = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert convolutions == [32, 32, 64, 64, 128, 128, 256, 256, 512]
    assert dense == [(512, 512), (512, 512), (512, 1)]
    with torch.no_grad():
        assert network(torch.zeros(1, 225, 90, 90)).shape == (1,)


def test_frames_too_small_for_the_authors_network_are_refused() -> None:
    """The sentence names the size."""
    with pytest.raises(SettingsError, match="12 px"):
        build(PAPER, TINY, dropout=0.5)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_survives_its_card(recipe: Recipe) -> None:
    """What the card holds gives the same recipe back."""
    assert Recipe.from_dict(recipe.as_dict()) == recipe
    assert find_recipe(recipe.name, gpu=False) is recipe


def test_auto_is_the_recipe_that_suits_the_device() -> None:
    """Quick on a CPU, accurate on a GPU; an unknown name is refused with the known ones."""
    assert find_recipe("auto", gpu=False) is QUICK
    assert find_recipe("auto", gpu=True) is ACCURATE
    with pytest.raises(SettingsError, match="'fast' is unknown; choose one of: auto, quick, accurate"):
        find_recipe("fast", gpu=False)


def test_forms_invert_polarity_and_flip_east_and_west() -> None:
    """Form 1 swaps the field channels, form 2 mirrors columns, form 3 does both; the disk is never swapped."""
    steps = torch.arange(1 * 1 * 3 * 2 * 2, dtype=torch.float32).reshape(1, 1, 3, 2, 2).repeat(4, 1, 1, 1, 1)
    out = CellAugmenter(Augmentation(), torch.Generator())(steps, torch.arange(4))
    plain = steps[0]
    swapped = plain[:, [1, 0, 2]]
    for form, expected in enumerate((plain, swapped, plain.flip(-1), swapped.flip(-1))):
        torch.testing.assert_close(out[form], expected)
    frames = torch.tensor([[[[0.2, 0.6]]]]).repeat(4, 1, 1, 1)
    forms = FrameAugmenter()(frames, torch.arange(4))[:, 0, 0]
    torch.testing.assert_close(forms, torch.tensor([[0.2, 0.6], [0.8, 0.4], [0.6, 0.2], [0.4, 0.8]]))


def varied(steps: torch.Tensor, others: torch.Tensor | None = None, **settings: float) -> torch.Tensor:
    """Return `steps` in their plain form under one variation alone."""
    augmenter = CellAugmenter(Augmentation(**settings), torch.Generator().manual_seed(3))
    return augmenter(steps, torch.zeros(len(steps), dtype=torch.long), others)


def test_a_wide_gain_multiplies_the_field_and_leaves_the_disk() -> None:
    """Every cube gets one factor between a half and two on its field under the arcsinh."""
    steps = torch.full((50, 2, 3, 3, 3), 0.7)
    factors = torch.sinh(out := varied(steps, gain=2.0))[:, :, :2] / torch.sinh(torch.tensor(0.7))
    assert factors.amin() >= 0.5
    assert factors.amax() <= 2.0 + 1e-6
    assert factors.flatten(1).std(dim=1).max() < 1e-6
    assert factors.std() > 0.2
    torch.testing.assert_close(out[:, :, 2], steps[:, :, 2])


def test_an_overlay_adds_the_others_field_above_its_quiet_sun_on_the_disk() -> None:
    """A spot of field 5 on a quiet Sun of 1 adds 4, with either polarity, and nothing off the disk."""
    steps = torch.zeros(40, 1, 3, 3, 3)
    steps[:, :, 2] = 1.0
    steps[:, :, 2, 0, 0] = 0.0
    others = torch.full((40, 1, 3, 3, 3), 1.0).asinh()
    others[:, :, 0, 1, 1] = others[:, :, 0, 0, 0] = torch.tensor(5.0).asinh()
    added = torch.sinh(varied(steps, others, overlay=1.0)[:, 0, :2])
    spots = added[:, :, 1, 1]
    torch.testing.assert_close(spots.sum(1), torch.full((40,), 4.0))
    assert 0 < (spots[:, 0] > 0).sum() < 40
    assert added[:, :, 0, 0].abs().max() == 0.0
    assert added.sum() == pytest.approx(160.0, rel=1e-5)
    torch.testing.assert_close(varied(steps, others), steps)


def test_a_cube_that_breaks_off_repeats_its_last_step() -> None:
    """Of ten steps the first six stay, and each later one is its own or repeats the one before."""
    steps = torch.arange(10.0)[None, :, None, None, None].expand(30, 10, 3, 2, 2)
    out = varied(steps, ends_early=1.0)[:, :, 2, 0, 0]
    torch.testing.assert_close(out[:, :6], torch.arange(6.0).expand(30, 6))
    assert all(row.tolist() == [min(k, int(row[-1])) for k in range(10)] for row in out.round())
    assert len({int(row[-1]) for row in out}) > 1


def test_a_thinned_cube_is_interpolated_between_the_steps_kept() -> None:
    """A straight line in time survives thinning, but for the end, where the last kept step has no successor."""
    steps = torch.arange(13.0)[None, :, None, None, None].expand(20, 13, 3, 2, 2)
    out = varied(steps, thin=1.0)[:, :, 2, 0, 0]
    torch.testing.assert_close(out[:, :7], torch.arange(7.0).expand(20, 7))
    field = torch.sinh(varied(steps.asinh(), thin=1.0)[:, :7, 0, 0, 0])
    torch.testing.assert_close(field, torch.arange(7.0).expand(20, 7))  # as the grid does: in gauss, not its arcsinh
    zigzag = (steps % 2).contiguous()
    assert (varied(zigzag, thin=1.0)[:, 1, 2, 0, 0] < 1.0).all()


def test_a_share_of_nothing_leaves_a_batch_as_it_is() -> None:
    """So small a share that no cube is chosen."""
    steps = torch.rand(4, 9, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(varied(steps, steps, overlay=1e-9, thin=1e-9), steps)


def test_variations_come_from_the_members_generator_alone() -> None:
    """Equal seeds give equal batches, other seeds others."""
    steps = torch.rand(4, 9, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    forms = torch.zeros(4, dtype=torch.long)
    draws = [CellAugmenter(QUICK.augmentation, torch.Generator().manual_seed(seed))(steps, forms) for seed in (1, 1, 2)]
    torch.testing.assert_close(draws[0], draws[1], rtol=0, atol=0)
    assert not torch.equal(draws[0], draws[2])


def test_asking_for_a_missing_gpu_is_refused_in_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    """auto falls back to the CPU and says so."""
    caplog.set_level("INFO")
    assert choose_device("cpu") == CPU
    assert "networks run on CPU" in caplog.text
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="cuda"):
            choose_device("cuda")
        assert choose_device("auto") == CPU
