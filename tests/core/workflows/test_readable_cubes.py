"""Cubes of a release are read for training and scoring, and what is doubtful about them together is said."""

from pathlib import Path

import pytest
from tests.core.data.test_other_instrument import GRID, MDI, write

from helioloop.data.loader import Loader
from helioloop.data.release import Release
from helioloop.model.device import choose_device
from helioloop.model.runtime import Runtime
from helioloop.workflows.readable_cubes import readable_cubes


@pytest.mark.parametrize(
    ("instruments", "said"),
    [
        (("MDI", "MDI", "MDI"), None),
        (("MDI", "HMI", "MDI"), "B of release r is from HMI, and profile 'mdi' is for MDI,"),
        (("HMI", "HMI", "HMI"), "A and 2 more cubes of release r are from HMI, and profile 'mdi' is for MDI,"),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_training_and_scoring_say_it_once_for_a_release(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, instruments: tuple[str, ...], said: str | None, times: int
) -> None:
    """Also where the cubes are in the cache. A release of HMI that lost its release.toml has the profile mdi."""
    folder = tmp_path / "r"
    for name, instrument in zip("ABC", instruments, strict=True):
        write(folder / f"{name}.fits", INSTRUME=instrument)
    (folder / "labels.csv").write_text("cube,label,verified\nA,emergence,0\nB,emergence,0\nC,emergence,0\n")
    runtime = Runtime(
        instrument=GRID,
        profile=MDI,
        load=Loader(roots=(tmp_path,), cache=tmp_path / "cache", instrument=GRID, profile=MDI),
        device=choose_device("cpu"),
    )
    for _ in range(times):
        caplog.clear()
        assert [cube.name for cube in readable_cubes(Release.open(folder), runtime)] == ["A", "B", "C"]
    assert [record.getMessage().startswith(said or "") for record in caplog.records] == ([] if said is None else [True])
