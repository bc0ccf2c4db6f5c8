"""Finds answers whose class changes with new words of a project: their word meant the other class before.

Only whoever sets a project up can tell what the annotators meant. A mapping that is put right is carried out, and said.
A word that the configuration reuses for the other class is refused, because the answers before that change have it too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.markup import choices_on_videos, find_option, options_of, read_markup
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.labelstudio.untrusted import as_list, as_mapping
from helioloop.records.controls import Controls
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup


def reused_sentences(
    label_studio: LabelStudioSetup, info: ProjectInfo, controls: Controls, kept: Controls | None, given: GivenWords
) -> Iterator[str]:
    """Yield one sentence for each word whose answers count as the other class from now on.

    Parameters
    ----------
    label_studio : LabelStudioSetup
        Its tasks are read only where a word changed its class.
    info : ProjectInfo
        The project with its labelling configuration.
    controls : Controls
        The controls of now.
    kept : Controls or None
        Those that the model folder has.
    given : GivenWords
        What somebody gave.

    Raises
    ------
    ConfigurationError
        Where answers have such a word, and the configuration lacks a former word, or no word was given.
    """
    reused = {} if kept is None else controls.reused(kept)
    if kept is None or not reused:
        return
    counts = _answers(label_studio.tasks(info.id), controls)
    lost = _lost_words(info.label_config, kept)
    for word, label in reused.items():
        if not (n := counts.get(word, 0)):
            continue
        has = f"{n} answers have {word!r}" if n > 1 else f"1 answer has {word!r}"
        other = kept.label_of(word)
        if lost:
            raise ConfigurationError(
                f"{has}, which was the word of {other} and is that of {label} now, while the configuration lacks the "
                f"former word {lost[0]!r}: these answers would change their class; give the choice of {label} another "
                f"value in the configuration, or an alias other than {word!r}"
            )
        if given.emergence is None and given.non_emergence is None:
            raise ConfigurationError(
                f"{has}, which was the word of {other} and would be that of {label} now: these answers would change "
                "their class; name the words with --emergence VALUE --non-emergence VALUE"
            )
        yield (
            f"{has}, given as {other}, and count as {label} from now on; if that is wrong, repeat this with the former "
            "words"
        )


def _answers(exported: list[dict[str, Any]], controls: Controls) -> Mapping[str, int]:
    """Return how many annotations have each value of the class control."""
    return Counter(
        word
        for entry in exported
        for annotation in as_list(entry.get("annotations"))
        for word in {*_words(as_mapping(annotation).get("result"), controls.choices)}
    )


def _words(result: Any, control: str) -> Iterator[str]:
    """Yield the values that a control has in the result of an annotation, whatever somebody else wrote there."""
    for item in map(as_mapping, as_list(result)):
        if item.get("from_name") == control:
            yield from (word for word in as_list(as_mapping(item.get("value")).get("choices")) if isinstance(word, str))


def _lost_words(config: str, kept: Controls) -> list[str]:
    """Return the former words that are in no choice of the configuration any more."""
    options = [option for tag in choices_on_videos(read_markup(config)) for option in options_of(tag, "Choice")]
    return [word for word in kept.values.values() if find_option(word, options) is None]
