"""Controls are found by kind and values, and refused where predictions cannot be written to them."""

from pathlib import Path

import pytest

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.config import FPS, parse_config, project_controls
from helioloop.labelstudio.markup import MAX_CONFIG_CHARS
from helioloop.records.controls import Controls
from helioloop.records.labels import Label

CONFIG = """
<View>
  <Video name="film" value="$video" framerate="25"/>
  <Choices name="kind" toName="film"><Choice value="emergence"/><Choice value="non-emergence"/></Choices>
  <TimelineLabels name="when" toName="film"><Label value="emergence"/><Label value="cosmic ray"/></TimelineLabels>
</View>
"""


@pytest.fixture
def controls() -> Controls:
    return parse_config(CONFIG, emergence="emergence", non_emergence="non-emergence")


def test_control_names_come_from_the_configuration(controls: Controls) -> None:
    """A team may choose any names; only the class values and the kinds of tags count."""
    assert (controls.video, controls.choices, controls.timeline) == ("film", "kind", "when")
    assert controls.timeline_label == "emergence"


def test_class_values_are_settings() -> None:
    """A team that labels with other class values names them in the settings."""
    own = CONFIG.replace('Choice value="emergence"', 'Choice value="taucht auf"')
    found = parse_config(own, emergence="taucht auf", non_emergence="non-emergence")
    assert found.values[Label.EMERGENCE] == "taucht auf"
    assert found.timeline is None, "neither of the two timeline labels is the class value: none is guessed"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CONFIG.replace('value="non-emergence"', 'value="no"'), "emergence, no"),
        (CONFIG.replace('toName="film"><Choice', 'toName="text"><Choice'), "0 <Choices>"),
        (CONFIG.replace("</View>", CONFIG[CONFIG.index("<Choices") :]), "2 <Choices>"),
        ("not xml", "not XML"),
        ("<View>\ud800</View>", "not XML"),
        ("<View>" * 20_000, "not XML"),
        ("<View>" * 20_000 + "</View>" * 20_000, "0 <Choices>"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><View/>", "DOCTYPE"),
        ("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><View>&b;</View>", "DOCTYPE"),
        ("<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'><View/>", "DOCTYPE"),
        (f"<View>{' ' * MAX_CONFIG_CHARS}</View>", "1000013 characters"),
    ],
    ids=[
        "value",
        "control",
        "twice",
        "text",
        "half a character",
        "cut",
        "deep",
        "entity",
        "entities",
        "other DTD",
        "long",
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_in_a_sentence(config: str, message: str) -> None:
    """Missing or doubled controls, other text, entities: one sentence that names what was found."""
    with pytest.raises(ConfigurationError, match=message):
        parse_config(config, emergence="emergence", non_emergence="non-emergence")


def test_a_comment_may_contain_anything() -> None:
    """Only a declared DOCTYPE is refused, not the word in a comment."""
    config = CONFIG.replace("</View>", "<!-- no <!DOCTYPE here --></View>")
    assert parse_config(config, emergence="emergence", non_emergence="non-emergence").video == "film"


@pytest.mark.parametrize("rate", ["25", "25.0", " 25 "])
def test_the_frame_rate_may_be_written_in_several_ways(rate: str) -> None:
    """The videos are rendered with 25 frames per second."""
    found = parse_config(
        CONFIG.replace('framerate="25"', f'framerate="{rate}"'), emergence="emergence", non_emergence="non-emergence"
    )
    assert (FPS, found.video) == (25, "film")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("", "has no framerate"),
        ('framerate="24"', "framerate='24'"),
        ('framerate="250"', "framerate='250'"),
        ('framerate="25.01"', "framerate='25.01'"),
        ('framerate="0.04"', "framerate='0.04'"),
        ('framerate=""', "framerate=''"),
        ('framerate="2_5"', "framerate='2_5'"),
        ('framerate="$fps"', "framerate='[$]fps'"),
    ],
)
def test_a_configuration_with_another_rate_is_refused(stated: str, message: str) -> None:
    """Without a rate Label Studio takes 24: it shows 225 frames as 216, and frame 225 is read as frame 216."""
    with pytest.raises(ConfigurationError, match=f'{message}.*25 frames per second.*write framerate="25"'):
        parse_config(CONFIG.replace('framerate="25"', stated), emergence="emergence", non_emergence="non-emergence")


def test_only_the_labelled_video_needs_the_frame_rate() -> None:
    """A second video, of something else, may have any rate."""
    other = CONFIG.replace("<View>", '<View><Video name="other" value="$other"/>')
    assert parse_config(other, emergence="emergence", non_emergence="non-emergence").video == "film"


def test_the_shipped_configuration_is_accepted() -> None:
    shipped = (Path(__file__).parents[3] / "labeling_config" / "bipoles.xml").read_text()
    found = parse_config(shipped, emergence="emergence", non_emergence="non-emergence")
    assert (found.video, found.choices, found.timeline) == ("video", "class", "onset")


@pytest.mark.parametrize("value", ["$other", "$video_2", "$my-video", " $clip "])
def test_the_video_may_be_in_any_field(value: str) -> None:
    """Ingestion writes the address there."""
    own = CONFIG.replace('value="$video"', f'value="{value}"')
    found = parse_config(own, emergence="emergence", non_emergence="non-emergence")
    assert found.video_field == value.strip().removeprefix("$")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "in one field of its data"),
        ("https://example.org/a.mp4", "in one field of its data"),
        ("$media.video", "in one field of its data"),
        ("$videos[0]", "in one field of its data"),
        ("$cube", "writes something else into that field"),
        ("$triage", "writes something else into that field"),
    ],
)
def test_a_video_without_a_field_of_its_own_is_refused(value: str, message: str) -> None:
    """The message has the remedy."""
    own = CONFIG.replace('value="$video"', f'value="{value}"')
    with pytest.raises(ConfigurationError, match=f'{message}.*for example value="[$]video"'):
        parse_config(own, emergence="emergence", non_emergence="non-emergence")


def test_a_choice_per_region_is_no_class_of_the_video() -> None:
    """A prediction has no region that it could belong to."""
    own = CONFIG.replace("<Choices ", '<Choices perRegion="true" ')
    with pytest.raises(ConfigurationError, match="per region"):
        parse_config(own, emergence="emergence", non_emergence="non-emergence")


def test_kept_words_and_names_are_used_instead_of_the_settings() -> None:
    """Also where the control was renamed: the words are unambiguous."""
    own = CONFIG.replace('Choice value="emergence"', 'Choice value="ja" alias="J"')
    kept = parse_config(own, emergence="ja", non_emergence="non-emergence", onset="cosmic ray")
    assert (kept.timeline_label, kept.values[Label.EMERGENCE]) == ("cosmic ray", "J")
    renamed = own.replace('name="kind"', 'name="class"')
    found = project_controls(renamed, kept, emergence="x", non_emergence="y")
    assert (found.choices, found.values, found.timeline_label) == ("class", kept.values, "cosmic ray")
    with pytest.raises(ConfigurationError, match="helioloop init --project ID --emergence VALUE"):
        project_controls(CONFIG, kept, emergence="emergence", non_emergence="non-emergence")
