"""How far annotators who looked at the same cube agree: fraction of agreeing pairs, Krippendorff's alpha, onsets."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from helioloop.records.labels import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one annotator answered for a cube: the class, and the onset frame (0-based) or None."""

    label: Label
    frame: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorAgreement:
    """The agreement of annotators on the cubes that at least two of them answered.

    Parameters
    ----------
    cubes : int
        These cubes.
    pairs, agreeing : int
        Pairs of annotators of one cube, over all cubes, and those that chose the same class.
    alpha : float or None
        Krippendorff's alpha: 1 is perfect agreement, 0 what chance gives. None without pairs, or where all answers are
        of one class, so that chance would agree too.
    onset_differences : tuple of int
        Distance of the two onsets, in frames, of each pair that marked one both; sorted.
    by_annotator : mapping of str to (int, int)
        Annotator -> pairs that the annotator is in, and those that agree.
    """

    cubes: int
    pairs: int
    agreeing: int
    alpha: float | None
    onset_differences: tuple[int, ...] = ()
    by_annotator: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def annotator_agreement(cubes: Iterable[Mapping[str, Answer]]) -> AnnotatorAgreement:
    """Return the agreement of annotators.

    Parameters
    ----------
    cubes : iterable of mapping
        For each cube: annotator -> the latest answer.

    Notes
    -----
    With n_u answers for cube u, n_uc of them of class c, and n = Σ n_u, n_c = Σ n_uc over cubes with n_u ≥ 2:

        alpha = 1 − (n − 1) · Σ_u Σ_{c≠k} n_uc n_uk / (n_u − 1) / Σ_{c≠k} n_c n_k

    References
    ----------
    Krippendorff 2004, "Content Analysis", 2nd edition, chapter 11
    """
    shared = [answers for answers in cubes if len(answers) > 1]
    pairs, agreeing = Counter[str](), Counter[str]()
    n_pairs = n_agreeing = 0
    differences = []
    for answers in shared:
        for (one, first), (other, second) in combinations(answers.items(), 2):
            same = first.label is second.label
            n_pairs += 1
            n_agreeing += same
            pairs.update((one, other))
            if same:
                agreeing.update((one, other))
            if first.frame is not None and second.frame is not None:
                differences.append(abs(first.frame - second.frame))
    return AnnotatorAgreement(
        cubes=len(shared),
        pairs=n_pairs,
        agreeing=n_agreeing,
        alpha=_alpha([Counter(answer.label for answer in answers.values()) for answers in shared]),
        onset_differences=tuple(sorted(differences)),
        by_annotator={who: (pairs[who], agreeing[who]) for who in sorted(pairs)},
    )


def _alpha(counts: list[Counter[Label]]) -> float | None:
    totals = Counter[Label]()
    for one in counts:
        totals.update(one)
    by_chance = 2 * totals[Label.EMERGENCE] * totals[Label.NON_EMERGENCE]
    if by_chance == 0:
        return None
    observed = sum(2 * one[Label.EMERGENCE] * one[Label.NON_EMERGENCE] / (one.total() - 1) for one in counts)
    return 1.0 - (totals.total() - 1) * observed / by_chance
