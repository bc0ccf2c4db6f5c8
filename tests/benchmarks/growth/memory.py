"""The peak memory of a backend process and of a worker process, each measured in a process of its own.

A process imports only what it needs: a backend runs without torch.
"""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from helioloop.settings import Settings

if TYPE_CHECKING:
    from tests.benchmarks.growth.archive import Archive

ASKED = 100
"""Tasks in one request for predictions."""


def measure_memory(archive: "Archive") -> dict[str, float]:
    """Return the peak memory in MB of a backend that has answered, and of a worker that has read the project."""
    project, fake = archive.project, archive.label_studio.fake
    info, tasks = {**asdict(fake.project(project)), "counts": None}, fake.tasks(project)
    found = {}
    for name, some in (("backend", tasks[:ASKED]), ("worker", tasks)):
        file = archive.folder / f"{name}.json"
        file.write_text(json.dumps({"info": info, "tasks": some}))
        command = [sys.executable, "-m", __name__, name, str(archive.settings.model_root), str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[name] = float(done.stdout.split()[-1])
    return found


def _backend(settings: Settings, info: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    """Answer a request for predictions."""
    import redis  # noqa: PLC0415 - here and below: only what the process needs

    from helioloop.messaging.claims import RedisClaims  # noqa: PLC0415
    from helioloop.registry.score_store import StoredScores  # noqa: PLC0415
    from helioloop.registry.versions import Registry  # noqa: PLC0415
    from helioloop_backend.predictions import Predictor  # noqa: PLC0415
    from helioloop_backend.redis_claim import RedisClaim  # noqa: PLC0415

    nowhere = redis.Redis()  # not asked, because all scores are there
    scores = StoredScores(lambda number, version: Registry(settings.model_dir(number)).folder(version))
    predictor = Predictor(
        settings,
        connection=nowhere,
        redis_claim=RedisClaim(settings, nowhere),
        scores=scores,
        claims=RedisClaims(nowhere),
    )
    answer = predictor.answer(info["id"], tasks, info["label_config"])
    assert answer.hits > 0
    answer.entries()


def _worker(settings: Settings, info: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    """Read the project as a worker does at first, with torch in memory."""
    import torch  # noqa: F401, PLC0415

    from helioloop_worker.labelstudio.kept_projects import KeptProjects  # noqa: PLC0415
    from helioloop_worker.labelstudio.port import LabelStudio, ProjectInfo  # noqa: PLC0415

    class Exported:
        """A Label Studio that only exports the tasks of one project."""

        def project(self, _: int) -> ProjectInfo:
            return ProjectInfo(**info)

        def tasks(self, _: int) -> list[dict[str, Any]]:
            return tasks

        def last_change(self, _: int) -> None:
            return None

    KeptProjects(cast("LabelStudio", Exported()), settings).read(info["id"])


def _peak_mb() -> float:
    """Return the most memory that this program has used; unlike that of `resource`, not that of its parent."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024.0


if __name__ == "__main__":
    _name, _folder, _file = sys.argv[1:]
    _values = json.loads(Path(_file).read_bytes())
    _act = {"backend": _backend, "worker": _worker}[_name]
    _act(Settings(model_root=Path(_folder)), _values["info"], _values["tasks"])
    sys.stdout.write(f"{_peak_mb()}\n")
