"""The facts that the doctor's checks are about: raw answers of the services, gathered once, and nothing interpreted.

None stands for what was not asked, because an earlier request failed or the time was over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helioloop.messaging.served_root import ServedRoot
from helioloop.records.controls import Controls
from helioloop.registry.project_stamp import ProjectStamp
from helioloop.settings import Settings
from helioloop_worker.labelstudio.probe import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """What Redis answers.

    Parameters
    ----------
    fault : str or None
        Why nothing was read, as one sentence; the other fields are empty then.
    fault_kind : str
        ``address``, ``credentials``, ``unreachable``, ``no-writes`` or ``refused``.
    no_writes : str or None
        Why it takes no writes, where it is full or cannot save: `redis_client.FULL` or `redis_client.UNSAVED`.
    has_channels : bool
        Whether the user in REDIS_URL may use channels.
    info : mapping
        The fields of INFO; empty where INFO is not allowed, as in rented Redis.
    config : mapping or None
        ``save`` and ``appendonly``; None where CONFIG is not allowed.
    skew_seconds : float
        By how much its clock is ahead of that of this machine.
    has_password : bool
        Whether REDIS_URL has a password.
    open_without : bool or None
        Whether it answers without the password; None where that was not tried.
    is_local : bool
        Whether it is reached by a loopback address or a Unix socket.
    served : ServedRoot or None
        The model root for which it was claimed last.
    used_by : str or None
        By what that claim is in use; None where nobody uses that model root there any more.
    is_same_place : bool
        Whether that model root was at the path of this one, on this host.
    """

    fault: str | None = None
    fault_kind: str = "unreachable"
    no_writes: str | None = None
    has_channels: bool = True
    info: Mapping[str, Any]
    config: Mapping[str, str] | None = None
    skew_seconds: float = 0.0
    has_password: bool = False
    open_without: bool | None = None
    is_local: bool = True
    served: ServedRoot | None = None
    used_by: str | None = None
    is_same_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """A worker as it is registered in Redis.

    Parameters
    ----------
    name : str
        Host name and process id.
    queues : tuple of str
        The queues that it serves.
    silent_seconds : float or None
        Time since its last heartbeat; 0 while it runs a job, during which it may give no sign. None where the
        heartbeat has a time in the future by this machine's clock, which does not say that it lives.
    code, device : str or None
        Code version and device; None for a worker of an earlier helioloop.
    root_identity, model_root : str or None
        The identity of its model root, and the path at which it sees it; None where the worker does not know them.
    """

    name: str
    queues: tuple[str, ...]
    silent_seconds: float | None
    code: str | None
    device: str | None
    root_identity: str | None = None
    model_root: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """One video, fetched from the place that its task names.

    Parameters
    ----------
    address : str
        Where it was fetched, without login and query values.
    foreign : bool
        Whether it is on another origin than Label Studio, or Label Studio leads there.
    first : Answer or None
        The answer to a request for its first bytes.
    n_frames, fps : int or None
        Of the decoded video; None where it was not decoded.
    fault : str or None
        Why it cannot be decoded.
    """

    address: str
    foreign: bool
    first: Answer | None
    n_frames: int | None = None
    fps: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """Free space of the file system of one folder; `fault` where it cannot be read, `is_silent` if it is silent."""

    folder: Path
    free_bytes: int = 0
    free_files: int | None = None
    fault: str | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """Facts of the machine on which the doctor runs.

    Parameters
    ----------
    in_container : bool
        Whether this process runs in a container.
    disks : tuple of DiskFacts
        Of the folders in the settings.
    missing_roots : tuple of Path
        Release roots that are not folders here.
    missing_packages : tuple of str
        Packages of the extra [worker] that are not installed, or not in the required version.
    torch : str or None
        Version of torch.
    has_gpu : bool
        Whether the driver of a GPU is there.
    code : str
        The code version of this installation.
    """

    in_container: bool = False
    disks: tuple[DiskFacts, ...] = ()
    missing_roots: tuple[Path, ...] = ()
    missing_packages: tuple[str, ...] = ()
    torch: str | None = None
    has_gpu: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """The folder of all model folders, as this process sees it.

    Parameters
    ----------
    root : Path
        HELIOLOOP_MODEL_ROOT.
    identity : str or None
        The identity of that folder; None where it has none yet, or where it cannot be read.
    lacks_identity : bool
        Whether it certainly has none, as a folder in which no disk is mounted: it is none that Redis or workers serve.
    stamp : str or None
        What was just written into it; None where nothing could be written.
    fault : str or None
        Why nothing could be written, or why the project's model folder cannot be read.
    is_silent : bool
        Whether it does not answer.
    published : str or None
        The project's published version.
    code : str or None
        The learning code that made it, where that is not the code of now.
    n_frames : int or None
        Frames on the grid of the project's profile.
    owner, media_owner : ProjectStamp or None
        The projects to which the model folder and the media folder belong; None where none is written.
    missing_releases : tuple of str
        Releases that the published version was trained on and that are in no release root.
    unusable : mapping
        Version that could not be published again -> why, in a sentence.
    """

    root: Path
    identity: str | None = None
    lacks_identity: bool = False
    stamp: str | None = None
    fault: str | None = None
    is_silent: bool = False
    published: str | None = None
    code: str | None = None
    n_frames: int | None = None
    owner: ProjectStamp | None = None
    media_owner: ProjectStamp | None = None
    missing_releases: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was gathered.

    Parameters
    ----------
    settings : Settings
        The settings of this process.
    project : int or None
        The Label Studio project; None where none is named and the choice is not clear.
    projects : tuple of int
        The projects that have a model folder.
    controls : Controls or None
        The project's controls that `helioloop init` wrote into its model folder.
    health, version : Answer or None
        GET /health and /api/version of Label Studio.
    access : Answer or None
        The exchange of a personal access token.
    user : Answer or None
        The user of the token.
    info : Answer or None
        The project.
    change : Answer or None
        The answer to a change of the project that Label Studio must refuse with 400, if the user may change it.
    storages, storage_check : Answer or None
        The storages of the kind that the media need, and for local files whether Label Studio would accept the folder.
    task : Answer or None
        The first task.
    video : VideoFacts or None
        The video of that task.
    cards : Answer or None
        The backends of the project; Label Studio asks each of them for its health before it answers.
    card_trial : Answer or None
        What Label Studio answers when our backend, which it shows as disconnected, is saved again.
    card_address, hook_address : Answer or None
        Whether Label Studio would accept the backend's address for a backend and for a webhook: 400, else 403.
    hooks : Answer or None
        The webhooks of the project.
    shown : Answer or None
        Predictions of each version.
    wanted_url : str or None
        The backend's address as Label Studio should have it, from the option --backend-url.
    backend_url : str
        The backend's address, as it was reached from here or else tried.
    backend : Answer or None
        GET /health of the backend.
    backend_open : Answer or None
        GET /versions without credentials.
    backend_versions, backend_setup : Answer or None
        GET /versions and POST /setup with credentials.
    backend_hook : Answer or None
        An event of an unknown kind, with the credentials of our webhook.
    folder, redis, machine : FolderFacts, RedisFacts, MachineFacts or None
        As described there.
    workers : tuple of WorkerFacts or None
        The workers; None where Redis was not read.
    suspended : bool
        Whether all workers are suspended.
    """

    settings: Settings
    project: int | None
    projects: tuple[int, ...] = ()
    controls: Controls | None = None
    health: Answer | None = None
    version: Answer | None = None
    access: Answer | None = None
    user: Answer | None = None
    info: Answer | None = None
    change: Answer | None = None
    storages: Answer | None = None
    storage_check: Answer | None = None
    task: Answer | None = None
    video: VideoFacts | None = None
    cards: Answer | None = None
    card_trial: Answer | None = None
    card_address: Answer | None = None
    hook_address: Answer | None = None
    hooks: Answer | None = None
    shown: Answer | None = None
    wanted_url: str | None = None
    backend_url: str = ""
    backend: Answer | None = None
    backend_open: Answer | None = None
    backend_versions: Answer | None = None
    backend_setup: Answer | None = None
    backend_hook: Answer | None = None
    folder: FolderFacts | None = None
    redis: RedisFacts | None = None
    workers: tuple[WorkerFacts, ...] | None = None
    suspended: bool = False
    machine: MachineFacts | None = None


def rows_of(answer: Answer | None) -> list[dict[str, Any]]:
    """Return the rows of a listing, also of one in pages; empty where the answer is none."""
    body = None if answer is None or not answer.has_json else answer.body
    if isinstance(body, dict):
        body = body.get("results") or body.get("tasks")
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else []
