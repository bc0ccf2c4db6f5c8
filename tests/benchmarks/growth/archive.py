"""An archive of any number of cubes: a release, a project in memory, and one version with scores of all cubes.

The cubes are fifty small ones under as many names as wanted: their files and cache entries are links to those of the
fifty, and each has a content hash of its own, as different files would have.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import redis

from helioloop.data.cube_facts import CubeFacts
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, write_labels
from helioloop.data.release_profile import write_release_profile
from helioloop.model.device import choose_device
from helioloop.model.members import train_member
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.member_curves import MemberCurves
from helioloop.records.profiles import BUILT_IN
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.workflows.rounds import close_round
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.port import LabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.screen_files import write_facts
from tests.benchmarks.growth.counted import CountedLabelStudio
from tests.whole import complete

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=225, size_px=16, clip_gauss=1000.0, frozen_frames=3)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=SMALL)
RECIPE = replace(QUICK, epochs=1, min_steps=0, folds=2, dropouts=(0.2,))
DIFFERENT = 50
ANNOTATED = 0.05
"""Fraction of the tasks that somebody has labelled."""
RELEASE = "archive"
CURVES = tuple(
    tuple(round(k / DIFFERENT * frame / SMALL.n_frames, 5) for frame in range(SMALL.n_frames)) for k in range(DIFFERENT)
)
"""Masking curves of scores."""
PACKED = tuple(MemberCurves.pack([curve, curve]) for curve in CURVES)


@dataclass
class Archive:
    """An archive of `n` cubes in a folder, and the worker's context for it.

    Parameters
    ----------
    folder : Path
        A new folder.
    n : int
        Number of cubes.
    connection : redis.Redis
        An empty Redis.
    """

    folder: Path
    n: int
    connection: redis.Redis

    @cached_property
    def settings(self) -> Settings:
        """Settings with folders of the archive only."""
        return Settings(
            model_root=self.folder / "models",
            release_roots=[self.folder / "releases"],
            media_root=self.folder / "media",
            cache_root=self.folder / "cache",
            device="cpu",
            retrain_changed=10**9,
            retrain_verified=10**9,
            random_checks=30,
        )

    @cached_property
    def label_studio(self) -> CountedLabelStudio:
        """Label Studio in memory."""
        return CountedLabelStudio(FakeLabelStudio())

    @cached_property
    def context(self) -> Context:
        """The worker's context."""
        return Context(
            self.settings,
            open_redis=lambda _: self.connection,
            open_label_studio=lambda _: cast("LabelStudio", self.label_studio),
            recipe_for=lambda *_: RECIPE,
        )

    @cached_property
    def project(self) -> int:
        """The project, without tasks."""
        project = self.label_studio.fake.create_project(title="archive", label_config=labeling_configuration())
        write_project_profile(self.settings.model_dir(project), PROFILE)
        return int(project)

    @property
    def registry(self) -> Registry:
        """The project's model folder."""
        return self.context.registry(self.project)

    @cached_property
    def cubes(self) -> list[CubeInfo]:
        """The cubes with their crude labels."""
        return [
            CubeInfo(
                release=RELEASE,
                name=f"cube{k:06d}",
                sha256=hashlib.sha256(f"{k}".encode()).hexdigest(),
                start=f"{1996 + k % 25}-{1 + k % 12:02d}-{1 + k % 28:02d}T00:00:00",
                region=f"region{k // 2}",
                label=Label.EMERGENCE if k % 2 else Label.NON_EMERGENCE,
            )
            for k in range(self.n)
        ]

    def make_release(self) -> Path:
        """Write the release and the cache, both as links to fifty cubes."""
        folder, first = self.folder / "releases" / RELEASE, self.folder / "different"
        folder.mkdir(parents=True)
        first.mkdir()
        loader = Loader(roots=(self.folder,), cache=self.folder / "different-cache", instrument=SMALL, profile=PROFILE)
        entries, facts = [], []
        for k in range(DIFFERENT):
            path = first / f"first{k:02d}.fits"
            pixels = np.random.default_rng(k).normal(0.0, 20.0, (SMALL.n_frames, SMALL.size_px, SMALL.size_px))
            pixels[100:, 4:9, 4:9] += 600.0 * (k % 2)
            seconds = np.arange(SMALL.n_frames) * SMALL.cadence_seconds
            write_cube(path, pixels, seconds, start="2001-01-01T00:00:00", region=f"r{k}", instrument=SMALL)
            info, _ = loader.parse(CubeFiles.read(path))
            entries.append(next((self.folder / "different-cache" / info.sha256[:2]).glob(f"{info.sha256}*")))
            facts.append(self._write_first_facts(path))
        for k, cube in enumerate(self.cubes):
            os.link(first / f"first{k % DIFFERENT:02d}.fits", folder / f"{cube.name}.fits")
            entry = entries[k % DIFFERENT]
            place = self.settings.cache_root / cube.sha256[:2] / f"{cube.sha256}{entry.name[64:]}"
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(entry, place)
            names = self.names(cube)
            names.facts.parent.mkdir(parents=True, exist_ok=True)
            os.link(facts[k % DIFFERENT], names.facts)
        write_labels(folder / "labels.csv", [LabelRow(cube=c.name, label=c.label, verified=False) for c in self.cubes])
        write_release_profile(folder, PROFILE)
        return folder

    def names(self, cube: CubeInfo) -> MediaNames:
        """Return the names of a cube's files of the labelling screen."""
        media = self.settings.media_dir(self.project)
        return MediaNames(media=media, release=RELEASE, cube=cube.name, sha256=cube.sha256, instrument=SMALL)

    def import_tasks(self) -> list[int]:
        """Import a task for each cube, label some, and return the ids of all."""
        fake = self.label_studio.fake
        tasks = fake.import_tasks(self.project, [self.data(cube) for cube in self.cubes])
        for task in tasks[:: round(1 / ANNOTATED)]:
            fake.annotate(task, "emergence", start=101)
        return list(tasks)

    def data(self, cube: CubeInfo) -> dict[str, Any]:
        """Return the data of a cube's task."""
        place = f"/data/local-files/?d=project-1/{RELEASE}/{cube.name}-{cube.sha256[:12]}"
        return {
            "video": f"{place}.mp4", "curve": f"{place}.curve.json", "reason": f"{place}.reason.txt",
            "cube": cube.name, "release": RELEASE, "region": cube.region, "start": f"{cube.start}Z",
            "sha256": cube.sha256, "crude_label": "" if cube.label is None else cube.label.value, "triage": "",
        }  # fmt: skip

    def publish(self, *, scored: bool = True) -> str:
        """Make a version with a score of each cube, or without any, and publish it."""
        plan = make_plan(
            self.cubes, recipe=RECIPE, instrument=SMALL, profile=PROFILE, seed=len(self.registry.versions()),
            parent=self.registry.published(), reason="made for the measurement",
        )  # fmt: skip
        staging = self.registry.staging(plan.fingerprint)
        plan.save(staging)
        scores = [self.score(cube) for cube in self.cubes] if scored else []
        complete(staging, [member.file for member in plan.members])
        card = close_round(plan, staging, self.registry, scores)
        self.registry.publish(card.version, why="made for the measurement")
        return card.version

    def train(self) -> str:
        """Publish a version without scores, whose two small networks were trained on some of the cubes."""
        loader = self.context.loader(PROFILE)
        runtime = Runtime(
            instrument=SMALL, load=loader, device=choose_device("cpu"), inputs=self.folder / "inputs", report=silent
        )
        plan = make_plan(
            self.cubes[:200], recipe=RECIPE, instrument=SMALL, profile=PROFILE, seed=99,
            parent=self.registry.published(), reason="made for the measurement",
        )  # fmt: skip
        staging = self.registry.staging(plan.fingerprint)
        plan.save(staging)
        for member in plan.members:
            train_member(plan, member.name, staging, runtime)
        complete(staging, [])
        card = close_round(plan, staging, self.registry, [])
        self.registry.publish(card.version, why="made for the measurement")
        return card.version

    @staticmethod
    def score(cube: CubeInfo, *, located: bool = True) -> CubeScore:
        """Return a made-up score, with a masking curve if located, which agrees with the crude label of most cubes."""
        draw = int(cube.sha256[:8], 16) / 16**8
        p = draw**0.25 if cube.label is Label.EMERGENCE else 1.0 - draw**0.25
        frame, shown, which = 40 + int(cube.sha256[8:12], 16) % 160, located and p >= 0.5, cube.sha256[12:16]
        curve = CURVES[int(which, 16) % DIFFERENT] if shown else None
        return CubeScore(
            cube=cube.name, sha256=cube.sha256, p_emergence=p, p_spread=0.05, members=("fold0-0", "fold1-0"),
            emergence=Emergence(frame=frame, frame_lo=frame - 9, frame_hi=frame + 9) if shown else None,
            curve=curve, curve_spread=curve, member_curves=PACKED[int(which, 16) % DIFFERENT] if shown else None,
        )  # fmt: skip

    def _write_first_facts(self, path: Path) -> Path:
        facts = CubeFacts(
            cube=path.stem, region="r", times=None, cadence_seconds=5760.0, latitude_deg=10.0,
            meridian_deg=tuple(float(k) for k in range(225)), meridian_uncertainty_deg=0.0,
            flux=tuple(1.0 for _ in range(225)), off_disk=(False,) * 225,
        )  # fmt: skip
        names = MediaNames(
            media=self.folder / "different-facts", release="r", cube=path.stem, sha256="0" * 64, instrument=SMALL
        )
        write_facts(names, facts)
        return names.facts
