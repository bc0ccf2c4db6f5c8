"""Which versions Label Studio has shown: the list is bounded, and tells the same of each version as the whole one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helioloop.registry import shown_versions
from helioloop.registry.shown_versions import (
    RECENT,
    SHOWN_VERSIONS,
    ShownVersion,
    add_shown_version,
    read_replaced_versions,
    read_shown_versions,
    superseded_since,
)

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that is a minute later each time it is read."""

    def __init__(self) -> None:
        self.minutes = 0.0

    def time(self) -> float:
        """Return the time in Unix seconds."""
        self.minutes += 1.0
        return BEGUN.timestamp() + self.minutes * 60.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(shown_versions, "time", found)
    return found


def show(folder: Path, versions: Sequence[str]) -> list[ShownVersion]:
    """Show versions one after the other, and return all lines that were ever written."""
    every: list[ShownVersion] = []
    for version in versions:
        add_shown_version(folder, version)
        every += [line for line in read_shown_versions(folder)[-1:] if line not in every]
    return every


def test_the_list_of_two_deployments_that_show_their_versions_in_turn_is_bounded(tmp_path: Path) -> None:
    """A year of it, at two lines an hour, with three versions of before; 100 lines and six others are kept."""
    early = ["v0001", "v0002", "v0001", "v0003"]
    every = show(tmp_path, [*early, *["v0004", "v0005"] * 500])
    kept = read_shown_versions(tmp_path)
    assert kept[-RECENT:] == every[-RECENT:]
    assert len(kept) <= RECENT + 6
    for version in ("v0001", "v0002", "v0003", "v0004", "v0005", "never"):
        last = max((index for index, line in enumerate(every) if line.version == version), default=len(every) - 2)
        since = superseded_since(tmp_path, version)
        assert since == (None if version == "v0005" else datetime.fromisoformat(every[last + 1].at))


def test_a_short_list_is_kept_whole(tmp_path: Path) -> None:
    versions = ["v0001", "v0002"] * (RECENT // 2)
    show(tmp_path, versions)
    assert [line.version for line in read_shown_versions(tmp_path)] == versions


def test_a_list_that_has_grown_is_cut_with_the_next_version(tmp_path: Path) -> None:
    lines = [{"version": f"v000{1 + k % 2}", "at": (BEGUN + timedelta(minutes=k)).isoformat()} for k in range(1000)]
    (tmp_path / SHOWN_VERSIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    add_shown_version(tmp_path, "v0003")
    assert len(read_shown_versions(tmp_path)) <= RECENT + 1


def test_only_what_stands_in_the_place_of_the_version_that_was_shown_last_is_anothers(
    tmp_path: Path, clock: Clock
) -> None:
    """v0002 follows v0001; then v0001, and an hour later v0007, are found in its place."""
    add_shown_version(tmp_path, "v0001")
    add_shown_version(tmp_path, "v0001", instead_of="v0002")
    add_shown_version(tmp_path, "v0002")
    assert read_replaced_versions(tmp_path, "v0002", now=clock.time()) is None
    for other in ("v0001", "v0007"):
        add_shown_version(tmp_path, other, instead_of="v0002")
        add_shown_version(tmp_path, "v0002")
        clock.minutes += 60.0
    found = read_replaced_versions(tmp_path, "v0002", now=clock.time())
    assert found is not None
    assert (len(found.times), found.other, found.is_contested) == (2, "v0007", True)
    assert read_replaced_versions(tmp_path, "v0002", now=found.times[-1] + 86401.0) is None


def test_a_damaged_list_says_nothing_of_another_deployment(tmp_path: Path) -> None:
    (tmp_path / SHOWN_VERSIONS).write_text('{"version": "v0001"')
    assert read_replaced_versions(tmp_path, "v0001", now=0.0) is None
