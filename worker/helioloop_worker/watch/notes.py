"""Notes on a series, each said once: doubts of its table, what was assumed of files, and files that are not read.

`helioloop cutouts` prints the same at its end. What was said is kept in the series' row of ``watched.csv``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from helioloop.archive.unread import unread_files, unread_sentences
from helioloop.files.names import shown_name
from helioloop.registry.watched import WatchedFolder, WatchState
from helioloop.words import count


def notes_on_unread(folder: Path, *, quiet_seconds: float, now: float) -> list[str]:
    """Return a sentence for each reason why files in a folder are not read.

    A file that was changed within `quiet_seconds` may still be arriving under another name, and is left out.
    """
    unread = unread_files([str(folder)])
    return unread_sentences(
        {name: reason for name, reason in unread.items() if now - Path(name).lstat().st_ctime >= quiet_seconds}
    )


def notes_with_counts(sentences: Iterable[str], assumed: Mapping[str, int]) -> dict[str, str]:
    """Return each note as it is kept, with the text that is said; a number of files that grows is no new note."""
    notes = {sentence: sentence for sentence in sentences}
    notes |= {sentence: f"{sentence} ({count(n, 'file')})" for sentence, n in assumed.items()}
    return {shown_name(note): text for note, text in notes.items()}


def new_notes(notes: Mapping[str, str], row: WatchedFolder | None) -> list[str]:
    """Return the texts of notes that were not yet said when the row of the series was written."""
    said = row.reason if row is not None and row.state is WatchState.CUT else ""
    return [text for note, text in notes.items() if note not in said]
