"""Each cause is found where it is there, and nothing else is: facts of a sound deployment with one thing changed."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.worker.doctor.conftest import (
    BACKEND,
    CARD,
    DATA,
    HOOK,
    INFO,
    PROJECT,
    SCORE,
    SERVED,
    SOUND,
    TRAIN,
    good,
    settings,
    token,
)

from helioloop.messaging.redis_client import FULL
from helioloop.registry.project_stamp import ProjectStamp
from helioloop_worker.doctor.examination import CAUSES, CHECKS, examine
from helioloop_worker.doctor.facts import DiskFacts, Facts
from helioloop_worker.doctor.finding import Verdict
from helioloop_worker.labelstudio.probe import Answer, Fault

Change = dict[str, Any]
OTHER = ProjectStamp(title="another", created_at=datetime(2024, 1, 1, tzinfo=UTC))
NO = Answer(status=403, body={"detail": "You do not have permission"})
BLOCKED = Answer(status=403, body={"detail": "The provided URL was not allowed."})


def lost(fault: Fault) -> Answer:
    """No answer, for this reason."""
    return Answer(fault=fault)


def refusal(text: str) -> Answer:
    """A refusal of Label Studio."""
    return Answer(status=400, body={"detail": "Validation error", "validation_errors": {"non_field_errors": [text]}})


def here(url: str, **more: Any) -> Change:
    """Label Studio at another address."""
    return {"settings": settings(label_studio_url=url), **more}


def key(value: str | None, **more: Any) -> Change:
    """Another access token."""
    return {"settings": settings(label_studio_api_key=None if value is None else SecretStr(value)), **more}


def redis(**changed: Any) -> Change:
    assert SOUND.redis is not None
    return {"redis": replace(SOUND.redis, **changed)}


def info(**changed: Any) -> Change:
    return redis(info=INFO | changed)


def machine(**changed: Any) -> Change:
    assert SOUND.machine is not None
    return {"machine": replace(SOUND.machine, **changed)}


def disk(**changed: Any) -> Change:
    return machine(disks=(replace(DiskFacts(folder=Path("/data"), free_bytes=2**40), **changed),))


def folder(**changed: Any) -> Change:
    assert SOUND.folder is not None
    return {"folder": replace(SOUND.folder, **changed)}


def video(**changed: Any) -> Change:
    assert SOUND.video is not None
    return {"video": replace(SOUND.video, **changed)}


def project(**changed: Any) -> Change:
    return {"info": good(PROJECT | changed)}


def card(**changed: Any) -> Change:
    return {"cards": good([CARD | changed])}


def hooks(*more: dict[str, Any], **changed: Any) -> Change:
    return {"hooks": good([HOOK | changed, *more])}


def clock(seconds: float) -> Change:
    return {"health": good({"status": "UP"}, skew_seconds=seconds)}


CONFIG = str(PROJECT["label_config"])
OLD = "http://10.0.0.9:9090"
TEAM_HOOK = {"id": 8, "url": "https://team.example.org/webhook", "headers": {"X-Own": "1"}}
OTHER_CARD = CARD | {"id": 9, "title": "SAM", "url": OLD}
OTHER_HOOK = {"id": 8, "url": f"{OLD}/webhook", "headers": {}}
IN_BUCKET = {"settings": settings(media_bucket="s3://media/team")}
CASES: dict[str, Change] = {
    "redis/unreachable": redis(fault="Redis at redis://redis:6379/0 cannot be reached", fault_kind="unreachable"),
    "redis/no-address": redis(fault="REDIS_URL is not a Redis URL", fault_kind="address"),
    "redis/credentials": redis(fault="Redis refuses the credentials", fault_kind="credentials"),
    "redis/no-writes": redis(fault="Redis is a replica, which takes no writes", fault_kind="no-writes"),
    "redis/no-channels": redis(has_channels=False),
    "redis/refuses": redis(fault="Redis refuses a command (NoPermissionError)", fault_kind="refused"),
    "redis-password/none": redis(has_password=False, open_without=None),
    "redis-password/none-on-this-machine": redis(has_password=False, open_without=None, is_local=True),
    "redis-password/not-required": redis(open_without=True),
    "redis-model-folder/another-folder": redis(served=replace(SERVED, identity="b" * 16, host="gpu2")),
    "redis-model-folder/replaced-folder": redis(
        served=replace(SERVED, identity="b" * 16), used_by=None, is_same_place=True
    ),
    "redis-memory/full": redis(no_writes=FULL),
    "redis-persistence/failing": info(rdb_last_bgsave_status="err"),
    "redis-persistence/off": redis(info=INFO | {"aof_enabled": 0}, config={"save": "", "appendonly": "no"}),
    "redis-memory/evicts": info(maxmemory=2**30, maxmemory_policy="allkeys-lru"),
    "redis-memory/would-evict": info(maxmemory_policy="volatile-lru"),
    "redis-memory/nearly-full": info(maxmemory=2**20, used_memory=2**20),
    "redis-version/old": info(redis_version="5.0.14"),
    "redis-clock/skewed": redis(skew_seconds=-9.0),
    "redis-clock/far-off": redis(skew_seconds=3600.0),
    "worker-score/none": {"workers": (TRAIN,)},
    "worker-score/silent": {"workers": (replace(SCORE, silent_seconds=75.0), TRAIN)},
    "worker-train/none": {"workers": (SCORE,)},
    "worker-train/silent": {"workers": (SCORE, replace(TRAIN, silent_seconds=75.0))},
    "workers-suspended/suspended": {"suspended": True},
    "worker-code/other-version": {"workers": (SCORE, replace(TRAIN, code="0.1.0+def"))},
    "worker-code/unknown": {"workers": (SCORE, replace(TRAIN, code=None))},
    "worker-model-folder/another-folder": {"workers": (SCORE, replace(TRAIN, root_identity="b" * 16))},
    "worker-model-folder/unknown": {"workers": (SCORE, replace(TRAIN, root_identity=None, model_root=None))},
    "worker-device/mixed": {"workers": (SCORE, TRAIN, replace(TRAIN, name="gpu2:1", device="CUDA"))},
    "disk/silent": disk(fault="gives no answer within 3 s", is_silent=True),
    "disk/no-folder": disk(fault="is missing"),
    "disk/full": disk(free_bytes=2**29),
    "disk/low": disk(free_files=7),
    "release-folders/none": {"settings": settings(release_roots=[])},
    "release-folders/missing": machine(missing_roots=(Path("/data/releases"),)),
    "packages/missing": machine(missing_packages=("av>=14.0 (found: nothing)",)),
    "packages/torch-without-cuda": {"settings": settings(device="cuda")},
    "label-studio-address/no-address": here("label-studio:8080"),
    "label-studio-address/unknown-host": {"health": lost(Fault.NAME)},
    "label-studio-address/refused": {"health": lost(Fault.REFUSED)},
    "label-studio-address/localhost-in-container": here("http://localhost:8080", health=lost(Fault.REFUSED))
    | machine(in_container=True),
    "label-studio-address/no-answer": {"health": lost(Fault.TIMEOUT)},
    "label-studio-address/certificate": {"health": lost(Fault.CERTIFICATE)},
    "label-studio-address/no-tls": {"health": lost(Fault.NO_TLS)},
    "label-studio-address/environment": {"health": lost(Fault.ENVIRONMENT)},
    "label-studio-address/redirected": {
        "health": Answer(status=301, headers={"location": "https://label-studio/health/"})
    },
    "label-studio-address/path-prefix": {"user": Answer(status=404)},
    "label-studio-address/other-service": {"version": Answer(status=404)},
    "label-studio-address/server-error": {"health": Answer(status=502)},
    "label-studio-address/unspecified-address": here("http://0.0.0.0:8080"),
    "label-studio-version/untested": {"version": good({"label-studio-os-package": {"version": "1.7.1"}})},
    "label-studio-version/unknown": {"version": good({"label-studio-os-package": {"version": "develop"}})},
    "label-studio-clock/skewed": clock(-20.0),
    "label-studio-clock/far-off": clock(900.0),
    "token/missing": key(None),
    "token/malformed": key("0123 4567"),
    "token/access-token": key(token(token_type="access", exp=4e9)),
    "token/expired": key(token(exp=1.6e9)),
    "token/expires-soon": key(token(exp=time.time() + 3600), access=good({"access": "short"})),
    "token/refused": key(token(exp=4e9), access=Answer(status=401, body={"detail": "Token is blacklisted"})),
    "token/legacy-tokens-off": {
        "user": Answer(
            status=401,
            body={
                "detail": "Authentication token no longer valid: legacy token authentication has been disabled for "
                "this organization"
            },
        )
    },
    "label-studio-answers/unusable": {"shown": Answer(status=500)},
    "label-studio-answers/no-creator": {**project(created_by=None), "cards": Answer(status=500)},
    "rights/no-project": {"info": Answer(status=404, body={"detail": "Not found."})},
    "rights/forbidden": {"change": NO},
    "backend-address/no-address": {"backend_url": "backend:9090", "backend": lost(Fault.ADDRESS)},
    "backend-address/unknown-host": {"backend": lost(Fault.NAME)},
    "backend-address/environment": {"backend": lost(Fault.ENVIRONMENT)},
    "backend-address/refused": {"backend": lost(Fault.REFUSED)},
    "backend-address/localhost-in-container": {"backend_url": "http://127.0.0.1:9090", "backend": lost(Fault.REFUSED)}
    | machine(in_container=True),
    "backend-address/no-answer": {"backend": lost(Fault.TIMEOUT)},
    "backend-address/certificate": {"backend": lost(Fault.CERTIFICATE)},
    "backend-address/no-tls": {"backend": lost(Fault.NO_TLS)},
    "backend-address/other-service": {"backend": Answer(status=200)},
    "backend-clock/skewed": {"backend": good({"status": "UP"}, skew_seconds=-20.0)},
    "backend-clock/far-off": {"backend": good({"status": "UP"}, skew_seconds=3600.0)},
    "backend-credentials/half-set": {"settings": settings(basic_auth_password=None)},
    "backend-credentials/refused": {"backend_versions": Answer(status=401, body={"detail": "wrong"})},
    "backend-credentials/not-required": {"backend_open": good({"versions": []})},
    "backend-credentials/fails": {"backend_versions": Answer(status=500, body={"detail": "an error in the backend"})},
    "backend-code/other-version": {"backend_versions": good({"helioloop": {"version": "0.0.9", "stamp": "5ta3p"}})},
    "backend-code/unknown": {"backend_versions": good({"versions": ["v0002"]})},
    "model-folder/silent": folder(stamp=None, fault="gives no answer within 3 s", is_silent=True),
    "model-folder/not-writable": folder(stamp=None, fault="Read-only file system"),
    "model-folder/damaged": folder(fault='published.json is not {"version": …}'),
    "model-folder-project/another-project": folder(owner=OTHER),
    "media-folder-project/another-project": folder(media_owner=OTHER),
    "project-releases/missing": folder(missing_releases=("first", "second")),
    "version-code/other-code": folder(code="0.1.0+3f9a1c20b7e4"),
    "model-folder/lost-version": folder(unusable={"v0001": "v0001 cannot be published again"}),
    "model-folder-seen/another-folder": folder(stamp="an0ther"),
    "backend-entry/missing": {"cards": good([CARD | {"title": "another model", "url": "http://other:9090"}])},
    "backend-entry/unspecified-address": card(url="http://0.0.0.0:9090"),
    "backend-entry/other-address": {"wanted_url": "http://helioloop.example.org"},
    "backend-entry/no-address": card(url="backend:9090"),
    "private-addresses/backend-blocked": {"card_address": BLOCKED},
    "private-addresses/webhook-blocked": {"hook_address": BLOCKED},
    "private-addresses/both-blocked": {"card_address": BLOCKED, "hook_address": BLOCKED},
    "label-studio-to-backend/unreachable": card(state="DI")
    | {"card_trial": refusal(f"Can't connect to ML backend {BACKEND}, health check failed. Connection refused")},
    "label-studio-to-backend/localhost": card(state="DI", url="http://localhost:9090")
    | hooks(url="http://localhost:9090/webhook")
    | {"card_trial": refusal("Can't connect to ML backend http://localhost:9090, health check failed.")},
    "label-studio-to-backend/credentials": card(state="DI")
    | {"card_trial": refusal("Able to connect to ML Server, but authentication parameters were either not provided")},
    "label-studio-to-backend/setup-fails": card(state="ER")
    | {"card_trial": refusal(f"Successfully connected to {BACKEND} but it doesn't look like a valid ML backend.")},
    "label-studio-to-backend/slow": card(state="DI") | {"card_trial": good(CARD)},
    "old-backend-entries/several": {"cards": good([CARD, CARD | {"id": 2, "url": OLD, "state": "DI"}])},
    "webhook/missing": {"hooks": good([])},
    "webhook/several": hooks(HOOK | {"id": 9}),
    "webhook/inactive": hooks(is_active=False),
    "webhook/no-payload": hooks(send_payload=False),
    "webhook/actions": hooks(actions=["ANNOTATION_CREATED"]),
    "webhook-secret/differs": hooks(headers={"X-Helioloop-Secret": "0ld-secret"}),
    "webhook-secret/refused": {"backend_hook": Answer(status=401, body={"detail": "credentials are missing or wrong"})},
    "old-webhooks/ours": hooks(HOOK | {"id": 2, "url": f"{OLD}/webhook"}),
    "old-webhooks/unclear": hooks({"id": 2, "url": f"{OLD}/webhook", "is_active": True, "headers": {}}),
    "labelling-configuration/unusable": project(label_config=CONFIG.replace('framerate="25"', 'framerate="30"')),
    "labelling-configuration/no-timeline": project(label_config=CONFIG.replace("TimelineLabels", "Labels")),
    "labelling-configuration/missing-fields": {
        "task": good({"tasks": [{"data": {name: value for name, value in DATA.items() if name != "curve"}}]})
    },
    "storage/serving-off": {
        "storage_check": refusal(
            "Serving local files can be a security risk, so LOCAL_FILES_SERVING_ENABLED is disabled"
        )
    },
    "storage/folder-not-seen": {"storage_check": refusal('Absolute local path "/data/media/…" does not exist')},
    "storage/outside-document-root": {
        "storage_check": refusal('"/data/media/…" must be a subdirectory of LOCAL_FILES_DOCUMENT_ROOT="/media"')
    },
    "storage/no-bucket": {**IN_BUCKET, "storages": good([{"bucket": "other"}])},
    "storage/refused": {"storage_check": refusal("Permission denied")},
    "storage/missing": {"storages": good([{"path": "/media/elsewhere"}])},
    "video/no-address": {"video": None, "task": good({"tasks": [{"data": DATA | {"video": ""}}]})},
    "video/not-found": video(first=Answer(status=404)),
    "video/refused": video(first=Answer(status=403)),
    "video/no-answer": video(first=lost(Fault.TIMEOUT)),
    "video/bucket-unread": video(first=Answer(status=424)),
    "video/no-range": video(first=Answer(status=200)),
    "video/cross-origin": video(foreign=True),
    "video-frames/unreadable": video(n_frames=None, fault="it is not a complete video"),
    "video-frames/rate": video(fps=24),
    "video-frames/frame-count": video(n_frames=216),
    "backend-model-version/differs": {"backend_setup": good({"model_version": "untrained"})},
    "backend-model-version/fails": {"backend_setup": Answer(status=503, body={"detail": "the model folder"})},
    "shown-model-version/title": project(model_version="helioloop"),
    "shown-model-version/differs": project(model_version="v0001"),
    "predictions/none": {"shown": good({"v0002": 0, "v0001": 40})},
    "predictions/duplicates": {"shown": good({"v0002": 76})},
}


def test_a_sound_deployment_is_ok_in_every_check() -> None:
    assert {finding.check: finding.verdict for finding in examine(SOUND)} == {
        check.name: Verdict.OK for check in CHECKS
    }


def test_every_cause_has_a_case() -> None:
    assert {f"{cause.check}/{cause.name}" for cause in CAUSES} == set(CASES)
    assert len(CAUSES) == len(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_cause_is_found_and_nothing_else(case: str) -> None:
    """What cannot run because of it says so; all other checks are ok."""
    name, _, cause = case.partition("/")
    found = {finding.check: finding for finding in examine(replace(SOUND, **CASES[case]))}
    assert found[name].cause == cause
    assert found[name].verdict in {Verdict.WRONG, Verdict.DOUBTFUL}
    assert found[name].remedy.endswith(".")
    others = {check: finding.cause for check, finding in found.items() if finding.cause and check != name}
    assert others == {}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(key(token(exp=4e9), access=good({"access": "short"})), id="a personal access token"),
        pytest.param(here("HTTP://Label-Studio:8080/".lower()), id="a slash at the end of the address"),
        pytest.param(hooks(send_for_all_actions=True, actions=[]), id="a webhook for all actions"),
        pytest.param(hooks(headers={"x-helioloop-secret": "w3bhook-secret"}), id="a header in lower case"),
        pytest.param(hooks(TEAM_HOOK), id="a team's webhook"),
        pytest.param({"cards": good([CARD, OTHER_CARD])} | hooks(OTHER_HOOK), id="another model"),
        pytest.param(hooks(HOOK | {"id": 8, "project": 9}, project=7), id="another project's webhook"),
        pytest.param({"wanted_url": f"{BACKEND}/"}, id="the address of --backend-url with a slash"),
        pytest.param(card(state="TR"), id="a backend that trains"),
        pytest.param({"workers": (SCORE, TRAIN, replace(TRAIN, silent_seconds=300.0))}, id="one of two workers silent"),
        pytest.param(redis(config=None), id="Redis without CONFIG"),
        pytest.param(redis(info=INFO | {"aof_enabled": 0}, config={"save": "3600 1"}), id="snapshots only"),
        pytest.param(project(label_config=CONFIG.replace('"25"', '"25.0"')), id="the rate with decimals"),
        pytest.param({"cards": good({"results": [CARD]}), "hooks": good({"results": [HOOK]})}, id="listings in pages"),
    ],
)  # fmt: skip
def test_what_is_sound_in_another_way_is_ok(change: Change) -> None:
    findings = examine(replace(SOUND, **change))
    assert [finding for finding in findings if finding.verdict is not Verdict.OK] == []


def test_without_info_of_redis_what_depends_on_it_is_not_tried() -> None:
    """A user without the right to INFO is sound for the loop, as in rented Redis."""
    found = {finding.check: finding for finding in examine(replace(SOUND, **redis(info={})))}
    assert found["redis"].verdict is found["redis-password"].verdict is found["redis-clock"].verdict is Verdict.OK
    for check in ("redis-persistence", "redis-memory", "redis-version"):
        assert found[check].verdict is Verdict.NOT_TRIED
        assert found[check].seen == "because the user in REDIS_URL may not run INFO"


def test_another_folder_that_is_in_use_at_an_equal_place_is_another_deployments() -> None:
    """Containers have equal paths, and may have equal host names: to empty Redis is not the first thing to do."""
    change = redis(served=replace(SERVED, identity="b" * 16), used_by="2 workers of it", is_same_place=True)
    found = {finding.check: finding for finding in examine(replace(SOUND, **change))}["redis-model-folder"]
    assert (found.cause, "2 workers of it" in found.seen) == ("another-folder", True)
    assert found.remedy.index("a Redis database of its own") < found.remedy.index("mount the disk")


@pytest.mark.parametrize("used_by", ["2 workers of it", None])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (folder(identity=None), "has no model-root-id.txt that can be read"),
        (folder(identity=None, stamp=None, fault="Permission denied"), "has no model-root-id.txt that can be read"),
        (folder(identity=None, stamp=None, fault="gives no answer within 3 s", is_silent=True), "gives no answer"),
    ],
)
def test_a_folder_whose_identity_is_unknown_is_not_called_another_one(
    change: Change, why: str, used_by: str | None
) -> None:
    """It may be the one that Redis and the workers serve: nobody is told to empty Redis. What it is, is named."""
    facts = replace(SOUND, **change, **redis(used_by=used_by, is_same_place=True))
    found = {finding.check: finding for finding in examine(facts)}
    for check in ("redis-model-folder", "worker-model-folder"):
        assert found[check].verdict is Verdict.NOT_TRIED
        assert found[check].seen.startswith(f"because {facts.folder.root} {why}")
        assert str(SERVED.folder) in found[check].seen.partition(", to compare it with ")[2]


def test_a_folder_that_has_no_identity_is_another_one_than_redis_and_workers_serve() -> None:
    """As the mount point of a disk that is not mounted, while workers of other machines work on it."""
    change = folder(identity=None, lacks_identity=True)
    found = {finding.check: finding for finding in examine(replace(SOUND, **change))}
    for check in ("redis-model-folder", "worker-model-folder"):
        assert (found[check].verdict, found[check].cause) == (Verdict.WRONG, "another-folder")


@pytest.mark.parametrize("is_same_place", [True, False])
def test_the_own_claim_is_well_however_long_ago_it_was_used(is_same_place: bool) -> None:
    """At the place where it was claimed, and from another host."""
    change = redis(used_by=None, is_same_place=is_same_place)
    found = {finding.check: finding for finding in examine(replace(SOUND, **change))}["redis-model-folder"]
    assert (found.verdict, found.seen) == (Verdict.OK, "no deployment uses it now")


def test_a_disk_that_is_nearly_full_hides_no_folder_that_cannot_be_looked_at() -> None:
    """3 GiB are left on one, and the other is away: both are named."""
    disks = (
        DiskFacts(folder=Path("/data"), free_bytes=3 * 2**30),
        DiskFacts(folder=Path("/cache"), free_bytes=0, fault="is missing"),
    )
    found = {finding.check: finding for finding in examine(replace(SOUND, **machine(disks=disks)))}
    assert found["disk"].cause == "no-folder"
    assert found["disk"].seen == "/cache is missing, /data has 3.0 GiB left"


def test_a_worker_whose_last_sign_is_of_the_future_does_not_count_as_living() -> None:
    """It may have died while its clock was ahead; one beside it that gives signs is enough."""
    dead = replace(TRAIN, silent_seconds=None)
    found = {finding.check: finding for finding in examine(replace(SOUND, workers=(SCORE, dead)))}
    assert found["worker-train"].cause == "silent"
    assert "has a time in the future by this machine's clock" in found["worker-train"].seen
    found = {finding.check: finding for finding in examine(replace(SOUND, workers=(SCORE, dead, TRAIN)))}
    assert found["worker-train"].verdict is Verdict.OK


def test_a_webhook_of_the_organization_counts_too() -> None:
    """It is called for every project, so events are counted twice."""
    found = {finding.check: finding.cause for finding in examine(replace(SOUND, **hooks(HOOK | {"project": None})))}
    assert found["webhook"] == "several"


def test_without_a_version_or_tasks_the_rest_is_checked() -> None:
    """A project that was just set up is not wrong."""
    change = {
        **folder(published=None),
        **project(model_version="helioloop", task_number=0),
        "backend_setup": good({"model_version": "untrained"}),
        "task": good({"tasks": []}),
        "video": None,
    }
    found = {finding.check: finding for finding in examine(replace(SOUND, **change))}
    untried = {check for check, finding in found.items() if finding.verdict is Verdict.NOT_TRIED}
    assert untried == {
        "video",
        "video-frames",
        "shown-model-version",
        "predictions",
        "project-releases",
        "version-code",
    }
    assert found["video"].seen == "because the project has no task yet"
    assert {finding.verdict for finding in found.values()} == {Verdict.OK, Verdict.NOT_TRIED}


def test_without_a_project_its_checks_are_not_tried() -> None:
    found = {finding.check: finding for finding in examine(replace(SOUND, project=None, projects=(3, 7)))}
    assert found["token"].verdict is Verdict.OK
    assert found["rights"].verdict is Verdict.NOT_TRIED
    assert "--project ID (with a model folder: 3, 7)" in found["rights"].seen


def test_checks_name_the_one_that_stopped_them() -> None:
    """The first one in the chain, not only their neighbour."""
    found = {finding.check: finding for finding in examine(replace(SOUND, health=lost(Fault.REFUSED)))}
    assert found["token"].seen == found["webhook-secret"].seen == "because label-studio-address is wrong"
    assert found["backend-address"].verdict is Verdict.OK


def test_where_nothing_was_gathered_nothing_is_claimed() -> None:
    """The time was over before the first answer."""
    findings = examine(Facts(settings=settings(), project=7))
    assert {finding.verdict for finding in findings} == {Verdict.NOT_TRIED}


@pytest.mark.parametrize(
    "missing", [name for name in Facts.__dataclass_fields__ if name not in {"settings", "project", "backend_url"}]
)
def test_an_unanswered_question_is_no_error(missing: str) -> None:
    """Each fact may be missing; what depends on it is not tried, or was ok without it."""
    default: Any = Facts.__dataclass_fields__[missing].default
    findings = examine(replace(SOUND, **{missing: default}))
    assert [finding for finding in findings if finding.cause] == []


ODD: tuple[Any, ...] = (None, [], {}, "text", 7, [None], [{}], {"results": [{}]}, {"tasks": [{"data": []}]})


@pytest.mark.parametrize("field", [
    "version", "user", "info", "change", "storages", "storage_check", "task", "cards", "hooks", "shown", "backend",
    "backend_versions", "backend_setup",
])  # fmt: skip
def test_odd_answers_end_no_check_with_an_error(field: str) -> None:
    """JSON of any form may come from a proxy or another service."""
    for body in ODD:
        findings = examine(replace(SOUND, **{field: good(body)}))
        assert len(findings) == len(CHECKS)


def test_remedies_name_a_command_or_a_setting() -> None:
    """And no placeholder is left in them."""
    for cause in CAUSES:
        finding = cause.found(SOUND, "seen")
        assert "{" not in finding.remedy, finding
        assert len(finding.remedy) < 260, finding
