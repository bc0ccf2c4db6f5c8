"""Which variable gives a setting, and what is reported about the variables that are set."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from helioloop.environment import foreign_names, names
from helioloop.environment.reading import Environment, Origin
from helioloop.errors import SettingsError
from helioloop.settings import Settings

SETTINGS = tuple(Settings.model_fields)
ROOT = Path(__file__).parents[3]


def read(**variables: str) -> Environment:
    return Environment(variables, SETTINGS)


def doubts(process: str = "command", /, **variables: str) -> list[str]:
    return read(**variables).doubts(process=process)


# -- which variable -------------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "alias"), names.ALIASES.items())
def test_an_alias_gives_a_setting_unless_its_own_name_does(setting: str, alias: str) -> None:
    own = names.own_name(setting)
    assert read(**{alias: "one"}).value(setting) == "one"
    assert read(**{alias: "one", own: "two"}).value(setting) == "two"
    assert read(**{alias: "one", own: ""}).value(setting) == "one"
    assert read(**{alias: " "}).value(setting) is None


@pytest.mark.parametrize("setting", sorted(names.FROM_FILES))
def test_each_name_of_a_secret_may_name_a_file(setting: str, tmp_path: Path) -> None:
    """An empty variable beside it counts as not set; compose files pass such."""
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    for base in names.base_names(setting):
        environment = read(**{f"{base}_FILE": str(file), base: ""})
        assert environment.value(setting) == "s3cret"
        assert environment.origin(setting) == Origin(f"{base}_FILE", file)
        assert environment.doubts(process="backend") == []
        assert read(**{f"{base}_FILE": ""}).value(setting) is None


@pytest.mark.parametrize("setting", sorted(names.FROM_FILES))
def test_a_variable_and_its_file_together_are_refused(setting: str, tmp_path: Path) -> None:
    """Also where both are the same, and where helioloop's own name takes precedence over them."""
    file = tmp_path / "secret"
    file.write_text("hunter2")
    for base in names.base_names(setting):
        both = {base: "hunter2", f"{base}_FILE": str(file)}
        for more in ({}, {names.own_name(setting): "hunter3"}):
            with pytest.raises(SettingsError, match=f"^{base} and {base}_FILE are both set.*unset one") as caught:
                read(**both | more).value(setting)
            assert "hunter" not in str(caught.value)
        assert doubts(**both | {base: "hunter4"}) == []  # it is an error, so it is not reported too


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    """The name of a file for another setting is an unknown name."""
    file = tmp_path / "seed"
    file.write_text("7")
    assert read(HELIOLOOP_SEED_FILE=str(file)).value("seed") is None
    [said] = doubts(HELIOLOOP_SEED_FILE=str(file))
    assert said.startswith("HELIOLOOP_SEED_FILE is ignored")
    assert str(file) not in said


def test_own_names_are_read_in_any_case_and_aliases_in_upper_case_only() -> None:
    """A variable `port` may belong to any program."""
    assert read(helioloop_seed="3").value("seed") == "3"
    assert read(port="3", threads="4", model_dir="/x").value("backend_port") is None
    environment = read(helioloop_seed="3", HELIOLOOP_SEED="4")
    assert environment.value("seed") == "4"
    [said] = environment.doubts(process="command")
    assert said.startswith("helioloop_seed is ignored: HELIOLOOP_SEED takes precedence")
    assert doubts(helioloop_seed="3", HELIOLOOP_SEED="3") == []


# -- what is reported -----------------------------------------------------------------------------


def test_nothing_is_reported_about_names_that_work() -> None:
    """All own names, all aliases alone, names of the tests, and other programs' variables."""
    for variables in (
        {names.own_name(setting): "x" for setting in SETTINGS},
        dict.fromkeys(names.ALIASES.values(), "x"),
        {"HELIOLOOP_TEST_ANYTHING": "x", "HELIOLOOP_STILLS": "1", "HELIOLOOP_SCREENSHOTS": "x"},
        {"PATH": "/bin", "HOME": "/root", "HELIX_RUNTIME": "x", "HELIO": "x", "POSTGRES_PORT": "1"},
        {"HELIOLOOP_UNKNOWN": ""},
    ):
        assert doubts("backend", **variables) == []


def test_an_alias_with_another_value_is_reported_without_the_values(tmp_path: Path) -> None:
    """The same value twice is no contradiction; a file that cannot be read is another value."""
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    same = {"HELIOLOOP_LABEL_STUDIO_API_KEY": "hunter2", "LABEL_STUDIO_API_KEY": "hunter2"}
    assert doubts(**same) == []
    assert doubts(HELIOLOOP_LABEL_STUDIO_API_KEY="hunter2", LABEL_STUDIO_API_KEY_FILE=str(file)) == []
    for other in ({"LABEL_STUDIO_API_KEY": "hunter3"}, {"LABEL_STUDIO_API_KEY_FILE": str(tmp_path / "absent")}):
        [said] = doubts(HELIOLOOP_LABEL_STUDIO_API_KEY="hunter2", **other)
        [name] = other
        assert said.startswith(f"{name} is ignored: HELIOLOOP_LABEL_STUDIO_API_KEY takes precedence")
        assert "hunter" not in said


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("HELIOLOOP_MODEL_ROT", "HELIOLOOP_MODEL_ROOT"),
        ("HELIOLOOP_MODEL_DIR", "HELIOLOOP_MODEL_ROOT"),
        ("HELIOLOOP_PORT", "HELIOLOOP_BACKEND_PORT"),
        ("HELIOLOOP_THREADS", "HELIOLOOP_BACKEND_THREADS"),
        ("HELIOLOOP_BASIC_AUTH_PASS", "HELIOLOOP_BASIC_AUTH_PASSWORD"),
        ("HELIOLOOP_BASIC_AUTH_PASS_FILE", "HELIOLOOP_BASIC_AUTH_PASSWORD_FILE"),
        ("HELIOLOOP_WEBHOOK_SECRETS_FILE", "HELIOLOOP_WEBHOOK_SECRET_FILE"),
        ("HELIOLOOP_API_KEY", "HELIOLOOP_LABEL_STUDIO_API_KEY"),
        ("HELIOLOOP_LABELSTUDIO_URL", "HELIOLOOP_LABEL_STUDIO_URL"),
        ("helioloop_retrain_event", "HELIOLOOP_RETRAIN_EVENTS"),
        ("HELIOLOP_SEED", "HELIOLOOP_SEED"),
        ("HELIOLOOPS_SEED", "HELIOLOOP_SEED"),
        ("HELIOLOOP_SWEEP_SECONDS", "HELIOLOOP_RECONCILE_SECONDS"),
        ("HELIOLOOP_XYZZY", None),
        ("HELIOLOOP_", None),
    ],
)
def test_an_unknown_name_is_reported_with_the_nearest_one(wrong: str, right: str | None) -> None:
    """Its value, which may be a secret, is not shown."""
    [said] = doubts(**{wrong: "hunter2"})
    assert said.startswith(f"{wrong} is ignored")
    assert said.endswith(f"did you mean {right}?" if right else "docs/settings.md lists all names")
    assert "hunter2" not in said


def test_variables_of_a_kubernetes_service_are_not_reported() -> None:
    """Kubernetes sets them for Services named helioloop and helioloop-backend; a port of a human is another thing."""
    links = {
        "HELIOLOOP_PORT": "tcp://10.0.0.1:9090",
        "HELIOLOOP_SERVICE_HOST": "10.0.0.1",
        "HELIOLOOP_SERVICE_PORT": "9090",
        "HELIOLOOP_PORT_9090_TCP": "tcp://10.0.0.1:9090",
        "HELIOLOOP_PORT_9090_TCP_ADDR": "10.0.0.1",
        "HELIOLOOP_REDIS_SERVICE_PORT_REDIS": "6379",
    }
    assert doubts("backend", **links) == []
    assert len(doubts("backend", HELIOLOOP_PORT="9090")) == 1


@pytest.mark.parametrize(
    ("variables", "process", "remedy"),
    [
        ({"WORKERS": "4"}, "backend", "HELIOLOOP_BACKEND_THREADS"),
        ({"WEB_CONCURRENCY": "4"}, "backend", "one process"),
        ({"BASIC_AUTH_PASSWORD": "hunter2"}, "worker", "BASIC_AUTH_PASS or HELIOLOOP_BASIC_AUTH_PASSWORD"),
        ({"LABEL_STUDIO_HOST": "x"}, "command", "LABEL_STUDIO_URL or HELIOLOOP_LABEL_STUDIO_URL"),
        ({"REDIS_HOST": "redis"}, "backend", "REDIS_URL"),
    ],
)
def test_names_of_other_programs_that_are_ignored(variables: Mapping[str, str], process: str, remedy: str) -> None:
    [said] = doubts(process, **variables)
    assert f"{next(iter(variables))} is ignored" in said
    assert remedy in said
    assert "hunter2" not in said


def test_names_of_other_programs_are_not_reported_where_the_setting_is_given() -> None:
    """Nor by a process that they do not concern."""
    assert doubts("backend", REDIS_HOST="redis", REDIS_URL="redis://redis") == []
    assert doubts("worker", WORKERS="4") == []


def test_a_line_end_after_a_value_is_left_out_and_reported() -> None:
    """One sentence for all variables of a file with Windows line ends."""
    variables = {"MODEL_DIR": "/data/models\r", "HELIOLOOP_BASIC_AUTH_PASSWORD": "hunter2\r\n", "PORT": "9090"}
    assert read(**variables).value("model_root") == "/data/models"
    assert read(**variables).value("basic_auth_password") == "hunter2"
    [said] = doubts(**variables)
    assert "HELIOLOOP_BASIC_AUTH_PASSWORD, MODEL_DIR" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotation_marks_around_a_value_are_kept_and_reported(quote: str) -> None:
    """docker --env-file keeps them, a shell does not; a password may contain them."""
    variables = {"BASIC_AUTH_PASS": f"{quote}hunter2{quote}", "HELIOLOOP_RELEASE_ROOTS": '["/data"]', "PORT": quote}
    assert read(**variables).value("basic_auth_password") == f"{quote}hunter2{quote}"
    [said] = doubts(**variables)
    assert said.startswith("the value of BASIC_AUTH_PASS begins and ends with a quotation mark")
    assert "hunter2" not in said


def test_settings_of_the_other_side_are_listed() -> None:
    """For the log of a backend and a worker that share one environment."""
    shared = read(PORT="9090", HELIOLOOP_RECIPE="quick", MODEL_DIR="/data", HELIOLOOP_DEVICE="cpu", LOG_LEVEL="info")
    assert shared.unused(process="backend") == ["HELIOLOOP_DEVICE", "HELIOLOOP_RECIPE"]
    assert shared.unused(process="worker") == ["PORT"]


# -- the names in this repository -----------------------------------------------------------------


def test_names_of_settings_are_settings() -> None:
    """Each table of names is about settings that exist."""
    for table in (names.ALIASES, names.SECRETS, names.BACKEND):
        assert set(table) <= set(SETTINGS)
    assert len(set(names.ALIASES.values())) == len(names.ALIASES)


def test_the_backend_uses_the_settings_that_are_listed_for_it() -> None:
    """By the attributes of settings that its code, and what it imports of the core, names."""
    folders = (
        ROOT / "backend" / "helioloop_backend",
        *(ROOT / "core" / "helioloop" / room for room in ("messaging", "registry", "labelstudio")),
    )
    code = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    named = set(re.findall(r"settings\.(\w+)", code)) & set(SETTINGS)
    through_methods = {"backend_port", "model_root", "label_studio_url", "label_studio_public_url"}
    assert named | through_methods == names.BACKEND - {"log_level", "log_format"} | (
        named & {"log_level", "log_format"}
    )


def test_the_docs_list_the_names_of_other_programs() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    names_of_others = (*foreign_names._ALL, *foreign_names._BACKEND)
    assert [name for name in names_of_others if f"`{name}`" not in text] == []


def test_names_in_the_code_the_tests_and_make_are_known() -> None:
    """Else every start would report them."""
    here = Path(__file__)
    files = [ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "README.md"]
    files += [path for part in ("core", "backend", "worker", "tests") for path in (ROOT / part).rglob("*.py")]
    found = {
        name
        for path in files
        if path != here and path.parent != here.parent
        for name in re.findall(r"\bHELIOLOOP_[A-Z][A-Z_]*[A-Z]\b", path.read_text())
    }
    found -= {"HELIOLOOP_MODEL_ROT", "HELIOLOOP_SEEED"}  # misspelt on purpose by tests
    found -= {"HELIOLOOP_DOCTOR"}  # an event of an unknown kind
    found -= names._FORMER.keys()  # named in the report of them
    assert len(found) > 30
    assert list(names.unknown_names(dict.fromkeys(found, "x"), SETTINGS)) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HELIOLOOP_MODEL_ROOT", "$HOME/models"),
        ("MODEL_DIR", "${DATA}/models"),
        ("HELIOLOOP_RELEASE_ROOTS", '["${DATA}/releases"]'),
        ("REDIS_URL", "redis://:$REDIS_PASSWORD@redis:6379/0"),
        ("REDIS_URL", "redis://:${password}@redis:6379/0"),
        ("HELIOLOOP_BASIC_AUTH_PASSWORD", "${BACKEND_PASSWORD}"),
    ],
)
def test_the_name_of_a_variable_that_nothing_replaces_is_reported(variable: str, value: str) -> None:
    """No shell reads the environment files of systemd and docker. The value is kept, and no secret is shown."""
    [said] = doubts(**{variable: value})
    assert said.startswith(f"the value of {variable} contains a dollar sign and a name")
    assert value not in said


@pytest.mark.parametrize("value", ["/data/models  # shared", "/data/models\t#shared"])
def test_a_comment_behind_a_value_is_reported(value: str) -> None:
    [said] = doubts(HELIOLOOP_MODEL_ROOT=value)
    assert said.startswith("the value of HELIOLOOP_MODEL_ROOT contains a blank and a #")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HELIOLOOP_BASIC_AUTH_PASSWORD", "pa$Word #1"),
        ("HELIOLOOP_BASIC_AUTH_PASSWORD", "$ecret"),
        ("REDIS_URL", "redis://:pa$Word@redis:6379/0"),
        ("HELIOLOOP_MODEL_ROOT", "/data/release#3"),
        ("HELIOLOOP_MODEL_ROOT", "/data/5$"),
    ],
)
def test_dollar_signs_and_hashes_that_belong_to_a_value_are_not_reported(variable: str, value: str) -> None:
    assert doubts(**{variable: value}) == []
