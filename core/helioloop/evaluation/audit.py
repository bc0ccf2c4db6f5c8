"""The book of a campaign: what each round of verification found, how many labels are still wrong, when to stop.

Above the records. `campaign` keeps it with an oracle; a live project keeps the same book from its versions' scores and
its verified labels. Pure: numpy and scipy, no torch, nothing is read or written.

A ranking finds wrong labels where it looks, so what it finds says nothing of what is left. That is estimated from a
*random check share* alone. Every cube has a fixed pseudo-random rank, a hash of its content and the campaign's salt,
and the check list is all cubes in that order (`audit_order`). The annotators may label in any order: what counts as
drawn at random is the longest prefix of the check list that is wholly verified. A verified cube beyond it is no
evidence, since somebody got to it for a reason; each cube of the prefix was in it with the one known probability
``prefix / cubes``.

A cube of the prefix that the ranking has come to tells of the verified, not of what is left. So `audit_rounds` asks of
each of them: would the ranking have come to it by now, had it not been drawn? That can be known, because a cube's
out-of-fold probability never depends on its own label. The cubes of the prefix that the ranking has *not* reached are
a random draw from all cubes it has not reached, and the wrong ones among them carry over to the unverified.
"""

import hashlib
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import beta, hypergeom

from helioloop.records import CubeInfo

SALT = "helioloop campaign"
"""Salt of the check list: one for campaigns, projects and the gate, so that all speak of the same random cubes."""
CONFIDENCE = 0.9
"""Confidence of all intervals in the book, two-sided."""
MIN_DRAWN = 10
"""With fewer cubes drawn at random no estimate is given: ten right ones still leave room for a quarter wrong."""
MIN_RANKED = 10
"""With fewer verifications by rank in a round its hit rate stops nothing."""
STOP_HIT_RATE = 0.1
"""A campaign stops when fewer of a round's ranked verifications change a label."""
STOP_WRONG_SHARE = 0.015
"""A campaign stops when at most this part of all labels is wrong, at the upper end of the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its interval, at the confidence `CONFIDENCE`."""

    value: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a round leaves for the book.

    Parameters
    ----------
    disagreement : mapping of str to float
        Of every cube that takes part: 1 − out-of-fold probability, under the round's version, of the label the cube
        had *before any human saw it*; also of those that are verified by now.
    verified : mapping of str to bool
        All cubes verified when the round ended, and whether the human changed the label.
    """

    disagreement: Mapping[str, float] = field(repr=False)
    verified: Mapping[str, bool] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One round in the book.

    Parameters
    ----------
    round : int
        Its number, from 1.
    cubes, verified : int
        All cubes, and those verified when the round ended.
    verifications, flips : int
        Verified in this round, and how many of those changed the label.
    ranked, hits : int
        Of these, the verifications that the ranking led to, and how many of those changed the label.
    hit_rate : Estimate or None
        ``hits / ranked`` with its Clopper–Pearson interval; None where nothing was ranked.
    drawn, drawn_wrong : int
        Cubes drawn at random that the ranking has not reached, in all rounds, and how many of those were wrong.
    wrong_left : Estimate or None
        Wrong labels among the unverified; None before `MIN_DRAWN` cubes were drawn.
    stop : str or None
        Why the campaign should stop, in a sentence; None to go on.
    """

    round: int
    cubes: int
    verified: int
    verifications: int
    flips: int
    ranked: int
    hits: int
    hit_rate: Estimate | None
    drawn: int
    drawn_wrong: int
    wrong_left: Estimate | None
    stop: str | None

    def sentences(self) -> tuple[str, ...]:
        """Return the line in plain words."""
        unverified = self.cubes - self.verified
        hit, left = self.hit_rate, self.wrong_left
        return (
            f"Round {self.round}: {self.verifications} cubes verified, {self.flips} of their labels changed; "
            f"{self.verified} of {self.cubes} are verified by now.",
            "Hit rate: none yet, nothing was verified by rank."
            if hit is None
            else f"Hit rate: {self.hits} of {self.ranked} verified by rank were wrong, {hit.value:.0%} "
            f"({hit.lo:.0%} to {hit.hi:.0%}).",
            f"Wrong labels left: none yet, {self.drawn} of the {MIN_DRAWN} random draws an estimate needs."
            if left is None
            else f"Wrong labels left among {unverified} unverified: about {left.value:.0f} ({left.lo:.0f} to "
            f"{left.hi:.0f}); {self.drawn_wrong} of {self.drawn} drawn at random were wrong.",
            f"Go on: {unverified} to verify." if self.stop is None else f"Stop: {self.stop}.",
        )


def audit_order(cubes: Iterable[CubeInfo], *, salt: str) -> list[str]:
    """Return the check list: cube names in the order of a hash of content and salt.

    The order of a cube among others never changes, whatever is added to the project later; another salt, such as the
    name of another campaign, gives another order.
    """
    return [
        cube.name
        for cube in sorted(
            cubes, key=lambda cube: (hashlib.sha256(f"{salt}:{cube.sha256}".encode()).digest(), cube.name)
        )
    ]


def _digest(cube: CubeInfo, salt: str) -> bytes:
    return hashlib.sha256(f"{salt}:{cube.sha256}".encode()).digest()


def sampled_prefix(order: Iterable[str], verified: Collection[str]) -> set[str]:
    """Return the cubes that count as drawn at random: the longest run of verified ones from the check list's start."""
    return set(itertools.takewhile(verified.__contains__, order))


def audit_rounds(pages: Sequence[Page], order: Sequence[str], *, already: Collection[str] = ()) -> list[Line]:
    """Return the book of a campaign, one line per round.

    Parameters
    ----------
    pages : sequence of Page
        The rounds, oldest first. A cube that joins later stands in the later pages only.
    order : sequence of str
        The check list of `audit_order`; a page passes over the cubes that it does not name.
    already : collection of str
        Cubes verified before the first round: no ranking led to them.

    Notes
    -----
    In a round the ranking *reached* the cubes whose disagreement is at least that of the last one it led to: of the
    newly verified cubes outside the prefix that disagree more than every unverified one, the least disagreeing. Let R
    be all cubes that no round reached, n of them in the prefix with x wrong, and b of them verified by somebody
    outside the prefix, h of those wrong. The n are a simple random sample of R, so the count K of wrong ones in R is
    estimated by ``|R| x / n``, its exact interval comes from the hypergeometric distribution, and what is left among
    the unverified is ``K − x − h``: with b = 0, simply their number times x / n.

    It is unbiased where

    - the hash has nothing to do with the labels;
    - a cube's own label has no part in its disagreement (out-of-fold probabilities);
    - humans are right, and labels change by humans alone;
    - where the prefix ends is decided by how many cubes were checked, not by what they show. Cubes that somebody
      verified out of order, for a reason other than the ranking, and that the prefix happens to run into, break
      this a little; as such cubes are rather wrong ones, the estimate is then too high, not too low.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26, 404, doi:10.1093/biomet/26.4.404; for sampling without replacement:
    Buonaccorsi 1987, The American Statistician 41, 215
    """
    lines: list[Line] = []
    before = already
    reached: set[str] = set()
    for number, page in enumerate(pages, start=1):
        new = {cube: flipped for cube, flipped in page.verified.items() if cube not in before}
        prefix = sampled_prefix((cube for cube in order if cube in page.disagreement), page.verified)
        depth = _depth(page, new, prefix)
        now = {cube for cube, disagreement in page.disagreement.items() if disagreement >= depth}
        reached |= now
        # What is in the prefix and beyond the ranking's reach was verified for the draw; the rest, for the ranking.
        ranked = [flipped for cube, flipped in new.items() if cube in now or cube not in prefix]
        drawn = [page.verified[cube] for cube in prefix if cube not in reached]
        stray = [
            flipped for cube, flipped in page.verified.items() if cube not in reached and cube not in prefix
        ]  # fmt: skip
        unverified = len(page.disagreement) - len(page.verified)
        line = Line(
            round=number,
            cubes=len(page.disagreement),
            verified=len(page.verified),
            verifications=len(new),
            flips=sum(new.values()),
            ranked=len(ranked),
            hits=sum(ranked),
            hit_rate=share(sum(ranked), len(ranked)) if ranked else None,
            drawn=len(drawn),
            drawn_wrong=sum(drawn),
            wrong_left=wrong_left(
                drawn=len(drawn), wrong=sum(drawn), unverified=unverified, stray=len(stray), stray_wrong=sum(stray)
            )
            if page.disagreement
            else None,
            stop=None,
        )
        lines.append(_judged(line))
        before = page.verified
    return lines


def share(count: int, n: int) -> Estimate:
    """Return ``count / n`` with its exact binomial (Clopper–Pearson) interval."""
    tail = (1 - CONFIDENCE) / 2
    return Estimate(
        value=count / n,
        lo=float(beta.ppf(tail, count, n - count + 1)) if count else 0.0,
        hi=float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0,
    )


def wrong_left(*, drawn: int, wrong: int, unverified: int, stray: int = 0, stray_wrong: int = 0) -> Estimate | None:
    """Estimate how many of the unverified labels are wrong; see the notes of `audit_rounds`.

    Parameters
    ----------
    drawn, wrong : int
        Cubes drawn at random that the ranking has not reached, and how many were wrong.
    unverified : int
        Cubes whose label nobody verified.
    stray, stray_wrong : int
        Cubes verified though neither drawn nor reached by the ranking, and how many were wrong.

    Returns
    -------
    Estimate or None
        None where fewer than `MIN_DRAWN` were drawn and some are unverified.
    """
    if unverified == 0:
        return Estimate(value=0.0, lo=0.0, hi=0.0)
    if drawn < MIN_DRAWN:
        return None
    population, known = unverified + drawn + stray, wrong + stray_wrong
    counts = known + np.arange(unverified + 1)  # all that the wrong ones in the population can be
    tail = (1 - CONFIDENCE) / 2
    possible = (hypergeom.sf(wrong - 1, population, counts, drawn) > tail) & (
        hypergeom.cdf(wrong, population, counts, drawn) > tail
    )
    # Strays that were verified for a reason can leave no count possible; then the likeliest stands for the interval.
    likeliest = np.argmax(hypergeom.pmf(wrong, population, counts, drawn))
    inside = np.flatnonzero(possible) if possible.any() else np.array([likeliest])
    best = population * wrong / drawn - known
    return Estimate(value=float(np.clip(best, 0, unverified)), lo=float(inside[0]), hi=float(inside[-1]))


def _depth(page: Page, new: Mapping[str, bool], prefix: set[str]) -> float:
    """Return down to which disagreement the ranking was worked in this round; infinity where it was not."""
    above = max((value for cube, value in page.disagreement.items() if cube not in page.verified), default=-math.inf)
    led_to = (page.disagreement[cube] for cube in new if cube not in prefix)
    return min((value for value in led_to if value > above), default=math.inf)


def _judged(line: Line) -> Line:
    """Return `line` with the reason to stop, if there is one.

    The hit rate is taken at its point estimate: the upper end of its interval lies under 10 % only where a round of
    thirty has no hit, or one of fifty a single one, and would have nearly all verified. The wrong labels left are taken
    at the upper end: a handful of draws without a wrong one is no reason to stop.
    """
    left, hit = line.wrong_left, line.hit_rate
    if line.cubes == 0:
        return line
    if line.verified == line.cubes:
        return replace(line, stop="every label is verified")
    if left is not None and left.hi <= STOP_WRONG_SHARE * line.cubes:
        return replace(line, stop=f"of all labels at most {left.hi:.0f} can still be wrong, {left.hi / line.cubes:.1%}")
    if hit is not None and line.ranked >= MIN_RANKED and hit.value < STOP_HIT_RATE:
        return replace(
            line,
            stop=f"only {line.hits} of {line.ranked} verified by rank were wrong, under {STOP_HIT_RATE:.0%}: "
            "looking further finds little",
        )
    return line
