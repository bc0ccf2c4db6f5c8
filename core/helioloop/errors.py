"""The errors that helioloop raises. Each text is one sentence with the value, the rule and the remedy."""


class HelioloopError(Exception):
    """Base class of all errors that helioloop raises on purpose; the command line prints the text and exits with 1."""

    exit_code = 1
    may_pass = False
    """True where the same attempt may succeed later without anybody's doing: a service did not answer."""
    is_counted = False
    """True where the failure is counted already, and the job that it ends is not."""


class WrongUsage(HelioloopError):
    """Raised when the values given to a command contradict each other or a rule; the command line exits with 2."""

    exit_code = 2


class SettingsError(HelioloopError):
    """Raised when a setting is missing, has a value that is not allowed or contradicts another one."""


class MissingExtra(HelioloopError):
    """Raised when a command needs packages of an extra that is not installed."""


class CubeError(HelioloopError):
    """Raised when a cube's files cannot be read as an observed video; the cube is excluded, the others are used."""


class MagnetogramError(HelioloopError):
    """Raised when a file cannot be used as a magnetogram; the file is excluded with this reason."""


class ReleaseError(HelioloopError):
    """Raised when the folder of a release or one of its tables cannot be used."""


class TooFewLabels(HelioloopError):
    """Raised when a class has too few labelled cubes to train on; nothing is trained."""


class CubesAway(HelioloopError):
    """Raised when cubes that the last version was trained on cannot be read now; a round waits for them."""

    may_pass = True


class TrainingError(HelioloopError):
    """Raised when a member's training diverges; its weights are not kept."""


class RegistryError(HelioloopError):
    """Raised when a model folder lacks a file that a command needs, or when a file in it is damaged."""


class UnknownVersion(RegistryError):
    """Raised when the registry does not have the model version that is named."""


class RejectedVersion(HelioloopError):
    """Raised when the promotion check rejects a new version; the version is stored but not published."""


class ConfigurationError(HelioloopError):
    """Raised when a Label Studio labelling configuration lacks the controls that helioloop writes to."""


class LabelStudioError(HelioloopError):
    """Raised when Label Studio rejects a request, or when its response does not have the documented form.

    Parameters
    ----------
    text : str
        The sentence.
    may_pass : bool
        True where Label Studio did not answer, or failed by itself.
    """

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class MissingInLabelStudio(LabelStudioError):
    """Raised when the project, task or tab that a call names does not exist in Label Studio."""


class ServiceError(HelioloopError):
    """Raised when Redis, Label Studio or the backend cannot be reached or started.

    Parameters
    ----------
    text : str
        The sentence.
    may_pass : bool
        True where the service did not answer, or another process was in the way.
    """

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class VideoError(HelioloopError):
    """Raised when a video does not decode to one frame per grid frame, at a constant rate and starting at 0."""
