"""Random checks of a project: ``random_checks.json`` in its model folder, which the worker writes before predictions.

An unanswered random check is blind: it has no prediction, neither in Label Studio nor from the backend.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.labels import CurrentLabel
from helioloop.registry.folder_format import check_format, ensure_format


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomChecks:
    """The cubes to be checked at random, answered ones included.

    Parameters
    ----------
    version : str
        The version with which they were chosen. With another one more of them may be chosen; with the same one only
        cubes that have no prediction yet, because annotators may have tasks with a prediction open.
    cubes : tuple of str
        In audit order.
    """

    version: str
    cubes: tuple[str, ...] = ()

    def blind(self, labels: Mapping[str, CurrentLabel]) -> frozenset[str]:
        """Return the cubes that nobody has answered, which must not have a prediction."""
        return frozenset(cube for cube in self.cubes if cube not in labels or not labels[cube].answered)

    def write(self, model_dir: Path) -> None:
        """Write the random checks into a model folder; a reader sees the old ones or the new ones."""
        ensure_format(model_dir)
        atomic.write_json(random_checks_path(model_dir), asdict(self))

    @classmethod
    def read(cls, model_dir: Path) -> "RandomChecks | None":
        """Return the random checks in a model folder, or None; a damaged file is a `RegistryError`."""
        check_format(model_dir)
        path = random_checks_path(model_dir)
        try:
            values = json.loads(path.read_text())
            return cls(version=str(values["version"]), cubes=tuple(str(cube) for cube in values["cubes"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(
                f"{path} is not a list of random checks ({error}); delete it: it is written again"
            ) from None


def blind_cubes(model_dir: Path, labels: Mapping[str, CurrentLabel]) -> frozenset[str]:
    """Return the names of the cubes that are blind now: random checks that nobody has answered.

    Nothing of the model may be shown for them: no prediction, curve, score or reason.

    Parameters
    ----------
    model_dir : Path
        The project's model folder.
    labels : mapping of str to CurrentLabel
        The current labels, by cube.

    Raises
    ------
    RegistryError
        If the file of random checks is damaged.
    """
    checks = RandomChecks.read(model_dir)
    return frozenset() if checks is None else checks.blind(labels)


def random_checks_path(model_dir: Path) -> Path:
    """Return the path of the file."""
    return model_dir / "random_checks.json"
