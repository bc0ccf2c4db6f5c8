"""Growth odds: how much likelier the local growth of a cube makes an emergence, among the cubes of its archive.

How much grows where nothing emerges differs between archives: it depends on the noise, on the network, and on how often
regions grow while they are seen. So the growth that speaks for neither class is estimated from the growths of the cubes
that a version is trained on, without their labels. So is how often the networks should say emergence: their mean
probability follows the crude labels, which miss many. Needs numpy and scipy.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy import optimize

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.registry.staging import GROWTH_ODDS_FILE

POWER: Final = 8.0
"""The likelihood ratio grows with this power of the growth."""
LARGEST_RATIO: Final = 50.0
"""Largest likelihood ratio for either class, so that no single measurement decides alone."""
NETWORK_ERRORS: Final = 0.05
"""How often a network that is certain is wrong, because many of the labels that it was trained on are."""
EVEN_DEVIATIONS: Final = 1.6
"""Even odds are this many standard deviations above the mean of the cubes in which nothing emerges."""
PRIOR_CUBES: Final = 20
"""How many cubes of either kind what is expected counts for."""
ENOUGH_CUBES: Final = 600
"""Of an archive, the growths of no more cubes are measured in advance: with 400, the odds are exact to .03 to .08."""

_EXPECTED: Final = ((-0.65, 0.38), (1.3, 0.65))
"""Mean and standard deviation of ln(growth − 1) without and with an emergence: between those of two generators."""
_LEAST: Final = 0.05
"""Smallest growth − 1 that is told from 0."""
_ITERATIONS: Final = 200
_CERTAIN: Final = 1e-6
"""Where a shift is estimated, no network counts as more certain than to one in a million."""
_FARTHEST: Final = 30.0
"""The shift is between minus and plus this: enough to make the most certain network say the opposite."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthOdds:
    """What a growth says about the class.

    Parameters
    ----------
    even : float
        Growth at which emergence and non-emergence are equally likely.
    n_cubes : int
        Cubes whose growths it was estimated from.
    shift : float
        Added to the log odds of the networks.

    Raises
    ------
    ValueError
        If `even` is not a number above 1, or `shift` is not finite.
    """

    even: float
    n_cubes: int
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Check growth and shift."""
        if not 1.0 < self.even < np.inf:
            raise ValueError(f"even odds at a growth of {self.even!r}, not above 1")
        if not np.isfinite(self.shift):
            raise ValueError(f"a shift by {self.shift!r}, which is no finite number")

    @classmethod
    def estimate(cls, growths: Sequence[float]) -> Self:
        """Estimate the odds from the growths of an archive's cubes, which need no labels; there may be none.

        Notes
        -----
        x = ln(growth − 1) is taken as a mixture of two normal distributions, one for the cubes in which nothing
        emerges, with mean μ and standard deviation σ, and one for the others. Their parameters and shares are found by
        expectation maximisation, with priors that count as `PRIOR_CUBES` cubes of either kind; a growth below μ is
        never taken for an emergence. Then::

            even = 1 + exp(μ + `EVEN_DEVIATIONS` · σ)

        Where the densities cross would be too late: the growths of non-emergences have a longer tail than a normal
        distribution, and emergences weaker than that tail exist. On samples of two generators in which from none to
        four fifths of the cubes were emergences, the estimate changed by less than .2; see docs/science.md.

        References
        ----------
        Efron 2004, "Large-scale simultaneous hypothesis testing: the choice of a null hypothesis", J. Am. Stat. Assoc.
        99, 96, doi:10.1198/016214504000000089
        """
        x = np.log(np.maximum(np.asarray(growths, dtype=np.float64) - 1.0, _LEAST))
        (mean, deviation), emerging = _EXPECTED
        fraction = 0.5
        for _ in range(_ITERATIONS):
            quiet = (1.0 - fraction) * _density(x, mean, deviation)
            grown = fraction * _density(x, *emerging)
            weight = np.where(x < mean, 0.0, grown / (quiet + grown))
            mean, deviation = _fit(x, 1.0 - weight, _EXPECTED[0])
            emerging = _fit(x, weight, _EXPECTED[1])
            fraction = float((weight.sum() + PRIOR_CUBES) / (len(x) + 2 * PRIOR_CUBES))
        return cls(even=float(1.0 + np.exp(mean + EVEN_DEVIATIONS * deviation)), n_cubes=len(x))

    def shifted(self, p_networks: npt.ArrayLike, growths: npt.ArrayLike) -> Self:
        """Return these odds with the shift that the probabilities of an archive's cubes need; there may be none.

        Parameters
        ----------
        p_networks : array_like, shape (n,)
            P(emergence) of each cube by networks that were not trained on it.
        growths : array_like, shape (n,)
            Local growth of each cube; NaN where it was not measured.

        Notes
        -----
        The last step of a training sets the mean probability to the fraction of emergences among the labels. Crude
        labels miss weak and crowded emergences, so that fraction is too small, by a sixth on one generator. What the
        growth adds to the probabilities, compared with a growth that speaks for neither class, corrects it::

            wanted = mean of p + mean of (combine(p, growth) − combine(p, even))

        and the shift is the one at which the mean of the networks alone is the wanted one. `PRIOR_CUBES` cubes count as
        if the growth added nothing. To repeat this with the shifted probabilities would go too far, where the growth
        errs as well. Saerens, Latinne & Decaestecker (2002) correct a classifier for other fractions of the classes,
        too, by Bayes' rule; it would be enough only if the networks were calibrated, and crude labels make them
        certain.

        References
        ----------
        Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities: a
        simple procedure", Neural Computation 14, 21, doi:10.1162/089976602753284446
        """
        p = np.clip(np.asarray(p_networks, dtype=np.float64), _CERTAIN, 1.0 - _CERTAIN)
        if not len(p):
            return self
        plain, growths = replace(self, shift=0.0), np.asarray(growths, dtype=np.float64)
        neither = np.where(np.isnan(growths), np.nan, self.even)
        added = plain.combine(p, growths) - plain.combine(p, neither)
        # Where all networks are certain, the growth would add to what is all or nothing already.
        wanted = float(np.clip(p.mean() + added.sum() / (len(p) + PRIOR_CUBES), _CERTAIN, 1.0 - _CERTAIN))
        shift = optimize.brentq(lambda one: float(_shift(p, one).mean()) - wanted, -_FARTHEST, _FARTHEST)
        return replace(self, shift=float(shift))

    def likelihood_ratio(self, growth: npt.ArrayLike) -> Floats:
        """Return how many times likelier a growth is for an emergence than for a non-emergence; 1 for NaN.

        Notes
        -----
        (growth / even) ** `POWER`, between 1 / `LARGEST_RATIO` and `LARGEST_RATIO`. On four synthetic releases of two
        generators, logistic regressions of the true class on ln(growth) give powers from 7.5 to 14.
        """
        ratio = (np.asarray(growth, dtype=np.float64) / self.even) ** POWER
        return np.nan_to_num(np.clip(ratio, 1.0 / LARGEST_RATIO, LARGEST_RATIO), nan=1.0)

    def combine(self, p_networks: npt.ArrayLike, growth: npt.ArrayLike) -> Floats:
        """Return P(emergence) by networks and local growth.

        Parameters
        ----------
        p_networks : array_like
            P(emergence) by the networks.
        growth : array_like
            Local growth, in a shape that broadcasts with `p_networks`; NaN leaves the shifted probability unchanged.

        Notes
        -----
        Bayes' rule, if the two are independent given the class: the odds p / (1 − p) are multiplied by the likelihood
        ratio. p = e + (1 − 2 e) q, where q is the probability by the networks with its log odds shifted by `shift`, and
        a fraction e = `NETWORK_ERRORS` of their answers is wrong. No weight is fitted. One fitted to crude labels would
        be negative, because they are wrong most often where a region emerges inside an older one.
        """
        shifted = _shift(np.asarray(p_networks, dtype=np.float64), self.shift)
        growth = np.asarray(growth, dtype=np.float64)
        p = NETWORK_ERRORS + (1.0 - 2.0 * NETWORK_ERRORS) * shifted
        ratio = self.likelihood_ratio(growth)
        return np.where(np.isnan(growth), shifted, p * ratio / (p * ratio + (1.0 - p)))

    def write(self, folder: Path) -> None:
        """Write the odds into a staging folder, in one step."""
        atomic.write_json(folder / GROWTH_ODDS_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the odds in a staging or version folder; None without the file.

        Raises
        ------
        RegistryError
            If the file is damaged.
        """
        path = folder / GROWTH_ODDS_FILE
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise RegistryError(f"{path} does not contain growth odds ({error!r}); restore it") from None


EARLIER: Final = GrowthOdds(even=2.1, n_cubes=0)
"""The odds of all versions of an earlier helioloop, which have no file."""


def _shift(p: Floats, shift: float) -> Floats:
    """Return probabilities whose odds are `shift` larger in their logarithm."""
    odds = np.exp(shift)
    return np.asarray(p * odds / (p * odds + (1.0 - p)))


def _density(x: Floats, mean: float, deviation: float) -> Floats:
    """Return the density of a normal distribution, without the factor that all have."""
    return np.asarray(np.exp(-0.5 * ((x - mean) / deviation) ** 2) / deviation) + 1e-300


def _fit(x: Floats, weight: Floats, expected: tuple[float, float]) -> tuple[float, float]:
    """Return mean and standard deviation of weighted values and of `PRIOR_CUBES` values as expected."""
    n = weight.sum() + PRIOR_CUBES
    mean = float((weight @ x + PRIOR_CUBES * expected[0]) / n)
    squares = weight @ (x - mean) ** 2 + PRIOR_CUBES * expected[1] ** 2
    return mean, float(np.sqrt(squares / n))
