"""Compares the learning code of a version with that of now: their formulas of probabilities may differ."""

from helioloop.model.provenance import code_version
from helioloop.registry.card import Card
from helioloop.registry.known_cards import known_card
from helioloop.registry.versions import Registry


def other_code(registry: Registry, version: str) -> str | None:
    """Return a sentence where a version was made by other learning code than that of now, else None.

    Scores that the version has then follow another formula than those that it gives new cubes. Only the digests of the
    learning code are compared, not the versions of the package.

    Raises
    ------
    RegistryError
        If the version's card is missing or damaged.
    """
    card, now = known_card(registry, version), code_version()
    if is_of_this_code(card):
        return None
    return (
        f"{version} was made by other code ({card.code_version}, now {now}), so probabilities of new cubes cannot be "
        "compared with those of its audit sample; train a new version"
    )


def is_of_this_code(card: Card) -> bool:
    """Return whether a version was made by the learning code of now."""
    return _digest(card.code_version) == _digest(code_version())


def _digest(code: str) -> str:
    return code.partition("+")[2]
