"""Videos: one frame per grid frame, north up, complete or absent."""

import os
import stat
from pathlib import Path

import av
import numpy as np
import pytest

from helioloop.data.cubes import read_cube
from helioloop.data.gridding import to_grid
from helioloop.errors import VideoError
from helioloop.records.instrument import MDI
from helioloop_worker.loop import video
from helioloop_worker.loop.captions import Bands, Captions, band_px
from helioloop_worker.loop.video import check_video, render_video


def _decoded(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def _uniform(grey: np.ndarray, size: int = 20) -> np.ndarray:
    return np.broadcast_to(grey[:, None, None], (len(grey), size, size)).astype(np.float16)


def test_each_frame_is_its_grid_frame(tmp_path: Path) -> None:
    """Frame k of the video shows grid frame k, from the first to the last."""
    steps = np.array([0.4, 0.6, 0.5, 0.45, 0.55])
    order = np.random.default_rng(0).integers(0, 5, 225)
    order[[0, -2, -1]] = 4, 2, 0
    render_video(_uniform(steps[order]), tmp_path / "v.mp4")
    brightness = np.array([frame.mean() for frame in _decoded(tmp_path / "v.mp4")])
    level = np.array([brightness[order == k].mean() for k in range(5)])
    assert (np.diff(level[np.argsort(steps)]) > 20).all()
    assert np.abs(brightness[:, None] - level).argmin(axis=1).tolist() == order.tolist()


def test_rate_and_start(tmp_path: Path) -> None:
    """The rate is constant, the first frame is at 0, the size is scaled and even, the index comes first."""
    path = tmp_path / "v.mp4"
    render_video(_uniform(np.full(30, 0.5), size=21), path, fps=10, scale=3)
    info = check_video(path)
    assert (info.n_frames, info.fps, info.width_px, info.height_px) == (30, 10, 62, 62)
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.start_time == 0
        assert stream.duration * stream.time_base == 3
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(("size", "side"), [(8, 40), (90, 450), (216, 1080), (300, 900), (1200, 1200)])
def test_large_patches_are_enlarged_less(tmp_path: Path, size: int, side: int) -> None:
    """Five times, or the largest whole number with a side of at most 1080; never made smaller."""
    render_video(_uniform(np.full(2, 0.5), size=size), tmp_path / "v.mp4")
    assert check_video(tmp_path / "v.mp4").width_px == side


def test_any_frame_is_near_a_key_frame(tmp_path: Path) -> None:
    """Every 25th frame is a key frame, so that a browser decodes at most 25 frames to show one."""
    render_video(np.random.default_rng(0).random((60, 20, 20)), tmp_path / "v.mp4")
    with av.open(tmp_path / "v.mp4") as container:
        keys = [index for index, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    assert keys == [0, 25, 50]


def test_north_is_up_and_west_is_right(tmp_path: Path) -> None:
    """Row 0, the south, is at the bottom; column 0, the east, on the left; positive field is white."""
    field = np.full((2, 20, 20), 0.5)
    field[:, 10:, 10:] = 1.0
    field[:, :10, :10] = 0.0
    render_video(field, tmp_path / "v.mp4", scale=2)
    frame = _decoded(tmp_path / "v.mp4")[0].mean(axis=2)
    quarters = [frame[:18, :18], frame[:18, 22:], frame[22:, :18], frame[22:, 22:]]
    assert [round(quarter.mean() / 127.5) for quarter in quarters] == [1, 2, 0, 1]


def test_contrast(tmp_path: Path) -> None:
    """Field of opposite sign is as far from grey; ±400 G is black and white, ±50 G differs from 0."""
    gauss = np.array([-1000.0, -400.0, -50.0, 0.0, 50.0, 400.0, 1000.0])
    render_video(_uniform(0.5 + gauss / 2000.0), tmp_path / "v.mp4")
    grey = [frame.mean() for frame in _decoded(tmp_path / "v.mp4")]
    np.testing.assert_allclose(np.add(grey, grey[::-1]), 255, atol=4)
    np.testing.assert_allclose(grey[:2] + grey[-2:], [0, 0, 255, 255], atol=3)
    assert grey[4] - grey[3] > 20


def test_off_disk_is_no_grey(tmp_path: Path) -> None:
    """Off-disk is bluish and dark, up to its own edge; a magnetogram has only greys."""
    field = np.full((3, 20, 20), 0.5)
    field[:, :, :8] = np.nan
    render_video(field, tmp_path / "v.mp4", scale=4)
    frame = _decoded(tmp_path / "v.mp4")[-1]
    off, disk = frame[:, :28].mean(axis=(0, 1)), frame[:, 36:].mean(axis=(0, 1))
    assert off[2] - off[0] > 20
    assert off.max() < 80
    assert np.ptp(disk) < 4
    np.testing.assert_allclose(disk, 127.5, atol=5)


def test_a_failed_rendering_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If encoding stops or the count is wrong, neither the video nor a part of the file remains."""
    frames = _uniform(np.full(10, 0.5))
    whole = video._frame
    calls = iter(range(5))

    def fails(*args: object, **kwargs: object) -> object:
        if next(calls, None) is None:
            raise OSError(28, "No space left on device")
        return whole(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(video, "_frame", fails)
    with pytest.raises(OSError, match="No space"):
        render_video(frames, tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    encode = video._encode
    monkeypatch.setattr(video, "_encode", lambda field, *args, **kwargs: encode(field[1:], *args, **kwargs))
    with pytest.raises(VideoError, match="9 frames at 25 per second, not to the 10 at 25 that were rendered"):
        render_video(frames, tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o077, 0o002], ids=oct)
def test_a_video_has_the_permissions_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    """Label Studio, perhaps another user of the group, reads videos if and only if the umask allows it."""
    before = os.umask(umask)
    try:
        render_video(_uniform(np.full(3, 0.5)), tmp_path / "v.mp4")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "v.mp4").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("content", [b"", b"<html></html>", None], ids=["empty", "HTML", "cut off"])
def test_what_is_no_whole_video(tmp_path: Path, content: bytes | None) -> None:
    """A file that does not decode to its end is refused."""
    path = tmp_path / "v.mp4"
    if content is None:
        render_video(np.random.default_rng(0).random((50, 20, 20)), path)
        content = path.read_bytes()[:-500]
    path.write_bytes(content)
    with pytest.raises(VideoError):
        check_video(path)


def test_frames_off_the_beat(tmp_path: Path) -> None:
    """A video with a gap in its time stamps is refused, though every frame decodes."""
    path = tmp_path / "v.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for pts in (0, 1, 5, 6):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 32), dtype=np.uint8), format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"does not have its frames at|at the rate"):
        check_video(path)


def test_real_video(real_data: Path, tmp_path: Path) -> None:
    """The real cube renders to 225 frames of 450 px, frames 1 and n being its first and last."""
    gridded = to_grid(read_cube(real_data / "BARD0310_19981206.fits"), MDI)
    path = tmp_path / "BARD0310_19981206.mp4"
    render_video(gridded, path)
    info = check_video(path)
    assert (info.n_frames, info.fps, info.width_px, info.height_px) == (225, 25, 450, 450)
    shown = _decoded(path)
    for frame in (0, 120, 224):
        small = shown[frame].mean(axis=2)[2::5, 2::5][::-1]
        disk = ~np.isnan(gridded[frame])
        assert np.corrcoef(small[disk], np.arcsinh(gridded[frame][disk] * 20 - 10))[0, 1] > 0.97
    assert path.stat().st_size < 2_000_000


def _captions(n_frames: int, off_disk: tuple[bool, ...] | None = None) -> Captions:
    return Captions(
        left=tuple(f"1998-12-{1 + k // 15:02d} 00:00 UTC   CM {k % 90}° E" for k in range(n_frames)),
        off_disk=off_disk or (False,) * n_frames,
        patch_deg=15.0,
    )


def test_captions_stand_beside_the_picture(tmp_path: Path) -> None:
    """One band above and one below; the picture between them is that of a video without captions."""
    field = np.broadcast_to(np.linspace(0.3, 0.7, 90)[:, None], (3, 90, 90))
    render_video(field, tmp_path / "plain.mp4")
    render_video(field, tmp_path / "v.mp4", captions=_captions(3))
    info, band = check_video(tmp_path / "v.mp4"), band_px(450)
    assert (info.n_frames, info.width_px, info.height_px) == (3, 450, 450 + 2 * band)
    plain, captioned = _decoded(tmp_path / "plain.mp4"), _decoded(tmp_path / "v.mp4")
    for before, after in zip(plain, captioned, strict=True):
        assert np.abs(before - after[band:-band]).mean() < 3
        for letters in (after[:band], after[-band:]):
            assert letters.max() > 180
            assert np.median(letters) < 20


def test_the_number_burnt_in_is_that_of_the_frame(tmp_path: Path) -> None:
    """Each of 225 decoded lower bands is nearest to the band drawn for its own frame, counted from 1."""
    captions = Captions(left=("",) * 225, off_disk=(False,) * 225, patch_deg=15.0)
    render_video(np.full((225, 20, 20), 0.5), tmp_path / "v.mp4", captions=captions)
    band, width = band_px(360), 360
    bands = Bands(captions, width_px=width, picture_px=width)
    drawn = np.stack([bands.lower(frame) for frame in range(225)]).astype(float)
    decoded = np.stack([frame[-band:].mean(axis=2) for frame in _decoded(tmp_path / "v.mp4")])
    distance = ((decoded[:, None] - (drawn[None] - 16) / 219 * 255) ** 2).mean(axis=(2, 3))
    assert distance.argmin(axis=1).tolist() == list(range(225))


def test_frames_without_disk_say_so(tmp_path: Path) -> None:
    """The first frame has letters in its middle, the second, which has a disk, has none."""
    field = np.full((2, 90, 90), 0.5)
    field[0] = np.nan
    render_video(field, tmp_path / "v.mp4", captions=_captions(2, (True, False)))
    off, on = (frame[200:300, 100:350] for frame in _decoded(tmp_path / "v.mp4"))
    assert off.max() > 180
    assert np.ptp(on) < 20


@pytest.mark.parametrize("size", [8, 24, 90, 300])
def test_captions_fit_patches_of_any_size(tmp_path: Path, size: int) -> None:
    """A video with captions is at least 360 px wide, and the longest text leaves the margins empty."""
    render_video(np.full((2, size, size), 0.5), tmp_path / "v.mp4", captions=_captions(2))
    info = check_video(tmp_path / "v.mp4")
    assert info.width_px >= 360
    lower = _decoded(tmp_path / "v.mp4")[0][-band_px(info.width_px) :]
    assert lower[:, :2].max() < 60
    assert lower[:, -2:].max() < 60
