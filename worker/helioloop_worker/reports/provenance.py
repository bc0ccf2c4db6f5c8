"""What the catalogue comes from: project, model card, calibrations and releases, as named facts.

They contain no secrets, no addresses and no folders, because catalogues are published.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from helioloop import __version__
from helioloop_worker.reports.catalogue import Catalogue

REFERENCE = "Chatterjee, Munoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact of the provenance.

    Parameters
    ----------
    name : str
        Name in the metadata of ECSV and in the PARAM of VOTable.
    keyword : str
        Card of FITS, at most 8 characters.
    value : str or int or float
        The value; times are ISO 8601.
    description : str
        What it is, in a few words.
    """

    name: str
    keyword: str
    value: str | int | float
    description: str


def provenance(catalogue: Catalogue) -> tuple[Fact, ...]:
    """Return the provenance of a catalogue; what a version's card does not have is left out."""
    return tuple(_facts(catalogue))


def _facts(catalogue: Catalogue) -> Iterator[Fact]:
    yield from _origin(catalogue)
    yield from _model(catalogue)
    yield from _grid(catalogue)
    yield from _calibration(catalogue)


def _origin(catalogue: Catalogue) -> Iterator[Fact]:
    entries = catalogue.entries
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    releases = ", ".join(dict.fromkeys(entry.task.cube.release for entry in entries))
    verified = sum(entry.label.verified for entry in entries)
    scored = sum(entry.score is not None for entry in entries)
    yield _fact("reference", "REFERENC", REFERENCE, "the method")
    yield _fact("creator", "CREATOR", f"helioloop {__version__}", "program that wrote this table")
    yield _fact("created_at", "DATE", now, "when this table was written, UTC")
    yield _fact("project", "PROJECT", catalogue.project.id, "project in Label Studio")
    yield _fact("project_title", "PROJNAME", catalogue.project.title, "its title")
    yield _fact("labels_read_at", "LABREAD", _utc(catalogue.labels_read_at), "when its labels were read, UTC")
    yield _fact("releases", "RELEASES", releases, "releases of the cubes")
    yield _fact("cubes", "NCUBES", len(entries), "cubes of the project")
    yield _fact("cubes_verified", "NVERIF", verified, "cubes whose label a human verified")
    yield _fact("cubes_scored", "NSCORED", scored, "cubes with a score")


def _model(catalogue: Catalogue) -> Iterator[Fact]:
    card = catalogue.card
    recipe = json.dumps(card.recipe, sort_keys=True)
    yield _fact("model_version", "MODELVER", card.version, "published version, whose scores these are")
    if card.parent is not None:
        yield _fact("model_parent", "MODELPAR", card.parent, "version published before it was trained")
    yield _fact("model_created_at", "MODELAT", _utc(card.created_at), "when it was trained, UTC")
    yield _fact("model_recipe", "RECIPE", str(card.recipe["name"]), "training recipe")
    yield _fact("model_network", "NETWORK", str(card.recipe["network"]), "architecture of the network")
    yield _fact("model_recipe_settings", "RECIPSET", recipe, "all settings of the recipe, JSON")
    yield _fact("model_members", "NMEMBERS", len(card.members), "networks of the ensemble")
    yield _fact("model_labels", "NLABELS", len(card.labels), "labels it was trained on")
    yield _fact("model_labels_verified", "NLABVER", card.verified, "of these verified by a human")
    yield _fact("model_fingerprint", "MODELFP", card.fingerprint, "hash of labels, data, recipe and code")
    yield _fact("model_label_fingerprint", "LABELFP", card.label_fingerprint, "hash of the labels")
    yield _fact("model_code_version", "CODEVER", card.code_version, "version and digest of the learning code")
    for name, keyword, description in (
        ("agreement", "AGREEMEN", "mean out-of-fold probability of the labels"),
        ("auroc", "AUROC", "AUROC of out-of-fold probabilities for the labels"),
    ):
        if name in card.metrics:
            yield _fact(f"model_{name}", keyword, float(card.metrics[name]), description)
    if "reason" in card.verdict:
        yield _fact("model_promotion_check", "PROMOTIO", str(card.verdict["reason"]), "its promotion check")


def _grid(catalogue: Catalogue) -> Iterator[Fact]:
    card = catalogue.card
    grid = card.instrument
    if card.profile:
        yield _fact("profile", "PROFILE", str(card.profile["name"]), "profile of the releases")
        factor = float(card.profile["to_mdi_factor"])
        yield _fact("to_mdi_factor", "TO_MDI", factor, "factor of the field to the MDI scale")
    yield _fact("instrument", "INSTRUME", str(grid["name"]), "instrument of the grid")
    yield _fact("cadence_seconds", "CADENCE", float(grid["cadence_seconds"]), "[s] time between two grid frames")
    yield _fact("grid_frames", "NGRID", int(grid["n_frames"]), "frames on the grid")
    yield _fact("frozen_frames", "NFROZEN", int(grid["frozen_frames"]), "frozen frames at the start of the grid")


def _calibration(catalogue: Catalogue) -> Iterator[Fact]:
    fitted = catalogue.calibration
    yield _fact("audit_sample", "NAUDIT", len(catalogue.sample.cubes), "cubes of the audit sample")
    for name, keyword, found in (
        ("probabilities", "PCALIB", fitted.probabilities),
        ("intervals", "ICALIB", fitted.intervals),
    ):
        state = "uncalibrated" if found is None else "calibrated"
        yield _fact(name, keyword, state, f"calibration of the {name}")
    if fitted.probabilities is not None:
        yield _fact("probability_labels", "PCALN", fitted.probabilities.n_labels, "labels it was fitted on")
        yield _fact("probability_shift", "PCALSHIF", fitted.probabilities.shift, "shift of the logit")
        yield _fact("probability_slope", "PCALSLOP", fitted.probabilities.slope, "slope of the logit")
    if fitted.intervals is not None:
        yield _fact("interval_frames", "ICALN", fitted.intervals.n_frames, "verified frames it was fitted on")
        yield _fact("interval_factor", "ICALFACT", fitted.intervals.factor, "factor of the half widths")
        yield _fact("interval_coverage", "ICALCOVE", fitted.coverage, "fraction of true frames in the intervals")


def _fact(name: str, keyword: str, value: str | int | float, description: str) -> Fact:
    if isinstance(value, str):
        value = "".join(letter if letter.isprintable() else " " for letter in value)
    return Fact(name=name, keyword=keyword, value=value, description=description)


def _utc(text: str) -> str:
    """Return a time with zone as UTC without one, as FITS writes it."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
