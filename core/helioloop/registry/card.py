"""The card of a model version: how it was trained, and with which result; ``card.json`` in the version's folder."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.registry.staging import gone
from helioloop.registry.version_names import CARD_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """How a model version was trained, and with which result; ``card.json`` in its folder.

    Parameters
    ----------
    version : str
        ``v0001``, ``v0002``, …; empty until the round is admitted.
    parent : str or None
        The version that was published when this round started.
    created_at : str
        UTC, ISO 8601.
    reason : str
        Why the round was started, in a sentence.
    fingerprint : str
        Hash of labels, data, recipe and code: rounds with equal fingerprints train equal models.
    label_fingerprint : str
        Hash of the labels alone.
    code_version : str
        Version and source digest of the learning code.
    recipe, instrument : dict
        Settings of the training, and the grid.
    labels : dict
        cube -> {"label", "verified", "fold", "sha256", "release"} of every cube trained on.
    members : dict
        Member name -> {"fold", "seed", "file"}.
    metrics : dict
        Metrics of the round by name, such as the out-of-fold agreement.
    profile : dict
        Profile of the release: {"name", "instrument", "to_mdi_factor", "patch_deg"}; empty or shorter in older cards.
    verdict : dict
        Result of the promotion check: {"publish", "reason", "metrics"}; empty where there was no check.
    """

    version: str
    parent: str | None
    created_at: str
    reason: str
    fingerprint: str
    label_fingerprint: str
    code_version: str
    recipe: dict[str, Any]
    instrument: dict[str, Any]
    labels: dict[str, dict[str, Any]]
    members: dict[str, dict[str, Any]]
    metrics: dict[str, float] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)

    @property
    def rejected(self) -> str | None:
        """Why the promotion check rejected this version, in a sentence; None where it did not."""
        return None if self.verdict.get("publish", True) else str(self.verdict["reason"])

    @property
    def verified(self) -> int:
        """Number of verified labels that it was trained on."""
        return sum(bool(entry["verified"]) for entry in self.labels.values())

    @property
    def releases(self) -> set[str]:
        """Names of the releases that it was trained on, as far as the card names them."""
        return {str(entry["release"]) for entry in self.labels.values() if entry.get("release")}

    @property
    def member_files(self) -> list[str]:
        """Names of the files with the members' weights."""
        return [str(member["file"]) for member in self.members.values()]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card; a missing or damaged file is a `RegistryError`."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            raise RegistryError(f"{path} is missing, but every version has a card; restore it") from None
        except (ValueError, TypeError) as error:
            raise RegistryError(f"{path} is not a model card ({error}); restore it or delete that folder") from None


def write_card(staging: Path, card: Card) -> None:
    """Write a card into a staging folder that exists; a folder that is gone is a `RegistryError`."""
    try:
        atomic.write_json(staging / CARD_FILE, card.as_dict(), make_folders=False)
    except FileNotFoundError:
        raise gone(staging) from None
