"""The compose file: what docker-compose accepts, what settings exist, and what an operator relies on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from helioloop.cli import load_commands
from helioloop.environment import names
from helioloop.settings import Settings
from helioloop_backend.auth import Authenticator

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yml").read_text())
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
LASTING = sorted(set(SERVICES) - {"storage", "helioloop"})
"""Services that keep running; the other two end by themselves."""
OWN = sorted(name for name, service in SERVICES.items() if "build" in service)
"""Services that run helioloop's images."""


def environment(name: str) -> dict[str, str]:
    """Return the variables of a service, with the defaults of those that the operator may set."""
    return {
        key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        for key, value in (SERVICES[name].get("environment") or {}).items()
    }


def secrets(name: str) -> set[str]:
    """Return the secrets of a service."""
    return set(SERVICES[name].get("secrets") or ())


@pytest.fixture(scope="module")
def made_secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secrets that the script makes, in a copy of docker/."""
    docker = tmp_path_factory.mktemp("site") / "docker"
    shutil.copytree(DOCKER, docker, ignore=shutil.ignore_patterns("secrets", "releases"))
    subprocess.run([docker / "make-secrets.sh"], check=True, capture_output=True)
    return docker / "secrets"


# -- the file as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize("files", [("compose.yml",), ("compose.yml", "compose.cuda.yml")])
def test_docker_compose_accepts_the_file(files: tuple[str, ...], made_secrets: Path) -> None:
    """Debian's docker-compose, which has the published schema."""
    program = shutil.which("docker-compose")
    if program is None:
        assert not Settings().require_services, "docker-compose is not installed; apt-get install docker-compose"
        pytest.skip("docker-compose is not installed")
    named = [part for file in files for part in ("--file", str(made_secrets.parent / file))]
    run = subprocess.run(
        [program, *named, "--profile", "command", "config"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert set(yaml.safe_load(run.stdout)["services"]) == set(SERVICES)
    assert "WARNING" not in run.stderr


def test_everything_is_declared_and_used() -> None:
    """Secrets and volumes."""
    assert set().union(*map(secrets, SERVICES)) == set(COMPOSE["secrets"])
    mounted = {
        entry.split(":")[0]
        for service in SERVICES.values()
        for entry in service.get("volumes") or ()
        if not entry.startswith((".", "$"))
    }
    assert mounted == set(COMPOSE["volumes"])


def test_images_have_versions_and_label_studio_the_tested_one() -> None:
    """The same version of Label Studio that `make test` installs."""
    foreign = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert all(re.search(r":\d+(\.\d+)+[\w-]*$|:\d+-alpine$", image) for image in foreign), foreign
    tested = re.search(r"^LABEL_STUDIO\b.*?([\d.]+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert tested is not None
    assert SERVICES["label-studio"]["image"].endswith(f":{tested[1]}")


# -- running for a long time ----------------------------------------------------------------------


@pytest.mark.parametrize("name", LASTING)
def test_lasting_services_restart_are_checked_and_rotate_their_logs(name: str) -> None:
    """Nothing fills the disk, and a service that died comes back."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_conditions_name_services_that_can_meet_them() -> None:
    """A service that is awaited as healthy has a health check; one that is awaited as completed ends."""
    seen = set()
    for service in SERVICES.values():
        for awaited, condition in (service.get("depends_on") or {}).items():
            seen.add(condition["condition"])
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[awaited]
            else:
                assert awaited not in LASTING
    assert seen == {"service_healthy", "service_completed_successfully"}


def test_both_roles_of_workers_run_and_their_commands_exist() -> None:
    """Parsed by helioloop's own command line, with the health checks."""
    group = click.Group()
    load_commands(group)
    lines = [SERVICES[name]["command"] for name in ("worker-score", "worker-train")]
    lines += [SERVICES[name]["healthcheck"]["test"][2:] for name in ("worker-score", "worker-train")]
    roles = []
    for line in lines:
        name, command, rest = group.resolve_command(click.Context(group), list(line))
        assert command is not None, name
        roles.append(command.make_context(str(name), rest).params["role"])
    assert roles == ["score", "train", "score", "train"]


# -- security -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_helioloops_containers_are_hardened(name: str) -> None:
    """A read-only root file system with /tmp in memory, no capabilities, no new privileges; the image's own user."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert not service.get("privileged")


def test_no_secret_is_in_the_environment() -> None:
    """Passwords and tokens are files; the variables only name them."""
    for name in SERVICES:
        for variable, value in environment(name).items():
            if re.search(r"PASSWORD|TOKEN$|API_KEY|SECRET", variable):
                if variable in {"LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN", "ENV_INJECT_SOURCES"}:
                    continue
                assert variable.endswith("_FILE"), (name, variable)
                assert value.startswith("/run/secrets/"), (name, variable)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_has_the_secrets_that_it_reads_and_no_others(name: str) -> None:
    """By its variables, its command, its health check, and for Label Studio its script."""
    service = SERVICES[name]
    read = str([service.get("environment"), service.get("command"), service.get("healthcheck")])
    if name == "label-studio":
        read += (DOCKER / "label-studio-secrets.sh").read_text()
    assert set(re.findall(r"/run/secrets/(\w+)", read)) == secrets(name)


def test_only_label_studio_and_the_backend_can_be_reached_and_only_from_this_machine() -> None:
    """By default; Redis and PostgreSQL have no port outside."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if service.get("ports")}
    assert ports == {
        "label-studio": ["${BIND_ADDRESS:-127.0.0.1}:8080:8080"],
        "backend": ["${BIND_ADDRESS:-127.0.0.1}:9090:9090"],
    }


def test_redis_has_a_password_is_persistent_and_evicts_nothing() -> None:
    """Its configuration, which it reads from standard input."""
    command = SERVICES["redis"]["command"][-1]
    lines = [line.strip() for line in command.splitlines()]
    assert "requirepass $$(cat /run/secrets/redis_password)" in lines
    assert "appendonly yes" in lines
    assert "maxmemory-policy noeviction" in lines
    assert "dir /data" in lines
    assert "redis:/data" in SERVICES["redis"]["volumes"]


def test_the_backend_cannot_write_models_and_releases_cannot_be_written() -> None:
    """The workers write models; nobody writes releases."""
    assert SERVICES["backend"]["volumes"] == ["models:/data/models:ro"]
    for name in OWN:
        for volume in SERVICES[name]["volumes"]:
            assert ":/data/releases" not in volume or volume.endswith(":ro")


def test_label_studio_serves_videos_from_the_folder_that_workers_write() -> None:
    """The same volume at the same path, because `init` registers that path."""
    folder = environment("label-studio")["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"]
    assert f"media:{folder}:ro" in SERVICES["label-studio"]["volumes"]
    assert f"media:{folder}" in SERVICES["worker-train"]["volumes"]
    dockerfile = (DOCKER / "worker.Dockerfile").read_text()
    assert f"HELIOLOOP_MEDIA_ROOT={folder} " in dockerfile


# -- settings -------------------------------------------------------------------------------------


def settings_named_in(text: str) -> Iterator[str]:
    """Yield the variables of helioloop in a text."""
    yield from re.findall(r"\b(HELIOLOOP_[A-Z_]+)", text)


def test_every_setting_that_is_named_in_docker_and_in_the_examples_exists() -> None:
    """Directly, or as a file for settings that are secret."""
    files = [*DOCKER.glob("*.*"), *(ROOT / "docs" / "examples").iterdir()]
    named = {name for file in files for name in settings_named_in(file.read_text())}
    assert len(named) > 10
    for name in named:
        setting = name.removeprefix("HELIOLOOP_").lower()
        if setting not in Settings.model_fields:
            assert setting.endswith("_file"), name
            assert setting.removesuffix("_file") in names.SECRETS, name


@pytest.mark.parametrize("name", ["backend", "worker-score", "worker-train", "helioloop"])
def test_the_services_read_their_settings_and_secrets(
    name: str, made_secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variables of the compose file and of the image, and the secrets that the script made."""
    for variable in list(os.environ):
        if variable.startswith(("HELIOLOOP_", "REDIS_", "LABEL_STUDIO_")):
            monkeypatch.delenv(variable)
    image = (DOCKER / Path(SERVICES[name]["build"]["dockerfile"]).name).read_text()
    for variable, value in re.findall(r"^ +(HELIOLOOP_\w+)='?([^'\s]+)'?", image, flags=re.MULTILINE):
        monkeypatch.setenv(variable, value)
    for variable, value in environment(name).items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(made_secrets)))
    settings = Settings()
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == (made_secrets / "redis_password").read_text()
    assert settings.model_root == Path("/data/models")
    if name == "backend":
        Authenticator(settings)  # refuses an address beyond loopback without credentials
        assert settings.backend_host == "0.0.0.0"  # noqa: S104
    else:
        assert settings.api_key() == (made_secrets / "label_studio_token").read_text()
        assert settings.release_roots == [Path("/data/releases")]
    if name == "helioloop":
        aliases = SERVICES["backend"]["networks"]["default"]["aliases"]
        assert (settings.backend_host, settings.backend_port) == (aliases[0], 9090)
        assert "." in settings.backend_host  # Label Studio accepts no other address of a webhook


# -- the script that makes the secrets ------------------------------------------------------------


def test_the_script_makes_every_secret_and_label_studio_takes_the_token(made_secrets: Path) -> None:
    """All differ, none needs quoting; a legacy token of Label Studio has 40 hexadecimal digits."""
    found = {path.name: path.read_text() for path in made_secrets.iterdir()}
    assert set(found) == set(COMPOSE["secrets"])
    assert len(set(found.values())) == len(found)
    assert all(re.fullmatch(r"[0-9a-f]{24,}", value) for value in found.values())
    assert len(found["label_studio_token"]) == 40


def test_only_the_owner_enters_the_folder_and_every_service_reads_its_files(made_secrets: Path) -> None:
    """Docker mounts the files with their mode, and the services run as different users."""
    assert made_secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made_secrets.iterdir()} == {0o444}


def test_the_script_keeps_what_is_there_and_makes_what_is_missing(tmp_path: Path) -> None:
    """A second run after one secret was deleted and one was written by hand; an interrupted run left a part."""
    script = shutil.copy(DOCKER / "make-secrets.sh", tmp_path)
    folder = tmp_path / "secrets"
    subprocess.run([script], check=True, capture_output=True)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    (folder / "redis_password").unlink()
    (folder / "redis_password.new").write_text("half")
    (folder / "redis_password.new").chmod(0o444)
    (folder / "postgres_password").unlink()
    (folder / "postgres_password").write_text("mine")
    run = subprocess.run([script], check=True, capture_output=True, text=True)
    after = {path.name: path.read_text() for path in folder.iterdir()}
    assert after.keys() == before.keys()
    assert after["redis_password"] not in {"half", before["redis_password"]}
    assert after["postgres_password"] == "mine"
    same = before.keys() - {"redis_password", "postgres_password"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert run.stdout.count("kept ") == len(before) - 1
    assert not any(value in run.stdout for value in after.values())


def test_the_script_refuses_an_empty_secret_and_an_unknown_option(tmp_path: Path) -> None:
    """With a remedy; --help explains."""
    script = shutil.copy(DOCKER / "make-secrets.sh", tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis_password").touch()
    run = subprocess.run([script], check=False, capture_output=True, text=True)
    assert run.returncode == 1
    assert "redis_password is empty; delete it" in run.stderr
    wrong = subprocess.run([script, "--force"], check=False, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "'--force' is not an option" in wrong.stderr
    told = subprocess.run([script, "--help"], check=True, capture_output=True, text=True)
    assert told.stdout.startswith("Make the secrets of compose.yml")
