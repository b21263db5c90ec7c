"""Rewrites the expected findings of every case from what is found now; read the difference before keeping it."""

from __future__ import annotations

import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from corpus_cases import BLOCK, HERE, MARK, Case, cases


def rewritten(section: str, case: Case) -> str:
    """The Markdown of one case with the marks of today."""
    with tempfile.TemporaryDirectory() as folder:
        _, found = case.check(Path(folder))
    marks: dict[tuple[str, int], list[str]] = defaultdict(list)
    nowhere = [line.removeprefix("nowhere ") for line in found if line.startswith("nowhere ")]
    for line in found:
        if not line.startswith("nowhere "):
            name, number, mark = line.split(":", 2)
            marks[name, int(number)].append(mark)
    names = iter(block.name for block in case.blocks)

    def block(match: re.Match[str]) -> str:
        if match["kind"] == "nowhere":
            return ""
        name, lines = next(names), []
        plain = [line for line in match["body"].splitlines() if not MARK.match(line)]
        for number, line in enumerate(plain, 1):
            lines += [line, *sorted(marks.pop((name, number), []), key=lambda mark: (len(mark) - len(mark.lstrip()), mark))]
        return f"```{match['kind']}{match['options']}\n" + "".join(f"{line}\n" for line in lines) + "```"

    text = BLOCK.sub(block, section).rstrip("\n") + "\n"
    if marks:
        print(f"{case.file.name}: {case.title}: findings outside the written text: {dict(marks)}")
    return text + ("\n```nowhere\n" + "".join(f"{line}\n" for line in nowhere) + "```\n" if nowhere else "")


def main() -> None:
    """Rewrites every Markdown file."""
    from aebuild.parts import discover

    discover()
    for file in sorted(HERE.glob("[a-z]*.md")):
        head, *sections = re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        new = [rewritten(section, case) for section, case in zip(sections, cases(file), strict=True)]
        file.write_text("\n## ".join([head.rstrip("\n") + "\n", *new]), encoding="utf-8")


if __name__ == "__main__":
    main()
