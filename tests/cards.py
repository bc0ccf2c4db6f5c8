"""The card of a version that nobody trained, for tests that need a version and not a training."""

from dataclasses import replace
from typing import Any

from helioloop.registry.card import Card

FINGERPRINT = "0123abcd"
_CARD = Card(
    version="",
    parent=None,
    created_at="2026-01-01T00:00:00+00:00",
    reason="test",
    fingerprint=FINGERPRINT,
    label_fingerprint="4567cdef",
    code_version="0",
    recipe={},
    instrument={"n_frames": 225},
    labels={},
    members={},
)


def bare_card(**fields: Any) -> Card:
    """Return a card without labels and members, with some fields changed."""
    return replace(_CARD, **fields)
