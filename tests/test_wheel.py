"""The wheel installs with pip and uv, each extra alone, and works away from the checkout. Needs the package index."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.timeout(600)


def _make(*arguments: str) -> None:
    done = subprocess.run(["make", "-s", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _run(folder: Path, *command: str) -> str:
    """Run a command of an installation in a folder of its own, with no settings, and return what it prints."""
    folder.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and source distribution with the Makefile's uv, and return the wheel."""
    if not (ROOT / ".venvs/uv/bin/uv").exists():
        said = ".venvs/uv is missing; `make test` makes it"
        if os.environ.get("HELIOLOOP_REQUIRE_SERVICES") == "1":
            pytest.fail(said)
        pytest.skip(said)
    folder = tmp_path_factory.mktemp("dist")
    _make("build", f"DIST={folder}")
    (sources,) = folder.glob("*.tar.gz")
    assert sources.stat().st_size > 100_000
    (built,) = folder.glob("*.whl")
    return built


BACKEND = """
import sys
import helioloop
from helioloop_backend.wsgi import create_app
assert helioloop.__file__.startswith(sys.prefix), helioloop.__file__
assert create_app().test_client().get("/health").json == {"status": "UP"}
for name in ("torch", "astropy", "scipy", "label_studio_ml", "label_studio_sdk"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{name} is installed")
"""


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_the_backend_installs_from_the_wheel_and_answers(wheel: Path, tmp_path: Path, installer: str) -> None:
    """In the newest versions that the requirements allow, as a user gets them; without the heavy packages."""
    environment = tmp_path / "environment"
    if installer == "pip":
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        command = [environment / "bin/pip", "install", "-q", f"helioloop[backend] @ {wheel.as_uri()}"]
        subprocess.run(command, check=True)
    else:
        _make("install-wheel", f"VENV={environment}", "EXTRA=backend", f"WHEEL={wheel}")
    programs = environment / "bin"
    away = tmp_path / "away"
    assert "  backend " in _run(away, str(programs / "helioloop"), "--help")
    assert "HELIOLOOP_BACKEND_PORT" in _run(away, str(programs / "helioloop"), "backend", "--help")
    _run(away, str(programs / "python"), "-c", BACKEND)


WORKER = """
import sys
from pathlib import Path
import helioloop_worker
from helioloop.model.architectures import find_architecture
from helioloop.model.recipes import ACCURATE, QUICK
from helioloop.model.training import new_network
from helioloop.records.instrument import MDI
from helioloop_worker.labelstudio.project_template import copy_stills, instruction, labeling_configuration
from helioloop_worker.reports.page import _environment
assert helioloop_worker.__file__.startswith(sys.prefix), helioloop_worker.__file__
assert "<TimelineLabels" in labeling_configuration()
assert "<img" in instruction("stills")
copy_stills(Path("stills"))
assert len(list(Path("stills").rglob("*.png"))) == 6
for recipe in (QUICK, ACCURATE):
    new_network(find_architecture(recipe.network), recipe, MDI, dropout=recipe.dropouts[0])
for name in ("base.html", "report.html", "state.html", "style.css"):
    _environment().get_template(name)
"""


def test_the_worker_installs_from_the_wheel_with_its_files(wheel: Path, tmp_path: Path) -> None:
    """In the versions of constraints.txt, so that no other torch is fetched; init and report find their
    templates, and training its pretrained weights.
    """
    environment = tmp_path / "environment"
    _make("install-wheel", f"VENV={environment}", "EXTRA=worker", f"WHEEL={wheel}")
    programs = environment / "bin"
    away = tmp_path / "away"
    assert "  train " in _run(away, str(programs / "helioloop"), "--help")
    _run(away, str(programs / "python"), "-c", WORKER)
    release = away / "made"
    _run(away, str(programs / "helioloop"), "make-release", "--out", str(release), "--n", "1", "--seed", "1")
    assert [path.suffix for path in release.glob("*.fits")] == [".fits"]
