"""The rules for starting a round: they compare the current labels with those that the last candidate was trained on."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from helioloop.records.labels import CurrentLabel
from helioloop.registry.card import Card
from helioloop.settings import Settings
from helioloop.words import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a round starts, and the reason in a sentence; `waits` where it starts later without another answer."""

    start: bool
    reason: str
    waits: bool = False


def decide(
    last: Card | None,
    labels: Mapping[str, CurrentLabel],
    *,
    settings: Settings,
    forced: bool,
    quiet_seconds: float = math.inf,
) -> Decision:
    """Decide whether a round starts.

    A round starts if there is no candidate yet, if somebody pressed "Start training", if ``retrain_changed`` current
    labels differ from those that the last candidate was trained on, or if ``retrain_verified`` more cubes are verified
    than then. Fewer changed labels start a round after a pause of ``retrain_pause_seconds``. New cubes that have only a
    crude label start no round; the next round trains on them.

    Parameters
    ----------
    last : Card or None
        The newest version, published or not.
    labels : mapping
        Cube -> current label.
    settings : Settings
        The numbers of labels and cubes, and the pause.
    forced : bool
        True where somebody pressed "Start training".
    quiet_seconds : float
        Time since the last annotation.
    """
    if last is None:
        return Decision(start=True, reason=f"it is the first round, on {_trainable(labels)} labelled cubes")
    if forced:
        return Decision(start=True, reason='somebody pressed "Start training"')
    changed = [cube for cube, now in labels.items() if _changed(last, cube, now)]
    paused = quiet_seconds >= settings.retrain_pause_seconds
    if len(changed) >= settings.retrain_changed or (changed and paused):
        return Decision(start=True, reason=_differ(changed, last))
    fresh = [
        cube for cube, now in labels.items() if now.verified and not last.labels.get(cube, {}).get("verified", False)
    ]
    if len(fresh) >= settings.retrain_verified:
        return Decision(start=True, reason=f"{_more_verified(fresh)} than when {last.version} was trained")
    if changed:
        return Decision(
            start=False,
            waits=True,
            reason=f"{_differ(changed, last)} ({settings.retrain_changed} start a round, fewer do after "
            f"{settings.retrain_pause_seconds / 60.0:g} min "
            "without an annotation)",
        )
    return Decision(
        start=False,
        reason=f"no label differs from those {last.version} was trained on, and {_more_verified(fresh)} "
        f"({settings.retrain_verified} start a round)",
    )


def _differ(changed: Collection[str], last: Card) -> str:
    differ = "1 label differs" if len(changed) == 1 else f"{len(changed)} labels differ"
    return f"{differ} from those {last.version} was trained on"


def _more_verified(fresh: Collection[str]) -> str:
    return f"{count(len(fresh), 'more cube')} {'is' if len(fresh) == 1 else 'are'} verified"


def _changed(last: Card, cube: str, now: CurrentLabel) -> bool:
    """Tell whether a label differs from the one that the last candidate was trained on, or is verified and new."""
    known = last.labels.get(cube)
    if known is None:
        return now.verified and now.label is not None
    return now.label is None or known["label"] != now.label.value


def _trainable(labels: Mapping[str, CurrentLabel]) -> int:
    return sum(label.label is not None for label in labels.values())
