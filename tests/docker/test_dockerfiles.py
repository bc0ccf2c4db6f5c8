"""The Dockerfiles and the examples for systemd and Slurm, by lint and by their structure; `make test-images` builds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helioloop.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
EXAMPLES = ROOT / "docs" / "examples"
SCRIPTS = [
    *sorted((ROOT / "docker").glob("*.sh")),
    *EXAMPLES.glob("*.slurm"),
    *(ROOT / "tests" / "images").glob("*.sh"),
]
each_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return keyword and rest of each instruction, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line.strip()]


def lint(program: str, *arguments: str | Path) -> None:
    """Run a linter that comes with the development environment."""
    run = subprocess.run(
        [Path(sys.executable).parent / program, *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@each_dockerfile
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    """Also in the RUN instructions, which it gives to shellcheck."""
    lint("hadolint", dockerfile)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    """In the scripts of docker/, of the Slurm example and of the tests' stand-ins."""
    lint("shellcheck", script)


@pytest.mark.parametrize("unit", ["helioloop-backend.service", "helioloop-worker@train.service"])
def test_systemd_accepts_the_units(unit: str, tmp_path: Path) -> None:
    """systemd-analyze verify, with a program that exists in place of helioloop's."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert not Settings().require_services, "systemd-analyze is not installed; apt-get install systemd"
        pytest.skip("systemd-analyze is not installed")
    for source in EXAMPLES.glob("*.service"):
        text, count = re.subn(r"^ExecStart=\S+", "ExecStart=/bin/true", source.read_text(), flags=re.MULTILINE)
        assert count == 1
        (tmp_path / source.name).write_text(text)
    run = subprocess.run([program, "verify", tmp_path / unit], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@each_dockerfile
def test_the_image_runs_as_a_user_in_numbers_who_is_not_root(dockerfile: Path) -> None:
    """Kubernetes' runAsNonRoot needs a number. The last USER counts, and nothing changes files after it."""
    found = instructions(dockerfile)
    keywords = [keyword for keyword, _ in found]
    last = max(i for i, keyword in enumerate(keywords) if keyword == "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found[last][1])
    assert not {"RUN", "COPY", "FROM"} & set(keywords[last:])


@each_dockerfile
def test_the_process_receives_signals_itself(dockerfile: Path) -> None:
    """Entry point and command are lists: no shell is in between."""
    found = dict(instructions(dockerfile))
    assert found["ENTRYPOINT"].startswith("[")
    assert found["CMD"].startswith("[")


@each_dockerfile
def test_tools_of_the_build_stay_behind(dockerfile: Path) -> None:
    """The last stage starts from the base again, and takes the environment and helioloop itself, in two layers."""
    stages = [rest for keyword, rest in instructions(dockerfile) if keyword == "FROM"]
    assert stages == ["${PYTHON_IMAGE} AS dependencies", "dependencies AS build", "${PYTHON_IMAGE}"]
    copied = [rest for keyword, rest in instructions(dockerfile) if keyword == "COPY" and "--from" in rest]
    assert copied == ["--from=dependencies /opt/helioloop /opt/helioloop", "--from=build /own/ /"]


@each_dockerfile
def test_nothing_but_what_is_installed_enters_the_build(dockerfile: Path) -> None:
    """The list of .dockerignore begins with everything and lets in what COPY names, all of which exists."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for keyword, rest in instructions(dockerfile)
        if keyword == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == admitted
    assert all((ROOT / source).exists() for source in admitted)


@each_dockerfile
def test_no_argument_or_variable_of_the_image_is_a_secret(dockerfile: Path) -> None:
    """Both stay readable in the image's history."""
    for keyword, rest in instructions(dockerfile):
        if keyword in {"ARG", "ENV"}:
            assert not re.search(r"PASSWORD|TOKEN|SECRET|API_KEY", rest)


def test_both_images_share_their_base_and_build() -> None:
    """A change of one that the other lacks is an oversight; they differ in what they install."""
    first, second = (
        [rest for keyword, rest in instructions(path) if keyword in {"ARG", "FROM", "USER", "ENTRYPOINT"}]
        for path in DOCKERFILES
    )
    assert [rest for rest in second if rest not in first] == ["TORCH=cpu"]
    assert [rest for rest in first if rest not in second] == []
