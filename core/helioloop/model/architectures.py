"""The architectures that a recipe can name. Needs torch (extra ``worker``)."""

from helioloop.errors import SettingsError
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.frames_as_channels import FramesAsChannels
from helioloop.model.per_frame import PerFrame

_BY_NAME: dict[str, AnyArchitecture] = {}


def register(architecture: AnyArchitecture) -> None:
    """Make `architecture` available to recipes under its name, in this process.

    Raises
    ------
    SettingsError
        If another architecture has that name.
    """
    if _BY_NAME.setdefault(architecture.name, architecture) is not architecture:
        raise SettingsError(f"an architecture called {architecture.name!r} is registered already; choose another name")


def find_architecture(name: str) -> AnyArchitecture:
    """Return the architecture called `name`.

    Raises
    ------
    SettingsError
        If no architecture has that name.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        known = ", ".join(sorted(_BY_NAME))
        raise SettingsError(f"network {name!r} is unknown; a recipe's network is one of: {known}") from None


register(PerFrame())
register(FramesAsChannels())
