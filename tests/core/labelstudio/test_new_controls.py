"""The controls of a project are chosen from its own configuration, or asked for with the choices that were seen."""

from dataclasses import replace

import pytest

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.new_controls import GivenWords, choose_controls, doubts
from helioloop.records.controls import Controls
from helioloop.records.labels import Label


def config(*choices: str, name: str = "kind", more: str = "", onset: str = '<Label value="onset"/>') -> str:
    """Return a configuration with these choices, written as attributes."""
    tags = "".join(f"<Choice {choice}/>" for choice in choices)
    return (
        f'<View><Video name="film" value="$video" framerate="25"/><Choices name="{name}" toName="film">{tags}</Choices>'
        f'<TimelineLabels name="when" toName="film">{onset}</TimelineLabels>{more}</View>'
    )


def chosen(xml: str, given: GivenWords | None = None, kept: Controls | None = None) -> Controls:
    """Choose with the usual words."""
    return choose_controls(xml, given or GivenWords(), kept, emergence="emergence", non_emergence="non-emergence")


def words(controls: Controls) -> tuple[str, str]:
    """Return the values of both classes."""
    return controls.values[Label.EMERGENCE], controls.values[Label.NON_EMERGENCE]


JA_NEIN = config('value="ja"', 'value="nein"')


def test_the_usual_words_are_taken() -> None:
    assert words(chosen(config('value="non-emergence"', 'value="emergence"', 'value="unclear"'))) == (
        "emergence",
        "non-emergence",
    )


@pytest.mark.parametrize(
    ("yes", "no"), [("Emergence", "Non-Emergence"), ("EMERGENCE", "non emergence"), ("emergence", "NonEmergence")]
)
def test_words_that_read_like_the_usual_ones_are_taken(yes: str, no: str) -> None:
    """In any case, with any hyphen or none."""
    assert words(chosen(config(f'value="{no}"', f'value="{yes}"'))) == (yes, no)


def test_words_of_two_readings_are_not_guessed() -> None:
    """Two choices that both read like emergence."""
    with pytest.raises(ConfigurationError, match="so the two classes are not clear"):
        chosen(config('value="Emergence"', 'value="EMERGENCE"', 'value="Non-Emergence"'))


def test_other_words_are_asked_for_with_what_was_seen() -> None:
    """The message names the choices of each control and the options."""
    more = '<Choices name="mood" toName="film" perRegion="true"><Choice value="good"/></Choices>'
    with pytest.raises(ConfigurationError) as caught:
        chosen(config('value="ja" alias="J"', 'value="nein"', more=more))
    assert '<Choices name="kind">: ja (alias J), nein; <Choices name="mood", per region>: good' in str(caught.value)
    assert "name them with --emergence VALUE --non-emergence VALUE" in str(caught.value)


def test_given_words_are_taken_in_either_order_of_the_choices() -> None:
    assert words(chosen(JA_NEIN, GivenWords(emergence="nein", non_emergence="ja"))) == ("nein", "ja")


@pytest.mark.parametrize("given", [GivenWords(emergence="ja"), GivenWords(non_emergence="nein")])
def test_one_given_word_is_enough_for_two_choices(given: GivenWords) -> None:
    """The other choice is the other class."""
    assert words(chosen(JA_NEIN, given)) == ("ja", "nein")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (GivenWords(emergence="yes"), "only --emergence is given .'yes'.*give --non-emergence VALUE too"),
        (GivenWords(non_emergence="no"), "only --non-emergence is given .'no'.*give --emergence VALUE too"),
        (GivenWords(emergence="ja", non_emergence="ja"), "are both 'ja'"),
        (GivenWords(emergence="ja", non_emergence="no"), "has 'ja' and 'no' .found: .*ja, nein"),
        (GivenWords(emergence="ja", choices="other"), "--choices is 'other'.*<Choices name=\"kind\">: ja, nein"),
        (GivenWords(emergence="ja", onset="start"), "--onset is 'start'.*labels found: 'onset'"),
    ],
)
def test_given_names_that_are_not_there_are_refused(given: GivenWords, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        chosen(JA_NEIN, given)


def test_one_word_of_three_choices_is_not_enough() -> None:
    with pytest.raises(ConfigurationError, match="give --non-emergence VALUE too"):
        chosen(config('value="ja"', 'value="nein"', 'value="weiss nicht"'), GivenWords(emergence="ja"))


def test_kept_words_count_before_the_usual_ones() -> None:
    """The project was set up with them; without them in the configuration the usual ones count again."""
    both = config('value="ja"', 'value="nein"', 'value="emergence"', 'value="non-emergence"')
    kept = chosen(JA_NEIN, GivenWords(emergence="ja"))
    assert words(chosen(both, kept=kept)) == ("ja", "nein")
    assert words(chosen(config('value="emergence"', 'value="non-emergence"'), kept=kept)) == (
        "emergence",
        "non-emergence",
    )


def test_one_of_two_controls_with_the_same_words_is_named() -> None:
    """The name is kept with the words."""
    second = '<Choices name="second" toName="film"><Choice value="ja"/><Choice value="nein"/></Choices>'
    twice = config('value="ja"', 'value="nein"', more=second)
    given = GivenWords(emergence="ja", non_emergence="nein")
    with pytest.raises(ConfigurationError, match=r"2 <Choices>.*the control with --choices NAME"):
        chosen(twice, given)
    named = chosen(twice, replace(given, choices="second"))
    assert named.choices == "second"
    assert chosen(twice, kept=named).choices == "second"


def test_an_alias_is_written_and_its_choice_is_shown() -> None:
    """Label Studio writes the alias into results; either of them may be given, and both are read."""
    aliased = config('value="ja" alias="J"', 'value="nein" alias="N"', onset='<Label value="Beginn" alias="B"/>')
    for given in (GivenWords(emergence="ja"), GivenWords(emergence="J", non_emergence="nein")):
        found = chosen(aliased, given)
        assert words(found) == ("J", "N")
        assert found.class_names == {Label.EMERGENCE: "ja", Label.NON_EMERGENCE: "nein"}
        assert (found.timeline, found.timeline_label) == ("when", "B")
        assert [found.label_of(value) for value in ("J", "ja", "N", "nein", "x")] == [
            Label.EMERGENCE, Label.EMERGENCE, Label.NON_EMERGENCE, Label.NON_EMERGENCE, None
        ]  # fmt: skip


def test_an_onset_is_chosen_among_several_labels() -> None:
    """Without a choice none is guessed, and that is said."""
    several = config('value="ja"', 'value="nein"', onset='<Label value="a"/><Label value="b"/>')
    silent = chosen(several, GivenWords(emergence="ja"))
    assert silent.timeline is None
    assert any("none of the timeline labels 'a', 'b'" in doubt for doubt in doubts(several, silent))
    assert chosen(several, GivenWords(emergence="ja", onset="b")).timeline_label == "b"


def test_fields_that_tasks_do_not_have_are_refused() -> None:
    """Label Studio would refuse each task at its import; fields that they have may be shown."""
    lacking = config(
        'value="ja"', 'value="nein"', more='<Text name="a" value="$title"/><Image name="b" value="$shot"/>'
    )
    with pytest.raises(ConfigurationError, match=r"shows \$shot, \$title, which the tasks that helioloop imports"):
        chosen(lacking, GivenWords(emergence="ja"))
    there = config('value="ja"', 'value="nein"', more='<Text name="a" value="Region $region"/><Header value="$title"/>')
    assert chosen(there, GivenWords(emergence="ja")).choices == "kind"


def test_what_works_but_should_be_known_is_said() -> None:
    """Several choices at once, no timeline, and a screen without the reason for a task."""
    xml = JA_NEIN.replace('<Choices name="kind"', '<Choices name="kind" choice="multiple"').replace("Labels", "Other")
    said = list(doubts(xml, chosen(xml, GivenWords(emergence="ja"))))
    assert len(said) == 3
    assert 'has choice="multiple"' in said[0]
    assert "no <TimelineLabels> is on" in said[1]
    assert "$curve and $reason" in said[2]
