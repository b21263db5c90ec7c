"""Reads the Markdown of this folder: bad specs with the expected findings written under the offending lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from corpus_frame import completed

from aebuild.compile.front import load
from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.printable import clean
from aebuild.lang.render import ordered

HERE = Path(__file__).parent
SPEC = "spec.yaml"

BLOCK = re.compile(r"^```(?P<kind>\w+)(?P<options>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^(?P<blank> *)(?P<carets>\^+) (?P<rest>AE\d{3} .*)$")
_LIST = re.compile(r"((?:it has|there are|one of|its terms are|accepted are) )[^…]{40,}$")
_UNPRINTED = {chr(0x2400 + code): chr(code) for code in (0, 7, 8, 27)}


@dataclass
class Block:
    """One fenced block of a case: a file, or a setting of the command line."""

    name: str
    lines: list[str]
    expected: list[tuple[int, str]] = field(default_factory=list)       # (line, the marks and what stands behind them)
    options: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The file without the marks."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass
class Case:
    """A heading of a Markdown file, with its blocks."""

    file: Path
    title: str
    blocks: list[Block]
    bare: list[str]                     # findings without a place

    @property
    def settings(self) -> list[str]:
        """The settings of the command line."""
        return [block.lines[0] for block in self.blocks if block.name.startswith("--set")]

    def check(self, folder: Path) -> tuple[list[str], list[str]]:
        """Expected and found lines, each as `file:line:mark CODE message`, in one order."""
        spec = next(block for block in self.blocks if block.name == SPEC)
        for block in self.blocks:
            if not block.name.startswith("--set"):
                (folder / block.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.name).write_bytes(_bytes(block))
        loaded = load(folder / spec.name, self.settings)
        expected = [f"{block.name}:{line}:{rest}" for block in self.blocks for line, rest in block.expected]
        return sorted([*expected, *self.bare]), sorted(self.written(finding, folder) for finding in ordered(loaded.diagnostics))

    def written(self, finding: Diagnostic, folder: Path) -> str:
        """A finding as it stands in the Markdown, behind the name of its block and its line."""
        fix = f" ⟶ {finding.fix}" if finding.fix else ""
        text = _LIST.sub(r"\1…", clean(finding.message).replace(f"{folder}/", ""))
        what = f"{finding.code} {text}{clean(fix).replace(f'{folder}/', '')}"
        span = finding.span
        if span is None:
            return f"nowhere {what}"
        name = span.text.name.replace(f"{folder}/", "")
        before = 0
        if name.startswith("--set "):                     # a value: its block is the whole setting
            name, before = "--set", len(name) - len("--set ") + 1
        begin = span.column - 1
        end = span.end_column - 1 if span.end_line == span.line else len(span.text.lines[span.line - 1])
        if name == "--set":
            number = next((n for n, b in enumerate(b for b in self.blocks if b.name.startswith("--set"))
                           if b.lines[0].startswith(span.text.name.removeprefix("--set ")) or b.lines[0] == span.text.lines[0]), 0)
            name = f"--set {number}"
        return f"{name}:{span.line}:{' ' * (begin + before)}{'^' * max(1, end - begin)} {what}"


def _bytes(block: Block) -> bytes:
    text = block.text
    if "bare" in block.options:
        text = text.removesuffix("\n")
    if block.name == SPEC and "whole" not in block.options:
        text = completed(text)
    for picture, char in _UNPRINTED.items():
        text = text.replace(picture, char)
    return text.encode("latin-1" if "latin-1" in block.options else "utf-8", "surrogatepass")


def cases(file: Path) -> list[Case]:
    """Every case of a Markdown file."""
    sections = re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [_case(file, section) for section in sections]


def _case(file: Path, section: str) -> Case:
    blocks: list[Block] = []
    bare: list[str] = []
    for match in BLOCK.finditer(section):
        options = frozenset(match["options"].split())
        if match["kind"] == "nowhere":
            bare += [f"nowhere {line}" for line in match["body"].splitlines()]
            continue
        name = next((option for option in options if "." in option or "/" in option), SPEC)
        if match["kind"] == "set":
            name = f"--set {sum(block.name.startswith('--set') for block in blocks)}"
        blocks.append(_block(name, match["body"].splitlines(), options))
    return Case(file, section.partition("\n")[0], blocks, bare)


def _block(name: str, lines: list[str], options: frozenset[str]) -> Block:
    block = Block(name, [], options=options)
    for line in lines:
        mark = MARK.match(line)
        if mark is None:
            block.lines.append(line)
        else:
            block.expected.append((len(block.lines), f"{mark['blank']}{mark['carets']} {mark['rest']}"))
    return block


def every_case() -> list[Case]:
    """The cases of all Markdown files of this folder."""
    return [case for file in sorted(HERE.glob("*.md")) if file.name != "README.md" for case in cases(file)]
