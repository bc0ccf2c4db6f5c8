"""What ``helioloop status`` prints: verdict first, long lists capped, JSON without secrets, and a page that follows."""

import json
import re
import subprocess
import sys
import time
from dataclasses import fields, replace
from math import nan
from pathlib import Path

import click
import pytest
from click.testing import Result
from tests.redis_server import redis_that_cannot_save
from tests.worker.conftest import LoopProject
from tests.worker.reports.shown_status import TOKEN, fail, show
from tests.worker.shell import run_one_of

from helioloop.errors import ServiceError
from helioloop.messaging import messages
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.records.labels import CurrentLabel, LabelSource
from helioloop.registry.card import Card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.settings import Settings
from helioloop_worker.commands import options
from helioloop_worker.commands import status as status_command
from helioloop_worker.reports import status_facts
from helioloop_worker.reports.status_json import status_json
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import RULES

Data = dict[str, dict[str, str]]


def unserved(loop_project: LoopProject) -> Settings:
    """The settings with a port on which no Redis listens."""
    return loop_project.context.settings.model_copy(update={"redis_url": "redis://:sesame@127.0.0.1:1/0"})


def test_verdict_next_action_and_round_come_first(loop_project: LoopProject, commands: list[click.Command]) -> None:
    """No worker runs in this test; a round does."""
    RedisRetrainState(loop_project.context.connection).begin(loop_project.id, "ab" * 8, now=time.time() - 300.0)
    shown = list(show(loop_project, commands).items())
    assert [name for name, _ in shown[:2]] == ["verdict", "next"]
    assert shown[0][1].strip().startswith("Not well. No worker serves the queue")
    assert "`helioloop worker --role" in shown[1][1]
    lines = dict(shown)
    assert lines["running round"].strip().startswith("being closed (since 20")
    assert lines["running round"].endswith("; no sign of life for 5 min, so it will be resumed")


@pytest.mark.parametrize(
    ("ahead", "said", "resumed"),
    [(86400.0, "; its last sign of life has a time in the future", True), (20.0, "being closed (since", False)],
    ids=["a day", "seconds, as between machines"],
)
def test_a_round_whose_heartbeat_is_of_the_future_is_not_shown_as_alive(
    loop_project: LoopProject, commands: list[click.Command], ahead: float, said: str, resumed: bool
) -> None:
    """A clock was wrong; reconciliation resumes the round unless a step of it runs."""
    RedisRetrainState(loop_project.context.connection).begin(loop_project.id, "ab" * 8, now=time.time() + ahead)
    value = show(loop_project, commands)["running round"]
    assert said in value
    assert ("will be resumed" in value) is resumed


def test_without_redis_the_files_are_shown_and_the_exit_code_tells(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password of Redis is not shown."""
    settings = unserved(loop_project)
    for module in (status_command, options):
        monkeypatch.setattr(module, "load_settings", lambda: settings)
    for words in ([], ["--json"]):
        result = run_one_of(commands, "status", "--project", str(loop_project.id), *words)
        assert result.exit_code == ServiceError.exit_code
        assert "Redis at redis://127.0.0.1:1/0 cannot be reached" in result.stdout
        assert result.stderr.startswith(
            "helioloop: Redis at redis://127.0.0.1:1/0 cannot be reached (Connection refused); start"
        )
        assert "mdi" in result.stdout or "small" in result.stdout
        assert "sesame" not in result.output


@pytest.mark.parametrize(
    ("refuse", "mend", "why"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "is full and stores nothing more"),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "is a replica, which takes no writes"),
    ],
    ids=["full", "a replica"],
)
def test_a_redis_that_answers_and_stores_nothing_is_not_well(
    loop_project: LoopProject, commands: list[click.Command], refuse: tuple[str, ...], mend: tuple[str, ...], why: str
) -> None:
    """No job runs and no event is taken in; queues and rounds can be read and are shown."""
    words = ("status", "--project", str(loop_project.id), "--json")
    loop_project.context.connection.execute_command(*refuse)
    try:
        result = run_one_of(commands, *words)
    finally:
        loop_project.context.connection.execute_command(*mend)
    check_that_it_stores_nothing(result, why)
    found = json.loads(run_one_of(commands, *words).stdout)
    assert (found["verdict"]["cause"] == "redis", found["services"]["no_writes"]) == (False, None)


def test_a_redis_that_cannot_save_is_shown_as_one_that_answers(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It refuses a ping, too, and still answers all that is asked: to start it or to correct its address is no help."""
    with redis_that_cannot_save(tmp_path) as url:
        settings = loop_project.context.settings.model_copy(update={"redis_url": url})
        for module in (status_command, options):
            monkeypatch.setattr(module, "load_settings", lambda: settings)
        result = run_one_of(commands, "status", "--project", str(loop_project.id), "--json")
    check_that_it_stores_nothing(result, "cannot save to its disk")


def check_that_it_stores_nothing(result: Result, why: str) -> None:
    """Check what the status says of a Redis that answers and stores nothing; its queues are shown."""
    assert result.exit_code == ServiceError.exit_code
    found = json.loads(result.stdout)
    assert (found["verdict"]["cause"], found["verdict"]["well"]) == ("redis", False)
    assert why in found["verdict"]["sentence"]
    assert why in result.stderr
    assert "Correct that; until then no job runs" in found["verdict"]["action"]
    assert found["services"]["queues"]


def test_a_redis_whose_user_may_read_alone_is_shown(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the user of a monitor: that nothing can be written with its rights is no fault of Redis."""
    connection = loop_project.context.connection
    connection.execute_command("ACL", "SETUSER", "reader", "on", ">hunter2", "~*", "&*", "+@read", "+@connection")
    address = loop_project.context.settings.redis_url.replace("unix://", "unix://reader:hunter2@")
    settings = loop_project.context.settings.model_copy(update={"redis_url": address})
    for module in (status_command, options):
        monkeypatch.setattr(module, "load_settings", lambda: settings)
    try:
        result = run_one_of(commands, "status", "--project", str(loop_project.id), "--json")
    finally:
        connection.execute_command("ACL", "DELUSER", "reader")
    assert json.loads(result.stdout)["no_services"] is None, result.stdout


def with_contradictions(loop_project: LoopProject, n: int) -> None:
    """Write a label snapshot with this many contradictions and ties."""
    labels = {
        f"cube{k:04d}": CurrentLabel(cube=f"cube{k:04d}", label=None, source=LabelSource.TIED, contradiction=f"why {k}")
        for k in range(n)
    }
    Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes=labels).write(loop_project.model_dir)


@pytest.mark.parametrize("n", [5, 6, 2000])
def test_long_lists_are_capped_with_the_number_of_the_rest(
    loop_project: LoopProject, commands: list[click.Command], n: int
) -> None:
    """A bulk action can make thousands of contradictions; --all and --json have every one."""
    with_contradictions(loop_project, n)
    words = ["status", "--project", str(loop_project.id)]
    short = run_one_of(commands, *words).stdout.splitlines()
    assert sum(line.startswith("contradiction in ") for line in short) == 5
    rest = [line.split(maxsplit=1)[1] for line in short if line.startswith("contradictions ")]
    assert rest == ([f"{n - 5} more; --all lists them"] if n > 5 else [])
    (tied,) = (line for line in short if line.startswith("tied votes"))
    assert tied.endswith(f"cube0009 and {n - 10} more (--all lists them)" if n > 10 else f"cube{n - 1:04d}")
    full = run_one_of(commands, *words, "--all").stdout.splitlines()
    assert sum(line.startswith("contradiction in ") for line in full) == n
    values = json.loads(run_one_of(commands, *words, "--json").stdout)
    assert len(values["labels"]["contradictions"]) == len(values["labels"]["tied"]) == n
    assert f"{n} cubes have annotations to look at again, for example cube0000: why 0." in [
        entry["sentence"] for entry in values["also"]
    ]


def test_three_rounds_are_shown_unless_all_are_wanted(
    loop_project: LoopProject, task_data: Data, commands: list[click.Command]
) -> None:
    """The latest three of five, and how many are left out."""
    loop_project.import_cubes(task_data)
    for k in range(5):
        loop_project.publish(p_emergence=0.5 + 0.05 * k)
    loop_project.read()
    words = ["status", "--project", str(loop_project.id)]
    shown = [line.split("  ")[0] for line in run_one_of(commands, *words).stdout.splitlines()]
    audits = [name for name in shown if name.startswith("audit, ")]
    assert audits == ["audit, earlier rounds", "audit, v0003", "audit, v0004", "audit, v0005"]
    full = run_one_of(commands, *words, "--all").stdout
    assert all(f"audit, v000{k}" in full for k in range(1, 6))
    values = json.loads(run_one_of(commands, *words, "--json").stdout)
    assert [one["round"] for one in values["audit"]["rounds"]] == [1, 2, 3, 4, 5]
    assert values["published"]["version"] == "v0005"


def test_the_json_is_strict_and_has_no_secrets_and_no_foreign_folders(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line; numbers that are not finite are null."""
    error = ValueError(f"Token {TOKEN} of /data/releases/r3/labels.csv")
    fail(loop_project, messages.RetrainCheck(project=loop_project.id), error, monkeypatch)
    result = run_one_of(commands, "status", "--project", str(loop_project.id), "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert TOKEN not in result.stdout
    assert "/data/releases" not in result.stdout
    (job,) = json.loads(result.stdout)["services"]["failed_jobs"]
    assert (job["kind"], job["reason"]) == ("retrain check", "ValueError: Token … of labels.csv")
    facts = read_status(loop_project.registry)
    version = status_facts.VersionFacts(
        version="v0001", created_at="", reason="", labels=0, verified=0, members=0, recipe="", metrics={"auroc": nan}
    )
    assert json.loads(status_json(replace(facts, published=version)))["published"]["metrics"] == {"auroc": None}


def test_the_names_in_the_json_are_documented() -> None:
    """Each field of the facts has a row in docs/status.md, and each cause too."""
    text = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
    documented = set(re.findall(r"^\| `([\w-]+)`", text, flags=re.MULTILINE))
    assert {entry.name for entry in fields(status_facts.ProjectStatus)} | {"verdict", "also"} <= documented
    assert {*RULES, "nothing"} <= documented
    order = [text.index(f"| `{cause}`") for cause in RULES]
    assert order == sorted(order)


def test_a_watch_prints_plain_lines_when_something_changed_and_ends_with_ctrl_c(
    loop_project: LoopProject, commands: list[click.Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three looks: the second one finds nothing new, before the third one the labels were read."""
    looks = iter([lambda: None, lambda: with_contradictions(loop_project, 1), lambda: None])

    def sleep(_: float) -> None:
        try:
            next(looks)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(status_command.time, "sleep", sleep)
    words = ["status", "--project", str(loop_project.id), "--watch"]
    result = run_one_of(commands, *words)
    assert result.exit_code == 0
    assert result.stdout.count("\nverdict ") == 2
    assert result.stdout.count("contradiction in cube0000") == 1
    assert "\x1b" not in result.stdout
    looks = iter([lambda: with_contradictions(loop_project, 2)])
    documents = [json.loads(line) for line in run_one_of(commands, *words, "--json").stdout.splitlines() if line]
    assert [len(values["labels"]["contradictions"]) for values in documents] == [1, 2]


def test_a_terminal_gets_the_first_lines_that_fit() -> None:
    """Ten columns, six rows: two are kept free, and a line of eleven letters takes two."""
    lines = ["a" * 11, "b", "c", "d"]
    assert status_command.fitting(lines, (10, 6)) == ["a" * 11, "b", "c", "… 1 more lines"]
    assert status_command.fitting(lines, (11, 6)) == lines


def test_the_command_imports_no_heavy_package(loop_project: LoopProject, task_data: Data) -> None:
    """In a process of its own, for a project with an audit, and for its model folder."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    loop_project.read()
    code = """if True:
        import sys
        from helioloop.cli import helioloop, load_commands
        load_commands(helioloop)
        helioloop(sys.argv[1:], standalone_mode=False)
        heavy = ("torch", "pandas", "scipy", "numpy", "astropy", "sunpy", "label_studio_sdk", "matplotlib", "PIL", "av")
        print("imported:", *(name for name in heavy if name in sys.modules))
    """
    settings = loop_project.context.settings
    environment = {"REDIS_URL": settings.redis_url, "HELIOLOOP_MODEL_ROOT": str(settings.model_root)}
    for words in (["--project", str(loop_project.id)], ["--model-dir", str(loop_project.model_dir)]):
        done = subprocess.run(
            [sys.executable, "-c", code, "status", *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "published version" in done.stdout
        assert done.stdout.splitlines()[-1] == "imported:"


def test_each_card_is_read_once_however_often_the_status_is_looked_at(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --watch that is every few seconds, and the card of a large project is slow to read."""
    loop_project.import_cubes(task_data)
    for _ in range(3):
        loop_project.publish()
    loop_project.read()
    read, whole = [], Card.read
    monkeypatch.setattr(Card, "read", lambda path: read.append(path.parent.name) or whole(path))
    shown = []
    for _ in range(3):
        shown.append(len(read))
        read_status(loop_project.registry, project=loop_project.id, settings=loop_project.context.settings)
    assert shown[2] == shown[1] <= 9  # of the versions for weights, audit and profile
