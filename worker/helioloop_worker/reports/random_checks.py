"""How many random checks are answered, and how many answers are blind, for ``helioloop status``."""

from dataclasses import dataclass

from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.versions import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCheckCounts:
    """Random checks and answers of a project, counted in cubes.

    Parameters
    ----------
    checks, answered : int
        Random checks, and how many of them have an answer.
    blind, visible : int
        All verified cubes, by whether somebody answered without a prediction or all answers had one.
    """

    checks: int
    answered: int
    blind: int
    visible: int

    def sentence(self) -> str:
        """Return the counts in words."""
        visible = f"; verified with the prediction visible, which supports none: {self.visible}" if self.visible else ""
        return (
            f"{self.answered} of {self.checks} answered; blind answers to {self.blind} cubes can support estimates and "
            f"guarantees{visible}"
        )


def count_random_checks(registry: Registry, snapshot: Snapshot) -> RandomCheckCounts:
    """Return the counts from the model folder and the labels as last read from Label Studio."""
    checks = RandomChecks.read(registry.root) or RandomChecks(version="")
    verified = [label for label in snapshot.cubes.values() if label.verified]
    blind = sum(label.blind is not None for label in verified)
    return RandomCheckCounts(
        checks=len(checks.cubes),
        answered=len(checks.cubes) - len(checks.blind(snapshot.cubes)),
        blind=blind,
        visible=len(verified) - blind,
    )
