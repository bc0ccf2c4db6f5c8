"""Whether another learning code than that of now made the published version, and what that means."""

from dataclasses import dataclass

from helioloop.model.provenance import code_version
from helioloop.registry.card import Card
from helioloop.registry.known_cards import latest_card
from helioloop.registry.versions import Registry
from helioloop.workflows.learning_code import is_of_this_code
from helioloop_worker.reports.finding import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCode:
    """The learning code that made the published version, and that of now.

    Parameters
    ----------
    version : str
        The published version.
    made, now : str
        Version of the package and digest of the learning code.
    newer : str or None
        The newest version, where the code of now made it and it is not published.
    """

    version: str
    made: str
    now: str
    newer: str | None = None


def read_other_code(registry: Registry, card: Card | None) -> OtherCode | None:
    """Return which code made the published version, whose card is given; None where it is that of now."""
    if card is None or is_of_this_code(card):
        return None
    newest = latest_card(registry)
    newer = newest.version if newest is not None and is_of_this_code(newest) else None
    return OtherCode(version=card.version, made=card.code_version, now=code_version(), newer=newer)


def other_code_finding(found: OtherCode | None, *, project: int | None, place: str) -> Found:
    """Return what was found and the next action; empty where the code is the same."""
    if found is None:
        return []
    sentence = (
        f"{found.version} was made by another learning code ({found.made}, now {found.now}): it is still "
        f"{'used' if project is None else 'shown'}, but new cubes get their probabilities by another formula than its "
        "other cubes, `helioloop triage` refuses it, no label is accepted with it, and no round starts because of that."
    )
    action = (
        "Repeat `helioloop train`: all members are trained anew."
        if project is None
        else "Press “Start training” in Label Studio (Settings, Model): all members are trained anew."
    )
    if found.newer is not None:
        action += f" Or publish {found.newer}, which the code of now made: `helioloop rollback {found.newer} {place}`."
    return [(sentence, action)]
