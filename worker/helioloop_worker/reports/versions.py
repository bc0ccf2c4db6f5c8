"""What ``helioloop versions`` prints: a table, and remarks below it."""

from collections.abc import Sequence

from helioloop.registry.card import Card
from helioloop.registry.unusable import find_damage
from helioloop.registry.version_names import misnamed_folders
from helioloop.registry.versions import Registry

HEADS = (
    "",
    "version",
    "created",
    "parent",
    "members",
    "labels",
    "verified",
    "agreement",
    "AUROC",
    "promotion",
    "reason",
)


def version_rows(cards: Sequence[Card], *, published: str | None) -> list[tuple[str, ...]]:
    """Return the table's rows, heads first; a star marks the published version."""
    rows = [
        (
            "*" if card.version == published else "",
            card.version,
            card.created_at,
            card.parent or "-",
            str(len(card.members)),
            str(len(card.labels)),
            str(card.verified),
            _metric(card, "agreement"),
            _metric(card, "auroc"),
            _promotion(card),
            card.reason,
        )
        for card in cards
    ]
    return [HEADS, *rows]


def remarks(registry: Registry, cards: Sequence[Card]) -> list[str]:
    """Return what else there is to say about a model folder's versions and the folders beside them, one line each."""
    names = [card.version for card in cards]
    rejected = [f"{card.version}: {card.rejected}" for card in cards if card.rejected is not None]
    copies = [
        f"{name} was made as {made}: its folder was copied or renamed"
        for name in names
        if (made := registry.made_as(name)) is not None
    ]
    pruned = [name for name in names if registry.is_pruned(name)]
    weightless = [f"without weights, removed by `helioloop prune`: {', '.join(pruned)}; they cannot be published"]
    damaged = [
        f"{name} is damaged and cannot be published: {lacking}; restore its folder from a backup, or, if it is the "
        "newest, repeat its training"
        for name in names
        if (lacking := find_damage(registry, name)) is not None
    ]
    misnamed = [
        f"versions/{name} is passed over: a version is called v and its number, as v0001; rename that folder, or move "
        "it away"
        for name in misnamed_folders(registry.root)
    ]
    return [*rejected, *copies, *(weightless if pruned else []), *damaged, *misnamed]


def _metric(card: Card, name: str) -> str:
    return f"{card.metrics[name]:.3f}" if name in card.metrics else "-"


def _promotion(card: Card) -> str:
    """Return the outcome of the promotion check; a dash in cards that were written before there was one."""
    if not card.verdict:
        return "-"
    return "passed" if card.rejected is None else "rejected"
