"""Cubes of another instrument than their release's profile, as where releases were merged or release.toml was lost."""

import io
from collections.abc import Sequence

from helioloop.data.cubes import CubeFiles
from helioloop.data.fits import errors_named_after, open_checked
from helioloop.data.images import cube_image
from helioloop.data.instrument_cards import INSTRUMENTS, instrument_of, is_adapted
from helioloop.records.profiles import BUILT_IN, Profile
from helioloop.words import count


def other_instrument(files: CubeFiles, profile: Profile | None) -> str | None:
    """Return the instrument that a cube's cards name where the profile is for another one, else None.

    Only MDI, HMI and GONG are told apart: other names may be those of a data set, a program or a detector. Cards that
    name several of them, or a simulation, count as none: the field may be on the scale of the profile.

    Raises
    ------
    CubeError
        If the files cannot be read.
    """
    if profile is None or profile.instrument.name.upper() not in INSTRUMENTS:
        return None
    with errors_named_after(files.path), open_checked(io.BytesIO(files.content)) as hdus:
        named = [header for header in (cube_image(hdus).header, hdus[0].header) if instrument_of(header) is not None]
        instrument = None if not named or is_adapted(named[0]) else instrument_of(named[0])
    return instrument if instrument in INSTRUMENTS and instrument != profile.instrument.name.upper() else None


def instrument_doubt(instrument: str, profile: Profile) -> str:
    """Return what is doubtful about a cube of another instrument than the profile's, and what to do."""
    return f"it is from {instrument}, and {_what_to_do(instrument, profile)}"


def release_doubt(release: str, cubes: Sequence[str], instrument: str, profile: Profile) -> str:
    """Return the same about all cubes of a release that are from this instrument, which are named in their order."""
    more = f" and {count(len(cubes) - 1, 'more cube')}" if len(cubes) > 1 else ""
    return (
        f"{cubes[0]}{more} of release {release} {'is' if len(cubes) == 1 else 'are'} from {instrument}, and "
        f"{_what_to_do(instrument, profile)}"
    )


def _what_to_do(instrument: str, profile: Profile) -> str:
    other = f'`profile = "{instrument.lower()}"`' if profile.name in BUILT_IN else f"a profile for {instrument}"
    return (
        f"profile {profile.name!r} is for {profile.instrument.name}, whose magnetograms have other noise and another "
        f"scale: keep the cubes from {instrument} in a release of their own, with {other} in its release.toml"
    )
