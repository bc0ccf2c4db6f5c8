"""Where a model comes from: hashes of labels, data, recipe and code, so that equal fingerprints make equal models.

Above the ground floor; used by `plan`. No torch here.
"""

import hashlib
import json
from functools import lru_cache
from importlib import resources
from typing import Any

from helioloop import __version__

LEARNING_MODULES = (
    "augmentation",
    "cubes",
    "device",
    "emergence",
    "ensemble",
    "fitsfile",
    "flux",
    "folds",
    "grid",
    "inputs",
    "masking",
    "networks",
    "plan",
    "ramps",
    "recipes",
    "times",
    "training",
)
"""The modules whose text decides what a model answers; a change in any of them makes another code version."""


def digest(value: Any) -> str:
    """Return the SHA-256 of `value` as canonical JSON, lower-case hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the package version with a digest of the learning modules' source, such as ``0.1.0+3f9a1c20b7e4``."""
    folder = resources.files("helioloop")
    text = hashlib.sha256()
    for module in LEARNING_MODULES:
        text.update(module.encode() + b"\0" + (folder / f"{module}.py").read_bytes() + b"\0")
    return f"{__version__}+{text.hexdigest()[:12]}"
