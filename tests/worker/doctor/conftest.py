"""The facts of a sound deployment, written by hand: project 7, v0002 published, one worker of each role."""

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from helioloop import __version__
from helioloop.messaging.served_root import ServedRoot
from helioloop.registry.project_stamp import ProjectStamp
from helioloop.settings import Settings
from helioloop_worker.doctor.facts import (
    DiskFacts,
    Facts,
    FolderFacts,
    MachineFacts,
    RedisFacts,
    VideoFacts,
    WorkerFacts,
)
from helioloop_worker.labelstudio.probe import Answer
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS

BACKEND = "http://backend:9090"
LEGACY = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path("/data/models")


def token(**claims: Any) -> str:
    """Return a personal access token with these claims; its signature is made up."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256"}, {"token_type": "refresh", **claims}))
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmF0dXJl"])


def settings(**changed: Any) -> Settings:
    """Return the settings of the sound deployment."""
    values: dict[str, Any] = {
        "redis_url": "redis://:r3dis-password@redis:6379/0",
        "label_studio_url": "http://label-studio:8080",
        "label_studio_api_key": SecretStr(LEGACY),
        "model_root": ROOT,
        "media_root": Path("/data/media"),
        "release_roots": [Path("/data/releases")],
        "basic_auth_user": "label-studio",
        "basic_auth_password": SecretStr("b4sic-password"),
        "webhook_secret": SecretStr("w3bhook-secret"),
        "device": "cpu",
    }
    return Settings(**values).model_copy(update=changed)


def good(body: Any, **more: Any) -> Answer:
    """Return an answer 200 with JSON."""
    return Answer(status=200, body=body, **more)


CARD = {
    "id": 3, "url": BACKEND, "title": "helioloop", "state": "CO", "auth_method": "BASIC_AUTH",
    "basic_auth_user": "label-studio", "basic_auth_pass_is_set": True,
}  # fmt: skip
HOOK = {
    "id": 4, "url": f"{BACKEND}/webhook", "is_active": True, "send_payload": True, "send_for_all_actions": False,
    "actions": list(WEBHOOK_ACTIONS), "headers": {"X-Helioloop-Secret": "w3bhook-secret"},
}  # fmt: skip
DATA = {
    "video": "/data/local-files/?d=helioloop/project-7/r/c.mp4",
    "curve": "/c.json",
    "reason": "/r.txt",
    "cube": "c",
}
PROJECT = {
    "created_at": "2026-03-01T12:00:00.000000Z",
    "id": 7, "title": "Release 3", "label_config": labeling_configuration(), "model_version": "v0002",
    "task_number": 40,
}  # fmt: skip
INFO = {
    "redis_version": "7.2.4", "aof_enabled": 1, "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok",
    "maxmemory": 0, "maxmemory_policy": "noeviction", "used_memory": 2**20,
}  # fmt: skip
SCORE = WorkerFacts(
    name="gpu1:12",
    queues=("helioloop-score", "helioloop-maintenance", "helioloop-bulk"),
    silent_seconds=3.0,
    code="0.1.0+abc",
    device="CPU",
    root_identity="a" * 16,
    model_root=str(ROOT),
)
TRAIN = replace(SCORE, name="gpu1:13", queues=("helioloop-train",))
SERVED = ServedRoot(identity="a" * 16, folder=str(ROOT), host="gpu1", used_at=1_767_000_000.0)
REFUSED = Answer(status=400, body={"detail": "not a valid choice"})
"""The answer to a question with a value that Label Studio must refuse."""

OWNER = ProjectStamp(title="bipoles", created_at=datetime(2026, 3, 1, 12, tzinfo=UTC))

SOUND = Facts(
    settings=settings(),
    project=7,
    projects=(7,),
    health=good({"status": "UP"}, skew_seconds=0.3),
    version=good({"release": "1.23.2", "label-studio-os-package": {"version": "1.23.2"}}),
    user=good({"email": "team@example.org"}),
    info=good(PROJECT),
    change=REFUSED,
    storages=good([{"path": "/data/media/helioloop/project-7"}]),
    storage_check=good({}),
    task=good({"tasks": [{"id": 1, "data": DATA}], "total": 40}),
    video=VideoFacts(
        address=DATA["video"], foreign=False, first=Answer(status=206, content=b"x"), n_frames=225, fps=25
    ),
    cards=good([CARD]),
    card_address=REFUSED,
    hook_address=REFUSED,
    hooks=good([HOOK]),
    shown=good({"v0002": 38, "v0001": 40}),
    backend_url=BACKEND,
    backend=good({"status": "UP"}, skew_seconds=0.3),
    backend_open=Answer(status=401, body={"detail": "credentials are missing"}),
    backend_versions=good({"versions": ["v0002"], "helioloop": {"version": __version__, "stamp": "5ta3p"}}),
    backend_setup=good({"model_version": "v0002"}),
    backend_hook=Answer(status=201, body={"status": "ignored"}),
    folder=FolderFacts(
        root=ROOT, identity="a" * 16, stamp="5ta3p", published="v0002", n_frames=225, owner=OWNER, media_owner=OWNER
    ),
    redis=RedisFacts(
        info=INFO,
        config={"save": "", "appendonly": "yes"},
        has_password=True,
        open_without=False,
        is_local=False,
        served=SERVED,
        used_by="2 workers of it",
    ),
    workers=(SCORE, TRAIN),
    machine=MachineFacts(
        disks=(DiskFacts(folder=ROOT, free_bytes=2**40, free_files=10**6),), torch="2.13.0+cpu", code="0.1.0+abc"
    ),
)
