"""Runs every command and program that README.md and the pages of docs/ show, page by page in a folder of its own: `make docs-check`.

A block's `sh`, `bash` or `console` lines are given to bash, its `python` to this process; a `yaml` block, and a program that the text
says to save, become files first. What a page takes for granted (a table, photographs, a run) is made once. A comment in the line above
a block says what a reader need not see:

    <!-- not run: REASON -->       it needs what is not here; listed at the end with its reason
    <!-- run with: WORDS -->       added to each command of the block that trains or validates, so that it takes minutes
    <!-- given: PROGRAM -->        run before a block of Python

A run's date in a block stands for the newest run of that name. The end is a table in Markdown; the exit status is 1 if a block failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {"performance.md": "measures for hours", "results.md": "measures for hours", "testing.md": "is the test suite",
            "log.md": "shows what did not work"}
BLOCK = re.compile(r"((?:^<!--(?:(?!-->).)*-->\n)*)^( *)```(sh|bash|console|python|yaml)\n(.*?)^\2```$", re.M | re.S)
NOTE = re.compile(r"<!-- (not run|run with|given): (.*?) -->", re.S)
SAVED = re.compile(r"`(?:[\w-]+/)*([\w-]+\.(?:py|yaml))`[^`]*:\s*$")
DATED = re.compile(r"runs/([\w-]+?)-\d{8}-\d{6}")
LONG = re.compile(r"^((?:\w+=\S+ )*aebuild (?:train|bakeoff|sweep|validate) [^#>&|\n]*)", re.M)
LIMIT = 900          # seconds a block may take
RUNS = {"vae": "vae --data digits", "ae": "conv --data digits", "wider": "vae --data digits --set latent.dim=12",
        "first": "first.yaml", "cvae": "conditional/cvae --data digits", "pump": "pump.yaml",
        "factorised": "compression/factorised --set data.count=60 --set data.patch=16"}


@dataclass
class Block:
    """A block of a page: its kind, text, line, what its comments say, and the file that it is, if it is one."""

    kind: str
    text: str
    line: int
    notes: dict[str, str]
    file: str | None = None


@dataclass
class Outcome:
    """What came of a page's blocks."""

    page: str
    run: int = 0
    files: int = 0
    failed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page in order."""
    for found in BLOCK.finditer(text):
        body = textwrap.dedent(found[4])
        before = text[:found.start()].rstrip().rpartition("\n\n")[2]
        saved = SAVED.search(before)
        name = re.search(r"^name: (\S+)$", body, re.M)
        file = saved[1] if saved else f"{name[1]}.yaml" if found[3] == "yaml" and name else None
        yield Block(found[3], body, text.count("\n", 0, found.start(3)) + 1, dict(NOTE.findall(found[1])), file)


def script(block: Block, folder: Path) -> str:
    """The commands of a block as bash takes them: without what they print, with the runs that are there, as short as the page allows."""
    text = block.text
    if block.kind == "console":
        lines, taken, more = text.splitlines(), [], False
        for line in lines:
            if line.startswith("$ ") or more:
                taken.append(line.removeprefix("$ "))
                more = line.partition(" #")[0].rstrip().endswith("\\")
        text = "\n".join(taken) + "\n"
    text = dated(text, folder)
    if words := block.notes.get("run with"):
        text = LONG.sub(lambda found: f"{found[1].rstrip()} {words} ", text.replace("\\\n", " "))
    return text


def dated(text: str, folder: Path) -> str:
    """The text with each run's date replaced by that of the newest run of its name."""
    def newest(found: re.Match[str]) -> str:
        there = [path for path in folder.glob(f"runs/{found[1]}*") if re.fullmatch(rf"{found[1]}(-\d{{8}}-\d{{6}})?", path.name)]
        return f"runs/{max(there, key=lambda path: path.stat().st_mtime).name}" if there else found[0]

    return DATED.sub(newest, text)


def ran(page: Path, folder: Path) -> Outcome:
    """Every block of a page, one after the other, in a folder."""
    outcome, begun = Outcome(page.relative_to(ROOT).as_posix()), time.perf_counter()
    found = list(blocks(page.read_text(encoding="utf-8")))
    for block in found:
        if block.file is not None:
            outcome.files += 1
            (folder / block.file).write_text(block.text, encoding="utf-8")
    import aebuild

    names: dict[str, Any] = {"__name__": "page", "aebuild": aebuild}
    for block in (block for block in found if block.kind != "yaml" and block.file is None):
        place = f"{outcome.page}:{block.line}"
        if "not run" in block.notes:
            outcome.left.append(f"{place}: {block.notes['not run']}")
            continue
        outcome.run += 1
        wrong = python(block, folder, names) if block.kind == "python" else shell(script(block, folder), folder)
        if wrong is not None:
            outcome.failed.append(place)
            print(f"FAILED {place}\n{textwrap.indent(wrong, '    ')}", flush=True)
    outcome.seconds = time.perf_counter() - begun
    return outcome


def python(block: Block, folder: Path, names: dict[str, Any]) -> str | None:
    """Runs a block of Python among the names of those before it; None, or what went wrong."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(textwrap.dedent(block.notes.get("given", "")), names)
            exec(compile(dated(block.text, folder), "block", "exec"), names)
    except BaseException:
        return "".join(traceback.format_exc().splitlines(keepends=True)[-12:])
    return None


def shell(text: str, folder: Path) -> str | None:
    """Runs commands until one fails; None, or the end of what was printed."""
    try:
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], cwd=folder, capture_output=True, text=True, timeout=LIMIT,
                              check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"more than {LIMIT} s\n{text}"
    return None if done.returncode == 0 else f"{text}exit status {done.returncode}\n{done.stdout[-800:]}{done.stderr[-1500:]}"


def scene(folder: Path) -> None:
    """What the pages take for granted: tables, arrays, photographs, specs and short runs."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for name, size in (("photos", 32), ("faces", 64), ("new", 8)):
        (folder / name).mkdir()
        for number in range(60):
            shade = np.linspace(0, 1, size)[:, None, None] * random.uniform(50, 250, 3)
            picture = Image.fromarray((shade * np.ones((size, size, 1)) + random.uniform(0, 5, (size, size, 3))).astype("uint8"))
            picture.convert("L" if name == "new" else "RGB").save(folder / name / f"{number:03}.png")
    hidden = random.normal(size=(600, 2))
    table = hidden @ random.normal(size=(2, 4)) + 0.1 * random.normal(size=(600, 4))
    rows = [",".join(f"{value:.4f}" for value in row) for row in table]
    stamps = [str(np.datetime64("2026-03-01T00:00") + 60 * number)[:16] for number in range(len(rows))]
    (folder / "sensors.csv").write_text("\n".join(["flow,heat,current,pressure", *rows]) + "\n", encoding="utf-8")
    states_of_new = [{0: "stuck", 30: "leaking"}.get(number % 60, "fine") for number in range(len(rows))]
    for name, states in (("pump.csv", [""] * len(rows)), ("new.csv", states_of_new)):
        lines = [f"{stamp},{row}" + (f",{state},{int(state != 'fine')}" if state else "")
                 for stamp, row, state in zip(stamps, rows, states, strict=True)]
        head = "time,flow,heat,current,pressure" + (",state,broken" if states[0] else "")
        (folder / name).write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    np.savez(folder / "new.npz", x=random.integers(0, 17, (20, 8, 8)).astype("float32"))
    (folder / "experiments").symlink_to("runs")
    (folder / "specs").symlink_to(ROOT / "specs")
    small = ("data: digits\nencoder: {layer: conv, width: [8, 16], stride: 2}\nlatent: {type: continuous, dim: 8}\n"
             "losses: {reconstruction: bernoulli}\n")
    for name in ("first", "mine", "my", "spec"):
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{small}train: {{epochs: 2, batch_size: 64}}\n", encoding="utf-8")
    (folder / "pump.yaml").write_text("data: {path: pump.csv, columns: [flow, heat, current, pressure], window: 10}\nencoder: [linear: 8]\n"
                                      "latent: {type: continuous, dim: 2}\ndecoder: mirror\n", encoding="utf-8")
    for name, words in RUNS.items():
        wrong = shell(f"aebuild train {words} --epochs 1 -o runs/{name} -q\n", folder)
        if wrong:
            raise SystemExit(f"what the pages take for granted could not be made:\n{wrong}")


def told(outcomes: list[Outcome]) -> str:
    """The table, and what was left out with its reasons."""
    lines = ["| page | blocks run | files written | failed | not run | seconds |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [f"| {each.page} | {each.run} | {each.files} | {len(each.failed)} | {len(each.left)} | {each.seconds:.0f} |"
              for each in outcomes]
    lines += ["", "Not run:", *(f"- {line}" for each in outcomes for line in each.left)]
    lines += [f"- docs/{page}: {why}" for page, why in LEFT_OUT.items()]
    failed = [place for each in outcomes for place in each.failed]
    total = f"{sum(each.run for each in outcomes)} blocks run, {len(failed)} failed: {', '.join(failed) or 'none'}"
    return "\n".join([*lines, "", total])


def main() -> None:
    """Every page, or those that are named."""
    parser = argparse.ArgumentParser(description="Runs the blocks of README.md and docs/.")
    parser.add_argument("pages", nargs="*", help="names of pages, such as guide.md; without: all")
    parser.add_argument("--keep", type=Path, help="a folder for the scratch files, which stay there and need not be made again")
    asked = parser.parse_args()
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/tutorials").glob("*.md"))]
    wanted = [page for page in pages if page.name in (asked.pages or {page.name for page in pages} - set(LEFT_OUT))]
    wanted = [page for page in wanted if any(block.kind != "yaml" for block in blocks(page.read_text(encoding="utf-8")))]
    os.environ |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    sys.path.remove(str(ROOT / "docs"))
    with tempfile.TemporaryDirectory(prefix="aebuild-docs-") as there:
        base = asked.keep or Path(there)
        made = base / "scene"
        if not made.exists():
            made.mkdir(parents=True)
            scene(made)
        outcomes = []
        for page in wanted:
            folder = base / page.relative_to(ROOT).with_suffix("").as_posix().replace("/", "-")
            shutil.copytree(made, folder, symlinks=True)
            os.chdir(folder)
            os.environ["HOME"] = str(folder)
            kept = dict(os.environ)
            outcomes.append(ran(page, folder))
            os.environ.clear()
            os.environ.update(kept)
            print(f"{outcomes[-1].page}: {outcomes[-1].run} blocks, {len(outcomes[-1].failed)} failed", flush=True)
        os.chdir(ROOT)
    print("\n" + told(outcomes))
    sys.exit(any(each.failed for each in outcomes))


if __name__ == "__main__":
    main()
