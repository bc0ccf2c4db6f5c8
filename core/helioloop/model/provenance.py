"""Provenance of a model: hashes of labels, data, recipe and code. Equal fingerprints give equal models. No torch."""

import hashlib
import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from helioloop import __version__

LEARNING_MODULES = (
    "data.astropy_columns",
    "data.absent_values",
    "data.bad_frames",
    "data.clock_columns",
    "data.column_times",
    "data.cubes",
    "data.fits",
    "data.gridding",
    "data.images",
    "data.interpolation",
    "data.limb",
    "data.number_times",
    "data.off_disk",
    "data.orientation",
    "data.plausibility",
    "data.quality",
    "data.quality_bits",
    "data.region",
    "data.region_name",
    "data.slots",
    "data.start",
    "data.table_columns",
    "data.time_axis",
    "data.time_columns",
    "data.time_text",
    "data.time_units",
    "data.times",
    "emergence.bipolar_rise",
    "emergence.curve_onset",
    "emergence.flux_onset",
    "emergence.locate",
    "emergence.masking",
    "emergence.ramps",
    "model.ahead",
    "model.area_means",
    "model.architecture",
    "model.architectures",
    "model.augmentation",
    "model.cells",
    "model.device",
    "model.early_learning",
    "model.ensemble",
    "model.field_video",
    "model.folds",
    "model.frames_as_channels",
    "model.frames_folded",
    "model.frames_masking",
    "model.frames_network",
    "model.growth_odds",
    "model.input_cache",
    "model.inputs",
    "model.joint_training",
    "model.local_growth",
    "model.logit_shift",
    "model.member_weights",
    "model.members",
    "model.one_cycle_adamw",
    "model.per_frame",
    "model.per_frame_masking",
    "model.per_frame_network",
    "model.plan",
    "model.pretrained",
    "model.recipes",
    "model.resident_frames",
    "model.teacher",
    "model.training",
    "model.weaker_polarity",
    "records.region_spelling",
)
"""The modules whose source decides a model's scores; a change in any of them gives another code version."""
WEIGHTS = "model/weights"
"""Folder of the pretrained weights, which count as source."""


def digest(value: Any) -> str:
    """Return the SHA-256 of `value` as canonical JSON, lower-case hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the package version and a digest of learning modules and pretrained weights, as ``0.1.0+3f9a1c20b7e4``."""
    folder = Path(str(resources.files("helioloop")))
    text = hashlib.sha256()
    for module in LEARNING_MODULES:
        text.update(
            module.encode() + b"\0" + folder.joinpath(*module.split(".")).with_suffix(".py").read_bytes() + b"\0"
        )
    for path in sorted((folder / WEIGHTS).glob("*.safetensors")):
        text.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+{text.hexdigest()[:12]}"
