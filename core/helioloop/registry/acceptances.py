"""Labels of releases that are accepted without a human: ``acceptances/<release>.json`` in a model folder.

A file is written before the labels are accepted, with the rate and confidence that are wanted, so that a lost job is
found. Accepted labels belong to one version; with another one they are withdrawn, and accepted anew.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.files.names import file_name
from helioloop.records.labels import Label
from helioloop.registry.folder_format import check_format, ensure_format


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The accepted labels of a release.

    Parameters
    ----------
    release : str
        The release.
    rate : float
        Largest error rate of the accepted labels that is wanted; see `RiskGuarantee`.
    confidence : float
        Probability with which that shall hold.
    version : str or None
        The version whose labels are accepted; None while none is.
    accepted : mapping of str to Label
        Accepted label of each cube; empty without a guarantee.
    random_checks : tuple of str
        Cubes of the release to be verified at random, in audit order; none where nothing is accepted.
    n_cubes : int
        Cubes of the release that were considered.
    sentences : tuple of str
        The outcome in words.
    """

    release: str
    rate: float
    confidence: float
    version: str | None = None
    accepted: Mapping[str, Label] = field(default_factory=dict)
    random_checks: tuple[str, ...] = ()
    n_cubes: int = 0
    sentences: tuple[str, ...] = ()


def read_acceptances(model_dir: Path) -> dict[str, Acceptance]:
    """Return the acceptances of a model folder by release.

    Raises
    ------
    RegistryError
        If a file is damaged.
    """
    check_format(model_dir)
    return {
        found.release: found for path in sorted((model_dir / "acceptances").glob("*.json")) for found in _read(path)
    }


def write_acceptance(model_dir: Path, acceptance: Acceptance) -> None:
    """Replace the acceptance of a release in one step."""
    ensure_format(model_dir)
    atomic.write_json(model_dir / "acceptances" / file_name(acceptance.release, ".json"), asdict(acceptance))


def accepted_labels(model_dir: Path, version: str) -> dict[str, Label]:
    """Return the labels that are accepted by a version, by cube, of all releases."""
    found = [entry.accepted for entry in read_acceptances(model_dir).values() if entry.version == version]
    return {cube: label for labels in found for cube, label in labels.items()}


def _read(path: Path) -> list[Acceptance]:
    try:
        values = json.loads(path.read_text())
        return [
            Acceptance(
                **{
                    **values,
                    "accepted": {cube: Label(label) for cube, label in values["accepted"].items()},
                    "random_checks": tuple(values["random_checks"]),
                    "sentences": tuple(values["sentences"]),
                }
            )
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"{path} is not an acceptance ({error}); delete it and run `helioloop watch` again"
        ) from None
