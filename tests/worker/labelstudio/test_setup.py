"""Setting a project up: the backend gets its events, earlier addresses are removed, and a team's own work stays."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from tests.worker.labelstudio.serving import call, serving

from helioloop.errors import ConfigurationError, LabelStudioError, SettingsError, WrongUsage
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.records.labels import Label
from helioloop.registry.project_controls import read_project_controls
from helioloop.settings import Settings
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS

BASIC: dict[str, Any] = {"basic_auth_user": "jürgen", "basic_auth_password": SecretStr("pässwörd:1")}
SECRET: dict[str, Any] = {"webhook_secret": SecretStr("geheimniß")}
EMPTY: dict[str, Any] = {
    "basic_auth_user": "",
    "basic_auth_password": SecretStr(""),
    "webhook_secret": SecretStr(""),
}
NOWHERE = "http://127.0.0.1:9"
OTHER_WORDS = """<View>
  <Video name="film" value="$movie" framerate="25"/>
  <Choices name="kind" toName="film"><Choice value="ja" alias="J"/><Choice value="nein"/></Choices>
  <TimelineLabels name="when" toName="film"><Label value="start"/></TimelineLabels>
</View>"""


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, redis_connection: redis.Redis) -> Settings:
    """Return settings without credentials, on an empty Redis."""
    assert redis_connection.dbsize() == 0
    return Settings(redis_url=redis_url, model_root=tmp_path / "models", media_root=tmp_path / "media")


@pytest.fixture
def label_studio() -> FakeLabelStudio:
    """A Label Studio without projects, whose requests to backends are answered with 200."""
    return FakeLabelStudio()


@pytest.fixture
def backend(settings: Settings) -> Iterator[str]:
    """The address of a real backend with user, password and secret."""
    with serving(settings.model_copy(update=BASIC | SECRET)) as url:
        yield url


def waiting(redis_connection: redis.Redis, project: int) -> int:
    """Return how many events wait for a retrain check."""
    pending = RedisRetrainState(redis_connection).pending_events(project)
    return 0 if pending is None else pending.count


def annotated_task(label_studio: FakeLabelStudio, project: int, choice: str, *, field: str = "video") -> int:
    """Import a task of a team's own, answer it, and return its id."""
    (task,) = label_studio.import_tasks(project, [{field: "/a.mp4", "curve": "/c", "reason": "/r"}])
    label_studio.annotate(task, choice)
    return task


@pytest.mark.parametrize(
    "credentials",
    [{}, BASIC, BASIC | SECRET, BASIC | {"webhook_secret": SecretStr("")}, EMPTY],
    ids=["nothing", "basic auth", "basic auth and secret", "basic auth and an empty secret", "empty"],
)
def test_events_reach_the_backend_wherever_it_starts(
    settings: Settings, redis_connection: redis.Redis, credentials: dict[str, Any]
) -> None:
    """Label Studio sends no basic auth with events, so the headers of the webhook have it, umlauts included."""
    own, label_studio = settings.model_copy(update=credentials), FakeLabelStudio(call=call)
    with serving(own) as url:
        project = set_up(label_studio, own, title="team", backend_url=f"{url}/")
        annotated_task(label_studio, project, "emergence")
    assert waiting(redis_connection, project) == 1


def test_the_webhook_contains_the_password_only_without_a_secret(
    settings: Settings, label_studio: FakeLabelStudio
) -> None:
    """Its headers can be read in Label Studio, and the secret opens nothing but /webhook."""

    def headers(**credentials: Any) -> dict[str, str]:
        own = settings.model_copy(update=credentials)
        project = set_up(label_studio, own, title=f"with {len(credentials)}", backend_url="http://127.0.0.1:9090")
        (hook,) = label_studio.webhooks(project)
        assert (hook.url, hook.actions) == ("http://127.0.0.1:9090/webhook", {*WEBHOOK_ACTIONS})
        return dict(hook.headers)

    assert headers(**BASIC, **SECRET) == {"X-Helioloop-Secret": "geheimniß"}
    assert list(headers(**BASIC)) == ["Authorization"]
    assert headers() == {}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"basic_auth_user": "a:b"}, "HELIOLOOP_BASIC_AUTH_USER contains a colon"),
        ({"basic_auth_password": SecretStr("geheim\n")}, "HELIOLOOP_BASIC_AUTH_PASSWORD begins or ends with a space"),
        ({"basic_auth_password": SecretStr("密码")}, "HELIOLOOP_BASIC_AUTH_PASSWORD contains a letter outside Latin-1"),
        ({"webhook_secret": SecretStr("a\nb")}, "HELIOLOOP_WEBHOOK_SECRET contains a line end"),
        ({"webhook_secret": SecretStr("секрет")}, "HELIOLOOP_WEBHOOK_SECRET contains a letter outside Latin-1"),
    ],
)
def test_credentials_that_label_studio_cannot_send_are_refused_first(
    settings: Settings, label_studio: FakeLabelStudio, changed: dict[str, Any], rule: str
) -> None:
    """Before anything is changed, and the value is not shown."""
    with pytest.raises(SettingsError, match=rule) as caught:
        set_up(label_studio, settings.model_copy(update=BASIC | SECRET | changed), title="team", backend_url=NOWHERE)
    assert "geheim" not in str(caught.value)
    assert label_studio.find_projects("team") == []


def test_earlier_addresses_are_removed_and_foreign_ones_stay(
    settings: Settings, redis_connection: redis.Redis, backend: str
) -> None:
    """Two earlier addresses of helioloop, one of them this machine by another name: an event counts once."""
    own = settings.model_copy(update=BASIC | SECRET)
    label_studio = FakeLabelStudio(call=call)
    project = set_up(label_studio, own, title="team", backend_url=backend.replace("127.0.0.1", "localhost"))
    label_studio.connections.call = lambda *_: 200
    set_up(label_studio, own, title="team", backend_url="http://10.1.2.3:9090/ml")
    foreign = label_studio.connections.add_foreign_backend(project, url="http://10.1.2.3:9999", title="SAM")
    for address in ("http://10.9.9.9:9090", "http://127.0.0.1:1"):  # as an earlier helioloop left them
        label_studio.connections.add_foreign_backend(project, url=address, title="helioloop")
    mine = label_studio.create_webhook(
        project, url="http://10.1.2.3/webhook", headers={"X-Team": "t"}, actions=["TASKS_CREATED"]
    )
    label_studio.connections.call = call
    said: list[str] = []
    for _ in range(2):
        assert set_up(label_studio, own, project=project, backend_url=backend, say=said.append) == project
        assert [(one.url, one.title) for one in label_studio.backends(project) if one.id != foreign] == [
            (backend, "helioloop")
        ]
        hooks = {hook.url: hook for hook in label_studio.webhooks(project)}
        assert {*hooks} == {f"{backend}/webhook", "http://10.1.2.3:9999/webhook", "http://10.1.2.3/webhook"}
        assert hooks["http://10.1.2.3/webhook"].id == mine
        assert [hook.url for hook in hooks.values() if "X-Helioloop-Secret" in hook.headers] == [f"{backend}/webhook"]
    assert len(label_studio.webhooks(project)) == 3
    removed = [line for line in said if line.startswith("removed")]
    assert sorted(removed) == [
        "removed: helioloop's earlier backend at http://10.1.2.3:9090/ml",
        "removed: helioloop's earlier backend at http://10.9.9.9:9090",
        "removed: helioloop's earlier backend at http://127.0.0.1:1",
        "removed: helioloop's earlier webhook at http://10.1.2.3:9090/ml/webhook",
        "removed: helioloop's earlier webhook at http://10.9.9.9:9090/webhook",
        "removed: helioloop's earlier webhook at http://127.0.0.1:1/webhook",
    ]
    annotated_task(label_studio, project, "emergence")
    assert waiting(redis_connection, project) == 1


def test_a_backend_that_does_not_answer_changes_no_registration(settings: Settings, backend: str) -> None:
    """The project keeps the address that works."""
    own = settings.model_copy(update=BASIC | SECRET)
    label_studio = FakeLabelStudio(call=call)
    project = set_up(label_studio, own, title="team", backend_url=backend)
    before = (label_studio.backends(project), label_studio.webhooks(project))
    with pytest.raises(LabelStudioError, match="start the backend with the HELIOLOOP_BASIC_AUTH_…"):
        set_up(label_studio, own, title="team", backend_url=NOWHERE)
    with pytest.raises(LabelStudioError, match=r"answered \[200, 401\]"):
        set_up(label_studio, settings, title="team", backend_url=backend)
    assert (label_studio.backends(project), label_studio.webhooks(project)) == before


def test_adopting_a_project_changes_no_task_and_no_annotation(
    settings: Settings, label_studio: FakeLabelStudio
) -> None:
    """A team's project in other words: what it has is printed, and its words are kept in the model folder."""
    project = label_studio.create_project(title="Wir", label_config=OTHER_WORDS)
    task = annotated_task(label_studio, project, "J", field="movie")
    label_studio.ensure_local_storage(project, "/srv/films")
    label_studio.connections.add_foreign_backend(project, url="http://10.0.0.9:1", title="SAM")
    before = (label_studio.tasks(project), label_studio.project(project))
    said: list[str] = []
    given = GivenWords(emergence="ja", non_emergence="nein")
    assert set_up(label_studio, settings, project=project, backend_url=NOWHERE, given=given, say=said.append) == project
    assert (label_studio.tasks(project), label_studio.project(project)) == before
    assert [line for line in said if not line.startswith("warning")] == [
        f"found: project {project}, 'Wir'",
        "controls: emergence is 'ja' (alias 'J'), non-emergence is 'nein' in <Choices name=\"kind\">; onset 'start' in "
        '<TimelineLabels name="when">; <Video name="film" value="$movie">',
        "tasks: 1, 0 with a cube of helioloop; annotations: 1",
        "storage: /srv/films",
        "backends: 'SAM' at http://10.0.0.9:1",
        "webhooks: http://10.0.0.9:1/webhook",
        "kept: the labelling configuration and the instruction of this project; new projects get another "
        "configuration, which does not fit tasks that have no curve",
        f"connected: media folder {settings.media_dir(project)}",
        "set: tasks with low scores come first (uncertainty sampling)",
        f"connected: backend {NOWHERE} and its webhook",
    ]
    assert [line for line in said if "1 tasks have no cube of helioloop" in line]
    assert [line for line in said if "$curve and $reason" in line]
    kept = read_project_controls(settings.model_dir(project))
    assert kept is not None
    assert (kept.video_field, kept.choices, kept.timeline, kept.timeline_label) == ("movie", "kind", "when", "start")
    assert kept.values == {Label.EMERGENCE: "J", Label.NON_EMERGENCE: "nein"}
    assert label_studio.tasks(project)[0]["id"] == task
    assert set_up(label_studio, settings, project=project, backend_url=NOWHERE) == project, "the words are kept"
    assert read_project_controls(settings.model_dir(project)) == kept


@pytest.mark.parametrize(("marked", "skipped", "n"), [(0, 0, 0), (2, 0, 2), (2, 1, 1)])
def test_annotations_that_nobody_can_correct_are_said(settings: Settings, marked: int, skipped: int, n: int) -> None:
    """Label Studio marks imported annotations as ground truth; skips among them count for nothing."""
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="team", label_config=labeling_configuration())
    tasks = label_studio.import_tasks(project, [dict.fromkeys(("video", "curve", "reason"), "/a")] * 3)
    for place, task in enumerate(tasks):
        label_studio.annotate(task, "emergence", skipped=place < skipped)
        label_studio._task(task)["annotations"][0]["ground_truth"] = place < marked
    said: list[str] = []
    set_up(label_studio, settings, project=project, backend_url=NOWHERE, say=said.append)
    found = [line for line in said if "ground truth" in line]
    assert [line.split(" of the")[0] for line in found] == ([f"warning: {n}"] if n else [])
    assert all('"ground_truth": false' in line for line in found)


def test_tasks_that_show_another_project_are_said(settings: Settings) -> None:
    """They were copied by export and import; a task of the project's own is none of them."""
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="team", label_config=labeling_configuration())
    for number in (project, project + 1, project + 2):
        address = f"/data/local-files/?d=helioloop/project-{number}/made/cube01.reason.txt"
        label_studio.import_tasks(project, [dict.fromkeys(("video", "curve", "reason"), address)])
    said: list[str] = []
    set_up(label_studio, settings, project=project, backend_url=NOWHERE, say=said.append)
    found = [line for line in said if "copied" in line]
    assert [line.split(" show")[0] for line in found] == ["warning: 2 tasks"]
    assert "`helioloop ingest` of their releases" in found[0]


def test_a_project_that_cannot_be_used_is_refused_before_it_is_changed(
    settings: Settings, label_studio: FakeLabelStudio
) -> None:
    """Unclear words, a missing rate, and a field that the tasks of helioloop do not have."""
    faults = {
        OTHER_WORDS: "ja .alias J., nein.*so the two classes are not clear; name them with --emergence VALUE",
        labeling_configuration().replace('framerate="25"', ""): 'write framerate="25"',
        labeling_configuration().replace("</View>", '<Text name="more" value="$more"/></View>', 1): "shows \\$more",
        labeling_configuration().replace('value="$video"', 'value="$cube"'): "shows \\$cube, but helioloop writes",
    }
    for config, message in faults.items():
        project = label_studio.create_project(title="team", label_config=config)
        with pytest.raises(ConfigurationError, match=message):
            set_up(label_studio, settings, project=project, backend_url=NOWHERE)
        assert label_studio.settings(project) == {"expert_instruction": ""}
        assert label_studio.backends(project) == label_studio.webhooks(project) == label_studio.storages(project) == []
        assert not settings.model_dir(project).exists()


def test_an_unknown_project_is_not_created(settings: Settings, label_studio: FakeLabelStudio) -> None:
    with pytest.raises(LabelStudioError, match="there is no project 77"):
        set_up(label_studio, settings, project=77, backend_url=NOWHERE)


def test_the_settings_are_the_words_of_new_projects_only(settings: Settings, label_studio: FakeLabelStudio) -> None:
    """The configuration of a new project has them; a project of before keeps its own."""
    first = set_up(label_studio, settings, title="first", backend_url=NOWHERE)
    own = settings.model_copy(update={"class_emergence": 'a "b" <c>', "class_non_emergence": "nein"})
    second = set_up(label_studio, own, title="second", backend_url=NOWHERE)
    third = set_up(
        label_studio, own, title="third", backend_url=NOWHERE, given=GivenWords(emergence="oui", non_emergence="non")
    )
    set_up(label_studio, own, project=first, backend_url=NOWHERE)
    for project, words in (
        (first, ("emergence", "non-emergence")),
        (second, ('a "b" <c>', "nein")),
        (third, ("oui", "non")),
    ):
        kept = read_project_controls(own.model_dir(project))
        assert kept is not None
        assert (kept.values[Label.EMERGENCE], kept.values[Label.NON_EMERGENCE]) == words
    assert label_studio.project(first).label_config == labeling_configuration()


def test_only_another_configuration_is_said_to_be_kept(settings: Settings, label_studio: FakeLabelStudio) -> None:
    """Not that of a project which was just made, with any words and line ends; but one with a control more."""
    own = GivenWords(emergence="ja", non_emergence="nein")
    project = set_up(label_studio, settings, title="team", backend_url=NOWHERE, given=own)
    assert "Ja:" in label_studio.settings(project)["expert_instruction"]
    config = label_studio.project(project).label_config
    for changed, kept in (
        (config, 0),
        (config.replace("\n", "\r\n"), 0),
        (config.replace("</View>", '<TextArea name="note" toName="video"/></View>', 1), 1),
    ):
        other = label_studio.create_project(title="other", label_config=changed)
        said: list[str] = []
        set_up(label_studio, settings, project=other, backend_url=NOWHERE, given=own, say=said.append)
        assert sum(line.startswith("kept: the labelling configuration") for line in said) == kept


def test_a_new_project_has_an_instruction_with_pictures(settings: Settings, label_studio: FakeLabelStudio) -> None:
    """Label Studio removes pictures inside the text, so they are served from the project's own folder."""
    project = set_up(label_studio, settings, title="team", backend_url=NOWHERE)
    text = label_studio.settings(project)["expert_instruction"]
    assert "Emergence" in text
    assert f"/data/local-files/?d=helioloop/project-{project}/instruction/emergence-1.png" in text
    assert (settings.media_dir(project) / "instruction" / "emergence-1.png").is_file()


def test_configuration_and_instruction_of_an_existing_project_stay(
    settings: Settings, label_studio: FakeLabelStudio
) -> None:
    """A team may have edited both, and tasks of an older release have no curve."""
    project = label_studio.create_project(title="team", label_config=labeling_configuration(), instruction="Ours")
    assert set_up(label_studio, settings, title="team", backend_url=NOWHERE) == project
    assert label_studio.settings(project) == {"expert_instruction": "Ours", "sampling": "Uncertainty sampling"}


@pytest.mark.parametrize(
    ("url", "rule"),
    list(
        itertools.chain(
            zip(
                ["http://0.0.0.0:9090", "http://0:9090", "http://0.0:9090", "http://[::]:9090", "http://:9090",
                 "http://[::ffff:0.0.0.0]:9090", "http://[0:0:0:0:0:0:0:0]", "http://0x0:1"],
                itertools.repeat("is an address to listen on"), strict=False,
            ),
            zip(
                ["http://backend:9090", "http://my_host.example:9090", "http://host.b1"],
                itertools.repeat("at a name with a dot and without underscores"), strict=False,
            ),
            zip(["ftp://h.de", "127.0.0.1:9090", "", " http://h.de", "http://h.de/a b"],
                itertools.repeat("http and https addresses only"), strict=False),
            [
                ("http://me:hunter2@h.de:9090", "contains a user or password"),
                ("http://h.de:99999", "is not an address"),
                ("http://h.de/?a=1", r"after \? or #"),
            ],
        )
    ),
)  # fmt: skip
def test_an_address_that_label_studio_cannot_call_is_refused(
    settings: Settings, label_studio: FakeLabelStudio, url: str, rule: str
) -> None:
    """In one sentence with the remedy, before anything is made."""
    with pytest.raises(WrongUsage, match=rule) as caught:
        set_up(label_studio, settings, title="team", backend_url=url)
    assert "hunter2" not in str(caught.value)
    assert label_studio.find_projects("team") == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9090", "http://[::1]:9090", "http://localhost:9090/", "https://ml.example.org/helioloop/",
     "http://backend.helioloop:9090", "http://10.0.0.1", "HTTP://host.docker.internal:9090", "http://bär.example"],
)  # fmt: skip
def test_other_addresses_are_taken(settings: Settings, label_studio: FakeLabelStudio, url: str) -> None:
    """Loopback, private addresses, path prefixes and names with a dot."""
    assert set_up(label_studio, settings, title="team", backend_url=url)
