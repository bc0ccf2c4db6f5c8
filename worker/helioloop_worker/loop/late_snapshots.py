"""Label snapshots that were written late: by a worker that was stopped after it had read the annotations.

Another worker has read newer annotations meanwhile, checked and recorded them, so nothing else would ever write the
snapshot again. It would be wrong until the next correction: for the backend, the audit and `helioloop status`.
"""

from pathlib import Path

from helioloop.registry.label_snapshot import Snapshot


def replace_late_snapshot(model_dir: Path, now: Snapshot, *, before: Snapshot) -> bool:
    """Write the snapshot that Label Studio gives now, where the folder has another one; return whether it was written.

    Parameters
    ----------
    model_dir : Path
        The model folder.
    now : Snapshot
        From a reading of Label Studio.
    before : Snapshot
        What the folder had before that reading began. Where it has something else since, another worker has read Label
        Studio meanwhile, and nothing is written.
    """
    if _is_same(before, now) or Snapshot.read_if_changed(model_dir) != before:
        return False
    now.write(model_dir)
    return True


def _is_same(one: Snapshot, other: Snapshot) -> bool:
    return (one.annotations, one.cubes) == (other.annotations, other.cubes)
