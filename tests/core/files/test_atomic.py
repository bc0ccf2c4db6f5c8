"""Files appear whole or not at all, with the permissions that the umask gives."""

import errno
import json
import os
import pty
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helioloop.files import atomic


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """A reader during many replacements sees one of the versions written, never half of one or none."""
    path = tmp_path / "value.json"
    atomic.write_json(path, ["x" * 10_000])
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "yz" * 20:
        atomic.write_json(path, [letter * 10_000])
    done.set()
    reader.join()
    assert seen <= {json.dumps([letter * 10_000], indent=1) + "\n" for letter in "xyz"}


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    """NaN, which JSON does not have, leaves the file as it was and no other file in the folder."""
    path = tmp_path / "value.json"
    atomic.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.json"]


def test_a_full_disk_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full when the file is flushed leaves the old file and no temporary one."""
    path = tmp_path / "value.txt"
    atomic.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.txt"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """Lines of JSON in a folder that was not there are read back."""
    path = tmp_path / "a" / "b" / "lines.jsonl"
    atomic.write_json_lines(path, [{"a": 1}, {"b": "é"}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"b": "é"}]


@pytest.fixture(params=[0o077, 0o002, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the umask of the process for one test."""
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)


def test_a_file_has_the_permissions_that_open_would_give(tmp_path: Path, umask: int) -> None:
    """A new file and one that replaces a file with other permissions follow the umask."""
    path = tmp_path / "value.txt"
    atomic.write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o600)
    atomic.write_text(path, "newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.txt"]


def test_the_permissions_of_a_file_are_kept_where_that_is_asked_for(tmp_path: Path, umask: int) -> None:
    """Those of a new file are what `open` would give; a file stays in its group."""
    path = tmp_path / "value.txt"
    atomic.write_text(path, "new", keep_mode=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o664)
    atomic.write_text(path, "newer", keep_mode=True)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("newer", 0o664)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another account")
def test_root_does_not_take_a_file_that_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "value.txt"
    path.write_text("old")
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    atomic.write_text(path, "new", keep_mode=True)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 5678, 0o640)


def test_a_block_that_raises_leaves_only_the_old_file(tmp_path: Path) -> None:
    """A half-written new file is removed when the block raises."""
    path = tmp_path / "value.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic.replacing(path) as new:
            new.write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_half()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.txt"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_a_disk_that_cannot_flush_folders_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As some network file systems; a disk that fails is an error."""
    flush = os.fsync

    def refusing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)
    atomic.write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
    number = errno.EIO
    with pytest.raises(OSError, match="error"):
        atomic.sync_folder(tmp_path)


def test_many_files_are_replaced_and_flushed_before_they_appear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty files in two folders, one of them new: each new file and both folders are flushed, the files first."""
    flush, flushed = os.fsync, list[bool]()
    monkeypatch.setattr(os, "fsync", lambda one: (flushed.append(stat.S_ISDIR(os.fstat(one).st_mode)), flush(one)))
    contents = {tmp_path / "ab"[k % 2] / f"{k}.txt": f"{k}".encode() for k in range(40)}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.txt").write_text("old")
    atomic.replace_many(contents)
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == contents
    assert flushed == [False] * 40 + [True] * 2
    atomic.replace_many({})


def test_many_files_of_which_one_cannot_be_written_are_as_before(tmp_path: Path) -> None:
    """The place of one is a folder: it is refused, the others have their old or new content, no new file is left."""
    paths = [tmp_path / f"{k}.txt" for k in range(20)]
    for path in paths[:10]:
        path.write_text("old")
    paths[10].mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.replace_many(dict.fromkeys(paths, b"new"))
    assert {path.read_text() for path in paths if path.is_file()} <= {"old", "new"}
    assert not any(atomic.is_unfinished(entry.name) for entry in tmp_path.iterdir())


def test_many_files_on_a_full_disk_are_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flush fails: no file is replaced, none is left over."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "3.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.replace_many({tmp_path / f"{k}.txt": b"new" for k in range(20)})
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"3.txt": "old"}


def test_only_new_files_of_a_replacement_count_as_unfinished(tmp_path: Path) -> None:
    """Not the dated backups of others, whose date has eight digits."""
    with atomic.replacing(tmp_path / "a.b.json") as new:
        assert atomic.is_unfinished(new.name)
        new.write_text("x")
    for name in ("a.b.json", ".watch.lock", ".cutouts", "a.json.hl0123ab", ".a.hl0123AB"):
        assert not atomic.is_unfinished(name)
    for name in (".labels.csv.20240315", ".bashrc.20231105", ".a.0123abcd", ".labels.csv.hl0123ab.bak"):
        assert not atomic.is_unfinished(name)


def test_a_pipe_receives_the_content_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    atomic.write_text(pipe, "a,b\n")
    reader.join(timeout=10.0)
    assert received == ["a,b\n"]
    assert pipe.is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """A terminal of the test's own, because a failure that replaces a device would harm the whole machine."""
    ours, theirs = pty.openpty()
    try:
        terminal = tmp_path / "terminal"
        terminal.symlink_to(os.ttyname(theirs))
        assert atomic.is_stream(terminal)
        atomic.write_text(terminal, "a,b\n")
        assert os.read(ours, 100) == b"a,b\r\n"
        assert terminal.is_symlink()
        assert terminal.is_char_device()
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_file_behind_an_open_descriptor_is_appended_to(tmp_path: Path) -> None:
    """As a shell's >> log with --out /dev/stdout: what the log had stays."""
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as file:
        atomic.write_text(Path(f"/dev/fd/{file.fileno()}"), "a,b\n")
    assert log.read_text() == "before\na,b\n"


def test_what_could_not_be_replaced_at_the_end_is_found_at_the_beginning(tmp_path: Path) -> None:
    """A folder that takes no new file, also as the one above a missing folder; nothing stays where one can be made."""
    atomic.check_replaceable(tmp_path / "new" / "deep" / "table.csv")
    atomic.check_replaceable(Path("/dev/full"))
    assert [*tmp_path.iterdir()] == []
    for path in (Path("/proc/table.csv"), Path("/proc/new/table.csv")):
        with pytest.raises(OSError) as refused:  # noqa: PT011 - /proc answers with various numbers
            atomic.check_replaceable(path)
        assert refused.value.filename == str(path)


def test_looking_whether_a_file_can_be_replaced_leaves_it_as_it_is(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n")
    atomic.check_replaceable(table)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"table.csv": "a,b\n"}


@pytest.mark.parametrize("place", ["/dev/fd/", "/proc/self/fd/"])
def test_what_is_written_after_a_table_to_the_same_descriptor_follows_it(tmp_path: Path, place: str) -> None:
    """As of two commands in braces with one > of the shell: the second replaced the begin of the first one's table."""
    log = tmp_path / "log"
    with log.open("wb", buffering=0) as file:
        file.write(b"before\n")
        atomic.write_text(Path(f"{place}{file.fileno()}"), "a,b\n")
        file.write(b"after\n")
    assert log.read_text() == "before\na,b\nafter\n"
