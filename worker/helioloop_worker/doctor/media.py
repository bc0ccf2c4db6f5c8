"""Checks of the videos: the storage in Label Studio, and one video fetched as a browser would."""

from typing import Final

from helioloop.labelstudio.config import FPS
from helioloop_worker.doctor.facts import Facts, rows_of
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.label_studio import RIGHTS
from helioloop_worker.doctor.labelling import CONFIGURATION, video_address
from helioloop_worker.labelstudio.probe import Answer
from helioloop_worker.media.bucket import BucketMedia

STORAGE: Final = "storage"
VIDEO: Final = "video"
FRAMES: Final = "video-frames"

_SERVING_OFF = Cause(
    check=STORAGE,
    name="serving-off",
    remedy="Start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true.",
)
_NOT_SEEN = Cause(
    check=STORAGE,
    name="folder-not-seen",
    remedy="Mount the folder of HELIOLOOP_MEDIA_ROOT under the same path where Label Studio runs, and let it read it.",
)
_OUTSIDE = Cause(
    check=STORAGE,
    name="outside-document-root",
    remedy="Start Label Studio with LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the folder of "
    "HELIOLOOP_MEDIA_ROOT; the "
    "storage must be a folder below it.",
)
_NO_BUCKET = Cause(
    check=STORAGE,
    name="no-bucket",
    remedy="In the settings of project {project}, add the bucket as a source storage (Cloud Storage, Amazon S3), and "
    "do not synchronise it.",
)
_STORAGE_MISSING = Cause(check=STORAGE, name="missing", remedy="Run `helioloop init --project {project}` again.")
_STORAGE_REFUSED = Cause(
    check=STORAGE,
    name="refused",
    remedy="Correct what Label Studio says about the media folder, then run `helioloop init` again.",
)
_NO_VIDEO = Cause(
    check=VIDEO,
    name="no-address",
    remedy="Let value= of <Video> in the labelling configuration name the field that has the video's address (video).",
)
_NOT_FOUND = Cause(
    check=VIDEO,
    name="not-found",
    remedy="Set HELIOLOOP_MEDIA_ROOT and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to one and the same folder; if the "
    "file is "
    "gone, run `helioloop ingest RELEASE --project {project}` again.",
)
_VIDEO_REFUSED = Cause(
    check=VIDEO, name="refused", remedy="Give the users of project {project} the right to read the place of the video."
)
_VIDEO_SILENT = Cause(
    check=VIDEO, name="no-answer", remedy="Correct the address in the task's data, or start the server of the video."
)
_BUCKET_UNREAD = Cause(
    check=VIDEO,
    name="bucket-unread",
    remedy="Give the project's storage in Label Studio the right endpoint and credentials that may read the bucket.",
)
_NO_RANGE = Cause(
    check=VIDEO,
    name="no-range",
    remedy="Serve videos with support for range requests (Accept-Ranges: bytes), also in the proxy; else browsers "
    "cannot jump to a frame.",
)
_CROSS_ORIGIN = Cause(
    check=VIDEO,
    name="cross-origin",
    remedy="Let the server of the videos send Access-Control-Allow-Origin with Label Studio's address.",
)
_UNREADABLE = Cause(
    check=FRAMES,
    name="unreadable",
    remedy="Delete the file and run `helioloop ingest RELEASE --project {project}` again, which renders it anew.",
)
_RATE = Cause(
    check=FRAMES,
    name="rate",
    remedy=f'Write framerate="{FPS}" into the <Video> tag of the labelling configuration, or render the videos at that '
    "rate: else every onset is read wrong.",
)
_COUNT = Cause(
    check=FRAMES,
    name="frame-count",
    remedy="Ingest the release into a project of its own whose profile has that number of frames, or render the videos "
    "again with `helioloop ingest`.",
)

CAUSES: Final = (
    _SERVING_OFF, _NOT_SEEN, _OUTSIDE, _NO_BUCKET, _STORAGE_MISSING, _STORAGE_REFUSED, _NO_VIDEO, _NOT_FOUND,
    _VIDEO_REFUSED, _VIDEO_SILENT, _BUCKET_UNREAD, _NO_RANGE, _CROSS_ORIGIN, _UNREADABLE, _RATE, _COUNT,
)  # fmt: skip


_BY_STATUS: Final = {
    401: _VIDEO_REFUSED, 403: _VIDEO_REFUSED, 404: _NOT_FOUND, 410: _NOT_FOUND, 424: _BUCKET_UNREAD,
}  # fmt: skip


def _check_storage(facts: Facts) -> Finding:
    checked, listed = facts.storage_check, facts.storages
    if facts.settings.media_bucket is not None:
        return _check_bucket(facts, facts.settings.media_bucket)
    if checked is None or listed is None or facts.project is None:
        return out_of_time(STORAGE)
    folder = facts.settings.storage_path(facts.project)
    if not checked.is_success:
        return _refused_storage(facts, checked, folder)
    paths = [row.get("path") for row in rows_of(listed)]
    if not listed.has_json:
        return not_tried(STORAGE, f"the request for the storages {listed.short}")
    if folder not in paths:
        others = ", ".join(str(path) for path in paths) or "none"
        return _STORAGE_MISSING.found(facts, f"no storage of the project has the path {folder} (there are: {others})")
    return ok(STORAGE, f"Label Studio serves {folder}")


def _check_bucket(facts: Facts, address: str) -> Finding:
    listed = facts.storages
    if listed is None:
        return out_of_time(STORAGE)
    if not listed.has_json:
        return not_tried(STORAGE, f"the request for the storages {listed.short}")
    wanted = BucketMedia.from_address(address)
    buckets = [str(row.get("bucket")) for row in rows_of(listed)]
    if wanted.bucket not in buckets:
        others = ", ".join(buckets) or "none"
        seen = f"no storage of the project has the bucket {wanted.bucket} (there are: {others})"
        return _NO_BUCKET.found(facts, seen)
    return ok(STORAGE, f"the project has the bucket {wanted.bucket}")


def _refused_storage(facts: Facts, checked: Answer, folder: str) -> Finding:
    """Return why Label Studio does not accept the media folder; its sentences are those of version 1.23."""
    said = checked.text(1000)
    if "LOCAL_FILES_SERVING_ENABLED" in said:
        return _SERVING_OFF.found(facts, "Label Studio does not serve local files")
    if "does not exist" in said:
        return _NOT_SEEN.found(facts, f"Label Studio sees no folder {folder}")
    if "LOCAL_FILES_DOCUMENT_ROOT" in said:
        return _OUTSIDE.found(facts, f"{folder} is not a folder below Label Studio's document root")
    return _STORAGE_REFUSED.found(facts, f"Label Studio refuses the storage {folder}: {said[:300]}")


def _check_video(facts: Facts) -> Finding:  # noqa: PLR0911 - one return per cause
    if facts.task is None:
        return out_of_time(VIDEO)
    if not rows_of(facts.task):
        return not_tried(VIDEO, "the project has no task yet")
    video = facts.video
    if video_address(facts) is None:
        return _NO_VIDEO.found(facts, "the first task has no address of a video")
    answer = None if video is None else video.first
    if video is None or answer is None:
        return out_of_time(VIDEO)
    seen = f"{video.address} {answer.short}"
    if not answer.is_success:
        return _BY_STATUS.get(answer.status or 0, _VIDEO_SILENT).found(facts, seen)
    if video.foreign and "access-control-allow-origin" not in answer.headers:
        return _CROSS_ORIGIN.found(facts, f"{video.address} is another origin and sends no Access-Control-Allow-Origin")
    if answer.status != 206:
        return _NO_RANGE.found(
            facts, f"{video.address} answers {answer.status} to a range request, which should be 206"
        )
    return ok(VIDEO, f"{video.address} is served with ranges")


def _check_frames(facts: Facts) -> Finding:
    video = facts.video
    if video is None:
        return not_tried(FRAMES, "there is no video")
    if video.fault is not None:
        return _UNREADABLE.found(facts, f"{video.address}: {video.fault}")
    if video.n_frames is None:
        return out_of_time(FRAMES)
    rate = FPS  # what the configuration has, else its check would not be ok
    seen = f"the video has {video.n_frames} frames at {video.fps} per second"
    if video.fps != rate:
        return _RATE.found(facts, f"{seen}, and framerate is {rate}")
    expected = None if facts.folder is None else facts.folder.n_frames
    if expected is not None and video.n_frames != expected:
        return _COUNT.found(facts, f"{seen}, and the cubes of the project have {expected}")
    return ok(FRAMES, seen)


CHECKS: Final = (
    Check(name=STORAGE, run=_check_storage, needs=(RIGHTS,), project=True),
    Check(name=VIDEO, run=_check_video, needs=(RIGHTS, STORAGE), project=True),
    Check(name=FRAMES, run=_check_frames, needs=(VIDEO, CONFIGURATION), project=True),
)
