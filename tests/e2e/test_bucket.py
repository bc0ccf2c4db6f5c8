"""A project whose media are in a bucket of moto's S3 server, tried by `init` and the doctor on a real Label Studio."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from helioloop.errors import ServiceError
from helioloop.settings import Settings
from helioloop_worker.doctor.examination import examine
from helioloop_worker.doctor.gathering import gather
from helioloop_worker.labelstudio.media_check import check_media
from helioloop_worker.labelstudio.project import read_controls
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop.video import render_video
from helioloop_worker.media.choice import make_media
from tests.e2e.conftest import Loop
from tests.e2e.test_queue import data_of
from tests.worker.conftest import SMALL
from tests.worker.media.moto_bucket import Bucket, own_bucket, s3_server

__all__ = ["own_bucket", "s3_server"]  # fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]
BUCKET = "s3://media/team"


@dataclass(frozen=True)
class Project:
    """A project in the bucket, without a task at first."""

    loop: Loop
    settings: Settings
    id: int
    server: str

    def connect(self, *, presign: bool) -> int:
        """Add the bucket to the project, as its settings page does, and return the storage's id."""
        storage = self.loop.client.import_storage.s3.create(
            project=self.id, bucket="media", prefix="team", use_blob_urls=True, presign=presign,
            region_name="us-east-1", s3endpoint=self.server, aws_access_key_id="key", aws_secret_access_key="secret",
        )  # fmt: skip
        return int(storage.id or 0)

    def tried(self) -> list[str]:
        """Return what the check of the media says."""
        label_studio = self.loop.label_studio
        controls = read_controls(label_studio.project(self.id), settings=self.settings)
        return check_media(label_studio, self.settings, self.id, controls)

    def causes(self) -> dict[str, str | None]:
        """Return what the doctor finds about storage and video."""
        found = examine(gather(self.settings, self.id))
        return {finding.check: finding.cause for finding in found if finding.check in {"storage", "video"}}


@pytest.fixture
def project(loop: Loop, s3_server: str, own_bucket: Bucket) -> Iterator[Project]:
    """A new project, registered at the real backend."""
    assert own_bucket.keys() == []
    settings = loop.settings.model_copy(update={"media_bucket": BUCKET})
    number = set_up(loop.label_studio, settings, title="in a bucket", backend_url=loop.stack.backend_url)
    yield Project(loop, settings, number, s3_server)
    loop.client.projects.delete(id=number)


def test_a_bucket_is_missed_until_the_project_has_it_and_then_its_files_are_fetched(
    project: Project, own_bucket: Bucket
) -> None:
    """Passed on by Label Studio and presigned, the probe and a video; nothing of the probe stays."""
    with pytest.raises(ServiceError, match="no storage of the project covers it") as caught:
        project.tried()
    assert "run `helioloop init` again" in str(caught.value)
    assert project.causes()["storage"] == "no-bucket"
    media = project.settings.media_dir(project.id)
    render_video(np.full((SMALL.n_frames, 24, 24), 0.5), media / "made" / "c0.mp4")
    served, name = make_media(project.settings), f"{media.name}/made/c0.mp4"
    served.serve(name, (media / "made" / "c0.mp4").read_bytes)
    project.loop.label_studio.import_tasks(project.id, [data_of("cube1", 0) | {"video": served.address(name)}])
    for presign in (False, True):
        storage = project.connect(presign=presign)
        assert project.tried() == [
            f"media: a probe file in {BUCKET} was fetched through Label Studio, and removed again",
            "media: the video of cube cube1 was fetched as a browser does",
        ]
        assert project.causes() == {"storage": None, "video": None}
        project.loop.client.import_storage.s3.delete(id=storage)
    assert own_bucket.keys() == [
        f"team/helioloop/{one}" for one in (f"{media.name}/about.txt", name, f"{media.name}/project-created.txt")
    ]


def test_a_file_that_the_bucket_does_not_have_is_reported(project: Project) -> None:
    """Label Studio passes on why the bucket does not give the video."""
    address = make_media(project.settings).address(f"project-{project.id}/made/lost.mp4")
    project.loop.label_studio.import_tasks(project.id, [data_of("cube1", 0) | {"video": address}])
    project.connect(presign=False)
    with pytest.raises(ServiceError, match="its storage cannot read the bucket"):
        project.tried()
    assert project.causes() == {"storage": None, "video": "bucket-unread"}
