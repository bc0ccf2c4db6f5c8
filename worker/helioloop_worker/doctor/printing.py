"""Text and JSON of the doctor's findings; secrets of the settings are never in them."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from helioloop import __version__
from helioloop.settings import Settings
from helioloop_worker.doctor.finding import Finding, Verdict
from helioloop_worker.reports.redaction import hide_secrets


def lines(findings: Sequence[Finding], settings: Settings) -> list[tuple[str, str, str]]:
    """Return rows of verdict, check and what was seen; a remedy has a row of its own below its finding.

    Checks that were not tried for the same reason share a row at the end.
    """
    rows, untried = [], dict[str, list[str]]()
    for finding in findings:
        if finding.verdict is Verdict.NOT_TRIED:
            untried.setdefault(_shown(finding.seen, settings), []).append(finding.check)
            continue
        cause = f" [{finding.cause}]" if finding.cause else ""
        rows.append((str(finding.verdict), finding.check, _shown(finding.seen, settings) + cause))
        if finding.remedy:
            rows.append(("", "", f"→ {_shown(finding.remedy, settings)}"))
    rows += [
        (str(Verdict.NOT_TRIED), f"{len(names)} more", f"{why}: {', '.join(names)}") for why, names in untried.items()
    ]
    return rows


def summary(findings: Sequence[Finding]) -> str:
    """Return the outcome in one sentence."""
    counts = Counter(finding.verdict for finding in findings)
    n = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    if counts[Verdict.WRONG]:
        first = next(finding for finding in findings if finding.verdict is Verdict.WRONG)
        return f"Not well: {n}. Begin with {first.check}: {first.remedy}"
    return f"All is well: {n}." if counts[Verdict.OK] == len(findings) else f"Nothing is wrong: {n}."


def as_json(findings: Sequence[Finding], settings: Settings, *, project: int | None) -> str:
    """Return all findings as one line of JSON."""
    return json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "helioloop": __version__,
            "project": project,
            "well": not any(finding.verdict is Verdict.WRONG for finding in findings),
            "findings": [
                {
                    "check": finding.check,
                    "verdict": str(finding.verdict),
                    "cause": finding.cause,
                    "seen": _shown(finding.seen, settings),
                    "remedy": _shown(finding.remedy, settings) or None,
                }
                for finding in findings
            ],
        },
        ensure_ascii=False,
    )


def _shown(text: str, settings: Settings) -> str:
    """Return a text on one line without the secrets of the settings."""
    return " ".join(hide_secrets(text, settings).split())
