"""Members trained together become the networks that each becomes alone, and what `train` makes of the same cubes.

The same code runs on a GPU, there with streams and recorded steps; `make bench-gpu` compares the weights there.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helioloop.errors import CubeError
from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU
from helioloop.model.field_video import FieldVideo
from helioloop.model.frames_network import FramesAsChannelsNetwork, channel_frames, edge_taps
from helioloop.model.joint_training import JointMember, can_train_together, train_together
from helioloop.model.one_cycle_adamw import OneCycleAdamW
from helioloop.model.recipes import PAPER, PAPER_ADAMW, QUICK, RECIPES, Recipe
from helioloop.model.resident_frames import ResidentFrames
from helioloop.model.training import Examples, train
from helioloop.progress import silent
from helioloop.records.instrument import Instrument

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=21, size_px=24, clip_gauss=1000.0, frozen_frames=3)
SMALL_PAPER = replace(PAPER, filters=(4, 6, 8), dense=8, epochs=3, learning_rate=1e-2)
SMALL_ADAMW = replace(PAPER_ADAMW, filters=(4, 6, 8), dense=8, epochs=3, learning_rate=3e-3)
ARCHITECTURE = find_architecture("frames-as-channels")
N_CUBES = 24
TARGETS = (np.arange(N_CUBES) % 2).astype(np.float32)


def gridded(k: int) -> np.ndarray:
    """In odd cubes a field appears in mid-video, in even ones it is there throughout; a corner is off-disk."""
    cube = 0.5 + 0.02 * np.random.default_rng(k).standard_normal((21, 24, 24))
    cube[12 if k % 2 else 0 :, 8:16, 8:14] += 0.3
    cube[:, :4, :3] = np.nan
    return cube.astype(np.float16)


CUBES = [gridded(k) for k in range(N_CUBES)]


@pytest.fixture(scope="module")
def resident() -> ResidentFrames:
    """All cubes on the CPU, put there in two chunks."""
    frames = ResidentFrames(N_CUBES, SMALL, CPU)
    frames.put(0, CUBES[:10])
    frames.put(10, CUBES[10:])
    return frames


def member(k: int, *, dropout: float = 0.3) -> JointMember:
    """Return a member that is not trained on every fourth cube from number k on, so that batches differ in size."""
    chosen = np.array([n for n in range(N_CUBES) if n % 4 != k or n == k], dtype=np.int64)
    groups = [f"region {n // 2}" for n in chosen]
    return JointMember(name=f"m{k}", seed=5 + k, dropout=dropout, chosen=chosen, targets=TARGETS[chosen], groups=groups)


def trained(members: Sequence[JointMember], recipe: Recipe, resident: ResidentFrames) -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {}
    train_together(
        members, resident, architecture=ARCHITECTURE, recipe=recipe, instrument=SMALL, device=CPU, report=silent,
        on_trained=networks.__setitem__,
    )  # fmt: skip
    return networks


def trained_alone(one: JointMember, recipe: Recipe) -> nn.Module:
    inputs = [ARCHITECTURE.prepare(FieldVideo(CUBES[k], SMALL)) for k in one.chosen]
    return train(
        Examples(inputs=lambda k: inputs[k], targets=one.targets, groups=one.groups),
        architecture=ARCHITECTURE, recipe=recipe, instrument=SMALL, seed=one.seed, dropout=one.dropout, device=CPU,
        report=silent,
    )  # fmt: skip


def logits_of(network: nn.Module, resident: ResidentFrames) -> Tensor:
    assert isinstance(network, FramesAsChannelsNetwork)
    with torch.no_grad():
        return resident.logits(network, torch.arange(N_CUBES))


# -- inputs ----------------------------------------------------------------------------------------


def test_resident_inputs_give_the_logits_of_prepared_inputs_under_all_symmetries(resident: ResidentFrames) -> None:
    """Off-disk pixels, frozen start, edge of the frame, polarity and flip; to 1e-5."""
    torch.manual_seed(0)
    network = ARCHITECTURE.build(SMALL_PAPER, SMALL, dropout=0.0).eval()
    chosen, symmetries = torch.tensor([3, 0, 17, 3, 9]), torch.tensor([0, 1, 2, 3, 3])
    inputs = torch.from_numpy(np.stack([channel_frames(FieldVideo(CUBES[k], SMALL)) for k in chosen.tolist()]))
    augmented = ARCHITECTURE.augment(inputs, symmetries, None, settings=PAPER.augmentation, generator=torch.Generator())
    with torch.no_grad():
        torch.testing.assert_close(
            resident.logits(network, chosen, symmetries), network(augmented), atol=1e-5, rtol=1e-5
        )


def test_weak_fields_are_not_lost_in_bfloat16() -> None:
    """Noise of 4 G at a clip of 1000 G: the first layer errs by 1 %, and with raw frames in bfloat16 by over 20 %."""
    torch.manual_seed(0)
    network = ARCHITECTURE.build(SMALL_PAPER, SMALL, dropout=0.0).eval()
    frames = 0.5 + 0.002 * torch.randn(2, 21, 24, 24)
    taps = edge_taps(24, "cpu")
    with torch.no_grad():
        constant = network.first(torch.full_like(frames[:1], 0.5))
        exact = network.first(frames)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ours, raw = network.first_of_field(frames - 0.5, taps), network.first(frames)
        torch.testing.assert_close(network.first_of_field(frames - 0.5, taps), exact, atol=1e-5, rtol=1e-5)
    size = (exact - constant).norm()
    assert (ours - exact).norm() < 0.01 * size
    assert (raw - exact).norm() > 0.2 * size


def test_a_cube_of_another_shape_is_refused() -> None:
    """The message names both shapes."""
    with pytest.raises(CubeError, match=r"\(20, 24, 24\).*\(21, 24, 24\)"):
        ResidentFrames(1, SMALL, CPU).put(0, [CUBES[0][1:]])


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [SMALL_PAPER, SMALL_ADAMW], ids=lambda recipe: recipe.name)
def test_a_member_is_the_same_whichever_members_train_beside_it(recipe: Recipe, resident: ResidentFrames) -> None:
    """To the last bit, so that a round that continues with its last members makes the same version."""
    together = trained([member(0), member(1), member(2)], recipe, resident)
    assert list(together) == ["m0", "m1", "m2"]
    for k in (0, 2):
        alone = trained([member(k)], recipe, resident)[f"m{k}"].state_dict()
        state = together[f"m{k}"].state_dict()
        assert all(torch.equal(alone[key], state[key]) for key in alone)
    assert not torch.equal(logits_of(together["m0"], resident), logits_of(together["m1"], resident))


@pytest.mark.parametrize("recipe", [SMALL_PAPER, SMALL_ADAMW], ids=lambda recipe: recipe.name)
def test_members_trained_together_are_those_trained_one_after_another(recipe: Recipe, resident: ResidentFrames) -> None:
    """Without dropout, whose masks differ, logits agree to 1 %: the rounding differs, and training amplifies it."""
    together = trained([member(0, dropout=0.0), member(1, dropout=0.0)], recipe, resident)
    for k in (0, 1):
        expected = logits_of(trained_alone(member(k, dropout=0.0), recipe), resident)
        torch.testing.assert_close(logits_of(together[f"m{k}"], resident), expected, atol=0.01, rtol=0.01)


def test_members_trained_together_learn(resident: ResidentFrames) -> None:
    """With dropout, on easy videos."""
    networks = trained([member(0), member(1)], replace(SMALL_ADAMW, epochs=10), resident)
    for network in networks.values():
        assert (((logits_of(network, resident) > 0).numpy() == (TARGETS > 0.5)).mean()) > 0.9


def test_each_member_stops_by_itself(resident: ResidentFrames) -> None:
    """With a learning rate of 0 a patience of 2 allows three epochs; the report ends with all epochs done."""
    reports: list[tuple[int, int]] = []
    train_together(
        [member(0), member(1)], resident, architecture=ARCHITECTURE,
        recipe=replace(SMALL_PAPER, learning_rate=0.0, patience=2, epochs=20), instrument=SMALL, device=CPU,
        report=lambda done, total, _: reports.append((done, total)), on_trained=lambda *_: None,
    )  # fmt: skip
    assert reports[-1] == (40, 40)
    assert max(done for done, _ in reports[:-1]) == 6


def test_a_member_whose_cubes_are_all_of_one_region_trains_for_all_epochs(resident: ResidentFrames) -> None:
    """Nothing is left for the stopping rule then; the other member stops after three epochs of five."""
    reports: list[int] = []
    train_together(
        [replace(member(0), groups=["region"] * len(member(0).chosen)), member(1)], resident, architecture=ARCHITECTURE,
        recipe=replace(SMALL_PAPER, learning_rate=0.0, patience=2, epochs=5), instrument=SMALL, device=CPU,
        report=lambda done, *_: reports.append(done), on_trained=lambda *_: None,
    )  # fmt: skip
    assert reports[-2:] == [8, 10]


def test_recipes_with_augmentations_drawn_on_the_cpu_are_trained_one_after_another() -> None:
    """Of the built-in recipes the two of the authors' CNN train together."""
    together = {
        name for name, recipe in RECIPES.items() if can_train_together(recipe, find_architecture(recipe.network))
    }
    assert together == {"paper", "paper-adamw"}
    assert not can_train_together(replace(PAPER, early_learning=1.0), ARCHITECTURE)
    assert not can_train_together(replace(PAPER, augmentation=QUICK.augmentation), ARCHITECTURE)


def test_the_optimiser_equals_adamw_under_a_one_cycle_schedule() -> None:
    """Twelve steps on random gradients, compared with torch's own."""
    generator = torch.Generator().manual_seed(1)
    ours, theirs = (nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    optimiser = OneCycleAdamW([ours], rate=0.1, decay=0.05, n_steps=12)
    reference = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(reference, max_lr=0.1, total_steps=12)
    for step in range(12):
        gradient = torch.randn(3, 2, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimiser.step()
        reference.step()
        if step < 11:
            schedule.step()
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
