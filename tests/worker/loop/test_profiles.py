"""Projects of different profiles: each has the grid of its releases, from the ingestion to the catalogue."""

import csv
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import CUBES, PROFILE, TINY, LoopProject, emerges, make_release, work
from tests.worker.shell import run_one_of

from helioloop.data.release_profile import write_release_profile
from helioloop.errors import LabelStudioError, RegistryError, ReleaseError
from helioloop.messaging import messages, queues
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.records.profiles import BUILT_IN, Profile, find_profile
from helioloop_worker import context as context_module
from helioloop_worker.commands import options, project, status
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop.captions import NARROWEST_PX, band_px
from helioloop_worker.loop.ingest import Ingested, ingest
from helioloop_worker.loop.preparation import Preparation
from helioloop_worker.loop.video import check_video

OWN_TOML = """
name = "own"
patch_deg = 20.0
projection = "CAR"
grid_tolerance_seconds = 120.0
to_mdi_factor = 1.7
to_mdi_source = "made up for this test"
bad_quality_bits = 0

[instrument]
name = "OWN"
cadence_seconds = 3600.0
n_frames = 40
size_px = 31
clip_gauss = 800.0
frozen_frames = 6
"""
"""Differs from `PROFILE` in cadence, frames, patch, clip, frozen frames and factor; 31 px do not divide into cells."""
FOUR = CUBES[:4]


@pytest.fixture
def own(tmp_path: Path) -> Profile:
    """A profile of the user's, read from a TOML file."""
    (tmp_path / "own.toml").write_text(OWN_TOML)
    return find_profile(tmp_path / "own.toml")


def new_project(loop_project: LoopProject) -> LoopProject:
    """Another project in the same Label Studio and worker process, without a model folder."""
    made = loop_project.label_studio.create_project(title="another", label_config=labeling_configuration())
    return replace(loop_project, id=made)


def release(loop_project: LoopProject, name: str, profile: Profile, cubes: tuple[str, ...] = FOUR) -> Path:
    """Write a release of a profile into one of the release roots."""
    return make_release(loop_project.context.settings.release_roots[1] / name, cubes, profile)


def ingest_release(loop_project: LoopProject, name: str) -> Ingested:
    return ingest(loop_project.context, loop_project.id, name, report=silent)


def n_tasks(loop_project: LoopProject) -> int:
    return len(loop_project.label_studio.tasks(loop_project.id))


def profile_of(loop_project: LoopProject) -> Profile:
    return loop_project.context.profile_of(loop_project.id)


# -- the whole loop -------------------------------------------------------------------------------


def ranges(loop_project: LoopProject) -> dict[str, dict[str, int]]:
    """The timeline range of each cube that has one in its prediction."""
    cube_of = {task["id"]: task["data"]["cube"] for task in loop_project.label_studio.tasks(loop_project.id)}
    return {
        cube_of[entry["task"]]: item["value"]["ranges"][0]
        for entry in loop_project.label_studio.stored(loop_project.id)
        for item in entry["result"]
        if item["type"] == "timelinelabels"
    }


def catalogue(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, out: Path) -> dict[str, dict[str, str]]:
    """Run ``helioloop catalogue`` and return its table by cube."""
    monkeypatch.setattr(context_module, "Context", lambda _: loop_project.context)
    for module in (project, options):
        monkeypatch.setattr(module, "load_settings", lambda: loop_project.context.settings)
    result = run_one_of(project.commands(), "catalogue", "--project", str(loop_project.id), "--out", out)
    assert result.exit_code == 0, result.output
    with out.open(newline="") as file:
        return {row["cube"]: row for row in csv.DictReader(file)}


def test_two_projects_of_different_profiles_run_through_one_worker_process(
    loop_project: LoopProject, own: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ingestion, videos, round, timeline and times are on the grid of each project's own profile."""
    trained = replace(TINY, epochs=25)
    context = replace(loop_project.context, recipe_for=lambda *_: trained)
    small = new_project(replace(loop_project, context=context))
    other = new_project(small)
    release(small, "own", own, CUBES)
    for each, name in ((small, "made"), (other, "own")):
        queues.send(context.connection, messages.Ingest(project=each.id, release=name))
    work(small)
    for each, profile in ((small, PROFILE), (other, own)):
        grid = profile.instrument
        assert profile_of(each) == profile
        card = each.registry.card("v0001")
        assert (card.profile, card.instrument) == (profile.record(), grid.as_dict())
        assert Plan.read(each.registry.folder("v0001")).instrument == grid

        tasks = each.label_studio.tasks(each.id)
        assert len(tasks) == len(CUBES)
        for task in tasks:
            served = task["data"]["video"].removeprefix("/data/local-files/?d=")
            video = check_video(context.settings.media_root / served)
            assert (video.n_frames, video.fps) == (grid.n_frames, 25)
            side = grid.size_px * -(-NARROWEST_PX // grid.size_px)
            assert (video.width_px, video.height_px) == (side, side + 2 * band_px(side))

        found = ranges(each)
        assert len([cube for cube in found if emerges(cube)]) >= 6, found
        for cube, stretch in found.items():
            assert stretch["end"] == grid.n_frames
            assert grid.frozen_frames + 1 <= stretch["start"] <= grid.n_frames
            if emerges(cube):  # the field appears at the middle frame
                assert abs(stretch["start"] - 1 - grid.n_frames // 2) <= 4

        rows = catalogue(each, monkeypatch, tmp_path / f"{profile.name}.csv")
        start_of = {task["data"]["cube"]: task["data"]["start"].removesuffix("Z") for task in tasks}
        for cube, stretch in found.items():
            frame = int(rows[cube]["emergence_frame"])
            assert frame == stretch["start"] - 1
            later = timedelta(seconds=frame * grid.cadence_seconds)
            assert datetime.fromisoformat(rows[cube]["emergence_time_utc"]) == (
                datetime.fromisoformat(start_of[cube]) + later
            )
    assert len({path.name for path in (context.settings.cache_root).glob("inputs/*")}) >= 2


def test_an_onset_is_read_on_the_projects_own_frames(loop_project: LoopProject, own: Profile) -> None:
    """Frame 40 of 40 counts, although other projects have 24 frames; frame 41 is reported as a contradiction."""
    other = new_project(loop_project)
    release(other, "own", own)
    ingest_release(other, "own")
    last, beyond = (
        task["id"] for task in other.label_studio.tasks(other.id) if task["data"]["cube"] in {"cube01", "cube03"}
    )
    other.label_studio.annotate(last, "emergence", start=40)
    other.label_studio.annotate(beyond, "emergence", start=41)
    labels = other.read().snapshot.cubes
    assert labels["cube01"].verified_frame is not None
    assert labels["cube01"].verified_frame.frame == 39
    assert labels["cube03"].verified_frame is None
    assert "not a frame in 1..40" in str(labels["cube03"].contradiction)


def test_a_version_of_the_projects_profile_scores_later_cubes_on_its_grid(
    loop_project: LoopProject, own: Profile
) -> None:
    """The range of a prediction that is written by hand ends at the project's last frame."""
    other = new_project(loop_project)
    release(other, "own", own, CUBES)
    ingest_release(other, "own")
    version = other.publish(p_emergence=0.75)
    work(other)
    queues.send(other.context.connection, messages.WriteBack(project=other.id, version=version))
    work(other)
    assert {stretch["end"] for stretch in ranges(other).values()} == {40}
    assert {stretch["start"] for stretch in ranges(other).values()} == {13}  # frame 12 of `score_of`


# -- which profile a project has ------------------------------------------------------------------


def test_a_later_release_of_another_profile_is_refused(loop_project: LoopProject, own: Profile) -> None:
    """One sentence names both profiles, what differs, the rule and the remedy; nothing is imported."""
    other = new_project(loop_project)
    release(other, "first", PROFILE)
    ingest_release(other, "first")
    release(other, "second", own, CUBES[4:6])
    with pytest.raises(ReleaseError) as refused:
        ingest_release(other, "second")
    text = str(refused.value)
    assert text.startswith(f"release second has profile 'own', but project {other.id} has profile 'small' (")
    for part in ("n_frames 40 instead of 24", "cadence_seconds 3600 instead of 5760", "size_px 31 instead of 24"):
        assert part in text
    assert "all cubes of a project have one profile; correct the release's release.toml, or ingest it into" in text
    assert "helioloop init --title TITLE" in text
    assert n_tasks(other) == 4
    release(other, "third", PROFILE, CUBES[4:6])
    assert ingest_release(other, "third").imported == 2


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"to_mdi_factor": 1.4}, "to_mdi_factor 1.4 instead of 1"),
        ({"patch_deg": 12.0}, "patch_deg 12 instead of 15"),
        ({"name": "renamed"}, "name 'renamed' instead of 'small'"),
    ],
)
def test_a_profile_with_the_same_grid_is_another_one_too(
    loop_project: LoopProject, change: dict[str, Any], part: str
) -> None:
    """The field or the scale of its pixels would mean something else."""
    release(loop_project, "first", PROFILE)
    ingest_release(loop_project, "first")
    release(loop_project, "second", replace(PROFILE, **change), CUBES[4:6])
    with pytest.raises(ReleaseError, match=part):
        ingest_release(loop_project, "second")


def test_a_profile_that_selects_other_observations_is_the_same(loop_project: LoopProject) -> None:
    """QUALITY bits and the tolerance of the grid decide which images become frames, not what a frame means."""
    release(loop_project, "first", PROFILE)
    ingest_release(loop_project, "first")
    release(loop_project, "second", replace(PROFILE, bad_quality_bits=7, grid_tolerance_seconds=9.0), CUBES[4:6])
    assert ingest_release(loop_project, "second").imported == 2


def test_a_project_with_cubes_and_without_a_profile_is_mdi(loop_project: LoopProject, own: Profile) -> None:
    """Older projects: a release of another profile is refused, one without release.toml is not."""
    release(loop_project, "first", PROFILE)
    ingest_release(loop_project, "first")
    (loop_project.model_dir / "profile.json").unlink()
    assert profile_of(loop_project) == BUILT_IN["mdi"]
    release(loop_project, "second", own, CUBES[4:6])
    with pytest.raises(ReleaseError, match="has profile 'own', but project 1 has profile 'mdi'"):
        ingest_release(loop_project, "second")
    (release(loop_project, "third", own, CUBES[4:6]) / "release.toml").unlink()
    assert len(ingest_release(loop_project, "third").excluded) == 2  # 31 px are not MDI's 90


def test_an_ingestion_that_imports_nothing_leaves_the_project_open(loop_project: LoopProject, own: Profile) -> None:
    """A release whose release.toml was forgotten: no cube has MDI's size; with the file it is ingested."""
    other = new_project(loop_project)
    folder = release(other, "own", own)
    (folder / "release.toml").unlink()
    assert len(ingest_release(other, "own").excluded) == 4
    write_release_profile(folder, own)
    assert ingest_release(other, "own").imported == 4
    assert profile_of(other) == own


def test_a_project_without_cubes_and_versions_takes_another_profile(
    loop_project: LoopProject, own: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio did not take the tasks of the first release. Videos of the wrong grid are not used again."""
    other = new_project(loop_project)
    longer = replace(own, instrument=replace(own.instrument, cadence_seconds=7200.0))
    folder = release(other, "own", longer)

    def fails(*_: Any) -> list[int]:
        raise LabelStudioError("importing tasks: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(other.label_studio, "import_tasks", fails)
        with pytest.raises(LabelStudioError):
            ingest_release(other, "own")
    media = other.context.settings.media_dir(other.id)
    before = set(media.rglob("*.mp4"))
    write_release_profile(folder, own)
    assert ingest_release(other, "own").imported == 4
    assert profile_of(other) == own
    assert len(before) == len(set(media.rglob("*.mp4")) - before) == 4


def test_names_of_videos_on_mdis_grid_are_those_of_older_projects(
    loop_project: LoopProject, own: Profile, tmp_path: Path
) -> None:
    """So that no video is rendered again; on another grid the name has frames, cadence and clip."""
    names = [
        Preparation(
            release="r", cube="c", known=None, loader=loop_project.context.loader(profile), media=tmp_path
        ).names("0123456789abcdef")
        for profile in (BUILT_IN["mdi"], BUILT_IN["hmi"], own)
    ]
    assert [str(cube.video.relative_to(tmp_path)) for cube in names] == [
        "r/c-0123456789ab.mp4",
        "r/c-0123456789ab.mp4",
        "r/c-0123456789ab-40x3600s-800G.mp4",
    ]


def test_a_project_with_a_version_keeps_its_profile_without_cubes(loop_project: LoopProject, own: Profile) -> None:
    """Its tasks were deleted; the version scores cubes of its own profile only, also where profile.json is lost."""
    release(loop_project, "first", PROFILE, CUBES)
    ingest_release(loop_project, "first")
    loop_project.publish()
    for name in ("project.json", "labels.json"):  # the project was moved to another Label Studio
        (loop_project.model_dir / name).unlink(missing_ok=True)
    (loop_project.context.settings.media_dir(loop_project.id) / "project.json").unlink()
    emptied = FakeLabelStudio()
    number = emptied.create_project(title="emptied", label_config=labeling_configuration())
    context = replace(loop_project.context, open_label_studio=lambda _: emptied)
    loop_project = LoopProject(context=context, label_studio=emptied, id=number)
    release(loop_project, "second", own)
    with pytest.raises(ReleaseError, match="has profile 'small'"):
        ingest_release(loop_project, "second")
    (loop_project.model_dir / "profile.json").unlink()
    with pytest.raises(ReleaseError, match="has version v0001 of profile 'small'"):
        ingest_release(loop_project, "second")
    assert ingest_release(loop_project, "first").imported == len(CUBES)
    assert profile_of(loop_project) == PROFILE


def test_the_faster_of_two_first_ingestions_sets_the_profile(
    loop_project: LoopProject, own: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is refused before it imports anything."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    other = new_project(loop_project)
    release(other, "slow", own)
    release(other, "fast", PROFILE, CUBES[4:6])
    done: list[int] = []

    def report(at: int, *_: object) -> None:
        if at == 1 and not done:
            done.append(at)
            ingest_release(other, "fast")

    with pytest.raises(ReleaseError, match="release slow has profile 'own'"):
        ingest(other.context, other.id, "slow", report=report)
    assert sorted(task["data"]["cube"] for task in other.label_studio.tasks(other.id)) == ["cube04", "cube05"]
    assert profile_of(other) == PROFILE


@pytest.mark.parametrize("content", ["", "[]", '{"profile": "mdi"}', '{"profile": {"name": "x"}}', "\xff{"], ids=repr)
def test_a_damaged_profile_is_an_error_with_its_remedy(loop_project: LoopProject, content: str) -> None:
    """Nothing is read on a grid that may be wrong."""
    (loop_project.model_dir / "profile.json").write_bytes(content.encode("latin-1"))
    for read in (loop_project.read, lambda: profile_of(loop_project)):
        with pytest.raises(RegistryError, match=r"profile\.json is not a profile .*; restore it"):
            read()


def test_status_shows_the_profile(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, own: Profile) -> None:
    """Frames, cadence, size and patch; before the first ingestion also that it can change."""
    other = new_project(loop_project)
    for module in (status, options):
        monkeypatch.setattr(module, "load_settings", lambda: other.context.settings)
    other.model_dir.mkdir(parents=True)

    def show() -> str:
        return run_one_of(project.commands(), "status", "--project", str(other.id)).stdout

    assert "mdi (225 frames of 96 min, 90 × 90 px over 15°), unless the first release has another one" in show()
    release(other, "own", own)
    ingest_release(other, "own")
    assert "own (40 frames of 60 min, 31 × 31 px over 20°)\n" in show()
