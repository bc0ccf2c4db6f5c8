"""Whether a round starts: pure rules over the labels as they are and the labels the last candidate was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

from helioloop.records import CurrentLabel
from helioloop.registry.versions import Card


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Start a round or not, and why, in a sentence."""

    start: bool
    reason: str


def decide(last: Card | None, labels: Mapping[str, CurrentLabel], *, retrain_verified: int, forced: bool) -> Decision:
    """Judge whether a round starts.

    It does where there is no candidate yet, where somebody pressed "Start training", where a current label differs
    from the one the last candidate was trained on, or where `retrain_verified` more cubes are verified than then. Cubes
    that came later with a crude label alone start nothing: nobody has said anything new; the next round trains on them.

    Parameters
    ----------
    last : Card or None
        The newest version, published or not.
    labels : mapping
        Cube -> current label.
    retrain_verified : int
        Newly verified cubes that start a round by themselves.
    forced : bool
        True where somebody pressed "Start training".
    """
    if last is None:
        return Decision(start=True, reason=f"first round, on {_trainable(labels)} labelled cubes")
    if forced:
        return Decision(start=True, reason='somebody pressed "Start training"')
    changed = [cube for cube, now in labels.items() if _changed(last, cube, now)]
    if changed:
        return Decision(start=True, reason=f"{len(changed)} labels differ from those {last.version} was trained on")
    fresh = [
        cube for cube, now in labels.items() if now.verified and not last.labels.get(cube, {}).get("verified", False)
    ]
    if len(fresh) >= retrain_verified:
        return Decision(start=True, reason=f"{len(fresh)} more cubes are verified than {last.version} knew")
    return Decision(
        start=False,
        reason=f"no label differs from those {last.version} was trained on, and {len(fresh)} more cubes are verified "
        f"({retrain_verified} start a round)",
    )


def _changed(last: Card, cube: str, now: CurrentLabel) -> bool:
    """Tell whether a label says something that the last candidate did not know."""
    known = last.labels.get(cube)
    if known is None:
        return now.verified and now.label is not None
    return now.label is None or known["label"] != now.label.value


def _trainable(labels: Mapping[str, CurrentLabel]) -> int:
    return sum(label.label is not None for label in labels.values())
