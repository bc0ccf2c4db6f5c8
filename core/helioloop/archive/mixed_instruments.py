"""Files of several instruments in one release: those of one are used, because the others' field has another scale."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from helioloop.archive.spool import SpooledFile
from helioloop.data.instrument_cards import is_same
from helioloop.records.profiles import Profile


def without_other_instruments(files: Sequence[SpooledFile], profile: Profile) -> list[SpooledFile]:
    """Return the files, those of another instrument than the release's with the reason why they are excluded.

    The release's instrument is the profile's, where a file is from that, else the one with most files, of several the
    first. Files that name none, and those that were brought to the scale of MDI by a factor of their own, stay.
    """
    counts = Counter(file.instrument for file in files if file.reason is None and file.instrument is not None)
    if len(counts) < 2:
        return list(files)
    spellings = {name: [other for other in counts if is_same(name, other)] for name in counts}
    most = max(counts, key=lambda name: sum(counts[other] for other in spellings[name]))
    chosen = next((name for name in counts if is_same(name, profile.instrument.name)), most)
    return [replace(file, reason=_reason(file, chosen, profile)) for file in files]


def _reason(file: SpooledFile, chosen: str, profile: Profile) -> str | None:
    """Return why a file is excluded beside those of the chosen instrument; None where it is not."""
    if file.reason is not None or file.instrument is None:
        return file.reason
    if is_same(file.instrument, chosen) or is_same(file.instrument, profile.instrument.name):
        return None
    return (
        f"it is from {file.instrument} and the release is made of files from {chosen}; the scale of the field differs: "
        "make a release of its own, with the --profile of its scale"
    )
