"""A live project's book, on versions made by hand: which ranking, which labels, which round."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.worker.shell import run_printed

from helioloop import atomic
from helioloop.evaluation.audit_order import audit_order
from helioloop.records import CubeInfo, CubeScore, CurrentLabel, Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.versions import Card, Registry
from helioloop_worker.commands import learning
from helioloop_worker.reports.audit import read_audit, read_pages
from helioloop_worker.reports.status import of_book, of_models

NAMES = tuple(f"cube{k:02d}" for k in range(40))
"""All of them non-emergences by their crude labels."""
REFS = {name: CubeInfo(release="r", name=name, sha256=f"{k:064x}") for k, name in enumerate(NAMES)}
ORDER = audit_order(REFS.values())
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty model folder."""
    return Registry(tmp_path)


def made_on(day: int) -> str:
    return (FIRST_DAY + timedelta(days=day)).isoformat(timespec="seconds")


def admit(
    registry: Registry,
    *,
    day: int,
    verified: Mapping[str, Label] | None = None,
    names: Collection[str] = NAMES,
    p_emergence: Mapping[str, float] | None = None,
    kept: bool = False,
) -> str:
    """Admit a version trained on these labels; it gives 0.25 to every cube but those of `p_emergence`."""
    words = verified or {}
    staging = registry.staging(f"{day:08x}")
    version = registry.admit(
        staging,
        Card(
            version="", parent=None, created_at=made_on(day), reason="test", fingerprint=f"{day:08x}",
            label_fingerprint="", code_version="", recipe={}, instrument={}, members={},
            labels={
                name: {
                    "label": str(words.get(name, Label.NON_EMERGENCE)), "verified": name in words, "fold": 0,
                    "sha256": REFS[name].sha256, "release": "r",
                }
                for name in names
            },
            verdict={"publish": not kept, "reason": "rejected by the promotion check: worse" if kept else "published"},
        ),
    ).version  # fmt: skip
    scores = {name: (p_emergence or {}).get(name, 0.25) for name in names}
    registry.add_scores(
        version,
        [
            CubeScore(cube=name, sha256=REFS[name].sha256, p_emergence=p, p_spread=None, members=("fold0-0",))
            for name, p in scores.items()
        ],
    )
    return version


def publish(registry: Registry, *publications: tuple[str, int]) -> None:
    """Write the history: which version was published on which day."""
    lines = [{"version": version, "at": made_on(day), "why": "test"} for version, day in publications]
    atomic.write_json_lines(registry.root / "history.jsonl", lines)
    atomic.write_json(registry.root / "published.json", {"version": publications[-1][0]})


def snapshot(verified: Mapping[str, Label], crude: Mapping[str, Label | None] | None = None) -> Snapshot:
    """The labels as they are now."""
    return Snapshot(
        read_at=made_on(9),
        cubes={
            name: CurrentLabel(
                cube=name,
                label=verified.get(name, Label.NON_EMERGENCE),
                verified=name in verified,
                crude=(crude or {}).get(name, Label.NON_EMERGENCE),
            )
            for name in NAMES
        },
    )


def pages(registry: Registry, labels: Snapshot) -> list[tuple[dict[str, float], dict[str, bool]]]:
    cards = [registry.card(version) for version in registry.versions()]
    return [(dict(page.disagreement), dict(page.verified)) for page in read_pages(registry, cards, labels)]


def words(*flipped: str, right: Collection[str] = ()) -> dict[str, Label]:
    """What humans said: emergence of `flipped`, against the crude label, and non-emergence of `right`."""
    return {**dict.fromkeys(flipped, Label.EMERGENCE), **dict.fromkeys(right, Label.NON_EMERGENCE)}


def test_before_the_first_version_the_book_is_empty(registry: Registry) -> None:
    """And the status says so."""
    assert read_audit(registry, snapshot({})).lines == ()
    assert [line.stands for line in of_book(registry, snapshot({}))] == ["begins with the first version"]
    assert of_book(registry, None) == []


def test_a_round_lasts_until_the_next_version_is_trained(registry: Registry) -> None:
    """What its successor knew was verified in it; in the newest, what the labels say now; flips go by crude labels."""
    admit(registry, day=1)
    admit(registry, day=2, verified=words("cube03"))
    now = words("cube03", right=["cube05"])
    assert [verified for _, verified in pages(registry, snapshot(now))] == [
        {"cube03": True},
        {"cube03": True, "cube05": False},
    ]


def test_disagreement_is_with_the_crude_label_also_of_verified_cubes(registry: Registry) -> None:
    """Cube 3 was corrected to emergence, and its out-of-fold probability of non-emergence is still what counts."""
    admit(registry, day=1, verified=words("cube03"), p_emergence={"cube03": 0.875})
    ((disagreement, _),) = pages(registry, snapshot(words("cube03")))
    assert disagreement["cube03"] == 0.875
    assert disagreement["cube04"] == 0.25


def test_cubes_without_a_crude_label_or_a_score_take_no_part(registry: Registry) -> None:
    """Nor do those that Label Studio no longer has; verified or not, they are in no count."""
    admit(registry, day=1, names=NAMES[:5])
    labels = snapshot(words("cube01", "cube02", "cube20"), crude={"cube01": None})
    left = Snapshot(read_at="", cubes={name: label for name, label in labels.cubes.items() if name != "cube04"})
    ((disagreement, verified),) = pages(registry, left)
    assert set(disagreement) == {"cube00", "cube02", "cube03"}
    assert verified == {"cube02": True}


def test_a_kept_version_s_round_went_by_the_ranking_of_the_published_one(registry: Registry) -> None:
    """Label Studio goes on showing v0001 while v0002 is kept, and v0003 once that is published."""
    admit(registry, day=1, p_emergence={"cube00": 0.5})
    admit(registry, day=2, p_emergence={"cube00": 0.75}, kept=True)
    admit(registry, day=3, p_emergence={"cube00": 0.875})
    publish(registry, ("v0001", 1), ("v0003", 3))
    assert [disagreement["cube00"] for disagreement, _ in pages(registry, snapshot({}))] == [0.5, 0.5, 0.875]
    publish(registry, ("v0001", 1), ("v0003", 3), ("v0002", 4))
    assert [disagreement["cube00"] for disagreement, _ in pages(registry, snapshot({}))] == [0.5, 0.5, 0.75]


def test_a_version_published_in_the_second_it_was_made_is_not_its_predecessor_s(registry: Registry) -> None:
    """Times are whole seconds: v0002 is made and published on day 2, v0001's round ends then."""
    admit(registry, day=1, p_emergence={"cube00": 0.5})
    admit(registry, day=2, p_emergence={"cube00": 0.75})
    publish(registry, ("v0001", 1), ("v0002", 2))
    assert [disagreement["cube00"] for disagreement, _ in pages(registry, snapshot({}))] == [0.5, 0.75]


def test_the_book_counts_hits_and_draws_and_names_the_next_checks(registry: Registry) -> None:
    """Round one: the three that disagree most, two of them wrong, and ten random ones, of which one is."""
    top, drawn = ORDER[-3:], ORDER[:10]
    admit(registry, day=1, p_emergence={top[0]: 0.9, top[1]: 0.8, top[2]: 0.7})
    now = words(top[0], top[1], drawn[4], right=[top[2], *drawn[:4], *drawn[5:]])
    book = read_audit(registry, snapshot(now))
    (line,) = book.lines
    assert book.versions == ("v0001",)
    assert (line.cubes, line.verified, line.flips) == (40, 13, 3)
    assert (line.ranked, line.hits) == (3, 2)
    assert (line.sampled, line.sampled_wrong) == (10, 1)
    assert line.wrong_left is not None
    assert line.wrong_left.value == pytest.approx(2.7)
    assert book.checks == tuple(ORDER[10:-3])
    told = {said.what: said.stands for said in of_book(registry, snapshot(now))}
    assert "Hit rate: 2 of 3 cubes verified by rank had a wrong label" in told["book, v0001"]
    assert "Continue: 27 cubes to verify." in told["book, v0001"]
    assert told["next random checks"] == f"{', '.join(ORDER[10:20])} (label them in this order)"


def test_what_was_verified_before_the_first_version_is_no_hit(registry: Registry) -> None:
    """No ranking led to it."""
    top = ORDER[-2:]
    admit(registry, day=1, verified=words(top[0]), p_emergence={top[0]: 0.9, top[1]: 0.8})
    (line,) = read_audit(registry, snapshot(words(*top))).lines
    assert (line.verified, line.verifications, line.ranked, line.hits) == (2, 1, 1, 1)


def test_status_says_when_the_newest_version_is_kept(registry: Registry) -> None:
    """With its time, the reason and the remedy, until it is published by hand: by what is printed, run as printed."""
    admit(registry, day=1)
    admit(registry, day=2, kept=True)
    publish(registry, ("v0001", 1))
    place = f"--model-dir {registry.root}"
    told = {line.what: line.stands for line in of_models(registry, place=place)}
    assert told["published version"] == "v0001"
    assert told["newest version"] == (
        "v0002, made 2026-01-03T00:00:00+00:00, is rejected by the promotion check: worse; "
        f"`helioloop rollback v0002 {place}` publishes it all the same"
    )
    result = run_printed(learning.commands(), told["newest version"])
    assert result.exit_code == 0, result.output
    told = {line.what: line.stands for line in of_models(registry, place=place)}
    assert told["published version"] == "v0002"
    assert "newest version" not in told
