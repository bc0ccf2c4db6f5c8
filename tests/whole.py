"""Makes folders of versions complete, as training and scoring would, without training."""

import json
from collections.abc import Iterable
from pathlib import Path


def weights(n_bytes: int = 10) -> bytes:
    """Return a whole safetensors file without tensors of this length."""
    return (n_bytes - 8).to_bytes(8, "little") + b"{}".ljust(n_bytes - 8)


def complete(folder: Path, member_files: Iterable[str] = ("f0s0.safetensors",)) -> Path:
    """Give a staging folder the plan, weights and scores that it lacks, and return it."""
    for name in member_files:
        if not (folder / name).exists():
            (folder / name).write_bytes(weights())
    if not (folder / "plan.json").exists():
        (folder / "plan.json").write_text(json.dumps({}))
    (folder / "scores").mkdir(exist_ok=True)
    if not any((folder / "scores").glob("*.jsonl")):
        (folder / "scores" / "20000101T000000000000-00000000.jsonl").write_text("")
    return folder
