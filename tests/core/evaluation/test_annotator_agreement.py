"""The agreement of annotators, on numbers worked out by hand."""

import pytest

from helioloop.evaluation.annotator_agreement import Answer, annotator_agreement
from helioloop.records.labels import Label

E, N = Label.EMERGENCE, Label.NON_EMERGENCE


def answers(**chosen: Label) -> dict[str, Answer]:
    """Annotator -> answer without an onset."""
    return {who: Answer(label=label) for who, label in chosen.items()}


def test_pairs_and_alpha_of_four_cubes() -> None:
    """Two annotators agree on three of four cubes: E E, N N, N N, E N.

    Coincidences E-N: two of one cube, so D_o = 2/8. Values: 3 E, 5 N, so D_e = 2·3·5/(8·7). Alpha = 1 − 0.25/0.5357.
    """
    found = annotator_agreement([answers(a=E, b=E), answers(a=N, b=N), answers(a=N, b=N), answers(a=E, b=N)])
    assert (found.cubes, found.pairs, found.agreeing) == (4, 4, 3)
    assert found.alpha == pytest.approx(1 - (2 / 8) / (30 / 56))
    assert found.by_annotator == {"a": (4, 3), "b": (4, 3)}


def test_three_annotators_make_three_pairs() -> None:
    """E E N: one of three pairs agrees; with N N beside it, alpha = 1 − 4·(2·2·1/2)/(2·2·3)."""
    found = annotator_agreement([answers(a=E, b=E, c=N), answers(a=N, c=N)])
    assert (found.cubes, found.pairs, found.agreeing) == (2, 4, 2)
    assert found.by_annotator == {"a": (3, 2), "b": (2, 1), "c": (3, 1)}
    assert found.alpha == pytest.approx(1 - 4 * 2 / 12)


def test_a_cube_of_one_annotator_is_not_compared() -> None:
    """Without pairs there is no alpha."""
    found = annotator_agreement([answers(a=E), answers(b=N), {}])
    assert (found.cubes, found.pairs, found.alpha) == (0, 0, None)


def test_alpha_is_not_defined_where_chance_would_agree_too() -> None:
    """All answers are of one class; the pairs agree."""
    found = annotator_agreement([answers(a=N, b=N), answers(a=N, b=N)])
    assert (found.agreeing, found.alpha) == (2, None)


def test_perfect_and_systematic_disagreement() -> None:
    """1, and below 0: less than chance."""
    assert annotator_agreement([answers(a=E, b=E), answers(a=N, b=N)]).alpha == 1.0
    assert annotator_agreement([answers(a=E, b=N), answers(a=N, b=E)]).alpha == pytest.approx(1 - 3 * 4 / 8)


def test_onsets_are_compared_where_both_marked_one() -> None:
    """Of three cubes two."""
    cubes = [
        {"a": Answer(label=E, frame=40), "b": Answer(label=E, frame=43)},
        {"a": Answer(label=E, frame=9), "b": Answer(label=E, frame=8)},
        {"a": Answer(label=E, frame=9), "b": Answer(label=E)},
    ]
    assert annotator_agreement(cubes).onset_differences == (1, 3)
