"""The configuration of Sphinx for `make docs`: all pages, and a reference of the code from its docstrings."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"helioloop": "core", "helioloop_backend": "backend", "helioloop_worker": "worker"}
sys.path[:0] = [str(ROOT / folder) for folder in PACKAGES.values()]

project = "helioloop"
extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
# The pages link to files outside docs/, so the sources begin at the root of the checkout.
root_doc = "docs/reference"
include_patterns = ["*.md", "docs/*.md", "docs/reference.rst", "docs/api/**.rst", "docker/README.md"]
exclude_patterns = [".*", "dist", "tests", "core", "backend", "worker"]
exclude_patterns += ["docs/science-notes.md"]  # docs/science.md includes it
apidoc_modules = [
    {
        "path": str(ROOT / folder / name),
        "destination": f"docs/api/{name}",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
    for name, folder in PACKAGES.items()
]
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
myst_heading_anchors = 3
suppress_warnings = [
    "ref.python",  # several classes have a field of one name, which Sphinx does not tell apart
    "myst.xref_missing",  # links to folders and other files; tests/test_docs.py checks all links
    "misc.highlighting_failure",  # tables and crontabs have no lexer
    "toc.not_included",  # docs/README.md lists the pages by need
]
html_theme = "alabaster"
html_theme_options = {"description": "Human-in-the-loop labels for solar magnetogram videos", "page_width": "1100px"}


def setup(app: Any) -> None:
    """Read ``|B|`` in docstrings as the absolute value of a field, not as a substitution of reStructuredText."""
    app.connect("autodoc-process-docstring", _escape_absolute_values, priority=900)  # after napoleon


def _escape_absolute_values(*event: Any) -> None:
    """Escape the bars around a value, except in literal blocks, which begin after a line that ends with ``::``."""
    lines, literal = event[-1], None
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and (not line.strip() or indent > literal):
            continue
        lines[number] = re.sub(r"(?<!`)\|(\S(?:[^|]*\S)?)\|", r"\\|\1\\|", line)
        literal = indent if line.rstrip().endswith("::") else None
