"""When a round starts: the rules on small sets of labels."""

from helioloop.records.labels import CurrentLabel, Label
from helioloop.registry.card import Card
from helioloop.settings import Settings
from helioloop_worker.loop.retrain_policy import decide

E, N = Label.EMERGENCE, Label.NON_EMERGENCE


def trained_on(**labels: tuple[Label, bool]) -> Card:
    """The card of v0003, trained on these labels (class, verified)."""
    return Card(
        version="v0003", parent=None, created_at="", reason="", fingerprint="", label_fingerprint="", code_version="",
        recipe={}, instrument={}, members={},
        labels={cube: {"label": str(label), "verified": verified} for cube, (label, verified) in labels.items()},
    )  # fmt: skip


def now(**labels: tuple[Label | None, bool]) -> dict[str, CurrentLabel]:
    """Current labels (class, verified)."""
    return {cube: CurrentLabel(cube=cube, label=label, verified=verified) for cube, (label, verified) in labels.items()}


def starts(last: Card | None, labels: dict[str, CurrentLabel], *, step: int = 20, forced: bool = False) -> bool:
    settings = Settings(retrain_verified=step, retrain_changed=1)
    return decide(last, labels, settings=settings, forced=forced).start


def test_the_first_round_needs_no_correction() -> None:
    """Nothing was trained yet."""
    assert starts(None, now(a=(E, False)))


def test_unchanged_labels_start_nothing() -> None:
    """A human who agrees changes no label."""
    assert not starts(trained_on(a=(E, False), b=(N, False)), now(a=(E, True), b=(N, False)))


def test_one_changed_label_starts_a_round() -> None:
    """And the reason counts it and names the version it is compared with."""
    decision = decide(trained_on(a=(E, False)), now(a=(N, True)), settings=Settings(retrain_changed=1), forced=False)
    assert decision.start
    assert decision.reason == "1 label differs from those v0003 was trained on"


def test_a_correction_taken_back_starts_a_round() -> None:
    """The last candidate was trained on the correction; now the crude label counts again."""
    assert starts(trained_on(a=(N, True)), now(a=(E, False)))


def test_enough_newly_verified_cubes_start_a_round_without_any_change() -> None:
    """Two of two asked for; a cube verified before does not count again."""
    last = trained_on(a=(E, True), b=(E, False), c=(E, False))
    assert starts(last, now(a=(E, True), b=(E, True), c=(E, True)), step=2)
    assert not starts(last, now(a=(E, True), b=(E, True), c=(E, False)), step=2)


def test_new_cubes_with_crude_labels_alone_start_nothing_but_verified_ones_do() -> None:
    """A new release is pre-labelled; a round starts when a human has verified labels."""
    last = trained_on(a=(E, False))
    assert not starts(last, now(a=(E, False), new=(N, False)))
    assert starts(last, now(a=(E, False), new=(N, True)))


def test_pressing_start_training_starts_a_round_whatever_the_labels() -> None:
    """Forced."""
    assert starts(trained_on(a=(E, False)), now(a=(E, False)), forced=True)


def test_a_cube_that_lost_its_label_starts_a_round() -> None:
    """It was trained on and has none now."""
    assert starts(trained_on(a=(E, False)), now(a=(None, False)))


def test_few_changed_labels_wait_for_more_or_for_a_pause() -> None:
    """Two of three that start a round; after half an hour without an annotation they are enough."""
    settings = Settings(retrain_changed=3, retrain_pause_seconds=1800.0)
    last = trained_on(a=(E, False), b=(E, False), c=(E, False))
    two, three = now(a=(N, True), b=(N, True), c=(E, False)), now(a=(N, True), b=(N, True), c=(N, True))
    waiting = decide(last, two, settings=settings, forced=False, quiet_seconds=1799.0)
    assert (waiting.start, waiting.waits) == (False, True)
    assert waiting.reason == (
        "2 labels differ from those v0003 was trained on (3 start a round, fewer do after 30 min without an annotation)"
    )
    assert decide(last, two, settings=settings, forced=False, quiet_seconds=1800.0).start
    assert decide(last, three, settings=settings, forced=False, quiet_seconds=0.0).start
    assert decide(last, two, settings=settings, forced=True, quiet_seconds=0.0).start
    unchanged = decide(last, now(a=(E, True)), settings=settings, forced=False, quiet_seconds=0.0)
    assert (unchanged.start, unchanged.waits) == (False, False)
