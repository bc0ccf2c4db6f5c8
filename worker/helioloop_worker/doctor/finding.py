"""The records of the doctor: verdicts, the causes that it can find, its findings, and the checks that make them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from helioloop_worker.doctor.facts import Facts


class Verdict(StrEnum):
    """The outcome of one check."""

    OK = "ok"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check.

    Parameters
    ----------
    check : str
        Name of the check.
    verdict : Verdict
        The outcome.
    seen : str
        What was seen; for a check that was not tried, why. Contains no secret.
    cause : str or None
        Name of the cause; None for ok and not tried.
    remedy : str
        What to do, with the command or the setting; "" for ok and not tried.
    """

    check: str
    verdict: Verdict
    seen: str
    cause: str | None = None
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A cause that a check can find, with its remedy.

    Parameters
    ----------
    check, name : str
        The check, and the name of the cause in it.
    doubtful : bool
        True where everything may work all the same; else the verdict is wrong.
    remedy : str
        One sentence with the command or the setting; ``{project}`` is the id of the project.
    """

    check: str
    name: str
    remedy: str
    doubtful: bool = False

    def found(self, facts: Facts, seen: str) -> Finding:
        """Return the finding of this cause."""
        project = "ID" if facts.project is None else str(facts.project)
        return Finding(
            check=self.check,
            verdict=Verdict.DOUBTFUL if self.doubtful else Verdict.WRONG,
            seen=seen,
            cause=self.name,
            remedy=self.remedy.format(project=project),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check: a pure function of the facts, and the checks without which it cannot run.

    Parameters
    ----------
    name : str
        Name in the output.
    run : callable
        Returns the finding.
    needs : tuple of str
        Checks that have to be ok or doubtful before.
    project : bool
        True where a project is needed.
    """

    name: str
    run: Callable[[Facts], Finding]
    needs: tuple[str, ...] = ()
    project: bool = False


def ok(check: str, seen: str) -> Finding:
    """Return the finding that all is well with a check."""
    return Finding(check=check, verdict=Verdict.OK, seen=seen)


def not_tried(check: str, because: str) -> Finding:
    """Return the finding that a check could not run."""
    return Finding(check=check, verdict=Verdict.NOT_TRIED, seen=f"because {because}")


def out_of_time(check: str) -> Finding:
    """Return the finding that there was no time for a check."""
    return not_tried(check, "the time for all checks was over")
