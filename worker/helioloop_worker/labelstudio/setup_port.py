"""The port to Label Studio for setting a project up: more calls than the loop makes, and the records they return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from helioloop_worker.labelstudio.port import LabelStudio


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """An ML backend as a project has it: its row, its address and its title."""

    id: int
    url: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook of a project.

    Parameters
    ----------
    id : int
        Its row.
    url : str
        Address that it calls.
    headers : mapping
        Headers that it sends; they may contain secrets.
    actions : frozenset of str
        Events that it sends.
    all_actions : bool
        True where it sends every event, whatever `actions` has.
    """

    id: int
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    actions: frozenset[str] = frozenset()
    all_actions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPart:
    """What the address of a file answered to a request for its first bytes.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        Response headers, names in lower case.
    content : bytes
        What came.
    elsewhere : str or None
        Scheme and host of the server that answered, where it is not Label Studio: browsers then need its permission.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    elsewhere: str | None = None


class LabelStudioSetup(LabelStudio, Protocol):
    """A Label Studio whose projects can be set up. Every method raises `LabelStudioError` where a call fails."""

    def find_projects(self, title: str) -> list[int]:
        """Return the ids of the projects with exactly this title, in increasing order."""

    def create_project(self, *, title: str, label_config: str, instruction: str = "") -> int:
        """Create a project that presents tasks with low scores first, and return its id."""

    def update_project(self, project: int, **values: Any) -> None:
        """Change settings of a project; without any, nothing changes, but the event of a changed project is sent."""

    def storages(self, project: int) -> list[str]:
        """Return the folders of local files that are served to the annotators of a project."""

    def backends(self, project: int) -> list[Backend]:
        """Return the ML backends of a project, oldest first."""

    def ensure_backend(self, project: int, *, url: str, user: str, password: str) -> int:
        """Connect the backend at an address, or renew its settings, and return its id; "" for no user."""

    def delete_backend(self, backend: int) -> None:
        """Delete an ML backend; its webhook stays."""

    def webhooks(self, project: int) -> list[Webhook]:
        """Return the webhooks of a project, oldest first."""

    def create_webhook(self, project: int, *, url: str, headers: Mapping[str, str], actions: Sequence[str]) -> int:
        """Create a webhook that sends some events, and return its id."""

    def set_webhook_actions(self, webhook: int, actions: Sequence[str]) -> None:
        """Replace the events that a webhook sends."""

    def delete_webhook(self, webhook: int) -> None:
        """Delete a webhook."""

    def fetch_media(self, address: str, *, n_bytes: int, page: str) -> FetchedPart:
        """Request the first bytes of a file as a browser does when it opens a video on Label Studio's page.

        Parameters
        ----------
        address : str
            A path below Label Studio's address, or a whole address.
        n_bytes : int
            Bytes to request.
        page : str
            Address at which browsers have Label Studio's page open.
        """
