"""Media: one contract for the folder and the bucket, and what a project does with a bucket.

The bucket is in moto's server, an S3-compatible one that is reached by HTTP. Amazon's own was not tried.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.worker.conftest import CUBES, LoopProject, make_release, score_of
from tests.worker.media.moto_bucket import Bucket

from helioloop.errors import RegistryError, ServiceError, SettingsError
from helioloop.progress import silent
from helioloop.settings import Settings
from helioloop_worker.labelstudio import media_check
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop import pruning
from helioloop_worker.loop.failing import may_pass
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.pruning import media_files
from helioloop_worker.loop.screen_files import write_screens
from helioloop_worker.media import bucket
from helioloop_worker.media.bucket import BucketMedia
from helioloop_worker.media.choice import make_media
from helioloop_worker.media.folder import FolderMedia
from helioloop_worker.media.port import Media

NAME = "project-1/Release 3/cube?é-0123456789ab.mp4"


@pytest.fixture(params=["folder", "bucket"])
def media(request: pytest.FixtureRequest, own_bucket: Bucket) -> Media:
    """Each implementation."""
    assert own_bucket.keys() == []
    return FolderMedia() if request.param == "folder" else BucketMedia(bucket="media", prefix="team/")


def test_every_place_keeps_the_contract(media: Media) -> None:
    """Serving and withdrawing can be repeated, unknown files are passed over, and addresses differ by name."""
    for content in (b"one", b"one", b"two"):
        media.serve(NAME, lambda content=content: content)  # type: ignore[misc]
    assert media.address(NAME) == media.address(NAME) != media.address("project-1/other.mp4")
    for _ in range(2):
        media.withdraw([NAME, "project-1/unknown.mp4"])
    media.withdraw([])


def test_a_place_is_claimed_once(media: Media) -> None:
    """A repetition is no other claim."""
    for _ in range(2):
        assert media.claim("project-1/project-created.txt", b"2026-03-01")


def test_a_bucket_that_another_project_has_claimed_stays_its_own(own_bucket: Bucket) -> None:
    """Another prefix is another place."""
    name = "project-1/project-created.txt"
    assert BucketMedia(bucket="media", prefix="a/").claim(name, b"2026-03-01")
    assert not BucketMedia(bucket="media", prefix="a/").claim(name, b"2026-05-01")
    assert BucketMedia(bucket="media", prefix="b/").claim(name, b"2026-05-01")
    found = own_bucket.client.get_object(Bucket="media", Key=f"a/helioloop/{name}")
    assert found["Body"].read() == b"2026-03-01"


def test_a_claim_that_was_copied_without_metadata_counts(own_bucket: Bucket) -> None:
    """Its content is compared, because some programs copy an object alone."""
    name = "project-1/project-created.txt"
    own_bucket.client.put_object(Bucket="media", Key=f"a/helioloop/{name}", Body=b"2026-03-01")
    assert BucketMedia(bucket="media", prefix="a/").claim(name, b"2026-03-01")
    assert not BucketMedia(bucket="media", prefix="a/").claim(name, b"2026-05-01")


def test_the_folder_reads_nothing() -> None:
    """Its files are there already, and videos are long."""

    def read() -> bytes:
        pytest.fail("the file was read")

    FolderMedia().serve(NAME, read)
    assert FolderMedia().address("project-1/a b/c.mp4") == "/data/local-files/?d=helioloop/project-1/a%20b/c.mp4"


def test_the_bucket_has_content_type_and_no_caching(own_bucket: Bucket) -> None:
    """The address is that of the object as Label Studio's S3 storage reads it: bucket and key, not quoted."""
    media = BucketMedia.from_address("s3://media/team/")
    for name, kind in ((NAME, "video/mp4"), ("project-1/r/c.curve.json", "application/json")):
        media.serve(name, lambda: b"0123456789")
        key = media.address(name).removeprefix("s3://media/")
        assert key == f"team/helioloop/{name}"
        found = own_bucket.client.get_object(Bucket="media", Key=key)
        assert (found["ContentType"], found["CacheControl"], found["Body"].read()) == (kind, "no-cache", b"0123456789")
    signed = own_bucket.client.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": key})
    part = httpx.get(signed, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")


def test_equal_content_is_sent_once(own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    media, sent = BucketMedia(bucket="media", prefix=""), []
    client, put = bucket._client(), bucket._client().put_object

    def putting(**arguments: Any) -> Any:
        sent.append(arguments["Body"])
        return put(**arguments)

    monkeypatch.setattr(client, "put_object", putting)
    for content in (b"one", b"one", b"two", b"two", b"one"):
        media.serve(NAME, lambda content=content: content)  # type: ignore[misc]
    assert sent == [b"one", b"two", b"one"]
    assert own_bucket.keys() == [f"helioloop/{NAME}"]


def test_a_bucket_that_refuses_or_does_not_answer_is_one_sentence(
    own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the secret; only the second may pass by itself."""
    with pytest.raises(
        ServiceError, match=r"the bucket missing refuses PutObject \(NoSuchBucket\); check its name"
    ) as refused:
        BucketMedia(bucket="missing", prefix="").serve(NAME, lambda: b"x")
    assert not may_pass(refused.value)
    own_bucket.client.delete_bucket(Bucket="media")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    bucket._client.cache_clear()
    with pytest.raises(
        ServiceError, match=r"cannot be reached \(EndpointConnectionError\); check AWS_ENDPOINT_URL_S3"
    ) as away:
        BucketMedia(bucket="media", prefix="").serve(NAME, lambda: b"x")
    assert may_pass(away.value)


def refuses(code: str, *, some: str = "") -> Any:
    """Return a `delete_objects` that answers 200 and names each object with this text in its key as not deleted."""

    def answer(**arguments: Any) -> dict[str, Any]:
        keys = [entry["Key"] for entry in arguments["Delete"]["Objects"] if some in entry["Key"]]
        return {"Errors": [{"Key": key, "Code": code, "Message": "no"} for key in keys]}

    return answer


@pytest.mark.parametrize(("code", "passes"), [("AccessDenied", False), ("InternalError", True), ("SlowDown", True)])
def test_a_bucket_that_deletes_nothing_is_not_believed(
    own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, code: str, passes: bool
) -> None:
    """S3 answers 200 with an error for each object; code and key are named, and the bucket's own faults may pass."""
    assert own_bucket.keys() == []
    monkeypatch.setattr(bucket._client(), "delete_objects", refuses(code))
    said = rf"the bucket media refuses DeleteObjects \({code}\) of a/helioloop/"
    with pytest.raises(ServiceError, match=said) as one:
        BucketMedia(bucket="media", prefix="a/").withdraw([NAME])
    assert NAME in str(one.value)
    assert may_pass(one.value) == passes
    with pytest.raises(ServiceError, match=r"helioloop/x and 2 more; check that the credentials .* may delete there"):
        BucketMedia(bucket="media", prefix="").withdraw(["x", "y", "z"])


@pytest.mark.parametrize("answer", [{}, {"Errors": None}, {"Errors": []}])
def test_a_bucket_that_names_no_error_has_deleted(
    own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    assert own_bucket.keys() == []
    monkeypatch.setattr(bucket._client(), "delete_objects", lambda **_: answer)
    BucketMedia(bucket="media", prefix="").withdraw([NAME])
    monkeypatch.setattr(bucket._client(), "delete_objects", refuses("NoSuchKey"))
    BucketMedia(bucket="media", prefix="").withdraw([NAME])


@pytest.mark.parametrize("address", ["media", "https://media", "s3://", "s3://A_B/x", "s3://x"])
def test_what_is_no_address_of_a_bucket_is_refused(address: str) -> None:
    """When the settings are read, and where they were changed since."""
    with pytest.raises(ValueError, match="write s3://BUCKET or s3://BUCKET/PREFIX"):
        Settings(media_bucket=address)
    with pytest.raises(SettingsError, match=r"HELIOLOOP_MEDIA_BUCKET .*write s3://BUCKET or s3://BUCKET/PREFIX"):
        make_media(Settings().model_copy(update={"media_bucket": address}))


@pytest.mark.parametrize("address", ["s3://media", "s3://media/", "s3://media//"])
def test_a_bucket_may_have_no_prefix(address: str) -> None:
    assert make_media(Settings(media_bucket=address)) == BucketMedia(bucket="media", prefix="")
    assert make_media(Settings()) == FolderMedia()


@pytest.fixture
def project(loop_project: LoopProject, own_bucket: Bucket) -> LoopProject:
    """A project with media in the bucket, and one ingested release of three cubes."""
    assert own_bucket.keys() == []
    settings = loop_project.context.settings.model_copy(update={"media_bucket": "s3://media/team"})
    project = replace(loop_project, context=replace(loop_project.context, settings=settings))
    make_release(settings.release_roots[1] / "three", CUBES[:3])
    ingest(project.context, project.id, "three", report=silent)
    return project


def test_another_deployment_with_the_same_prefix_is_refused(project: LoopProject, own_bucket: Bucket) -> None:
    """Its project has the same number, and its own model folder and media folder."""
    keys, label_studio = own_bucket.keys(), FakeLabelStudio()
    number = label_studio.create_project(
        title="second", label_config=project.label_studio.project(project.id).label_config
    )
    assert number == project.id
    settings = project.context.settings
    roots = {name: settings.cache_root.with_name(f"second-{name}") for name in ("model_root", "media_root")}
    context = replace(
        project.context, settings=settings.model_copy(update=roots), open_label_studio=lambda _: label_studio
    )
    with pytest.raises(RegistryError, match=r"another project with the number \d+.*'second'; give each deployment"):
        ingest(context, number, "three", report=silent)
    assert own_bucket.keys() == keys


def test_a_bucket_that_became_another_project_s_is_left_alone(
    project: LoopProject, own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two deployments wrote under one prefix before it was checked: write-back and pruning of the later one refuse."""
    owner = f"team/helioloop/project-{project.id}/project-created.txt"
    own_bucket.client.put_object(Bucket="media", Key=owner, Body=b"2001-01-01T00:00:00.000+00:00")
    monkeypatch.setattr(pruning, "LEFT_SECONDS", -1.0)
    gone = project.label_studio.tasks(project.id)[0]
    del project.label_studio._project(project.id).tasks[gone["id"]]
    state = project.read()
    scores = {task.cube.key: score_of(task.cube.name, task.cube.sha256, 0.75) for task in state.tasks.values()}
    media = project.context.settings.media_dir(project.id)
    before = objects(own_bucket)
    with pytest.raises(RegistryError, match="belong to another project with the number"):
        write_screens(state, scores, version="v0001", media=media, served=project.context.media, report=silent)
    with pytest.raises(RegistryError, match="belong to another project with the number"):
        pruning.kinds_of_media(project.context, project.id)[0].remove()
    assert objects(own_bucket) == before
    own_bucket.client.delete_object(Bucket="media", Key=owner)  # the remedy in the message
    write_screens(state, scores, version="v0001", media=media, served=project.context.media, report=silent)
    assert objects(own_bucket) != before


def objects(own_bucket: Bucket) -> dict[str, bytes]:
    """Return the content of all objects by key."""
    keys = own_bucket.keys()
    return {key: own_bucket.client.get_object(Bucket="media", Key=key)["Body"].read() for key in keys}


def served(project: LoopProject, own_bucket: Bucket) -> dict[str, bytes]:
    """Return the content of all files that the tasks name, by address."""
    found = {}
    for task in project.label_studio.tasks(project.id):
        for field in ("video", "curve", "reason"):
            parts = urlsplit(task["data"][field], allow_fragments=False)
            assert (parts.scheme, parts.netloc) == ("s3", "media")
            body = own_bucket.client.get_object(Bucket="media", Key=parts.path.lstrip("/"))["Body"]
            found[task["data"][field]] = body.read()
    return found


def on_disk(project: LoopProject) -> set[bytes]:
    """Return the contents of the files in the media folder, except the facts, which nobody is shown."""
    folder = project.context.settings.media_dir(project.id)
    return {path.read_bytes() for path in media_files(folder) if not path.name.endswith("facts.json")}


def test_tasks_name_the_bucket_and_find_there_what_is_in_the_folder(project: LoopProject, own_bucket: Bucket) -> None:
    """Also after the screens follow a version; local files are not connected, and what was lost is sent again."""
    first = served(project, own_bucket)
    assert set(first.values()) == on_disk(project)
    assert len(first) == 9
    scores = {task.cube.key: score_of(task.cube.name, task.cube.sha256, 0.75) for task in project.read().tasks.values()}
    media = project.context.settings.media_dir(project.id)
    write_screens(project.read(), scores, version="v0001", media=media, served=project.context.media, report=silent)
    second = served(project, own_bucket)
    assert set(second.values()) == on_disk(project)
    assert second != first
    assert project.label_studio.storages(project.id) == []
    stored = own_bucket.keys()
    for key in stored:
        own_bucket.client.delete_object(Bucket="media", Key=key)
    assert ingest(project.context, project.id, "three", report=silent).present == 3
    assert served(project, own_bucket) == second


def test_a_new_project_writes_into_its_bucket_at_once(own_bucket: Bucket, tmp_path: Path) -> None:
    """Label Studio refuses a bucket with a prefix below which there is nothing; no local files are connected."""
    settings = Settings(model_root=tmp_path / "models", media_root=tmp_path / "media", media_bucket="s3://media/team")
    label_studio = FakeLabelStudio()
    project = set_up(label_studio, settings, backend_url="http://127.0.0.1:9")
    names = ("about.txt", "project-created.txt")
    assert own_bucket.keys() == [f"team/helioloop/project-{project}/{name}" for name in names]
    assert label_studio.storages(project) == []


def test_pruning_removes_from_the_bucket_too(
    project: LoopProject, own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "LEFT_SECONDS", -1.0)
    gone = project.label_studio.tasks(project.id)[0]
    del project.label_studio._project(project.id).tasks[gone["id"]]
    (files, _) = pruning.kinds_of_media(project.context, project.id)
    assert files.find().files == 4
    files.remove()
    assert len(own_bucket.keys()) == 7  # three files of two cubes, and the project's time
    assert set(served(project, own_bucket).values()) == on_disk(project)


def test_what_a_bucket_refuses_to_delete_is_found_by_the_next_pruning(
    project: LoopProject, own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files in the folder are the only list of what is to be deleted."""
    monkeypatch.setattr(pruning, "LEFT_SECONDS", -1.0)
    gone = project.label_studio.tasks(project.id)[0]
    del project.label_studio._project(project.id).tasks[gone["id"]]
    (files, _) = pruning.kinds_of_media(project.context, project.id)
    keys = own_bucket.keys()
    with monkeypatch.context() as patch:
        patch.setattr(bucket._client(), "delete_objects", refuses("AccessDenied", some=".mp4"))
        with pytest.raises(ServiceError, match=r"refuses DeleteObjects \(AccessDenied\)"):
            files.remove()
    assert files.find().files == 4
    assert own_bucket.keys() == keys
    files.remove()
    assert files.find().files == 0
    assert len(own_bucket.keys()) == 7


def probe(settings: Settings, *, fault: str | None = None) -> None:
    """Make a probe file available, perhaps fail to fetch it, and remove it."""
    with media_check._probe(settings, 1):
        if fault is not None:
            raise ServiceError(fault)


@pytest.mark.parametrize("fault", [None, "fetching"])
def test_a_probe_file_that_the_bucket_keeps_is_removed_by_the_next_trial(
    own_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    """An error before that is the one that is told."""
    settings = Settings(media_root=tmp_path, media_bucket="s3://media/team")
    folder = settings.media_dir(1)
    folder.mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(bucket._client(), "delete_objects", refuses("AccessDenied"))
        expected = r"refuses DeleteObjects \(AccessDenied\)" if fault is None else fault
        with pytest.raises(ServiceError, match=expected):
            probe(settings, fault=fault)
    assert len(list(folder.iterdir())) == len(own_bucket.keys()) == 1
    probe(settings)
    assert (list(folder.iterdir()), own_bucket.keys()) == ([], [])


def test_a_bucket_that_does_not_answer_excludes_no_cube_for_good(
    project: LoopProject, own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task is imported whose video is not there, also if the bucket fails later; the next ingestion imports them."""
    assert own_bucket.keys()
    make_release(project.context.settings.release_roots[1] / "more", CUBES[3:5])
    wrong = project.context.settings.model_copy(update={"media_bucket": "s3://missing"})
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        ingest(replace(project.context, settings=wrong), project.id, "more", report=silent)
    with monkeypatch.context() as patch:
        patch.setattr(BucketMedia, "claim", lambda *_: True)
        done = ingest(replace(project.context, settings=wrong), project.id, "more", report=silent)
    assert (done.imported, len(done.excluded)) == (0, 2)
    assert "NoSuchBucket" in done.excluded[0].reason
    assert ingest(project.context, project.id, "more", report=silent).imported == 2
