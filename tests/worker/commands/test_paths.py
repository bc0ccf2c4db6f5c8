"""Paths and texts given to commands: an empty one is refused, and a link to a table stays a link."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from helioloop.cli import TEXT, Text, load_commands
from helioloop.errors import WrongUsage
from helioloop_worker.commands.options import FOLDER, PROFILE, TABLE, NamedPath, find_registry


def test_every_path_of_a_command_refuses_the_empty_one() -> None:
    """Path("") is the current folder, and "$UNSET" of a shell is an empty path."""
    group = click.Group()
    load_commands(group)
    types = {
        f"{command} {parameter.name}": parameter.type
        for command, given in group.commands.items()
        for parameter in given.params
        if isinstance(parameter.type, click.Path)
    }
    assert len(types) > 20
    assert [place for place, kind in types.items() if not isinstance(kind, NamedPath)] == []


def test_every_text_of_a_command_refuses_the_empty_one() -> None:
    """Where it was taken for an option that is not given, "$UNSET" named the default."""
    group = click.Group()
    load_commands(group)
    texts = {
        f"{command} {parameter.name}": parameter.type
        for command, given in group.commands.items()
        for parameter in given.params
        if parameter.type.name == "text"
    }
    assert {"init title", "init backend_url", "backend host", "rollback version", "check profile_name"} <= {*texts}
    assert [place for place, kind in texts.items() if not isinstance(kind, Text)] == ["cutouts files"]


@pytest.mark.parametrize("given", ["", " ", "\t"])
@pytest.mark.parametrize(("required", "remedy"), [(True, "give one"), (False, "give one, or leave the option out")])
def test_an_empty_text_is_refused_with_the_remedy(given: str, required: bool, remedy: str) -> None:
    @click.command()
    @click.option("--title", type=TEXT, required=required)
    def command(title: str) -> None:
        sys.stdout.write(title)

    result = CliRunner().invoke(command, ["--title", given])
    assert result.exit_code == 2
    assert result.output.endswith(f"the value is empty, as of a shell variable that is not set; {remedy}\n")
    assert CliRunner().invoke(command, ["--title", " a "]).output == " a "


@pytest.mark.parametrize("given", ["", " "])
def test_an_empty_path_is_refused_with_the_remedy(given: str) -> None:
    @click.command()
    @click.option("--out", type=TABLE)
    def command(out: Path) -> None:
        sys.stdout.write(repr(out))

    result = CliRunner().invoke(command, ["--out", given])
    assert result.exit_code == 2
    assert "the path is empty, as of a shell variable that is not set; give a name" in result.output


@pytest.mark.parametrize("kind", [TABLE, FOLDER])
def test_a_tilde_that_the_shell_left_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: NamedPath
) -> None:
    """As in --model-dir=~/models, which made a folder named ~. Names that only begin with ~ are names."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for given, found in {
        "~/models/mine": tmp_path / "home/models/mine",
        "~": tmp_path / "home" if kind is FOLDER else None,
        "./~/models": Path("~/models"),
        "~nobody-has-this-name.csv": Path("~nobody-has-this-name.csv"),
        "data/~": Path("data/~"),
    }.items():
        if found is not None:
            assert kind.convert(given, None, None) == found


def test_a_tilde_in_the_path_of_a_profile_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in --profile=~/mine.toml, for each command with that option. Names of profiles and other paths stay."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PROFILE.convert("~/mine.toml", None, None) == str(tmp_path / "mine.toml")
    for given in ("mdi", "./mdi", "mine.toml", "~nobody-has-this-name.toml"):
        assert PROFILE.convert(given, None, None) == given
    group = click.Group()
    load_commands(group)
    kinds = {
        name: one.type for name, given in group.commands.items() for one in given.params if "--profile" in one.opts
    }
    assert kinds == dict.fromkeys(("check", "cutouts", "stack"), PROFILE)


def test_a_model_folder_that_is_not_there_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"modles is not a folder; name an existing model folder"):
        find_registry(model_dir=tmp_path / "modles", project=None)
    assert find_registry(model_dir=tmp_path, project=None).root == tmp_path


def test_a_link_to_a_table_leads_to_its_file(tmp_path: Path) -> None:
    """A file that is there, and one that is to be written; a device and what is no link keep their names."""
    (tmp_path / "there.csv").touch()
    for name in ("there.csv", "new.csv"):
        (tmp_path / f"link-{name}").symlink_to(name)
        assert TABLE.convert(str(tmp_path / f"link-{name}"), None, None) == (tmp_path / name).resolve()
    assert TABLE.convert("/dev/stdout", None, None) == Path("/dev/stdout")
    assert TABLE.convert("other.csv", None, None) == Path("other.csv")
