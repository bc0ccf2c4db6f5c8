"""The table that ``helioloop versions`` prints."""

from collections.abc import Mapping, Sequence

from helioloop.registry.card import Card

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


def rejections(cards: Sequence[Card]) -> list[str]:
    """Return one line for each rejected version, with the reason."""
    return [f"{card.version}: {card.rejected}" for card in cards if card.rejected is not None]


def copies(made_as: Mapping[str, str | None]) -> list[str]:
    """Return one line for each version whose folder has another name than when it was made; none for the others."""
    return [
        f"{version} was made as {made}: its folder was copied or renamed"
        for version, made in made_as.items()
        if made is not None
    ]


def without_weights(versions: Sequence[str]) -> list[str]:
    """Return one line about the versions whose weights were removed; none where there are none."""
    if not versions:
        return []
    return [f"without weights, removed by `helioloop prune`: {', '.join(versions)}; they cannot be published"]


def damages(damaged: Mapping[str, str]) -> list[str]:
    """Return one line for each version of which a file is missing or was cut off, with what is wrong."""
    return [
        f"{version} is damaged and cannot be published: {lacking}; restore its folder from a backup, or, if it is the "
        "newest, repeat its training"
        for version, lacking in damaged.items()
    ]


def _metric(card: Card, name: str) -> str:
    return f"{card.metrics[name]:.3f}" if name in card.metrics else "-"


def _promotion(card: Card) -> str:
    """Return the outcome of the promotion check; a dash in cards that were written before there was one."""
    if not card.verdict:
        return "-"
    return "passed" if card.rejected is None else "rejected"
