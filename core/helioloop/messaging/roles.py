"""The roles of workers: the queues that each serves, and what a worker states about itself in Redis."""

from collections.abc import Mapping
from typing import Final, Literal

from helioloop.messaging.messages import QUEUE_BULK, QUEUE_MAINTENANCE, QUEUE_SCORE, QUEUE_TRAIN

Role = Literal["train", "score"]

ROLE_QUEUES: Final[Mapping[Role, tuple[str, ...]]] = {
    "train": (QUEUE_TRAIN,),
    "score": (QUEUE_SCORE, QUEUE_MAINTENANCE, QUEUE_BULK),
}
"""The queues of each role; a queue is served while the queues before it are empty."""

CODE_FIELD = "helioloop_code"
"""Field of a worker in Redis with its code version."""
DEVICE_FIELD = "helioloop_device"
"""Field of a worker in Redis with the device of its networks."""
ROOT_FIELD = "helioloop_model_root"
"""Field of a worker in Redis with the identity of its model root."""
FOLDER_FIELD = "helioloop_model_folder"
"""Field of a worker in Redis with the absolute path of its model root, as it sees it."""


def role_of(queue: str) -> Role:
    """Return the role that serves a queue."""
    return next(role for role, queues in ROLE_QUEUES.items() if queue in queues)
