"""What the loop tells annotators: the block in the description, and the page with the state."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from markupsafe import escape
from tests.worker.conftest import LoopProject, work

from helioloop.errors import LabelStudioError
from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker import jobs
from helioloop_worker.loop import announcing

Data = dict[str, dict[str, str]]
OWN = "Our own text <b>stays</b>."


def description(loop_project: LoopProject) -> str:
    return loop_project.label_studio.project(loop_project.id).description


def page(loop_project: LoopProject) -> str:
    return (loop_project.context.settings.media_dir(loop_project.id) / "state.html").read_text()


def text_of(html: str) -> str:
    """The words of a page, without tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)))


def test_the_description_says_what_is_shown_and_keeps_the_teams_text(
    loop_project: LoopProject, task_data: Data
) -> None:
    """With the address of the page; the block is renewed, not added again."""
    loop_project.import_cubes(task_data)
    loop_project.label_studio.set_description(loop_project.id, OWN)
    loop_project.read()
    announcing.announce(loop_project.context, loop_project.id)
    first = description(loop_project)
    link = f"http://127.0.0.1:8080/data/local-files/?d=helioloop/project-{loop_project.id}/state.html"
    assert first == f"[helioloop] No model yet. 0 of 24 verified. More: {link} [end of helioloop]\n\n{OWN}"
    version = loop_project.publish()
    announcing.announce(loop_project.context, loop_project.id)
    second = description(loop_project)
    assert second.startswith(f"[helioloop] {version} (")
    assert second.endswith(f"[end of helioloop]\n\n{OWN}")
    assert second.count("[helioloop]") == 1


def test_an_unchanged_description_is_not_written(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change of a project calls the project's webhooks."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    announcing.announce(loop_project.context, loop_project.id)

    def refuse(*_: Any) -> None:
        pytest.fail("nothing has changed")

    monkeypatch.setattr(loop_project.label_studio, "set_description", refuse)
    announcing.announce(loop_project.context, loop_project.id)


def test_a_label_studio_that_does_not_answer_stops_no_round(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged, and the page is written."""
    loop_project.import_cubes(task_data)
    loop_project.publish()

    def fail(*_: Any) -> None:
        raise LabelStudioError("no answer")

    monkeypatch.setattr(loop_project.label_studio, "set_description", fail)
    announcing.announce(loop_project.context, loop_project.id)
    assert "the description is not renewed: no answer" in caplog.text
    assert "v0001" in page(loop_project)


def test_the_page_has_the_title_of_the_project(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that computes keeps it, and does not ask Label Studio."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    info = replace(loop_project.label_studio.project(loop_project.id), title="Bipoles <1996–2010> & more")
    monkeypatch.setattr(loop_project.label_studio, "project", lambda _: info)
    announcing.announce(loop_project.context, loop_project.id)
    shown = page(loop_project)
    assert "<h1>Bipoles &lt;1996–2010&gt; &amp; more</h1>" in shown
    monkeypatch.setattr(announcing, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(loop_project.label_studio, "project", lambda _: pytest.fail("it is asked"))
    announcing.page_progress(loop_project.context, loop_project.id)()
    assert "<h1>Bipoles &lt;1996–2010&gt; &amp; more</h1>" in page(loop_project)


def test_the_page_has_the_number_of_a_project_whose_title_is_not_known(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Label Studio does not answer; or a job renews a page that is not there."""
    loop_project.import_cubes(task_data)
    loop_project.publish()

    def fail(*_: Any) -> None:
        raise LabelStudioError("no answer")

    monkeypatch.setattr(announcing, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(loop_project.label_studio, "project", fail)
    announcing.page_progress(loop_project.context, loop_project.id)()
    assert f"<h1>Project {loop_project.id}</h1>" in page(loop_project)
    announcing.announce(loop_project.context, loop_project.id)
    assert f"<h1>Project {loop_project.id}</h1>" in page(loop_project)
    assert "the description is not renewed: no answer" in caplog.text


def test_a_folder_that_cannot_be_written_stops_no_round(
    loop_project: LoopProject, task_data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    """A file is in the place of the media folder."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    loop_project.context.settings.media_root.parent.mkdir(exist_ok=True)
    loop_project.context.settings.media_root.write_text("")
    announcing.announce(loop_project.context, loop_project.id)
    assert "the page with its state is not renewed" in caplog.text


def test_a_round_is_announced_from_its_start_to_the_report(loop_project: LoopProject, task_data: Data) -> None:
    """Real jobs: planning announces the round; at the end the report is there, and nothing runs."""
    loop_project.import_cubes(task_data)
    loop_project.check()
    assert loop_project.context.state.running(loop_project.id) is not None
    jobs.plan_round(loop_project.context, loop_project.id)
    assert "Now training member 1 of 2, time left not known yet" in description(loop_project)
    assert "v0001 has been in the making since" in text_of(page(loop_project))
    work(loop_project)
    assert "Now training" not in description(loop_project)
    assert "No round is running." in text_of(page(loop_project))
    media = loop_project.context.settings.media_dir(loop_project.id)
    assert "Report on project" in (media / "report.html").read_text()
    assert f"project-{loop_project.id}/report.html" in page(loop_project)


def test_the_page_is_renewed_while_a_job_works(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most every few seconds, however often the job reports."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    clock = 0.0
    written = []
    monkeypatch.setattr(announcing.time, "monotonic", lambda: clock)
    monkeypatch.setattr(announcing, "_write_page", lambda *_, **__: written.append(clock))
    renew = announcing.page_progress(loop_project.context, loop_project.id)
    for clock in (0.0, 14.9, 15.0, 16.0, 29.9, 30.1):  # noqa: B007 - the clock that `renew` reads
        renew()
    assert written == [15.0, 30.1]


def test_one_report_waits_at_a_time(loop_project: LoopProject) -> None:
    """Several write-backs need one."""
    for _ in range(3):
        announcing.send_report(loop_project.context, loop_project.id)
    assert loop_project.queued() == [messages.MakeReport(project=loop_project.id).job_id]
    assert queues.queue_lengths(loop_project.context.connection)["helioloop-maintenance"] == 1


@pytest.mark.parametrize("name", ["cube05", "cube & <05>", "cube '05' \"x\""])
def test_a_report_is_withdrawn_only_if_its_gallery_shows_a_blind_cube(loop_project: LoopProject, name: str) -> None:
    """Names are escaped in it; another one is asked for. Without a report nothing happens."""
    context, project = loop_project.context, loop_project.id
    announcing.withdraw_report(context, project, {name})
    path = announcing.report_path(context, project)
    atomic.write_text(path, f"<h3>{escape(name)}</h3><p>{name[:-1]}</p><h3>other</h3>")
    announcing.withdraw_report(context, project, {name[:-1], "cube0"})
    assert path.exists()
    assert loop_project.queued() == []
    announcing.withdraw_report(context, project, {"a", name})
    assert not path.exists()
    assert loop_project.queued() == [messages.MakeReport(project=project).job_id]


def test_a_report_that_was_overtaken_by_the_choice_of_random_checks_is_withdrawn(loop_project: LoopProject) -> None:
    """It was being drawn when the write-back chose one of its cubes."""
    RandomChecks(version="v0002", cubes=("cube05",)).write(loop_project.model_dir)
    for cube, stays in (("cube05", False), ("cube06", True)):
        path = announcing.write_report(loop_project.context, loop_project.id, f"<h3>{cube}</h3>")
        assert path.exists() is stays
