"""Random variations of training input, on arrays one can check by hand."""

import pytest
import torch

from helioloop.model.augmentation import CellAugmenter, _median
from helioloop.model.frames_as_channels import FramesAsChannels
from helioloop.model.recipes import QUICK, Augmentation


def test_symmetry_transforms_invert_polarity_and_flip_east_and_west() -> None:
    """Transform 1 swaps the field channels, 2 mirrors columns, 3 does both; the disk is never swapped."""
    steps = torch.arange(1 * 1 * 3 * 2 * 2, dtype=torch.float32).reshape(1, 1, 3, 2, 2).repeat(4, 1, 1, 1, 1)
    out = CellAugmenter(Augmentation(), torch.Generator())(steps, torch.arange(4))
    plain = steps[0]
    swapped = plain[:, [1, 0, 2]]
    for transform, expected in enumerate((plain, swapped, plain.flip(-1), swapped.flip(-1))):
        torch.testing.assert_close(out[transform], expected)
    frames = torch.tensor([[[[0.2, 0.6]]]]).repeat(4, 1, 1, 1)
    augmented = FramesAsChannels().augment(
        frames, torch.arange(4), None, settings=Augmentation(), generator=torch.Generator()
    )
    torch.testing.assert_close(augmented[:, 0, 0], torch.tensor([[0.2, 0.6], [0.8, 0.4], [0.6, 0.2], [0.4, 0.8]]))


def varied(steps: torch.Tensor, others: torch.Tensor | None = None, **settings: float) -> torch.Tensor:
    """Return `steps` under a single augmentation, without symmetry transforms."""
    augmenter = CellAugmenter(Augmentation(**settings), torch.Generator().manual_seed(3))
    return augmenter(steps, torch.zeros(len(steps), dtype=torch.long), others)


def test_a_wide_gain_multiplies_the_field_and_leaves_the_disk() -> None:
    """The field of every cube, before the arcsinh, has one factor between a half and two."""
    steps = torch.full((50, 2, 3, 3, 3), 0.7)
    factors = torch.sinh(out := varied(steps, gain=2.0))[:, :, :2] / torch.sinh(torch.tensor(0.7))
    assert factors.amin() >= 0.5
    assert factors.amax() <= 2.0 + 1e-6
    assert factors.flatten(1).std(dim=1).max() < 1e-6
    assert factors.std() > 0.2
    torch.testing.assert_close(out[:, :, 2], steps[:, :, 2])


def test_additive_mixing_adds_the_other_field_above_its_quiet_sun_on_the_disk() -> None:
    """A spot of field 5 on a quiet Sun of 1 adds 4, with either polarity; off the disk nothing is added."""
    steps = torch.zeros(40, 1, 3, 3, 3)
    steps[:, :, 2] = 1.0
    steps[:, :, 2, 0, 0] = 0.0
    others = torch.full((40, 1, 3, 3, 3), 1.0).asinh()
    others[:, :, 0, 1, 1] = others[:, :, 0, 0, 0] = torch.tensor(5.0).asinh()
    added = torch.sinh(varied(steps, others, additive_mixing=1.0)[:, 0, :2])
    spots = added[:, :, 1, 1]
    torch.testing.assert_close(spots.sum(1), torch.full((40,), 4.0))
    assert 0 < (spots[:, 0] > 0).sum() < 40
    assert added[:, :, 0, 0].abs().max() == 0.0
    assert added.sum() == pytest.approx(160.0, rel=1e-5)
    torch.testing.assert_close(varied(steps, others), steps)


def test_a_truncated_cube_repeats_its_last_step() -> None:
    """Of ten steps the first six stay; each later one stays or repeats the one before."""
    steps = torch.arange(10.0)[None, :, None, None, None].expand(30, 10, 3, 2, 2)
    out = varied(steps, truncation=1.0)[:, :, 2, 0, 0]
    torch.testing.assert_close(out[:, :6], torch.arange(6.0).expand(30, 6))
    assert all(row.tolist() == [min(k, int(row[-1])) for k in range(10)] for row in out.round())
    assert len({int(row[-1]) for row in out}) > 1


def test_a_subsampled_cube_is_interpolated_between_the_steps_kept() -> None:
    """A linear series is unchanged, except at the end, where the last kept step has no successor."""
    steps = torch.arange(13.0)[None, :, None, None, None].expand(20, 13, 3, 2, 2)
    out = varied(steps, temporal_subsampling=1.0)[:, :, 2, 0, 0]
    torch.testing.assert_close(out[:, :7], torch.arange(7.0).expand(20, 7))
    field = torch.sinh(varied(steps.asinh(), temporal_subsampling=1.0)[:, :7, 0, 0, 0])
    torch.testing.assert_close(field, torch.arange(7.0).expand(20, 7))  # in gauss, like the grid, not in arcsinh
    zigzag = (steps % 2).contiguous()
    assert (varied(zigzag, temporal_subsampling=1.0)[:, 1, 2, 0, 0] < 1.0).all()


def test_a_batch_in_which_no_cube_is_chosen_is_unchanged() -> None:
    """The fractions are so small that no cube is chosen."""
    steps = torch.rand(4, 9, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(varied(steps, steps, additive_mixing=1e-9, temporal_subsampling=1e-9), steps)


def test_augmentation_depends_only_on_the_members_generator() -> None:
    """Equal seeds give equal batches, different seeds different ones."""
    steps = torch.rand(4, 9, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    forms = torch.zeros(4, dtype=torch.long)
    draws = [CellAugmenter(QUICK.augmentation, torch.Generator().manual_seed(seed))(steps, forms) for seed in (1, 1, 2)]
    torch.testing.assert_close(draws[0], draws[1], rtol=0, atol=0)
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("n_cells", [15, 4])
def test_quiet_sun_is_the_lower_median_as_torch_has_it(n_cells: int) -> None:
    """Of an odd and of an even number of cells, with equal values among them."""
    cells = torch.rand(6, 2, n_cells * n_cells, generator=torch.Generator().manual_seed(0)).mul(50).round()
    torch.testing.assert_close(_median(cells), cells.median(-1).values, rtol=0.0, atol=0.0)


def test_the_input_is_not_changed() -> None:
    """The same prepared input is augmented again in the next epoch."""
    steps, others = torch.rand(4, 75, 3, 15, 15), torch.rand(4, 75, 3, 15, 15)
    before = steps.clone(), others.clone()
    CellAugmenter(QUICK.augmentation, torch.Generator().manual_seed(0))(steps, torch.arange(4), others)
    CellAugmenter(Augmentation(gain=2.0), torch.Generator().manual_seed(0))(steps, torch.arange(4), others)
    assert torch.equal(steps, before[0])
    assert torch.equal(others, before[1])
