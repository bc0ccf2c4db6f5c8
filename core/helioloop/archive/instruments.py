"""Which profile an instrument has, and whether a profile's factor brings its field to the scale of MDI."""

from helioloop.data.instrument_cards import INSTRUMENTS, is_same
from helioloop.errors import MagnetogramError
from helioloop.records.profiles import BUILT_IN, Profile


def profile_of(instrument: str | None) -> Profile | None:
    """Return the built-in profile of an instrument; None where there is none."""
    return BUILT_IN.get((instrument or "").lower())


def scale_notes(instrument: str | None, profile: Profile) -> tuple[str, ...]:
    """Return what is assumed where a profile's factor is used for an instrument's field; nothing where it is its own.

    Raises
    ------
    MagnetogramError
        If the file is from MDI, HMI or GONG and the profile is for another one of them, whose factor would be wrong.
    """
    if instrument is None:
        return (f"no card names its instrument, so the scale of profile {profile.name!r} was assumed",)
    if is_same(instrument, profile.instrument.name):
        return ()
    own, expected = profile_of(instrument), profile.instrument.name.upper()
    if own is not None:
        if expected in INSTRUMENTS:
            raise MagnetogramError(
                f"it is from {instrument} and profile {profile.name!r} is for {expected}; the scale of the field "
                f"differs: run it with --profile {own.name}"
            )
        if own.to_mdi_factor == profile.to_mdi_factor:
            return ()
    return (
        f"it is from {instrument} and was taken on the scale of profile {profile.name!r}, factor "
        f"{profile.to_mdi_factor:g}",
    )


def why_no_profile(name: str, instrument: str) -> str:
    """Return why no profile follows from a file of an instrument without a built-in one, and what to do."""
    return (
        f"{name} is from {instrument}, and there is no profile for its scale, only {', '.join(BUILT_IN)}: choose the "
        "one of an instrument with the same scale with --profile, or write one (docs/profiles.md); a folder that is "
        "watched needs it in its release.toml"
    )
