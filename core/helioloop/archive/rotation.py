"""How an image is turned against solar north: by its matrix or its angle, which must not contradict each other."""

import math

from astropy.io import fits

from helioloop.archive.header_cards import number, number_or_none
from helioloop.errors import MagnetogramError

_ANGLES = ("CROTA2", "CROTA1", "CROTA")
_SAME_DEG = 0.1
_NEAR_DEG = 1.0  # moves a region at the limb by 1°, six pixels of a patch


def has_cd(header: fits.Header) -> bool:
    """Return whether a header has the matrix CDi_j; PCi_j does not count beside it then."""
    return any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2))


def add_rotation(header: fits.Header, cards: fits.Header) -> tuple[bool, tuple[str, ...]]:
    """Add a header's PCi_j or CDi_j to the cards of its axes, else its CROTA2.

    Returns
    -------
    given : bool
        False where the header has neither.
    doubts : tuple of str
        One sentence for each card that differs by up to 1° from the one used.

    Raises
    ------
    MagnetogramError
        If a card is no number, or two of them differ by more than 1°.

    Notes
    -----
    CROTA2 must not stand beside PCi_j, and beside CDi_j it must say the same. A matrix that only repeats the default,
    1 on the diagonal, is no exception: nothing tells whether it or the angle was left behind. CROTA1 = 0 beside CROTA2
    is the custom from which CROTA2 comes: the angle is that of the second axis alone.

    References
    ----------
    Calabretta & Greisen 2002, A&A 395, 1077, sections 6.1 and 6.2.
    """
    kind = "CD" if has_cd(header) else "PC"
    matrix = [card for card in (f"{kind}{i}_{j}" for i in (1, 2) for j in (1, 2)) if card in header]
    angles = [card for card in _ANGLES if card in header]
    for card in matrix:
        cards[card] = number(header, card)
    if matrix:
        said = f"{', '.join(f'{card} {cards[card]:g}' for card in matrix)}, which is a rotation by "
        used_deg = _matrix_deg(header, cards, kind)
    elif angles:
        said = f"{angles[0]} is "
        used_deg = cards["CROTA2"] = number(header, angles[0])
    else:
        return False, ()
    doubts = []
    for card in angles if matrix else angles[1:]:
        other_deg = number_or_none(header, card)
        if other_deg is None or (other_deg == 0.0 and card != "CROTA2"):
            continue
        differ_deg = abs((other_deg - used_deg + 180.0) % 360.0 - 180.0)
        if differ_deg > _NEAR_DEG:
            raise MagnetogramError(
                f"{said}{used_deg:.2f}°, and {card} is {other_deg:.2f}°; they must be the same: remove the wrong one"
            )
        if differ_deg > _SAME_DEG:
            doubts.append(f"{said}{used_deg:.2f}°, and {card} is {other_deg:.2f}°; the former was used")
    return True, tuple(doubts)


def _matrix_deg(header: fits.Header, cards: fits.Header, kind: str) -> float:
    """Return the angle by which a matrix turns an image, as CROTA2 counts it: from where its rows rise."""
    height = number_or_none(header, "CDELT2") or 1.0
    if kind == "CD":
        west, north = (cards.get(card, 0.0) for card in ("CD1_2", "CD2_2"))
    else:
        width = number_or_none(header, "CDELT1") or 1.0
        west, north = cards.get("PC1_2", 0.0) * width, cards.get("PC2_2", 1.0) * height
    sign = math.copysign(1.0, height)
    return math.degrees(math.atan2(-west * sign, north * sign)) + 0.0  # 0 in place of −0
