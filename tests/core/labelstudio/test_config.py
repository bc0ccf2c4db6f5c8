"""The controls of a labelling configuration: found whatever their names, refused where they cannot be written to."""

from pathlib import Path

import pytest

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.config import FPS, Controls, parse_config
from helioloop.records import Label

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
    """Names are whatever the team chose; only the class values and the tags' kinds count."""
    assert (controls.video, controls.choices, controls.timeline) == ("film", "kind", "when")
    assert controls.timeline_label == "emergence"


def test_class_values_are_settings() -> None:
    """A team that labels in its own words names them in the settings."""
    own = CONFIG.replace('Choice value="emergence"', 'Choice value="taucht auf"')
    found = parse_config(own, emergence="taucht auf", non_emergence="non-emergence")
    assert found.values[Label.EMERGENCE] == "taucht auf"
    assert found.timeline is None, "of two timeline labels none is called like the class: none is guessed"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG.replace('value="non-emergence"', 'value="no"'), "emergence, no"),
        (CONFIG.replace('toName="film"><Choice', 'toName="text"><Choice'), "0 <Choices>"),
        (CONFIG.replace("</View>", CONFIG[CONFIG.index("<Choices") :]), "2 <Choices>"),
        ("not xml", "no XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><View/>", "DOCTYPE"),
        ("<View>" * 20_000, "no XML"),
    ],
)
def test_a_configuration_that_cannot_be_written_to_is_refused_in_a_sentence(config: str, said: str) -> None:
    """Missing or doubled controls, foreign text and entity tricks: one sentence that names what was found."""
    with pytest.raises(ConfigurationError, match=said):
        parse_config(config, emergence="emergence", non_emergence="non-emergence")


@pytest.mark.parametrize("rate", ["25", "25.0", " 25 "])
def test_the_videos_rate_may_be_written_in_any_way_that_means_it(rate: str) -> None:
    """The videos are rendered at 25 frames a second."""
    found = parse_config(
        CONFIG.replace('framerate="25"', f'framerate="{rate}"'), emergence="emergence", non_emergence="non-emergence"
    )
    assert (FPS, found.video) == (25, "film")


@pytest.mark.parametrize(
    ("stated", "said"),
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
def test_a_configuration_at_another_rate_is_refused(stated: str, said: str) -> None:
    """Without a rate Label Studio takes 24: it shows 225 frames as 216, and frame 225 is read as frame 216."""
    with pytest.raises(ConfigurationError, match=f'{said}.*25 frames a second.*write framerate="25"'):
        parse_config(CONFIG.replace('framerate="25"', stated), emergence="emergence", non_emergence="non-emergence")


def test_only_the_video_that_is_labelled_has_to_be_at_the_rate() -> None:
    """A second video, of something else, may run as it likes."""
    other = CONFIG.replace("<View>", '<View><Video name="other" value="$other"/>')
    assert parse_config(other, emergence="emergence", non_emergence="non-emergence").video == "film"


def test_the_configuration_that_comes_with_helioloop_is_taken() -> None:
    """As a team finds it in the repository."""
    shipped = (Path(__file__).parents[3] / "labeling_config" / "bipoles.xml").read_text()
    found = parse_config(shipped, emergence="emergence", non_emergence="non-emergence")
    assert (found.video, found.choices, found.timeline) == ("video", "class", "onset")
