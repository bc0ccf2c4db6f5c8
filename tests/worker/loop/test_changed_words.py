"""Other words for the classes after `helioloop init`: which answers count, and what is said about them."""

from dataclasses import replace

import pytest
from tests.worker.conftest import LoopProject
from tests.worker.loop.configured import OWN, WORDS_RENAMED

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.records.labels import Label
from helioloop.registry.project_controls import read_project_controls, write_project_controls
from helioloop_worker.labelstudio.setup import set_up

NOWHERE = "http://127.0.0.1:9"

SWAPPED = GivenWords(emergence="non-emergence", non_emergence="emergence")


def answer(project: LoopProject, cubes: int, word: str) -> None:
    """Answer the tasks of the first cubes."""
    for task in project.label_studio.tasks(project.id)[:cubes]:
        project.label_studio.annotate(task["id"], word)


def set_up_again(project: LoopProject, given: GivenWords) -> list[str]:
    """Repeat the set-up with words, and return what is said."""
    said: list[str] = []
    settings = project.context.settings
    set_up(project.label_studio, settings, project=project.id, backend_url=NOWHERE, given=given, say=said.append)
    return [sentence for sentence in said if sentence.startswith("warning: ")]


def test_words_that_are_swapped_have_their_meaning_of_now_and_it_is_said(initialised: LoopProject) -> None:
    """A wrong first set-up is put right; both numbers are said, once, and the former words undo it."""
    answer(initialised, 3, "emergence")
    assert set_up_again(initialised, SWAPPED) == [
        "warning: 3 answers have 'emergence', given as emergence, and count as non-emergence from now on; if that is "
        "wrong, repeat this with the former words"
    ]
    assert initialised.read().snapshot.cubes["cube00"].label is Label.NON_EMERGENCE
    answer(initialised, 1, "non-emergence")
    assert set_up_again(initialised, SWAPPED) == []
    said = set_up_again(initialised, GivenWords(emergence="emergence", non_emergence="non-emergence"))
    assert [sentence.partition(",")[0] for sentence in said] == [
        "warning: 3 answers have 'emergence'", "warning: 1 answer has 'non-emergence'",
    ]  # fmt: skip
    assert initialised.read().controls.label_of("emergence") is Label.EMERGENCE


def test_without_answers_words_are_swapped_without_a_word(initialised: LoopProject) -> None:
    """There is no answer that could change its class."""
    assert set_up_again(initialised, SWAPPED) == []
    assert initialised.read().controls.label_of("emergence") is Label.NON_EMERGENCE


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (
            OWN.replace('<Choice value="non-emergence"', '<Choice value="?"')
            .replace('<Choice value="emergence"', '<Choice value="bipole"')
            .replace('"?"', '"emergence"'),
            GivenWords(emergence="bipole", non_emergence="emergence"),
        ),
        (
            OWN.replace('<Choice value="non-emergence"', '<Choice value="none" alias="emergence"').replace(
                '<Choice value="emergence"', '<Choice value="bipole"'
            ),
            GivenWords(emergence="bipole", non_emergence="none"),
        ),
    ],
    ids=["word", "alias"],
)
def test_a_former_word_that_the_configuration_gives_to_the_other_class_is_refused(
    initialised: LoopProject, config: str, given: GivenWords
) -> None:
    """The answers before that change have it too; without any it may be reused, and with another value all is well."""
    initialised.label_studio.configure(initialised.id, config)
    before = read_project_controls(initialised.model_dir)
    answer(initialised, 2, "emergence")
    with pytest.raises(
        ConfigurationError,
        match=r"2 answers have 'emergence', which was the word of emergence and is that of non-emergence now, while "
        r"the configuration lacks the former word 'non-emergence'.*give the choice of non-emergence another value",
    ):
        set_up_again(initialised, given)
    assert read_project_controls(initialised.model_dir) == before
    initialised.label_studio.configure(initialised.id, WORDS_RENAMED)
    assert set_up_again(initialised, GivenWords(emergence="bipole", non_emergence="nothing")) == []
    assert initialised.read().snapshot.cubes["cube00"].label is Label.EMERGENCE


def test_a_word_of_earlier_still_is_found_too(initialised: LoopProject) -> None:
    """Two changes later: "emergence" meant emergence at first, then nothing of its own, and now the other class."""
    answer(initialised, 1, "emergence")
    initialised.label_studio.configure(initialised.id, WORDS_RENAMED)
    set_up_again(initialised, GivenWords(emergence="bipole", non_emergence="nothing"))
    config = WORDS_RENAMED.replace('"nothing"', '"emergence"')
    initialised.label_studio.configure(initialised.id, config)
    with pytest.raises(ConfigurationError, match="1 answer has 'emergence', which was the word of emergence"):
        set_up_again(initialised, GivenWords(emergence="bipole", non_emergence="emergence"))


def test_words_that_nobody_gave_change_no_answer(initialised: LoopProject) -> None:
    """The kept words are no longer those of one control, and the usual ones mean the classes the other way round."""
    answer(initialised, 1, "emergence")
    write_project_controls(initialised.model_dir, replace(
        initialised.read().controls,
        values={Label.EMERGENCE: "ja", Label.NON_EMERGENCE: "nein"}, shown={},
        earlier={Label.NON_EMERGENCE: ("emergence",)},
    ))  # fmt: skip
    more = '<Choices name="more" toName="video"><Choice value="ja"/></Choices>'
    more += '<Choices name="most" toName="video"><Choice value="nein"/></Choices></View>'
    initialised.label_studio.configure(initialised.id, OWN.rstrip().removesuffix("</View>") + more)
    with pytest.raises(ConfigurationError, match=r"would be that of emergence now.*name the words with --emergence"):
        set_up_again(initialised, GivenWords())
    (said,) = set_up_again(initialised, GivenWords(emergence="emergence", non_emergence="non-emergence"))
    assert "1 answer has 'emergence', given as non-emergence" in said
