"""The site of these pages: Sphinx with MyST and furo, `make site`.

The list of pages stands in README.md alone, as a table; the menu is made of it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

from aebuild import __version__

HERE = Path(__file__).parent
ROW = re.compile(r"^\| \[[^\]]+\]\(([\w/-]+)\.md\) \| (\w+) \|", re.M)
TITLES = {"users": "Using", "developers": "Working on it", "all": "Figures"}
LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)[^)]*\)")

project = "aebuild"
author = copyright = "the authors of aebuild"
release = version = __version__
extensions = ["myst_nb"]
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
root_doc = "README"
exclude_patterns = ["_site", "jupyter_execute"]
html_theme = "furo"
html_title = f"aebuild {__version__}"
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]      # messages and tables stand in blocks of their own


def tables(document: str, text: str) -> list[tuple[str, list[str]]]:
    """The captions and pages that the menu has below a document."""
    if document == root_doc:
        return [(title, [place for place, whom in ROW.findall(text) if whom == readers]) for readers, title in TITLES.items()]
    if document == "reference":
        return [("", ["parts/*/*"])]
    return [("", ["*"])] if document.endswith("/README") else []


def prepared(app: Sphinx, document: str, source: list[str]) -> None:
    """Ends a page with its part of the menu; what lies outside of these pages is named without a link."""
    folder = (HERE / document).parent
    text = LINK.sub(lambda found: found[0] if (folder / found[2]).resolve().is_relative_to(HERE) else f"`{found[1].strip('`')}`", source[0])
    for caption, pages in tables(document, text):
        head = ["```{toctree}", ":hidden:", ":glob:", *([f":caption: {caption}"] if caption else [])]
        text += "\n".join(["", *head, "", *pages, "```", ""])
    source[0] = text


def finished(app: Sphinx, error: Exception | None) -> None:
    """The first page under the name that servers look for."""
    if error is None:
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("source-read", prepared)
    app.connect("build-finished", finished)
