"""Checks of the backend as this machine reaches it: address, credentials, code, and the model folder that it reads."""

from typing import Any, Final

from helioloop import __version__
from helioloop_worker.doctor.addresses import Address, plain
from helioloop_worker.doctor.clocks import Clock
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.folders import silent_folder

ADDRESS: Final = "backend-address"
CREDENTIALS: Final = "backend-credentials"
CLOCK: Final = "backend-clock"
CODE: Final = "backend-code"
FOLDER: Final = "model-folder"
SEEN: Final = "model-folder-seen"

_ADDRESS = Address(
    ADDRESS,
    service="the backend",
    setting="--backend-url (or HELIOLOOP_BACKEND_HOST and HELIOLOOP_BACKEND_PORT)",
    start="Start `helioloop backend`",
)
_OTHER_SERVICE = Cause(
    check=ADDRESS,
    name="other-service",
    remedy="Correct the port, or the path of the proxy, in --backend-url: another service answers there.",
)
_HALF_SET = Cause(
    check=CREDENTIALS,
    name="half-set",
    remedy="Set both HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD, or none of them.",
)
_REFUSED = Cause(
    check=CREDENTIALS,
    name="refused",
    remedy="Set HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD to the same values for the backend and "
    "here, "
    "restart the backend, then run `helioloop init` again.",
)
_OPEN = Cause(
    check=CREDENTIALS,
    name="not-required",
    remedy="Restart the backend with HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD in its environment, "
    "because it answers without them.",
)
_CLOCK = Clock(CLOCK, whose="the backend's")
_FAILS = Cause(check=CREDENTIALS, name="fails", remedy="Read the log of `helioloop backend`.")
_OTHER_CODE = Cause(
    check=CODE,
    name="other-version",
    remedy="Install the same helioloop for the backend and the workers, then restart both.",
)
_UNKNOWN_CODE = Cause(
    check=CODE,
    name="unknown",
    doubtful=True,
    remedy="Update helioloop where the backend runs and restart it: it does not state its version.",
)
_SILENT = silent_folder(FOLDER)
_NOT_WRITABLE = Cause(
    check=FOLDER,
    name="not-writable",
    remedy="Create the folder HELIOLOOP_MODEL_ROOT with `helioloop init`, or give this user the right to write into "
    "it.",
)
_DAMAGED = Cause(
    check=FOLDER,
    name="damaged",
    remedy="Restore the model folder of project {project} from a backup, as the sentence says.",
)
_LOST_VERSION = Cause(
    check=FOLDER,
    name="lost-version",
    remedy="Restore the version's folder from a backup; until then no rollback can publish it.",
    doubtful=True,
)
_OTHER_FOLDER = Cause(
    check=SEEN,
    name="another-folder",
    remedy="Set HELIOLOOP_MODEL_ROOT of the backend and of the workers to one shared folder (not a copy), then "
    "restart them.",
)

CAUSES: Final = (
    *_ADDRESS.causes, _OTHER_SERVICE, *_CLOCK.causes, _HALF_SET, _REFUSED, _OPEN, _FAILS, _OTHER_CODE, _UNKNOWN_CODE,
    _SILENT, _NOT_WRITABLE, _DAMAGED, _LOST_VERSION, _OTHER_FOLDER,
)  # fmt: skip


def _check_address(facts: Facts) -> Finding:
    answer, url = facts.backend, facts.backend_url
    if answer is None:
        return out_of_time(ADDRESS)
    unreachable = _ADDRESS.unreachable(facts, url, answer)
    if unreachable is not None:
        return unreachable
    if not answer.has_json or not isinstance(answer.body, dict) or answer.body.get("status") != "UP":
        return _OTHER_SERVICE.found(facts, f"{plain(url)}/health {answer.short}, which is not how the backend answers")
    return ok(ADDRESS, f"{plain(url)} answers")


def _check_clock(facts: Facts) -> Finding:
    """Compare the clock by which events and requests for training are dated."""
    skew = None if facts.backend is None else facts.backend.skew_seconds
    if skew is None:
        return not_tried(CLOCK, "the backend sends no Date")
    return _CLOCK.compare(facts, skew)


def _check_credentials(facts: Facts) -> Finding:
    settings = facts.settings
    user = settings.basic_auth_user or ""
    password = settings.basic_auth_password.get_secret_value() if settings.basic_auth_password else ""
    if bool(user) != bool(password):
        return _HALF_SET.found(facts, "only one of user name and password is set")
    answer = facts.backend_versions
    if answer is None:
        return out_of_time(CREDENTIALS)
    if answer.status in {401, 403}:
        return _REFUSED.found(
            facts, "the backend refuses " + ("the credentials" if user else "requests without credentials")
        )
    if not answer.has_json:
        return _FAILS.found(facts, f"the backend {answer.short} to a request for its versions: {answer.text()}")
    if user and facts.backend_open is not None and facts.backend_open.is_success:
        return _OPEN.found(facts, "the backend also answers without the credentials that are set here")
    return ok(CREDENTIALS, "the backend accepts the credentials" if user else "none are set, and none are needed")


def own_field(facts: Facts) -> dict[str, Any]:
    """Return what the backend states about itself; empty for an earlier helioloop."""
    body = facts.backend_versions.body if facts.backend_versions is not None else None
    found = body.get("helioloop") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _check_code(facts: Facts) -> Finding:
    found = own_field(facts).get("version")
    if found is None:
        return _UNKNOWN_CODE.found(facts, f"the backend does not state its version; here it is {__version__}")
    if found != __version__:
        return _OTHER_CODE.found(facts, f"the backend has helioloop {found}, this machine {__version__}")
    return ok(CODE, f"helioloop {found} on both sides")


def _check_folder(facts: Facts) -> Finding:
    folder = facts.folder
    if folder is None:
        return out_of_time(FOLDER)
    if folder.is_silent:
        return _SILENT.found(facts, f"{folder.root} {folder.fault}")
    if folder.stamp is None:
        return _NOT_WRITABLE.found(facts, f"nothing can be written into {folder.root}: {folder.fault}")
    if folder.fault is not None:
        return _DAMAGED.found(facts, folder.fault)
    if folder.unusable:
        return _LOST_VERSION.found(facts, "; ".join(folder.unusable.values()))
    return ok(FOLDER, f"{folder.root} can be read and written")


def _check_seen(facts: Facts) -> Finding:
    folder, field = facts.folder, own_field(facts)
    if folder is None or facts.backend_versions is None:
        return out_of_time(SEEN)
    if "stamp" not in field:
        return not_tried(SEEN, "the backend is of an earlier helioloop and does not state what it reads")
    if field["stamp"] != folder.stamp:
        return _OTHER_FOLDER.found(
            facts, f"the backend does not see what was just written into {folder.root} on this machine"
        )
    return ok(SEEN, f"the backend reads {folder.root} of this machine")


CHECKS: Final = (
    Check(name=ADDRESS, run=_check_address),
    Check(name=CLOCK, run=_check_clock, needs=(ADDRESS,)),
    Check(name=CREDENTIALS, run=_check_credentials, needs=(ADDRESS,)),
    Check(name=CODE, run=_check_code, needs=(CREDENTIALS,)),
    Check(name=FOLDER, run=_check_folder),
    Check(name=SEEN, run=_check_seen, needs=(CREDENTIALS, FOLDER)),
)
