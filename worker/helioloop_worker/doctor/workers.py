"""Checks of the workers: one of each role runs, with this code, in this model folder, on a suitable device."""

from collections.abc import Callable, Mapping
from typing import Final

from helioloop.messaging.messages import QUEUE_TRAIN
from helioloop.messaging.roles import ROLE_QUEUES, Role
from helioloop_worker.doctor.facts import Facts, WorkerFacts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.folders import why_unknown
from helioloop_worker.doctor.redis_server import REDIS

SCORE: Final = "worker-score"
TRAIN: Final = "worker-train"
SUSPENDED: Final = "workers-suspended"
CODE: Final = "worker-code"
FOLDER: Final = "worker-model-folder"
DEVICE: Final = "worker-device"

SILENT_SECONDS: Final = 60.0
"""A living worker gives a sign every 20 s at the latest, and every 30 s while it runs a job."""

_ROLES: Final[Mapping[str, Role]] = {SCORE: "score", TRAIN: "train"}
_NONE: Final = {
    check: Cause(check=check, name="none", remedy=f"Run `helioloop worker --role {role}`.")
    for check, role in _ROLES.items()
}
_SILENT: Final = {
    check: Cause(
        check=check,
        name="silent",
        doubtful=True,
        remedy=f"Read its log; if it has died, run `helioloop worker --role {role}`.",
    )
    for check, role in _ROLES.items()
}
_SUSPENDED = Cause(
    check=SUSPENDED, name="suspended", remedy="Run `rq resume --url REDIS_URL`: no worker takes a job until then."
)
_OTHER_CODE = Cause(
    check=CODE,
    name="other-version",
    remedy="Install the same helioloop everywhere and restart these workers: versions of other code are not "
    "comparable.",
)
_UNKNOWN_CODE = Cause(
    check=CODE, name="unknown", doubtful=True, remedy="Restart these workers: they run an earlier helioloop."
)
_OTHER_FOLDER = Cause(
    check=FOLDER,
    name="another-folder",
    remedy="Set HELIOLOOP_MODEL_ROOT of all workers to one shared folder, by an absolute path, and restart these; "
    "workers of another deployment need a Redis database of their own (REDIS_URL with another number at its end).",
)
_UNKNOWN_FOLDER = Cause(
    check=FOLDER,
    name="unknown",
    doubtful=True,
    remedy="Restart these workers: they run an earlier helioloop, or could not read HELIOLOOP_MODEL_ROOT when they "
    "started.",
)
_MIXED = Cause(
    check=DEVICE,
    name="mixed",
    doubtful=True,
    remedy="Set HELIOLOOP_RECIPE for all workers: with auto, the worker that plans a round decides by its own device.",
)

CAUSES: Final = (
    _NONE[SCORE], _SILENT[SCORE], _NONE[TRAIN], _SILENT[TRAIN], _SUSPENDED, _OTHER_CODE, _UNKNOWN_CODE,
    _OTHER_FOLDER, _UNKNOWN_FOLDER, _MIXED,
)  # fmt: skip


def _role(check: str) -> Callable[[Facts], Finding]:
    queues = ROLE_QUEUES[_ROLES[check]]

    def run(facts: Facts) -> Finding:
        if facts.workers is None:
            return out_of_time(check)
        serving = [worker for worker in facts.workers if {*queues} <= {*worker.queues}]
        if not serving:
            return _NONE[check].found(facts, f"no worker serves {', '.join(queues)}")
        alive = [worker for worker in serving if _gives_signs(worker)]
        if not alive:
            return _SILENT[check].found(facts, _silence(serving[0]))
        return ok(check, ", ".join(f"{worker.name} ({worker.device or 'device unknown'})" for worker in alive))

    return run


def _gives_signs(worker: WorkerFacts) -> bool:
    return worker.silent_seconds is not None and worker.silent_seconds <= SILENT_SECONDS


def _silence(worker: WorkerFacts) -> str:
    """Return in a sentence why a worker does not count as living."""
    if worker.silent_seconds is None:
        return (
            f"the last sign of {worker.name} has a time in the future by this machine's clock, so it may have died "
            "since; compare the clocks"
        )
    return f"{worker.name} has given no sign for {worker.silent_seconds:.0f} s, or its clock is that much behind"


def _check_suspended(facts: Facts) -> Finding:
    if facts.suspended:
        return _SUSPENDED.found(facts, "the workers are suspended (rq:suspended is set in Redis)")
    return ok(SUSPENDED, "the workers may take jobs")


def _check_code(facts: Facts) -> Finding:
    if facts.workers is None or facts.machine is None:
        return out_of_time(CODE)
    if not facts.workers:
        return not_tried(CODE, "there is no worker")
    own = facts.machine.code
    other = [f"{worker.name} has {worker.code}" for worker in facts.workers if worker.code not in {None, own}]
    unknown = [worker.name for worker in facts.workers if worker.code is None]
    if other:
        return _OTHER_CODE.found(facts, f"{', '.join(other)}, this machine {own}")
    if unknown:
        return _UNKNOWN_CODE.found(facts, f"{', '.join(unknown)} state no code version; here it is {own}")
    return ok(CODE, f"{own} everywhere")


def _check_folder(facts: Facts) -> Finding:
    if facts.workers is None or facts.folder is None:
        return out_of_time(FOLDER)
    if not facts.workers:
        return not_tried(FOLDER, "there is no worker")
    own, known = facts.folder, [worker for worker in facts.workers if worker.root_identity is not None]
    if known and own.identity is None and not own.lacks_identity:
        seen = ", ".join(dict.fromkeys(f"{worker.model_root}" for worker in known))
        return not_tried(FOLDER, f"{why_unknown(own)}, to compare it with {seen}, in which workers work")
    other = [f"{worker.name} works in {worker.model_root}" for worker in known if worker.root_identity != own.identity]
    unknown = [worker.name for worker in facts.workers if worker.root_identity is None]
    if other:
        return _OTHER_FOLDER.found(facts, f"{', '.join(other)}, which is not {own.root} of this machine")
    if unknown:
        return _UNKNOWN_FOLDER.found(facts, f"{', '.join(unknown)} state no model folder")
    return ok(FOLDER, f"all work in {own.root} of this machine")


def _check_device(facts: Facts) -> Finding:
    if facts.workers is None:
        return out_of_time(DEVICE)
    training = [worker for worker in facts.workers if QUEUE_TRAIN in worker.queues]
    if not training:
        return not_tried(DEVICE, "no worker has the role train")
    kinds = {_kind(worker) for worker in training if worker.device is not None}
    seen = ", ".join(f"{worker.name}: {worker.device or 'unknown'}" for worker in training)
    if len(kinds) > 1 and facts.settings.recipe == "auto":
        return _MIXED.found(facts, f"{seen}, and HELIOLOOP_RECIPE is auto")
    return ok(DEVICE, seen)


def _kind(worker: WorkerFacts) -> str:
    return "cuda" if "cuda" in (worker.device or "").lower() else "cpu"


CHECKS: Final = (
    Check(name=SCORE, run=_role(SCORE), needs=(REDIS,)),
    Check(name=TRAIN, run=_role(TRAIN), needs=(REDIS,)),
    Check(name=SUSPENDED, run=_check_suspended, needs=(REDIS,)),
    Check(name=CODE, run=_check_code, needs=(REDIS,)),
    Check(name=FOLDER, run=_check_folder, needs=(REDIS,)),
    Check(name=DEVICE, run=_check_device, needs=(REDIS,)),
)
