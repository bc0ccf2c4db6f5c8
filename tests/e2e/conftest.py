"""One running stack for all end-to-end tests: real Redis, Label Studio, backend, workers and a synthetic release."""

import csv
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from label_studio_sdk import LabelStudio
from playwright.sync_api import Browser, sync_playwright

from helioloop.messaging import messages, queues, redis_client
from helioloop.messaging.job_monitor import outcome_of
from helioloop.registry.shown_versions import read_shown_versions
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.synthetic import make_release
from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.setup import set_up

CUBES = 64
GRACE_SECONDS = 25
PACE = {
    "HELIOLOOP_TRAINING_YIELDS": "false",  # other programs may keep this machine busy, and the tests wait for rounds
    "HELIOLOOP_EPOCHS": "16",  # the tests look at the loop, not at how good the networks are
    "HELIOLOOP_RETRAIN_EVENTS": "20",
    "HELIOLOOP_RETRAIN_QUIET_SECONDS": "2",
    "HELIOLOOP_RETRAIN_MAX_WAIT_SECONDS": "20",
    "HELIOLOOP_RETRAIN_VERIFIED": "1000",
    "HELIOLOOP_RETRAIN_CHANGED": "1",
    "HELIOLOOP_RANDOM_CHECKS": "0",  # every task has a prediction; test_queue has random checks
    "HELIOLOOP_RECONCILE_SECONDS": "5",
    "HELIOLOOP_GRACE_SECONDS": str(GRACE_SECONDS),
}
ROUND_SECONDS = 420
QUIET_CHROMIUM = (
    "--no-sandbox",  # Debian's build refuses to run as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Loop:
    """The running loop, as the tests see it."""

    stack: DemoServices
    settings: Settings
    project: int
    client: LabelStudio
    label_studio: LabelStudioClient
    release: Path
    truth: dict[str, str]

    @property
    def registry(self) -> Registry:
        """The project's model folder."""
        return Registry(self.settings.model_dir(self.project))

    def published(self) -> str | None:
        """The version that is published and shown by Label Studio."""
        version = self.registry.published()
        shown = read_shown_versions(self.registry.root)
        return version if shown and shown[-1].version == version else None

    def ingest(self, release: str) -> dict[str, object]:
        """Have a release ingested and return what the job returned."""
        connection = redis_client.connect(self.settings)
        message = messages.Ingest(project=self.project, release=release)
        queues.send(connection, message)
        until(lambda: outcome_of(connection, message) is not None, seconds=ROUND_SECONDS)
        outcome: dict[str, object] = outcome_of(connection, message)
        connection.close()
        return outcome

    def tasks(self) -> dict[str, dict[str, object]]:
        """Tasks by cube name, as Label Studio exports them."""
        return {entry["data"]["cube"]: entry for entry in self.label_studio.tasks(self.project)}

    def annotate(
        self, task: int, choice: str, *, start: int | None = None, parent: int | None = None, annotator: int = 1
    ) -> int:
        """Submit an annotation as the labelling screen does, and return its id."""
        result: list[dict[str, object]] = [
            {"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": [choice]}}
        ]
        if start is not None:
            ranges = [{"start": start, "end": 225}]
            result.append(
                {
                    "from_name": "onset",
                    "to_name": "video",
                    "type": "timelinelabels",
                    "value": {"ranges": ranges, "timelinelabels": ["emergence onset"]},
                }
            )
        created = self.client.annotations.create(
            id=task, result=result, lead_time=1.0, parent_prediction=parent, completed_by=annotator
        )
        return int(created.id or 0)


def until(condition: Callable[[], bool], *, seconds: float) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.5)
    pytest.fail(f"{condition} did not come true within {seconds:.0f} s")


def sign_up(loop: Loop, email: str, password: str) -> int:
    """Make an account by the organization's invitation, as new annotators do, and return its id."""
    base = loop.stack.label_studio_url
    invitation = loop.label_studio._transport.call("GET", "api/invite", what="inviting an annotator")["invite_url"]
    with requests.Session() as session:
        session.get(f"{base}{invitation}", timeout=60)
        form = {"email": email, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        session.post(f"{base}{invitation}", data=form, headers={"Referer": base}, timeout=60).raise_for_status()
        return int(session.get(f"{base}/api/current-user/whoami", timeout=60).json()["id"])


def program(variable: str) -> Path:
    """Return a service's program from the environment; if it is missing, the test is skipped, and fails in CI."""
    path = os.environ.get(variable)
    if path and Path(path).exists():
        return Path(path)
    said = f"{variable} names no program ({path!r}); `make test` makes the environments and sets it"
    if os.environ.get("HELIOLOOP_REQUIRE_SERVICES") == "1":
        pytest.fail(said)
    pytest.skip(said)


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The loop after its first round on the crude labels of a release with one bad cube and two unlabelled ones."""
    programs = Programs(
        backend=program("HELIOLOOP_TEST_BACKEND_PYTHON"),
        worker=Path(sys.executable),
        label_studio=program("HELIOLOOP_TEST_LABEL_STUDIO"),
    )
    folder = tmp_path_factory.mktemp("stack")
    release = folder / "releases" / "made"
    release.parent.mkdir()
    with DemoServices(folder, programs=programs, release_roots=[folder / "releases"], environment=PACE) as stack:
        stack.start_redis()
        stack.launch_label_studio()
        stack.start_backend()
        make_release(release, n=CUBES, seed=11, truth=folder / "truth.csv")
        spoil(release)
        stack.await_label_studio()
        settings = stack.settings()
        label_studio = LabelStudioClient.from_settings(settings)
        project = set_up(label_studio, settings, title="end to end", backend_url=stack.backend_url)
        stack.start_worker("score")
        stack.start_worker("train", name="worker-train-1")
        stack.start_worker("train", name="worker-train-2")
        with (folder / "truth.csv").open(newline="") as file:
            truth = {row["cube"]: row["label"] for row in csv.DictReader(file)}
        client = LabelStudio(base_url=stack.label_studio_url, api_key=stack.login.token, timeout=120)
        running = Loop(stack, settings, project, client, label_studio, release, truth)
        running.ingest("made")
        until(lambda: running.published() == "v0001", seconds=ROUND_SECONDS)
        yield running
        for speaker in (client, label_studio._transport.client):  # the SDK leaves closing to the garbage collector
            speaker._client_wrapper.httpx_client.httpx_client.close()


def spoil(release: Path) -> None:
    """Put a web page in the place of a cube, and take the labels of two others away."""
    with (release / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (release / "broken_page.fits").write_text("<html><body>404 Not Found</body></html>")
    for row in rows[:2]:
        row["label"] = ""
    with (release / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["cube", "label", "verified"])
        writer.writeheader()
        writer.writerows([*rows, {"cube": "broken_page", "label": "emergence", "verified": "0"}])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; if it is missing, the test is skipped, and fails in CI."""
    chromium = shutil.which("chromium")
    if chromium is None:
        said = "chromium is not installed; `apt-get install chromium`"
        if os.environ.get("HELIOLOOP_REQUIRE_SERVICES") == "1":
            pytest.fail(said)
        pytest.skip(said)
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium, args=list(QUIET_CHROMIUM))
        yield started
        started.close()
