"""Names of the tabs that helioloop makes in a Label Studio project."""

from typing import Final

DISAGREEMENTS_FIRST: Final = "Model disagrees first"
"""Tab sorted by prediction score: the cubes whose label and prediction disagree most come first."""
