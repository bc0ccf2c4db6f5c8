"""The doctor on a real Label Studio, backend, Redis and workers: nothing wrong first, then one thing after another.

Label Studio's own sentences decide several findings, so its behaviour is what is tested here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.registry.project_controls import read_project_controls, write_project_controls
from helioloop.registry.project_profile import write_project_profile
from helioloop_worker.context import Context
from helioloop_worker.demo import services
from helioloop_worker.doctor.examination import examine
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Verdict
from helioloop_worker.doctor.gathering import gather
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop.video import render_video
from helioloop_worker.loop.writeback import write_back
from tests.e2e.conftest import Loop, until
from tests.e2e.test_queue import data_of
from tests.worker.conftest import CUBES, PROFILE, SMALL, TINY, LoopProject

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

SWITCHES = {
    "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
    "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "true",
    "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "true",
}
"""Label Studio's own defaults."""
EXPECTED = {"redis-persistence": "off"}
"""The Redis of the demo keeps nothing."""


@pytest.fixture(scope="module")
def sound(loop: Loop) -> Iterator[LoopProject]:
    """A project of its own, whose first task has a real video and whose version is written back."""
    settings = loop.settings
    project = set_up(loop.label_studio, settings, title="doctor", backend_url=loop.stack.backend_url)
    context = Context(settings, open_label_studio=lambda _: loop.label_studio, recipe_for=lambda *_: TINY)
    write_project_profile(settings.model_dir(project), PROFILE)
    found = LoopProject(context=context, label_studio=loop.label_studio, id=project)  # type: ignore[arg-type]
    media = settings.media_dir(project)
    render_video(np.full((SMALL.n_frames, 24, 24), 0.5), media / "made" / "v.mp4")
    address = f"/data/local-files/?d=helioloop/{media.name}/made/v.mp4"
    found.import_cubes({cube: data_of(cube, place) | {"video": address} for place, cube in enumerate(CUBES)})
    write_back(context, project, found.publish(p_emergence=0.6), report=silent)
    yield found
    loop.client.projects.delete(id=project)
    context.connection.close()


def causes(sound: LoopProject, **changed: Any) -> dict[str, str]:
    """Check -> cause of what is wrong or doubtful, with other settings of the doctor."""
    settings = sound.context.settings.model_copy(update=changed)
    return causes_in(gather(settings, sound.id))


def causes_in(facts: Facts) -> dict[str, str]:
    """Check -> cause; without the disk, which may be full on the machine of the tests."""
    found = {finding.check: str(finding.cause) for finding in examine(facts) if finding.cause}
    return {check: cause for check, cause in found.items() if check != "disk"}


@contextmanager
def label_studio_with(loop: Loop, monkeypatch: pytest.MonkeyPatch, switches: dict[str, str]) -> Iterator[None]:
    """Run Label Studio with other values of some switches."""
    environment = services._label_studio_environment

    def restart() -> None:
        loop.stack.services.pop("label-studio").stop()
        loop.stack.launch_label_studio()
        loop.stack.await_label_studio()

    with monkeypatch.context() as patched:
        patched.setattr(services, "_label_studio_environment", lambda *args: environment(*args) | switches)
        restart()
    try:
        yield
    finally:
        restart()


def test_a_sound_stack_is_ok_in_every_check(sound: LoopProject) -> None:
    facts = gather(sound.context.settings, sound.id)
    assert [finding for finding in examine(facts) if finding.verdict is Verdict.NOT_TRIED] == []
    assert causes_in(facts) == EXPECTED


def test_what_is_wrong_with_a_token_or_an_address_is_named(loop: Loop, sound: LoopProject) -> None:
    """Legacy and personal access tokens, right, wrong, short-lived and revoked; another path, another service."""
    assert causes(sound, label_studio_api_key=SecretStr("0" * 40)) == {**EXPECTED, "token": "refused"}
    url = loop.stack.label_studio_url
    headers = {"Authorization": f"Token {loop.stack.login.token}"}
    personal = httpx.post(f"{url}/api/token/", headers=headers, timeout=60).json()["token"]
    assert causes(sound, label_studio_api_key=SecretStr(personal)) == EXPECTED
    access = httpx.post(f"{url}/api/token/refresh/", json={"refresh": personal}, timeout=60).json()["access"]
    assert causes(sound, label_studio_api_key=SecretStr(access)) == {**EXPECTED, "token": "access-token"}
    httpx.post(f"{url}/api/token/blacklist/", json={"refresh": personal}, headers=headers, timeout=60)
    assert causes(sound, label_studio_api_key=SecretStr(personal)) == {**EXPECTED, "token": "refused"}
    assert causes(replace(sound, id=10**6)) == {**EXPECTED, "rights": "no-project"}
    assert causes(sound, label_studio_url=f"{url}/label-studio") == {**EXPECTED, "label-studio-address": "path-prefix"}
    assert causes(sound, label_studio_url=loop.stack.backend_url)["label-studio-address"] == "other-service"


def test_wrong_secrets_and_remains_of_an_earlier_address_are_named(loop: Loop, sound: LoopProject) -> None:
    """The second backend is the same one under another name, whose webhook Label Studio made and keeps."""
    assert causes(sound, webhook_secret=SecretStr("another")) == {**EXPECTED, "webhook-secret": "differs"}
    assert causes(sound, basic_auth_password=SecretStr("another")) == {**EXPECTED, "backend-credentials": "refused"}
    named = loop.stack.backend_url.replace("127.0.0.1", "localhost")
    old = loop.client.ml.create(
        url=named, project=sound.id, title="helioloop", auth_method="BASIC_AUTH", basic_auth_user="label-studio",
        basic_auth_pass=loop.stack.environment["HELIOLOOP_BASIC_AUTH_PASSWORD"],
    )  # fmt: skip
    # --backend-url decides which of the two is the current one
    facts = gather(sound.context.settings, sound.id, backend_url=loop.stack.backend_url)
    assert causes_in(facts) == {**EXPECTED, "old-backend-entries": "several", "old-webhooks": "ours"}
    loop.client.ml.delete(id=old.id or 0)
    assert causes(sound) == {**EXPECTED, "old-webhooks": "unclear"}
    for hook in loop.client.webhooks.list(project=str(sound.id)):
        if hook.url.startswith(named):
            loop.client.webhooks.delete(id=hook.id or 0)
    assert causes(sound) == EXPECTED


def test_a_version_that_is_not_shown_is_named(loop: Loop, sound: LoopProject) -> None:
    """Without a worker of the role score, which otherwise writes it back by itself."""
    loop.stack.services.pop("worker-score").stop()
    newer = sound.publish(p_emergence=0.8)
    assert causes(sound) == {**EXPECTED, "worker-score": "none", "shown-model-version": "differs"}
    loop.stack.start_worker("score")
    until(lambda: loop.label_studio.project(sound.id).model_version == newer, seconds=120)
    until(lambda: causes(sound) == EXPECTED, seconds=60)


def test_a_folder_that_label_studio_does_not_serve_is_named(loop: Loop, sound: LoopProject) -> None:
    """And a configuration with other classes."""
    elsewhere = loop.stack.folder / "elsewhere"
    assert causes(sound, media_root=elsewhere) == {**EXPECTED, "storage": "folder-not-seen"}
    (elsewhere / "helioloop" / f"project-{sound.id}").mkdir(parents=True)
    assert causes(sound, media_root=elsewhere) == {**EXPECTED, "storage": "outside-document-root"}
    folder = sound.context.settings.model_dir(sound.id)
    kept = read_project_controls(folder)
    assert kept is not None
    write_project_controls(folder, replace(kept, values={**kept.values, Label.EMERGENCE: "rising"}))
    assert causes(sound) == {**EXPECTED, "labelling-configuration": "unusable"}
    write_project_controls(folder, kept)


def test_switches_of_label_studio_are_named(loop: Loop, sound: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own defaults, with which it can neither serve videos nor reach a backend at a private address."""
    with label_studio_with(loop, monkeypatch, SWITCHES):
        assert causes(sound) == {**EXPECTED, "private-addresses": "both-blocked", "storage": "serving-off"}


def test_a_stopped_backend_is_named(loop: Loop, sound: LoopProject) -> None:
    """Also as Label Studio itself sees it."""
    loop.stack.services.pop("backend").stop()
    try:
        stopped = causes(sound)
        assert stopped["backend-address"] in {"refused", "localhost-in-container"}
        assert stopped["label-studio-to-backend"] == "localhost"
    finally:
        loop.stack.start_backend()
    until(lambda: causes(sound) == EXPECTED, seconds=60)
