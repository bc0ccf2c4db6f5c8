"""Whose vote an annotation is, and what becomes of every annotation that a task can have."""

import itertools
from typing import Any

import pytest
from tests.core.labelstudio.annotated import CONTROLS, N_FRAMES, annotation, task

from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.annotators import annotators
from helioloop.labelstudio.config import parse_config
from helioloop.labelstudio.tasks import cube_tasks
from helioloop.labelstudio.votes import submitted_votes
from helioloop.records.controls import Controls
from helioloop.records.labels import CurrentLabel, Label, LabelSource

GONE: tuple[Any, ...] = (None, {}, {"id": None}, {"id": None, "email": None}, "", 0, -1, True, [])
"""What ``completed_by`` can be after the account was deleted, or in annotations that a script made."""


def read(*annotations: Any) -> CurrentLabel:
    """The current label of a task whose crude label is non-emergence."""
    return current_label(task(*annotations), CONTROLS, n_frames=N_FRAMES)


@pytest.mark.parametrize("gone", GONE, ids=repr)
def test_each_annotation_of_a_deleted_account_is_one_vote(gone: Any) -> None:
    """Two for emergence against the later one for non-emergence; as one annotator, only the later one would count."""
    answers = ("emergence", "emergence", "non-emergence")
    given = [
        annotation(1, word, f"2026-01-0{day}", id=30 + day) | {"completed_by": gone}
        for day, word in enumerate(answers, start=1)
    ]
    found = read(*given)
    assert (found.label, found.source) == (Label.EMERGENCE, LabelSource.MAJORITY)
    nameless = [{key: value for key, value in entry.items() if key not in ("id", "completed_by")} for entry in given]
    assert read(*nameless).label is Label.EMERGENCE


def test_deleting_an_account_leaves_a_majority_as_it_was() -> None:
    """Annotators 1 and 2 say emergence, 3 and the crude label say the other; whoever is deleted, emergence stays."""
    words = {1: "emergence", 2: "emergence", 3: "non-emergence"}
    for gone in itertools.chain.from_iterable(itertools.combinations(words, n) for n in range(4)):
        given = [
            annotation(who, word, f"2026-01-0{who}", id=who) | {"completed_by": None if who in gone else who}
            for who, word in words.items()
        ]
        assert read(*given).label is Label.EMERGENCE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (7, "7"),
        (7, {"id": 7}),
        ({"id": 7, "email": "a@sun.org"}, {"id": 7, "email": None}),
        ({"id": 7, "email": "A@sun.org"}, "a@sun.org"),
        ({"id": 7, "email": "a@sun.org"}, {"email": "a@sun.org "}),
        ("a@sun.org", "A@Sun.org"),
    ],
)
def test_an_account_is_one_annotator_in_every_form(first: Any, second: Any) -> None:
    """An id, the same as text, a record and an e-mail address: the later annotation replaces the earlier one."""
    given = [{"completed_by": first}, {"completed_by": second}]
    one, other = annotators(given)
    assert one == other
    found = read(
        annotation(1, "non-emergence", "2026-01-01") | given[0], annotation(1, "emergence", "2026-01-02") | given[1]
    )
    assert (found.label, found.source) == (Label.EMERGENCE, LabelSource.MAJORITY)


@pytest.mark.parametrize("second", [8, {"id": 8}, "b@sun.org", {"email": "b@sun.org"}, None])
def test_other_accounts_are_other_annotators(second: Any) -> None:
    one, other = annotators([{"completed_by": {"id": 7, "email": "a@sun.org"}}, {"completed_by": second}])
    assert one.voter != other.voter


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:01.250000Z"),
        ("2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z"),
        ("no time", "2026-01-01T00:00:00Z"),
    ],
)
def test_the_later_annotation_is_found_by_its_time_and_not_by_its_text(earlier: str, later: str) -> None:
    """Label Studio leaves out the fraction of a whole second, and Z comes after a full stop in the alphabet."""
    assert earlier > later or earlier == "no time" or "Z" in earlier
    found = read(annotation(1, "non-emergence", earlier), annotation(1, "emergence", later))
    assert found.label is Label.EMERGENCE


# -- every annotation counts or is listed ---------------------------------------------------------


def timeline(start: Any, end: Any, name: str = "emergence", control: str = "when") -> dict[str, Any]:
    """One range on a timeline."""
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [name]}
    return {"from_name": control, "type": "timelinelabels", "value": value}


def kind(*words: str, control: str = "kind") -> dict[str, Any]:
    """A choice of classes."""
    return {"from_name": control, "type": "choices", "value": {"choices": list(words)}}


def submitted(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Annotation 31 of annotator 7."""
    return {"id": 31, "completed_by": 7, "updated_at": "2026-01-01T00:00:00Z", "result": list(items), **more}


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([kind("emergence", "non-emergence")], "both classes"),
        ([kind("emergence"), kind("non-emergence")], "both classes"),
        ([timeline(30, 225)], "no class"),
        ([kind("flare")], "'flare' is neither"),
        ([kind("Emergence")], "'Emergence' is neither"),
        (
            [kind("emergence", control="earlier name")],
            "its class 'emergence' is under the control 'earlier name' and not used: the project's is 'kind'",
        ),
        ([kind("good", "non-emergence", control="box")], "its class 'non-emergence' is under the control 'box'"),
        ([{**kind("emergence"), "from_name": None}], "its class 'emergence' is under the control None"),
        ([kind("good", control="quality")], "no class"),
        ([kind("emergence", control="quality"), kind("flare")], "'flare' is neither"),
        ([{"from_name": "quality", "type": "choices", "value": {"choices": "emergence"}}], "no class"),
        ([kind()], "no class"),
        ([], "no class"),
        ([{"from_name": "box", "type": "videorectangle", "value": {"sequence": []}}], "no class"),
        ([{"from_name": "kind", "type": "textarea", "value": {"text": ["emergence"]}}], "class cannot be read"),
    ],
)
def test_an_annotation_that_does_not_count_is_listed_with_its_reason(items: list[Any], reason: str) -> None:
    """It changes no label, and the sentence names annotation, annotator, reason and remedy."""
    found = read(submitted(*items))
    assert (found.answered, found.label) == (False, Label.NON_EMERGENCE)
    text = str(found.contradiction)
    assert text.startswith("annotation 31 of annotator 7 does not count: ")
    assert reason in text
    assert "open the task" in text


@pytest.mark.parametrize(
    ("ranges", "frame", "remark"),
    [
        ([timeline(30, 40)], 29, None),
        ([timeline(30.0, 40)], 29, None),
        ([timeline(1, 225)], 0, None),
        ([timeline(225, 999)], 224, None),  # only the start is read
        ([timeline(30, 20)], 29, "starts at frame 30 and ends before it, at 20"),
        ([timeline(0, 225)], None, "starts at 0, which is not a frame"),
        ([timeline(226, 230)], None, "starts at 226, which is not a frame"),
        ([timeline(30.5, 40)], None, "starts at 30.5, which is not a frame"),
        (
            [timeline(71, 80), timeline(30, 40)],
            29,
            "onsets are marked at frames 30 and 71, and the earliest counts; delete the other ranges with the label "
            "'emergence'",
        ),
        ([timeline(30, 40), timeline(30, 225)], 29, None),
        ([timeline(30, 40), timeline(0, 40)], 29, "starts at 0"),
        ([timeline(30, 40, "cosmic ray"), timeline(50, 60)], 49, None),
        ([timeline(30, 40, "cosmic ray")], None, "the label 'cosmic ray'"),
        ([timeline(30, 40, control="earlier name")], None, "the control 'earlier name' and not used"),
    ],
)
def test_an_onset_is_read_or_its_fault_is_listed(ranges: list[Any], frame: int | None, remark: str | None) -> None:
    """The class counts in every case."""
    found = read(submitted(kind("emergence"), *ranges))
    assert (found.label, found.verified) == (Label.EMERGENCE, True)
    assert (None if found.verified_frame is None else found.verified_frame.frame) == frame
    if remark is None:
        assert found.contradiction is None
    else:
        assert remark in str(found.contradiction)
        assert "annotation 31 of annotator 7" in str(found.contradiction)


def test_no_remark_hides_another_one() -> None:
    """Three annotations that do not count, and one whose onset is not a frame: all four are listed, at most eight."""
    given = [submitted(id=number, completed_by=number) for number in (1, 2, 3)]
    given.append(submitted(kind("emergence"), timeline(0, 5), id=4, completed_by=4))
    text = str(read(*given).contradiction)
    assert all(f"annotation {number} of annotator {number}" in text for number in (1, 2, 3, 4))
    many = str(read(*(submitted(id=number, completed_by=number) for number in range(1, 100))).contradiction)
    assert many.count("does not count") == 8
    assert many.endswith("; and 91 more")


def test_votes_skips_and_remarks_add_up_to_the_annotations() -> None:
    """Of seven annotations three count, one is skipped, and three have a remark; a draft is not submitted."""
    given = [
        submitted(kind("emergence")),
        submitted(kind("non-emergence"), id=32, completed_by=None),
        submitted(kind("emergence"), timeline(0, 5), id=33, completed_by=8),
        submitted(kind("emergence"), was_cancelled=True, id=34),
        submitted(id=35),
        submitted(kind("emergence", "non-emergence"), id=36),
        "not an annotation",
    ]
    entry = task(*given) | {"drafts": [submitted(kind("emergence"), id=37)]}  # type: ignore[arg-type]
    votes, remarks = submitted_votes(entry, CONTROLS, n_frames=N_FRAMES)
    assert (len(votes), len(remarks), current_label(entry, CONTROLS, n_frames=N_FRAMES).skips) == (3, 3, 1)


def test_a_label_that_got_an_alias_later_is_read_in_earlier_annotations() -> None:
    """Results have the alias afterwards and the text before; both are the class and the onset."""
    config = """
    <View><Video name="film" value="$video" framerate="25"/>
      <Choices name="kind" toName="film"><Choice value="ja" alias="yes"/><Choice value="nein" alias="no"/></Choices>
      <TimelineLabels name="when" toName="film"><Label value="Beginn" alias="start"/></TimelineLabels></View>"""
    controls = parse_config(config, emergence="ja", non_emergence="nein")
    for word, label in (("yes", "start"), ("ja", "Beginn")):
        found = current_label(task(submitted(kind(word), timeline(30, 225, label))), controls, n_frames=N_FRAMES)
        assert (found.label, found.contradiction) == (Label.EMERGENCE, None)
        assert found.verified_frame is not None
        assert found.verified_frame.frame == 29


def controls_with(labels: str, *, onset: str | None = None) -> Controls:
    """The controls of a project with these labels on its timeline, of which one is named as the onset."""
    config = f"""
    <View><Video name="film" value="$video" framerate="25"/>
      <Choices name="kind" toName="film"><Choice value="emergence"/><Choice value="non-emergence"/></Choices>
      <TimelineLabels name="when" toName="film">{labels}</TimelineLabels></View>"""
    return parse_config(config, emergence="emergence", non_emergence="non-emergence", onset=onset)


@pytest.mark.parametrize(
    ("labels", "onset", "other"),
    [
        ('<Label value="first flux"/><Label value="emergence"/>', "first flux", "emergence"),
        ('<Label value="first flux"/><Label value="emergence onset"/>', "first flux", "emergence onset"),
        ('<Label value="emergence onset"/><Label value="emergence"/>', None, "emergence"),
        ('<Label value="first flux"/><Label value="e" alias="emergence"/>', "first flux", "emergence"),
        ('<Label value="first flux"/><Label value="emergence" alias="e"/>', "first flux", "emergence"),
        ('<Label value="emergence" alias="start"/><Label value="end" alias="emergence"/>', "start", "emergence"),
    ],
)
def test_a_label_beside_that_of_the_onset_marks_something_else(labels: str, onset: str | None, other: str) -> None:
    """Also where it is called as the onset was in earlier configurations; nobody is told to delete its ranges."""
    controls = controls_with(labels, onset=onset)
    own = str(controls.timeline_label)

    def read_with(*ranges: dict[str, Any]) -> CurrentLabel:
        return current_label(task(submitted(kind("emergence"), *ranges)), controls, n_frames=N_FRAMES)

    found = read_with(timeline(60, 70, own), timeline(30, 40, other))
    assert found.verified_frame is not None
    assert (found.verified_frame.frame, found.contradiction) == (59, None)
    alone = read_with(timeline(30, 40, other))
    assert alone.verified_frame is None
    assert f"the label {other!r}, and an onset has {own!r}" in str(alone.contradiction)
    two = read_with(timeline(60, 70, own), timeline(80, 90, own), timeline(30, 40, other))
    assert "at frames 60 and 80" in str(two.contradiction)
    assert str(two.contradiction).endswith(f"delete the other ranges with the label {own!r}")


@pytest.mark.parametrize("earlier", ["emergence", "emergence onset"])
def test_an_onset_under_a_label_that_the_timeline_no_longer_offers_is_read(earlier: str) -> None:
    """The answers of earlier configurations stay readable beside other labels."""
    controls = controls_with('<Label value="first flux"/><Label value="cosmic ray"/>', onset="first flux")
    answer = submitted(kind("emergence"), timeline(30, 40, earlier))
    found = current_label(task(answer), controls, n_frames=N_FRAMES)
    assert found.verified_frame is not None
    assert (found.verified_frame.frame, found.contradiction) == (29, None)


def test_annotations_of_a_task_with_another_file_of_the_same_name_are_listed() -> None:
    """The name belongs to the older task; what annotators answered on the other file is named with its task."""
    older = {"id": 1, "data": {"cube": "c1", "release": "r", "sha256": "0" * 64}, "annotations": []}
    other = {"id": 2, "data": {"cube": "c1", "release": "q", "sha256": "1" * 64}, "annotations": [submitted()]}
    found = cube_tasks([older, other])["c1"]
    text = str(current_label(found.exported, CONTROLS, n_frames=N_FRAMES).contradiction)
    assert text.startswith("the annotations of task 2 (1) do not count: the task shows another file with the same name")
    assert cube_tasks([older, other | {"annotations": []}])["c1"].exported["left_out"] == []
