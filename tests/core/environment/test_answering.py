"""Folders that do not answer: with a real mount that never does, and with calls that take long."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.hung import run_beside

from helioloop.environment import answering
from helioloop.environment.answering import silent_folders, silent_sentence, within


def test_a_call_that_ends_in_time_gives_its_result_or_error() -> None:
    assert within(5.0, lambda: 3, otherwise=0) == 3
    with pytest.raises(PermissionError):
        within(5.0, lambda: (_ for _ in ()).throw(PermissionError), otherwise=0)


def test_a_call_that_does_not_end_is_left() -> None:
    released = threading.Event()
    begun = time.monotonic()
    assert within(0.05, lambda: released.wait(60.0), otherwise=False) is False
    assert time.monotonic() - begun < 30.0
    released.set()


def test_folders_that_are_missing_or_files_answer(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert silent_folders([tmp_path, tmp_path / "none", tmp_path / "file"]) == ()
    assert silent_sentence([("HELIOLOOP_MODEL_ROOT", tmp_path)]) is None


def test_a_silent_folder_costs_one_thread_however_often_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other folder waits for it; once it answers, it is not silent any more."""
    released = threading.Event()
    silent, other = tmp_path / "silent", tmp_path / "other"
    whole = os.statvfs
    monkeypatch.setattr(answering.os, "statvfs", lambda path: released.wait(60.0) if path == silent else whole(path))
    before = threading.active_count()
    for _ in range(5):
        assert silent_folders([silent, other], seconds=0.05) == (silent,)
    assert threading.active_count() == before + 1
    sentence = silent_sentence([("HELIOLOOP_MEDIA_ROOT", silent), ("--model-dir", other)], seconds=0.05)
    assert sentence is not None
    assert sentence.startswith(f"{silent} (HELIOLOOP_MEDIA_ROOT): no answer within 0.05 s")
    released.set()
    assert silent_folders([silent, other], seconds=30.0) == ()


_READ = """
import time
from helioloop.environment.answering import silent_folders
from helioloop.settings import load_settings
begun = time.monotonic()
settings = load_settings()
print(silent_folders([settings.model_root], seconds=0.5) == (settings.model_root,), time.monotonic() - begun < 20)
"""


def test_settings_are_read_although_a_folder_is_on_a_hung_mount(tmp_path: Path) -> None:
    """The mount is real: a look at it would never return."""
    environment = {**os.environ, "HELIOLOOP_MODEL_ROOT": str(tmp_path / "hung" / "models")}
    done = run_beside(tmp_path / "hung", [sys.executable, "-c", _READ], environment)
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr
