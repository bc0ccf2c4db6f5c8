"""Commands started with a wrong variable or option end with one sentence: value, rule, remedy; never a traceback.

Redis is real, and a small server answers the few calls to Label Studio that come first.
"""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.worker.operating.endpoints import ANSWERS, PROJECT, endpoint

from helioloop.cli import helioloop, load_commands
from helioloop.settings import load_settings
from helioloop_worker.labelstudio.project_template import labeling_configuration

TOKEN = "0123456789abcdef0123456789abcdef01234567"
COMMANDS = {
    "worker": ["worker", "--role", "score"],
    "worker --check": ["worker", "--role", "train", "--check"],
    "backend": ["backend"],
    "ingest": ["ingest", "{folder}/releases/r", "--project", "1"],
    "init": ["init", "--project", "1"],
    "train": ["train", "{folder}/releases/r", "--model-dir", "{folder}/models/new"],
    "watch": ["watch", "{folder}/releases", "--project", "1", "--once"],
    "status": ["status", "--project", "1"],
    "doctor": ["doctor", "--project", "1"],
    "settings": ["settings"],
}
WRONG = {
    "MODEL_ROOT": [(" /data", "begins or ends with a blank"), ("{folder}/file", "is a file; name a folder")],
    "CACHE_ROOT": [("{folder}/file/cache", "leads through the file")],
    "RELEASE_ROOTS": [("/data", "is not JSON"), ('[""]', "an empty path would be the current folder")],
    "LABEL_STUDIO_URL": [
        ("127.0.0.1:8080", "without http:// or https:// in front"),
        ("http://::1:8080", "an IPv6 address in brackets"),
        ("http://me:hun/ter2@host", "is not an address"),
        ("http://host:99999", "is not an address"),
        ("http://a\x01b", "is not an address"),
    ],
    "MEDIA_BUCKET": [
        ("s3://AKIA:hunter2@bucket/x", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("s3://AKIA:hun/ter2@bucket/x", "contains what may be credentials"),
        ("s3://hunter2@bucket", "contains what may be credentials"),
        ("s3://bucket/x?key=hunter2", "contains what may be credentials"),
        ("https://AKIA:hunter2@s3.example/bucket", "contains what may be credentials"),
        ("AKIA:hunter2", "contains what may be credentials"),
        ("s3://Hunter2/hunter2", "whose name has lower-case letters"),
    ],
    "LABEL_STUDIO_API_KEY": [("Token hunter2", "contains a blank"), ("hünter2", "a character outside ASCII")],
    "LABEL_STUDIO_TIMEOUT_SECONDS": [("soon", "valid number"), ("0", "greater than 0"), ("inf", "finite")],
    "RECONCILE_SECONDS": [("-1", "greater than 0"), ("9" * 30, "less than or equal to")],
    "BASIC_AUTH_USER": [("hunter2:x", "contains a colon")],
    "WEBHOOK_SECRET": [("hunter2\nx", "line")],
    "DEVICE": [("gpu", "'auto', 'cpu' or 'cuda'")],
    "RECIPE": [("best", "'quick'")],
}
"""Variable without its prefix -> values, and what the sentence says. Every command refuses them at once."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Iterator[Path]:
    """The folder of a deployment whose settings are right."""
    (tmp_path / "models" / "project-1").mkdir(parents=True)
    (tmp_path / "releases" / "r").mkdir(parents=True)
    (tmp_path / "releases" / "r" / "labels.csv").write_text("cube,label,verified\n")
    (tmp_path / "file").write_text("no folder")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with endpoint() as label_studio:
        right = {
            "REDIS_URL": redis_url,
            "LABEL_STUDIO_URL": label_studio.address,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_ROOT": str(tmp_path / "models"),
            "MEDIA_ROOT": str(tmp_path / "media"),
            "CACHE_ROOT": str(tmp_path / "cache"),
            "RELEASE_ROOTS": json.dumps([str(tmp_path / "releases")]),
            "DEVICE": "cpu",
        }
        for name, value in right.items():
            monkeypatch.setenv(f"HELIOLOOP_{name}", value)
        yield tmp_path


@pytest.fixture
def run(folder: Path) -> Callable[..., Result]:
    """Run a command in this process, with the variables that are set now; an exception is raised again."""
    if not helioloop.commands:
        load_commands(helioloop)

    def runs(command: str, *more: str) -> Result:
        load_settings.cache_clear()
        words = [word.format(folder=folder) for word in (*COMMANDS[command], *more)]
        try:
            result = CliRunner(env={"COLUMNS": "200"}).invoke(helioloop, words)
        finally:
            load_settings.cache_clear()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return runs


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_value_is_one_sentence_of_every_command(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """It names the variable, and shows no value that may be a secret."""
    for name, cases in WRONG.items():
        for value, rule in cases:
            with monkeypatch.context() as wrong:
                wrong.setenv(f"HELIOLOOP_{name}", value.format(folder=folder))
                result = run(command)
            assert result.exit_code == 1, (name, value)
            assert result.output.startswith(f"helioloop: HELIOLOOP_{name} "), (name, value)
            assert rule in result.output
            assert result.output.count("\n") == 1
            assert "hunter2" not in result.output
            assert "hun/ter2" not in result.output


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE], ids=["no right", "mount is away"])
@pytest.mark.parametrize("name", ["RELEASE_ROOTS", "CACHE_ROOT"])
def test_a_folder_that_cannot_be_looked_at_stops_no_command_that_finds_the_cause(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """A network file system is away: `doctor` names the folder, and makes all other checks."""
    away, whole = tmp_path / "away", Path.stat

    def looking(path: Path, **how: Any) -> Any:
        if path.is_relative_to(away):
            raise OSError(number, os.strerror(number))
        return whole(path, **how)

    place = away / "data"
    monkeypatch.setenv(f"HELIOLOOP_{name}", json.dumps([str(place)]) if name == "RELEASE_ROOTS" else str(place))
    monkeypatch.setattr(Path, "stat", looking)
    status, doctor, settings = run("status"), run("doctor"), run("settings")
    assert "published version" in status.output
    assert settings.exit_code == 0
    assert str(place) in settings.output
    assert "ok         redis" in doctor.output
    (line,) = [line for line in doctor.output.splitlines() if f"{place} " in f"{line} " and "environment" not in line]
    assert "release-folders" in line if name == "RELEASE_ROOTS" else "disk" in line


REDIS = {
    "127.0.0.1:6379": "a value without “://”",
    "redis://::1:6379": "cannot be read as an address",
    "redis://127.0.0.1:1/x": "something other than the number of a database",
    "redis://127.0.0.1:1/0?unknown=1": "has an unknown option after the question mark",
    "redis://:hunter2@127.0.0.1:1/0": "Redis at redis://127.0.0.1:1/0 cannot be reached (Connection refused); start it",
    "redis://nowhere.invalid/0": "cannot be reached (",
    "unix:///nowhere.sock": "cannot be reached (No such file or directory)",
}


@pytest.mark.parametrize("command", ["worker", "worker --check", "ingest", "watch", "status"])
def test_a_redis_that_is_wrong_or_away_is_one_sentence(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Of one that is away, a worker waits for some seconds, and a watch needs it with the first release only.

    The backend starts without it, and `doctor` makes it a finding.
    """
    for url, rule in REDIS.items():
        if command in {"watch", "worker"} and "reached" in rule:
            continue
        monkeypatch.setenv("HELIOLOOP_REDIS_URL", url)
        result = run(command)
        assert result.exit_code == 1, url
        assert rule in result.output, url
        assert "hunter2" not in result.output


PROXIES = {
    "HTTP_PROXY": ("  ", "HTTP_PROXY contains nothing but blanks, which names no proxy; unset it"),
    "HTTPS_PROXY": ("http://me:hunter2@[::1", "HTTPS_PROXY has a value that is not an address"),
    "ALL_PROXY": ("http://me:hunter2@127.0.0.1:9\n", "ALL_PROXY has a blank or a line end around its value"),
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_that_cannot_be_used_is_named_and_the_rest_is_shown(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`init` ends with it. `status` shows what needs no Label Studio, and `doctor` makes all other checks."""
    value, rule = PROXIES[name]
    monkeypatch.setenv(name, value)
    init, status, doctor = run("init"), run("status"), run("doctor")
    assert init.output.count("\n") == 1
    for result in (init, status, doctor):
        assert result.exit_code == 1
        assert rule in result.output
        assert "hunter2" not in result.output
    assert f"unknown: {rule}" in status.output
    assert "published version" in status.output
    assert "label-studio-address" in doctor.output
    assert "ok         redis" in doctor.output
    assert "[environment]" in doctor.output


@pytest.mark.parametrize("file", ["absent.pem", "file", "models"], ids=["missing", "no certificates", "folder"])
def test_certificates_that_cannot_be_read_are_named(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """`init` ends with the sentence; `doctor` has it as a finding, and makes the other checks."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / file))
    init, doctor = run("init"), run("doctor")
    assert init.output.startswith(
        "helioloop: SSL_CERT_FILE or SSL_CERT_DIR does not name certificates that can be read"
    )
    assert init.output.count("\n") == 1
    assert (init.exit_code, doctor.exit_code) == (1, 1)
    assert "is not called: SSL_CERT_FILE or SSL_CERT_DIR does not name certificates" in doctor.output
    assert "ok         redis" in doctor.output


@pytest.mark.parametrize("place", ["/proc/helioloop", "/proc/version/helioloop"])
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a disk that nobody can write to")
def test_a_model_folder_that_cannot_be_made_is_one_sentence(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """On a disk that cannot be written, and below a file; nothing was done in Label Studio before."""
    monkeypatch.setitem(PROJECT, "label_config", labeling_configuration())
    for listing in ("storages/localfiles", "ml", "webhooks"):
        monkeypatch.setitem(ANSWERS, f"/api/{listing}/", [])
    monkeypatch.setenv("HELIOLOOP_MODEL_ROOT", place)
    for command in ("init", "status"):
        result = run(command)
        assert result.exit_code in {1, 2}
        sentence = result.output.splitlines()[-1]
        assert sentence.startswith("helioloop: ")
        assert "HELIOLOOP_MODEL_ROOT" in sentence or f"{place}/project-1 is not a folder" in sentence


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": None, "XDG_CACHE_HOME": None, "HELIOLOOP_CACHE_ROOT": None},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TZ": "Nowhere/Else", "TMPDIR": "/nowhere", "OMP_NUM_THREADS": "many"},
    ],
    ids=["no home folder", "locale C", "odd values of other programs"],
)
def test_what_other_programs_are_told_by_the_environment_stops_no_command(
    folder: Path, variables: dict[str, str | None]
) -> None:
    """In a process of its own: the status is shown, also where the terminal takes ASCII only."""
    environment = {**os.environ, **{name: value or "" for name, value in variables.items()}}
    for name, value in variables.items():
        if value is None:
            del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "helioloop", "status", "--project", "1"],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "verdict" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
