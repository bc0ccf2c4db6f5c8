"""CITATION.cff has what the format requires, and the version and licence of the package."""

from datetime import date
from typing import Any

import pytest
import yaml

import helioloop
from tests.documents.blocks import ROOT


@pytest.fixture
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    return found


def test_the_keys_that_the_format_requires_are_there(citation: dict[str, Any]) -> None:
    """Of Citation File Format 1.2.0; each author has a name."""
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    for authors in (citation["authors"], *(reference["authors"] for reference in citation["references"])):
        assert authors
        assert all(author.get("name") or author.get("family-names") for author in authors)
    for reference in citation["references"]:
        assert {"type", "title", "authors", "doi"} <= reference.keys()
        assert reference["year"] <= date.today().year


def test_version_and_licence_are_those_of_the_package(citation: dict[str, Any]) -> None:
    assert str(citation["version"]) == helioloop.__version__
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")


def test_the_paper_is_the_one_that_the_readme_names(citation: dict[str, Any]) -> None:
    """By DOI, journal, volume and first page."""
    (paper,) = citation["references"]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"https://doi.org/{paper['doi']}" in text
    assert f"{paper['year']} ({paper['journal']} {paper['volume']}, {paper['start']}" in text
    assert paper["authors"][0]["family-names"] in text
