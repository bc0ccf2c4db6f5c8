"""The audit of a project, on versions made by hand: which ranking, which labels, which round."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.worker.shell import run_printed

from helioloop.evaluation.audit_order import audit_order
from helioloop.files import atomic
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.registry.acceptances import Acceptance, write_acceptance
from helioloop.registry.card import Card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.unscorable import add_unscorable
from helioloop.registry.versions import Registry
from helioloop_worker.commands import learning
from helioloop_worker.reports.audit import audit_stamp, read_audit, read_rounds
from helioloop_worker.reports.random_checks import count_random_checks
from helioloop_worker.reports.status import audit_lines, model_lines
from helioloop_worker.reports.status_line import Line
from helioloop_worker.reports.status_reading import read_status

NAMES = tuple(f"cube{k:02d}" for k in range(40))
"""The crude label of each is non-emergence."""
CUBES = {name: CubeInfo(release="r", name=name, sha256=f"{k:064x}") for k, name in enumerate(NAMES)}
ORDER = audit_order(CUBES.values())
REJECTED = "rejected by the promotion check: worse"
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
    rejected: bool = False,
    releases: Mapping[str, str] | None = None,
) -> str:
    """Admit a version trained on these labels; its probability is 0.25 except for the cubes in `p_emergence`.

    All cubes are of release r except for those in `releases`.
    """
    by_hand = verified or {}
    staging = registry.staging(f"{day:08x}")
    version = registry.admit(
        staging,
        Card(
            version="", parent=None, created_at=made_on(day), reason="test", fingerprint=f"{day:08x}",
            label_fingerprint="", code_version="", recipe={}, instrument={}, members={},
            labels={
                name: {
                    "label": str(by_hand.get(name, Label.NON_EMERGENCE)), "verified": name in by_hand, "fold": 0,
                    "sha256": CUBES[name].sha256, "release": (releases or {}).get(name, "r"),
                }
                for name in names
            },
            verdict={"publish": not rejected, "reason": REJECTED if rejected else "published"},
        ),
    ).version  # fmt: skip
    scores = {name: (p_emergence or {}).get(name, 0.25) for name in names}
    registry.add_scores(
        version,
        [
            CubeScore(cube=name, sha256=CUBES[name].sha256, p_emergence=p, p_spread=None, members=("fold0-0",))
            for name, p in scores.items()
        ],
    )
    return version


def publish(registry: Registry, *publications: tuple[str, int]) -> None:
    """Write the history: which version was published on which day."""
    lines = [{"version": version, "at": made_on(day), "why": "test"} for version, day in publications]
    atomic.write_json_lines(registry.root / "history.jsonl", lines)
    atomic.write_json(registry.root / "published.json", {"version": publications[-1][0]})


def snapshot(
    verified: Mapping[str, Label],
    crude: Mapping[str, Label | None] | None = None,
    *,
    visible: Collection[str] = (),
) -> Snapshot:
    """The labels as they are now; those of `visible` were verified with the prediction visible, the others blind."""
    return Snapshot(
        read_at=made_on(9),
        cubes={
            name: CurrentLabel(
                cube=name,
                label=verified.get(name, Label.NON_EMERGENCE),
                verified=name in verified,
                crude=(crude or {}).get(name, Label.NON_EMERGENCE),
                blind=BlindAnswer(label=verified[name]) if name in verified and name not in visible else None,
            )
            for name in NAMES
        },
    )


def rounds(registry: Registry, labels: Snapshot) -> list[tuple[dict[str, float], dict[str, bool]]]:
    """Each round's disagreement and its verified cubes, as the audit reads them."""
    cards = [registry.card(version) for version in registry.versions()]
    return [(dict(one.disagreement), dict(one.verified)) for one in read_rounds(registry, cards, labels)]


def by_human(*flipped: str, right: Collection[str] = ()) -> dict[str, Label]:
    """Verified labels: emergence for `flipped`, against the crude label, and non-emergence for `right`."""
    return {**dict.fromkeys(flipped, Label.EMERGENCE), **dict.fromkeys(right, Label.NON_EMERGENCE)}


def test_cubes_of_the_next_release_take_part_once_they_have_a_score(registry: Registry) -> None:
    """All 20 labels trained on are verified, and of 20 later cubes 3 are predicted otherwise than labelled: go on."""
    first, later = NAMES[:20], NAMES[20:]
    version = admit(registry, day=1, names=first)
    publish(registry, (version, 1))
    labels = snapshot(by_human(right=first))

    last = read_audit(registry, labels).rounds[-1]
    assert (last.cubes, last.verified, last.unscored, last.stop) == (20, 20, 20, None)
    assert last.sentences()[-1] == (
        "Continue: 0 cubes to verify; 20 more cubes without a prediction yet, of which the audit knows nothing."
    )

    registry.add_scores(
        version,
        [
            CubeScore(
                cube=name, sha256=CUBES[name].sha256, p_emergence=0.9 if name in later[:3] else 0.25, p_spread=None,
                members=("fold0-0",),
            )
            for name in later
        ],
    )  # fmt: skip
    audit = read_audit(registry, labels)
    last = audit.rounds[-1]
    assert (last.cubes, last.verified, last.unscored, last.stop) == (40, 20, 0, None)
    assert (audit.disagreements, audit.disagreements_checked) == (3, 0)
    assert audit.next_sampled == tuple(name for name in ORDER if name in later)


def test_a_cube_that_cannot_be_scored_keeps_nobody_from_stopping(registry: Registry) -> None:
    """It has no prediction, and will have none: it is reported where excluded cubes are."""
    version = admit(registry, day=1, names=NAMES[1:])
    publish(registry, (version, 1))
    labels = snapshot(by_human(right=NAMES[1:]))
    assert read_audit(registry, labels).rounds[-1].stop is None
    add_unscorable(registry.root, version, [CUBES[NAMES[0]]])
    assert read_audit(registry, labels).rounds[-1].stop == "every label is verified"


def test_a_verified_cube_that_cannot_be_scored_does_not_stand_for_one_that_waits(registry: Registry) -> None:
    """v0002 could score neither cube00, which is verified, nor cube01; cube02 it has not scored yet."""
    first = admit(registry, day=1)
    second = admit(registry, day=2, names=NAMES[3:])
    publish(registry, (first, 1), (second, 2))
    labels = snapshot(by_human(right=(NAMES[0], *NAMES[3:])))
    add_unscorable(registry.root, second, [CUBES[NAMES[0]], CUBES[NAMES[1]]])
    last = read_audit(registry, labels).rounds[-1]
    assert (last.unscored, last.stop) == (1, None)

    add_unscorable(registry.root, second, [CUBES[NAMES[2]]])
    assert read_audit(registry, labels).rounds[-1].stop == "every label is verified"


def test_later_cubes_count_in_the_round_in_which_they_were_verified(registry: Registry) -> None:
    """Two of them were, under the version that scored them; the next version is trained on all."""
    first, later = NAMES[:20], NAMES[20:]
    version = admit(registry, day=1, names=first)
    registry.add_scores(
        version,
        [
            CubeScore(cube=name, sha256=CUBES[name].sha256, p_emergence=0.25, p_spread=None, members=("fold0-0",))
            for name in later
        ],
    )
    second = admit(registry, day=2, verified=by_human(*later[:2]))
    publish(registry, (version, 1), (second, 2))
    audits = read_audit(registry, snapshot(by_human(*later[:2]))).rounds
    assert [(one.cubes, one.verifications, one.flips) for one in audits] == [(40, 2, 2), (40, 0, 0)]


def test_before_the_first_version_the_audit_is_empty(registry: Registry) -> None:
    """The status tells when it starts."""
    assert read_audit(registry, snapshot({})).rounds == ()
    assert audit_lines(read_audit(registry, snapshot({}))) == [
        Line(name="audit", value="starts with the first version")
    ]
    assert audit_lines(None) == []


def test_a_round_lasts_until_the_next_version_is_trained(registry: Registry) -> None:
    """A version's round has the cubes verified in its successor's card; the newest has those verified now."""
    admit(registry, day=1)
    admit(registry, day=2, verified=by_human("cube03"))
    now = by_human("cube03", right=["cube05"])
    assert [verified for _, verified in rounds(registry, snapshot(now))] == [
        {"cube03": True},
        {"cube03": True, "cube05": False},
    ]


def test_disagreement_is_with_the_crude_label_also_of_verified_cubes(registry: Registry) -> None:
    """Cube 3 was corrected to emergence; the disagreement stays 1 - probability of non-emergence."""
    admit(registry, day=1, verified=by_human("cube03"), p_emergence={"cube03": 0.875})
    ((disagreement, _),) = rounds(registry, snapshot(by_human("cube03")))
    assert disagreement["cube03"] == 0.875
    assert disagreement["cube04"] == 0.25


def test_cubes_without_a_crude_label_or_a_score_take_no_part(registry: Registry) -> None:
    """Cubes that Label Studio no longer has do not take part either, verified or not."""
    admit(registry, day=1, names=NAMES[:5])
    labels = snapshot(by_human("cube01", "cube02", "cube20"), crude={"cube01": None})
    left = Snapshot(read_at="", cubes={name: label for name, label in labels.cubes.items() if name != "cube04"})
    ((disagreement, verified),) = rounds(registry, left)
    assert set(disagreement) == {"cube00", "cube02", "cube03"}
    assert verified == {"cube02": True}


def test_the_round_of_a_rejected_version_uses_the_ranking_of_the_published_one(registry: Registry) -> None:
    """Label Studio shows v0001 while v0002 is rejected, and v0003 once that is published."""
    admit(registry, day=1, p_emergence={"cube00": 0.5})
    admit(registry, day=2, p_emergence={"cube00": 0.75}, rejected=True)
    admit(registry, day=3, p_emergence={"cube00": 0.875})
    publish(registry, ("v0001", 1), ("v0003", 3))
    assert [disagreement["cube00"] for disagreement, _ in rounds(registry, snapshot({}))] == [0.5, 0.5, 0.875]
    publish(registry, ("v0001", 1), ("v0003", 3), ("v0002", 4))
    assert [disagreement["cube00"] for disagreement, _ in rounds(registry, snapshot({}))] == [0.5, 0.5, 0.75]


def test_a_version_published_in_the_second_of_its_creation_is_not_shown_in_the_round_before(registry: Registry) -> None:
    """Times are whole seconds: v0002 is created and published on day 2, when the round of v0001 ends."""
    admit(registry, day=1, p_emergence={"cube00": 0.5})
    admit(registry, day=2, p_emergence={"cube00": 0.75})
    publish(registry, ("v0001", 1), ("v0002", 2))
    assert [disagreement["cube00"] for disagreement, _ in rounds(registry, snapshot({}))] == [0.5, 0.75]


def test_the_audit_counts_hits_and_sampled_cubes_and_lists_the_next_of_the_sample(registry: Registry) -> None:
    """Round one: the three cubes that disagree most, two of them wrong, and ten sampled ones, one of them wrong."""
    top, sampled = ORDER[-3:], ORDER[:10]
    admit(registry, day=1, p_emergence={top[0]: 0.9, top[1]: 0.8, top[2]: 0.7})
    now = by_human(top[0], top[1], sampled[4], right=[top[2], *sampled[:4], *sampled[5:]])
    audit = read_audit(registry, snapshot(now))
    (line,) = audit.rounds
    assert audit.versions == ("v0001",)
    assert (line.cubes, line.verified, line.flips) == (40, 13, 3)
    assert (line.ranked, line.hits) == (3, 2)
    assert (line.sampled, line.sampled_wrong) == (10, 1)
    assert line.wrong_left is not None
    assert line.wrong_left.value == pytest.approx(2.7)
    assert audit.next_sampled == tuple(ORDER[10:-3])
    shown = {line.name: line.value for line in audit_lines(read_audit(registry, snapshot(now)))}
    assert "Hit rate: 2 of 3 cubes verified by rank had a wrong label" in shown["audit, v0001"]
    assert "Continue: 27 cubes to verify." in shown["audit, v0001"]
    assert shown["audit sample, next"] == f"{', '.join(ORDER[10:20])} (label them in this order)"


def test_only_blind_answers_give_an_estimate(registry: Registry) -> None:
    """Answered with the prediction visible, the ten sampled cubes are verified, and support no estimate."""
    admit(registry, day=1)
    now = by_human(ORDER[4], right=[*ORDER[:4], *ORDER[5:12]])
    (blind,) = read_audit(registry, snapshot(now)).rounds
    assert (blind.sampled, blind.sampled_wrong) == (12, 1)
    assert blind.wrong_left is not None
    (visible,) = read_audit(registry, snapshot(now, visible=ORDER[:12])).rounds
    assert (visible.verified, visible.flips, visible.sampled, visible.wrong_left) == (12, 1, 0, None)
    (three_less,) = read_audit(registry, snapshot(now, visible=ORDER[3:6])).rounds
    assert (three_less.sampled, three_less.sampled_wrong, three_less.wrong_left) == (9, 0, None)


def test_tasks_labelled_in_their_own_order_do_not_end_the_campaign(registry: Registry) -> None:
    """Ten tasks in Label Studio's default order; the twelve labels that are probably wrong are still open."""
    top = ORDER[-12:]
    in_order = [name for name in NAMES if name not in top][:10]
    admit(registry, day=1, p_emergence=dict.fromkeys(top, 0.9))
    (line,) = read_audit(registry, snapshot(by_human(right=in_order), visible=in_order)).rounds
    assert (line.verifications, line.ranked, line.stop) == (10, 0, None)


def test_accepted_labels_of_the_version_shown_are_no_part_of_the_queue(registry: Registry) -> None:
    """Two cubes at its head are accepted, so that the next three are those the ranking led to."""
    top = ORDER[-5:]
    admit(registry, day=1, p_emergence=dict(zip(top, (0.95, 0.94, 0.9, 0.8, 0.7), strict=True)))
    labels = snapshot(by_human(*top[2:]), visible=top[2:])
    stamp = audit_stamp(registry, labels)
    for version, ranked in (("v0002", 1), ("v0001", 3)):
        write_acceptance(
            registry.root,
            Acceptance(
                release="r",
                rate=0.02,
                confidence=0.9,
                version=version,
                accepted=dict.fromkeys(top[:2], Label.EMERGENCE),
            ),
        )
        (line,) = read_audit(registry, labels).rounds
        assert line.ranked == ranked
    assert audit_stamp(registry, labels) != stamp


def test_status_counts_answered_and_blind_checks_and_lists_those_that_wait(registry: Registry) -> None:
    admit(registry, day=1)
    RandomChecks(version="v0001", cubes=tuple(ORDER[:6])).write(registry.root)
    labels = snapshot(by_human(right=[*ORDER[:2], ORDER[20]]), visible=[ORDER[20]])
    shown = {line.name: line.value for line in audit_lines(read_audit(registry, labels))}
    assert count_random_checks(registry, labels).sentence() == (
        "2 of 6 answered; blind answers to 2 cubes can support estimates and guarantees; verified with the prediction "
        "visible, which supports none: 1"
    )
    assert shown["audit sample, next"] == f"{', '.join(ORDER[2:6])} (label them in this order)"


def test_status_names_the_setting_where_the_project_has_no_random_checks(registry: Registry) -> None:
    """Cubes are left to verify, and none of them can be sampled; once all are verified none is left."""
    admit(registry, day=1)
    RandomChecks(version="v0001").write(registry.root)
    for answers, said in (
        (by_human(right=ORDER[:3]), "none: the project has no random checks (HELIOLOOP_RANDOM_CHECKS)"),
        (by_human(right=ORDER), "none left"),
    ):
        lines = audit_lines(read_audit(registry, snapshot(answers)), checks=0)
        assert {line.name: line.value for line in lines}["audit sample, next"] == said


def test_a_cube_verified_before_the_first_version_is_not_a_hit(registry: Registry) -> None:
    """There was no ranking yet that could have led to it."""
    top = ORDER[-2:]
    admit(registry, day=1, verified=by_human(top[0]), p_emergence={top[0]: 0.9, top[1]: 0.8})
    (line,) = read_audit(registry, snapshot(by_human(*top))).rounds
    assert (line.verified, line.verifications, line.ranked, line.hits) == (2, 1, 1, 1)


def test_status_shows_a_rejected_newest_version_until_it_is_published(registry: Registry) -> None:
    """It gives time, reason and a command; that command, run as printed, publishes the version."""
    admit(registry, day=1)
    admit(registry, day=2, rejected=True)
    publish(registry, ("v0001", 1))
    place = f"--model-dir {registry.root}"
    shown = {line.name: line.value for line in model_lines(read_status(registry))}
    assert shown["published version"] == "v0001"
    assert shown["newest version"] == (
        f"v0002, created 2026-01-03T00:00:00+00:00, is {REJECTED}; to publish it anyway, run "
        f"`helioloop rollback v0002 {place}`"
    )
    result = run_printed(learning.commands(), shown["newest version"])
    assert result.exit_code == 0, result.output
    shown = {line.name: line.value for line in model_lines(read_status(registry))}
    assert shown["published version"] == "v0002"
    assert "newest version" not in shown
