"""Progress where stderr is no terminal: a line now and then, and nothing about short work."""

import pytest

from helioloop_worker import terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as one entry that tests change."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_a_long_stage_prints_a_line_every_ten_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Of each bar; a bar without a total has no numbers, and a finished one no line."""
    with terminal.bars() as progress:
        members, round_ = progress.add_task("", total=8), progress.add_task("round", total=None)
        for second in range(31):
            clock[0] = float(second)
            progress.update(members, description="training", completed=second // 4)
            if second == 30:
                progress.update(round_, description="about 2 min left")
            elif second == 0:
                progress.update(round_, description="about 3 min left")
        clock[0] = 60.0
        progress.update(members, completed=8)
    lines = [line.split(" UTC  ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["training, 2 of 8", "training, 5 of 8", "training, 7 of 8", "about 2 min left"]


def test_short_work_prints_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Also no empty line at the end."""
    with terminal.bars() as progress:
        bar = progress.add_task("reading", total=3)
        for done in range(4):
            clock[0] = 3.0 * done
            progress.update(bar, completed=done)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_bar_says_what_is_waited_for_until_its_first_report(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A total that is known before the first cube is there from the start."""
    with terminal.bars() as progress:
        files = terminal.bar_report(progress, "reading files")
        terminal.bar_report(progress, "making cubes", total=4)
        assert [(task.description, task.total) for task in progress.tasks] == [
            ("reading files", None),
            ("making cubes", 4),
        ]
        for second, done in ((0.0, 1), (10.0, 2)):
            clock[0] = second
            files(done, 3, "writing cubes")
    assert capsys.readouterr().err.endswith("UTC  writing cubes, 2 of 3\n")


def test_a_log_names_what_is_waited_for_and_a_stage_whose_total_is_not_known_yet(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A job that no worker has taken, and one that has said nothing but what it does."""
    reports = [None, None, {"done": 0, "total": 0, "what": "reading"}, {"done": 3, "total": 9, "what": "cutting"}]
    with terminal.bars() as progress:
        bar = progress.add_task("waiting for a worker", total=None)
        for number, reported in enumerate(reports):
            clock[0] = 10.0 * number
            terminal._show(progress, bar, reported)
    lines = [line.split(" UTC  ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["waiting for a worker", "reading", "cutting, 3 of 9"]


def test_a_bar_without_a_total_has_no_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal, where "0/?" would be a riddle."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with terminal.bars() as progress:
        progress.add_task("loading", total=None)
        progress.add_task("cutting", total=7)
    shown = capsys.readouterr().err
    assert "loading" in shown
    assert "0/7" in shown
    assert "/?" not in shown
