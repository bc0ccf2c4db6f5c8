"""The error tree: everything helioloop refuses, in one sentence that names the value, the rule and the remedy.

Ground floor: imported by every other module, imports nothing.
"""


class HelioloopError(Exception):
    """Root of all errors that helioloop raises on purpose; the command line prints its text and exits with 1."""

    exit_code = 1


class WrongUsage(HelioloopError):
    """Raised when a command was called with values that cannot be meant; the command line exits with 2."""

    exit_code = 2


class SettingsError(HelioloopError):
    """Raised when a setting is missing or contradicts another one."""


class MissingExtra(HelioloopError):
    """Raised when a command needs packages that come with an extra which is not installed."""


class CubeError(HelioloopError):
    """Raised when a cube's files cannot be read as an observed video; the cube is set aside, the rest goes on."""


class ReleaseError(HelioloopError):
    """Raised when a release's folder or one of its tables cannot be used at all."""


class TooFewLabels(HelioloopError):
    """Raised when a class has too few labelled cubes to train on; nothing is trained."""


class TrainingError(HelioloopError):
    """Raised when a member's training diverges; its weights are not kept."""


class RegistryError(HelioloopError):
    """Raised when a model folder does not hold what was asked of it, or holds what cannot be trusted."""


class UnknownVersion(RegistryError):
    """Raised when a model version is named that the registry does not hold."""


class RejectedVersion(HelioloopError):
    """Raised when a version was made and is kept, but the promotion gate does not let it be published."""


class ConfigurationError(HelioloopError):
    """Raised when a Label Studio labelling configuration lacks the controls that helioloop writes to."""


class LabelStudioError(HelioloopError):
    """Raised when Label Studio refuses a call or answers something other than its interface promises."""


class ServiceError(HelioloopError):
    """Raised when a service helioloop stands on (Redis, Label Studio, the backend) cannot be reached or started."""


class VideoError(HelioloopError):
    """Raised when a video does not decode to one frame per grid frame, at a constant rate from 0 on."""
