"""Checks that folders are those of this project, and that the releases of its version are in the release roots."""

from typing import Final

from helioloop.registry.project_stamp import FILE_NAME, ProjectStamp, parse_time, shown_time
from helioloop_worker.doctor import backend
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.label_studio import RIGHTS

MODELS: Final = "model-folder-project"
MEDIA: Final = "media-folder-project"
RELEASES: Final = "project-releases"

_OTHER_MODELS = Cause(
    check=MODELS,
    name="another-project",
    remedy="Move the model folder of project {project} away, or set HELIOLOOP_MODEL_ROOT to the folder of this Label "
    f"Studio; if the project was moved here together with its annotations, delete {FILE_NAME} and labels.json in it.",
)
_OTHER_MEDIA = Cause(
    check=MEDIA,
    name="another-project",
    remedy="Give each Label Studio its own HELIOLOOP_MEDIA_ROOT; or if the other project is gone, move its media "
    "folder away and ingest again; or if it was moved here together with its annotations, delete "
    f"{FILE_NAME} in the folder.",
)
_MISSING = Cause(
    check=RELEASES,
    name="missing",
    doubtful=True,
    remedy="Give the folder its name back, or name its parent folder in HELIOLOOP_RELEASE_ROOTS; a cube "
    "without a file in any root is excluded from rounds.",
)

CAUSES: Final = (_OTHER_MODELS, _OTHER_MEDIA, _MISSING)


def _check_models(facts: Facts) -> Finding:
    return _check_owner(facts, _OTHER_MODELS, None if facts.folder is None else facts.folder.owner)


def _check_media(facts: Facts) -> Finding:
    return _check_owner(facts, _OTHER_MEDIA, None if facts.folder is None else facts.folder.media_owner)


def _check_owner(facts: Facts, cause: Cause, owner: ProjectStamp | None) -> Finding:
    if facts.folder is None or facts.info is None or not isinstance(facts.info.body, dict):
        return out_of_time(cause.check)
    created_at = parse_time(facts.info.body.get("created_at"))
    if created_at is None:
        return not_tried(cause.check, "Label Studio does not say when the project was created")
    if owner is None:
        return not_tried(cause.check, f"the folder has no {FILE_NAME} yet; the next ingestion writes it")
    if not owner.is_of(created_at):
        now = f"project {facts.project} was created {shown_time(created_at)}"
        return cause.found(facts, f"the folder belongs to {owner.shown}, and {now}")
    return ok(cause.check, f"the folder belongs to {owner.shown}")


def _check_releases(facts: Facts) -> Finding:
    folder = facts.folder
    if folder is None:
        return out_of_time(RELEASES)
    if folder.published is None:
        return not_tried(RELEASES, "no version is published yet")
    if not facts.settings.release_roots:
        return not_tried(RELEASES, "HELIOLOOP_RELEASE_ROOTS is not set")
    if folder.missing_releases:
        names = ", ".join(folder.missing_releases)
        return _MISSING.found(facts, f"{folder.published} was trained on release {names}, which is in no release root")
    return ok(RELEASES, f"the releases that {folder.published} was trained on are in the release roots")


CHECKS: Final = (
    Check(name=MODELS, run=_check_models, needs=(RIGHTS, backend.FOLDER), project=True),
    Check(name=MEDIA, run=_check_media, needs=(RIGHTS, backend.FOLDER), project=True),
    Check(name=RELEASES, run=_check_releases, needs=(backend.FOLDER,), project=True),
)
