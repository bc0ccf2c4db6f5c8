"""A finding about a project, and words that the sentences of several findings have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding about a project.

    Parameters
    ----------
    cause : str
        Stable name of the rule that found it.
    well : bool
        False where somebody has to mend something.
    sentence : str
        What was found.
    action : str
        What to do, with the command or the click.
    """

    cause: str
    well: bool
    sentence: str
    action: str


Found = list[tuple[str, str]]
"""What a rule returns: pairs of sentence and action; empty where the rule does not apply."""


def sentence(text: str) -> str:
    """Return a clause as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def jobs_wait(n: int) -> str:
    """Return that so many jobs wait, as a clause."""
    return "1 job waits" if n == 1 else f"{n} jobs wait"
