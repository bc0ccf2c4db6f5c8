"""Masking curves of members as text."""

import json

import pytest

from helioloop.records.member_curves import MemberCurves
from helioloop.records.scores import CubeScore


def test_curves_are_unpacked_as_they_were_packed() -> None:
    """0 and 1 are exact, other probabilities to 0.00001, in the order of the members."""
    curves = ((0.0, 0.25, 1.0), (0.99999, 0.5, 1e-5))
    unpacked = MemberCurves.pack(curves).unpack()
    assert [len(curve) for curve in unpacked] == [3, 3]
    assert unpacked[0][0] == 0.0
    assert unpacked[0][2] == 1.0
    for one, other in zip(unpacked, curves, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_the_numbers_are_little_endian_on_every_machine() -> None:
    """Half of 65535, rounded, is 32768: the bytes 00 80."""
    assert MemberCurves.pack([[0.5]]).packed == "AIA="
    assert MemberCurves("AIA=|//8=").unpack() == ((32768 / 65535,), (1.0,))


def test_225_frames_take_600_characters() -> None:
    """The mean curve takes three times as many."""
    assert len(MemberCurves.pack([[0.123456] * 225]).packed) == 600


@pytest.mark.parametrize("text", ["AIA", "A=", "????", "AAAA"])
def test_damaged_text_is_refused(text: str) -> None:
    """No base64, or an odd number of bytes."""
    with pytest.raises(ValueError, match=r"padding|base64|bytes"):
        MemberCurves(text).unpack()


def test_a_score_is_read_back_with_its_members_curves() -> None:
    """As JSON, and without them as scores were stored before."""
    score = CubeScore(
        cube="A", sha256="a" * 64, p_emergence=0.75, p_spread=None, members=("f0s0",),
        member_curves=MemberCurves.pack([[0.25, 0.5]]), p_networks=0.25, growth=4.5,
    )  # fmt: skip
    stored = json.loads(json.dumps(score.as_dict()))
    assert CubeScore.from_dict(stored) == score
    older = {name: value for name, value in stored.items() if name not in {"member_curves", "p_networks", "growth"}}
    read = CubeScore.from_dict(older)
    assert (read.member_curves, read.p_networks, read.growth) == (None, None, None)
    assert read.p_emergence == 0.75
