"""The demo's summary and credentials."""

import json
import shlex
import subprocess
from pathlib import Path

import click

from helioloop.cli import load_commands
from helioloop.records.labels import Label
from helioloop_worker.demo.credentials import stored_login, stored_secret, write_private
from helioloop_worker.demo.services import shell_exports
from helioloop_worker.demo.summary import commands_to_try, wrong_labels_found

E, N = Label.EMERGENCE, Label.NON_EMERGENCE


def test_wrong_labels_are_counted_among_as_many_first_cubes(tmp_path: Path) -> None:
    """Two of four labels are wrong, a and c; of the first two in the ranking, d and a, one is."""
    truth = tmp_path / "truth.csv"
    truth.write_text("cube,label\na,emergence\nb,emergence\nc,non-emergence\nd,non-emergence\n")
    labels = {"a": N, "b": E, "c": E, "d": N, "own": E, "unlabelled": None}
    found = wrong_labels_found(truth, labels, ["own", "d", "a", "c", "b"])
    assert found is not None
    assert "2 of 4, " in found
    assert "1 are among the first 2 cubes" in found
    assert wrong_labels_found(tmp_path / "absent.csv", labels, []) is None


def test_credentials_are_made_once_and_are_private(tmp_path: Path) -> None:
    """A second start reads the same; nobody but the owner can read the files."""
    login, secret = stored_login(tmp_path / "login.json"), stored_secret(tmp_path / "secret.json")
    assert stored_login(tmp_path / "login.json") == login
    assert stored_secret(tmp_path / "secret.json") == secret
    assert login.password not in repr(login)
    for name in ("login.json", "secret.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_private_file_replaces_a_public_one(tmp_path: Path) -> None:
    """Its permissions are not those of the file before."""
    path = tmp_path / "redis.conf"
    path.write_text("{}")
    path.chmod(0o644)
    write_private(path, json.dumps({"secret": 1}))
    assert json.loads(path.read_text()) == {"secret": 1}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_shell_that_reads_the_environment_file_has_the_settings_and_the_program(tmp_path: Path) -> None:
    """Values with blanks, quotes and dollar signs, and a folder with a blank; printed as the first command to try."""
    program = tmp_path / "my programs" / "python"
    program.parent.mkdir()
    (program.parent / "helioloop").write_text("#!/bin/sh\necho found\n")
    (program.parent / "helioloop").chmod(0o755)
    values = {"HELIOLOOP_RELEASE_ROOTS": '["/a b", "/it\'s"]', "HELIOLOOP_WEBHOOK_SECRET": "$x `y` \\"}
    write_private(tmp_path / "helioloop env", shell_exports(values, program=program))
    first, *others = commands_to_try(tmp_path / "helioloop env", 7)
    assert all(shlex.split(command)[0] == "helioloop" and "--project 7" in command for command in others)
    script = f'{first}\nhelioloop\npython3 -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    found, environment = done.stdout.splitlines()
    assert found == "found"
    assert {name: json.loads(environment)[name] for name in values} == values


def test_the_commands_to_try_exist_with_their_options() -> None:
    """So that the demo prints none that was renamed."""
    group = click.Group()
    load_commands(group)
    for command in commands_to_try(Path("file"), 7)[1:]:
        _, name, *words = shlex.split(command)
        group.commands[name].make_context(name, words)
