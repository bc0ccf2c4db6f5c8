"""Two train workers with different paths to one folder train a round together, without flock, O_APPEND or inotify.

The workers are real processes of the command line. The folder is one folder under two names, as a network file system
that two machines mount in different places; flock, appending and inotify fail in it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rq import Worker
from safetensors.numpy import load_file
from tests.worker.conftest import CUBES, TINY, LoopProject, make_release, work

from helioloop.files.lease import holding, is_held
from helioloop.messaging import messages
from helioloop.model.members import train_member
from helioloop.progress import silent
from helioloop.registry.staging import Staging
from helioloop.registry.versions import Registry
from helioloop_worker.loop import rounds
from helioloop_worker.loop.ingest import ingest

WITHOUT = '''
"""Lets flock, appending and inotify fail in the shared folder, and writes each attempt into a file of its own."""
import errno, os, sys, uuid
SHARED, TRIED = os.environ["SHARED"], os.environ["TRIED"]

def place(file):
    return os.path.realpath(f"/proc/self/fd/{file}" if isinstance(file, int) else os.fsdecode(file))

def refuse(event, arguments):
    if event in ("fcntl.flock", "fcntl.lockf"):
        failing = place(arguments[0]).startswith(SHARED)
    elif event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        failing = bool(arguments[2] & os.O_APPEND) and place(os.fspath(arguments[0])).startswith(SHARED)
    else:
        failing = event == "ctypes.dlsym" and str(arguments[1]).startswith("inotify")
    if failing:
        with open(os.path.join(TRIED, uuid.uuid4().hex), "w") as file:
            file.write(f"{event} {arguments}")
        raise OSError(errno.ENOLCK, "no such thing on this file system")

sys.addaudithook(refuse)
'''


@pytest.fixture
def folders(tmp_path: Path) -> Mapping[str, Path]:
    """One shared folder under two names."""
    (tmp_path / "server").mkdir()
    names = {}
    for machine in ("one", "two"):
        names[machine] = tmp_path / machine / "mounted"
        names[machine].parent.mkdir()
        names[machine].symlink_to(tmp_path / "server", target_is_directory=True)
    return names


@pytest.fixture
def shared(loop_project: LoopProject, folders: Mapping[str, Path]) -> LoopProject:
    """A project whose models, releases and media are in the shared folder, as machine one sees it; six members."""
    root = folders["one"]
    make_release(root / "releases" / "made", CUBES)
    old = loop_project.context
    settings = old.settings.model_copy(
        update={
            "model_root": root / "models",
            "media_root": root / "media",
            "release_roots": [root / "releases"],
            "cache_root": root.parent / "cache",
        }
    )
    recipe = replace(TINY, dropouts=(0.1, 0.2, 0.3))
    context = replace(old, settings=settings, recipe_for=lambda *_: recipe)
    project = replace(loop_project, context=context)
    ingest(context, project.id, "made", report=silent)
    return project


@contextmanager
def train_workers(project: LoopProject, folders: Mapping[str, Path], tmp_path: Path) -> Iterator[list[str]]:
    """Run a train worker on each machine, and yield their names once both serve the queue."""
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(WITHOUT)
    (tmp_path / "tried").mkdir()
    workers = []
    for root in folders.values():
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root.parent),
            "PYTHONPATH": str(tmp_path / "python"),
            "SHARED": str(tmp_path / "server"),
            "TRIED": str(tmp_path / "tried"),
            "REDIS_URL": project.context.settings.redis_url,
            "HELIOLOOP_MODEL_ROOT": str(root / "models"),
            "HELIOLOOP_MEDIA_ROOT": str(root / "media"),
            "HELIOLOOP_RELEASE_ROOTS": f'["{root / "releases"}"]',
            "HELIOLOOP_CACHE_ROOT": str(root.parent / "cache"),
            "HELIOLOOP_DEVICE": "cpu",
            "HELIOLOOP_RANDOM_CHECKS": "0",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "helioloop", "worker", "--role", "train"]
        with (root.parent / "log").open("wb") as log:
            workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    try:
        connection = project.context.connection
        wait_for(lambda: Worker.count(connection=connection) == 2)
        yield [str(worker.name) for worker in Worker.all(connection=connection)]
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            assert worker.wait(timeout=30) == 0


def wait_for(condition: Callable[[], bool], *, seconds: float = 90.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_workers_with_different_paths_train_one_round(
    shared: LoopProject, folders: Mapping[str, Path], tmp_path: Path
) -> None:
    """Both train members; the version is that of one worker, and no payload, plan or card has a path."""
    plan = shared.plan()
    with train_workers(shared, folders, tmp_path) as names:
        assert rounds.start(shared.context, shared.id, plan, forced=False)
        wait_for(lambda: shared.registry.published() == "v0001")
    steps = rounds.steps_of(shared.id, plan)
    trained_by = {str(shared.job(step.job_id).worker_name) for step in steps.members}
    assert trained_by == set(names)
    assert list((tmp_path / "tried").iterdir()) == []

    version = Registry(folders["two"] / "models" / f"project-{shared.id}")
    assert len(version.scores("v0001")) == len(CUBES)
    member = plan.members[-1]
    alone = tmp_path / "alone"
    alone.mkdir()
    train_member(plan, member.name, alone, shared.context.runtime(shared.id, silent))
    mine, theirs = load_file(alone / member.file), load_file(version.folder("v0001") / member.file)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)

    texts = [path.read_text() for path in version.folder("v0001").rglob("*.json*")]
    payloads = [str(shared.job(step.job_id).kwargs) for step in steps.all]
    assert len(texts) >= 4
    for text in (*texts, *payloads):
        assert str(tmp_path) not in text
        assert "mounted" not in text
    work(shared, messages.QUEUE_MAINTENANCE)
    assert len(shared.rows("v0001")) == len(CUBES)


def test_a_lock_holds_under_each_name_of_its_folder(shared: LoopProject, folders: Mapping[str, Path]) -> None:
    """`helioloop train` on machine one keeps a worker on machine two from its round."""
    fingerprint = shared.plan().fingerprint
    there = Staging(folders["two"] / "models" / f"project-{shared.id}")
    with Staging(shared.model_dir).locked(fingerprint):
        assert there.is_locked(fingerprint)
        there.discard()
        assert there.fingerprints() == [fingerprint]
    assert not there.is_locked(fingerprint)
    with holding(folders["one"] / "lock"):
        assert is_held(folders["two"] / "lock")


def test_the_refusals_of_the_other_tests_work(tmp_path: Path) -> None:
    """The old kind of lock and appending fail in the shared folder, and elsewhere they do not."""
    for name in ("python", "tried", "server", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(WITHOUT)
    code = """if True:
        import fcntl, sys
        from pathlib import Path
        for folder in map(Path, sys.argv[1:]):
            for use in (lambda file: file.open("a").close(), lambda file: fcntl.flock(file.open("w"), fcntl.LOCK_EX)):
                try:
                    use(folder / "file")
                except OSError:
                    print("refused")
                else:
                    print("done")
    """
    environment = {
        "PYTHONPATH": str(tmp_path / "python"),
        "SHARED": str(tmp_path / "server"),
        "TRIED": str(tmp_path / "tried"),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "server", tmp_path / "elsewhere"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["refused", "refused", "done", "done"]
    assert len(list((tmp_path / "tried").iterdir())) == 2


def test_workers_with_different_paths_connect_one_storage(shared: LoopProject, folders: Mapping[str, Path]) -> None:
    """Label Studio is given the path at which it sees the media folder, whichever worker ingests."""
    seen = Path("/label-studio/media")
    before = set(shared.label_studio.storages(shared.id))
    for root in folders.values():
        update = {"media_root": root / "media", "label_studio_media_root": seen}
        settings = shared.context.settings.model_copy(update=update)
        ingest(replace(shared.context, settings=settings), shared.id, "made", report=silent)
    added = set(shared.label_studio.storages(shared.id)) - before
    assert added == {f"/label-studio/media/helioloop/project-{shared.id}"}
