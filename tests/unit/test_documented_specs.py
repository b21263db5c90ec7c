"""Every spec, and every part of one, that README.md and docs/ show is valid, but for files that are a reader's own."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from aebuild.compile.front import load

ROOT = Path(__file__).parents[2]
MADE = ("reference.md", "diagnostics.md", "gallery.md")          # from the code, and tested with it
PAGES = sorted([ROOT / "README.md", *(page for page in (ROOT / "docs").glob("*.md") if page.name not in MADE), *(ROOT / "docs/tutorials").glob("*.md")])
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.M | re.S)
KEY = re.compile(r"^(\w+):", re.M)
FRAME = {"data": "digits", "encoder": "{layer: linear, width: 48}", "latent": "{type: continuous, dim: 8}"}
UNDER = {"split": "data", "phases": "train"}                     # where a page shows a key alone
ABSENT = {"AE401", "AE111", "AE854"}                             # data, the spec that is extended, a program: files that are not there
KNOWN = {                                                        # what a page says of the block, beside it
    "architecture.md": {"AE103"}, "plugins.md": {"AE103"}, "own_part.md": {"AE103"},     # words of the part that the page writes
    "guide.md": {"AE101", "AE103", "AE106"},                                             # typo.yaml
}
NO_SPECS = {"testing.md"}                                        # its block is a case of the corpus


def specs(page: Path) -> list[str]:
    """The specs of a page, each completed by a small frame; lines of one key are a spec each."""
    found = []
    for _, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        text = textwrap.dedent(block)
        starts = [match.start() for match in KEY.finditer(text)]
        keys = KEY.findall(text)
        parts = [text] if len(set(keys)) == len(keys) else [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
        found += [part for part in parts if KEY.search(part)]
    return [completed(text) for text in found]


def completed(text: str) -> str:
    """The text with the top-level keys that it lacks, such that its own can stand."""
    keys = KEY.findall(text)
    if len(keys) == 1 and keys[0] in UNDER:
        text = f"{UNDER[keys[0]]}:\n" + textwrap.indent(text, "  ") + ("  type: digits\n" if UNDER[keys[0]] == "data" else "")
    frame = dict(FRAME)
    if "pixelcnn" in text:
        frame["data"] = "{type: digits, binarize: dynamic}"
    if "discriminator" in text:
        frame["latent"] = "{type: adversarial, dim: 2}"
    if re.search(r"\bkl:", text):
        frame["latent"] = "{type: gaussian, dim: 8}"
    present = set(KEY.findall(text))
    return text + ("" if text.endswith("\n") else "\n") + "".join(f"{key}: {value}\n" for key, value in frame.items() if key not in present)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NO_SPECS], ids=lambda page: page.stem)
def test_the_specs_that_a_page_shows_are_valid(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in specs(page):
        wrong = [error for error in load("spec.yaml", text=text).errors if error.code not in ABSENT | KNOWN.get(page.name, set())]
        assert not wrong, (wrong[0].code, wrong[0].message, text)
