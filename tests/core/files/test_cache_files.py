"""A cache that cannot be used costs time and no result, and one sentence says so."""

import logging
from pathlib import Path

import pytest
from tests.other_user import FIRST, SECOND, needs_root, run_as, team_folder

from helioloop.files import cache_files


def test_a_cache_that_cannot_be_written_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    for name in ("a", "b"):
        cache_files.write(cache, cache / name, b"x")
    (said,) = caplog.messages
    assert said == (
        f"the cache {cache} cannot be used (Not a directory), and what it lacks is made again each time; correct the "
        "path, in which a file is used as a folder, or name another folder with HELIOLOOP_CACHE_ROOT"
    )


@needs_root
def test_the_cache_of_another_user_is_read_and_not_written() -> None:
    def write(name: str) -> list[str]:
        said: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        cache_files.log.addHandler(handler)
        for _ in range(2):
            cache_files.write(folder / "cache", folder / "cache" / "ab" / name, name.encode())
        return said

    with team_folder() as folder:
        assert run_as(FIRST, lambda: write("first")) == []
        (said,) = run_as(SECOND, lambda: write("second"))
        assert f"let the user number {SECOND} write in {folder}/cache/ab, which belongs to number {FIRST}, or" in said
        assert [path.name for path in (folder / "cache" / "ab").iterdir()] == ["first"]
