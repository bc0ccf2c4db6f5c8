"""The page docs/doctor.md has all causes and remedies, and each check once in the right order."""

import json
import re
from pathlib import Path

from tests.worker.doctor.conftest import SOUND

from helioloop_worker.doctor.examination import CAUSES, CHECKS, examine
from helioloop_worker.doctor.finding import Verdict
from helioloop_worker.doctor.printing import as_json

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def test_the_table_of_causes_is_that_of_the_code() -> None:
    """Every row: check, cause, verdict and remedy."""
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| (doubtful|wrong) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [
        (cause.check, cause.name, str(Verdict.DOUBTFUL if cause.doubtful else Verdict.WRONG), remedy)
        for cause in CAUSES
        for remedy in [cause.remedy.format(project="ID")]
    ]


def test_every_check_can_find_something() -> None:
    assert {cause.check for cause in CAUSES} == {check.name for check in CHECKS}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_the_verdicts_and_names_of_the_json_are_explained() -> None:
    text = PAGE.read_text()
    assert all(f"| {verdict} |" in text for verdict in Verdict)
    found = json.loads(as_json(examine(SOUND), SOUND.settings, project=7))
    assert {*found} == set(re.findall(r"^\| `(\w+)` \|", text[text.index("## JSON") :], re.MULTILINE))
    assert all(f"`{name}`" in text for name in found["findings"][0])
