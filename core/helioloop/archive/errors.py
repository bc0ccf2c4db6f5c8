"""The error of a file that is not a usable magnetogram."""

from helioloop.errors import HelioloopError


class MagnetogramError(HelioloopError):
    """Raised when a file cannot be used as a magnetogram; the file is excluded with this reason, the rest goes on."""
