"""Checks that the published version is the same everywhere: model folder, backend, Label Studio, predictions."""

from typing import Final

from helioloop_worker.doctor import backend
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.label_studio import RIGHTS
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE

MADE_BY: Final = "version-code"
SERVED: Final = "backend-model-version"
SHOWN: Final = "shown-model-version"
PREDICTIONS: Final = "predictions"

_IF_IT_RUNS: Final = "if it runs, `helioloop status --project {project}` names what failed"
_OTHER_CODE = Cause(
    check=MADE_BY,
    name="other-code",
    doubtful=True,
    remedy="Press “Start training” in Label Studio (Settings, Model): all members are trained anew. Until then the "
    "version is shown as before, but no label is accepted with it, and new cubes get their probabilities by another "
    "formula.",
)
_SERVED_OTHER = Cause(
    check=SERVED,
    name="differs",
    remedy="Restart the backend with HELIOLOOP_MODEL_ROOT set to the folder of the workers: else Label Studio stores "
    "predictions twice.",
)
_SERVED_FAILS = Cause(
    check=SERVED, name="fails", remedy="Run `helioloop status --project {project}` and read the backend's log."
)
_TITLE = Cause(
    check=SHOWN,
    name="title",
    remedy="Run `helioloop worker --role score`: its reconciliation sets the model version within "
    "HELIOLOOP_RECONCILE_SECONDS; "
    "until then scores are empty.",
)
_SHOWN_OTHER = Cause(
    check=SHOWN,
    name="differs",
    remedy=f"Run `helioloop worker --role score`: it writes the published version back; {_IF_IT_RUNS}.",
)
_NONE = Cause(
    check=PREDICTIONS,
    name="none",
    remedy=f"Run `helioloop worker --role score`: it writes the predictions back; {_IF_IT_RUNS}.",
)
_TWICE = Cause(
    check=PREDICTIONS,
    name="duplicates",
    doubtful=True,
    remedy="Run `helioloop worker --role score`, whose next write-back removes rows of the same version; do not use "
    "“Retrieve predictions” in Label Studio.",
)

CAUSES: Final = (_OTHER_CODE, _SERVED_OTHER, _SERVED_FAILS, _TITLE, _SHOWN_OTHER, _NONE, _TWICE)


def _check_code(facts: Facts) -> Finding:
    folder, machine = facts.folder, facts.machine
    if folder is None or machine is None:
        return out_of_time(MADE_BY)
    if folder.published is None:
        return not_tried(MADE_BY, "no version is published yet")
    if folder.code is not None:
        return _OTHER_CODE.found(
            facts, f"{folder.published} was made by the learning code {folder.code}, and this is {machine.code}"
        )
    return ok(MADE_BY, f"{folder.published} was made by the learning code of this helioloop")


def _check_served(facts: Facts) -> Finding:
    answer, folder = facts.backend_setup, facts.folder
    if answer is None or folder is None:
        return out_of_time(SERVED)
    found = answer.body.get("model_version") if answer.has_json and isinstance(answer.body, dict) else None
    if found is None:
        return _SERVED_FAILS.found(facts, f"the backend {answer.short} to /setup: {answer.text()}")
    if folder.published is None:
        return ok(SERVED, f"nothing is published yet, and the backend states {found}")
    if found != folder.published:
        return _SERVED_OTHER.found(facts, f"published is {folder.published}, and the backend states {found}")
    return ok(SERVED, f"{found} is published, and the backend states it")


def _check_shown(facts: Facts) -> Finding:
    folder = facts.folder
    if facts.info is None or folder is None or not isinstance(facts.info.body, dict):
        return out_of_time(SHOWN)
    shown = facts.info.body.get("model_version") or None
    if folder.published is None:
        return not_tried(SHOWN, "no version is published yet")
    if shown == BACKEND_TITLE:
        return _TITLE.found(facts, f"Label Studio shows the model version {shown}, and published is {folder.published}")
    if shown != folder.published:
        return _SHOWN_OTHER.found(
            facts, f"Label Studio shows {shown or 'no version'}, and published is {folder.published}"
        )
    return ok(SHOWN, f"Label Studio shows {shown}")


def _check_predictions(facts: Facts) -> Finding:
    folder, answer = facts.folder, facts.shown
    if answer is None or folder is None:
        return out_of_time(PREDICTIONS)
    if folder.published is None:
        return not_tried(PREDICTIONS, "no version is published yet")
    if not answer.has_json or not isinstance(answer.body, dict):
        return not_tried(PREDICTIONS, f"the request for the model versions {answer.short}")
    rows = int(answer.body.get(folder.published) or 0)
    tasks = facts.info.body.get("task_number") if facts.info is not None and isinstance(facts.info.body, dict) else None
    seen = f"{rows} predictions of {folder.published}" + ("" if tasks is None else f" for {tasks} tasks")
    if rows == 0 and tasks != 0:
        return _NONE.found(facts, seen)
    if isinstance(tasks, int) and rows > tasks:
        return _TWICE.found(facts, seen)
    return ok(PREDICTIONS, seen)


CHECKS: Final = (
    Check(name=MADE_BY, run=_check_code, needs=(backend.FOLDER,), project=True),
    Check(name=SERVED, run=_check_served, needs=(backend.SEEN,), project=True),
    Check(name=SHOWN, run=_check_shown, needs=(RIGHTS, backend.FOLDER), project=True),
    Check(name=PREDICTIONS, run=_check_predictions, needs=(SHOWN,), project=True),
)
