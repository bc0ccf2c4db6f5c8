"""What has the name of a file and is none: folders, links that lead nowhere, pipes."""

import os
import socket
from pathlib import Path

import pytest

from helioloop.files.kinds import why_not_a_file


def test_files_and_links_to_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").symlink_to("a")
    assert [why_not_a_file(tmp_path / name) for name in "ab"] == [None, None]


def test_what_is_no_file_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is not opened, which would wait for ever."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    Path("folder").mkdir()
    Path("gone").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        reasons = {name: why_not_a_file(Path(name)) for name in ("folder", "gone", "loop", "pipe", "socket")}
    assert reasons == {
        "folder": "is a folder, and only files are read: give the folder another name",
        "gone": "is a link to a file that does not exist: restore that file, or put a copy of it there",
        "loop": "is a link that leads back to itself, and only files are read: put the file there",
        "pipe": "is a pipe, a socket or a device, and only files are read: remove it",
        "socket": "is a pipe, a socket or a device, and only files are read: remove it",
    }
