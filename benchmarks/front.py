"""The front half's speed: a cold `aebuild validate`, planning by the number of layers, and the largest and worst specs that can be read.

python benchmarks/front.py [--runs 15] [--only cold planning cases]

The cold start is compared with importing the libraries that any such tool imports, pair by pair in one run, in seconds and in processor
time with the start of Python. Planning is timed for block specs of 10 to 10,000 layers: from the text to the plan. The cases are specs
as long as the reader takes them, right and wrong, an edit in the language server among them: processor time in a warm process, from the
text to the findings as they are printed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from aebuild.compile.front import load
from aebuild.compile.planner import plan
from aebuild.lang.render import render
from aebuild.lsp.document import Document
from aebuild.lsp.findings import diagnostics

SPEC = Path(__file__).parent.parent / "specs" / "vqvae.yaml"


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def cold(runs: int) -> None:
    validate = [sys.executable, "-m", "aebuild", "validate", str(SPEC)]
    imports = [sys.executable, "-c", "import pydantic, yaml, rich"]
    probe = ("import sys\nfrom aebuild.cli.guard import guarded\nfrom aebuild.cli.verbs import commands\n"
             f"guarded(lambda: commands.main(['validate', {str(SPEC)!r}], standalone_mode=False))\n"
             "print('torch' in sys.modules)")
    torch = subprocess.run([sys.executable, "-c", probe], check=False, capture_output=True, text=True).stdout.split()[-1]
    seconds(validate), seconds(imports)
    before = children_time()
    for _ in range(runs):
        seconds(validate)
    used = (children_time() - before) / runs
    pairs = [(seconds(validate), seconds(imports)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"cold `aebuild validate`: {1e3 * statistics.median(a for a, _ in pairs):.0f} ms, the imports alone "
          f"{1e3 * statistics.median(b for _, b in pairs):.0f} ms, ratio {ratio:.2f} (median of {runs} pairs); "
          f"{1e3 * used:.0f} ms of processor time; torch imported: {torch}\n")


def planning() -> None:
    print("| layers | text to plan, ms | µs a layer | of which planning, µs a layer |\n| --: | --: | --: | --: |")
    for layers in (10, 100, 1_000, 10_000):
        text = (f"data: mnist\nencoder: {{layer: linear, depth: {layers}, width: 8}}\nlatent: {{type: continuous, dim: 4}}\n"
                "losses: {reconstruction: bernoulli}\n")
        whole, alone = [], []
        for _ in range(5):
            began = time.perf_counter()
            loaded = load("spec.yaml", text=text)
            whole.append(time.perf_counter() - began)
            assert loaded.spec is not None
            assert loaded.info is not None
            began = time.perf_counter()
            plan(loaded.spec, loaded.info)
            alone.append(time.perf_counter() - began)
        count = 2 * layers
        print(f"| {count:,} | {1e3 * statistics.median(whole):.1f} | {1e6 * statistics.median(whole) / count:.0f} | "
              f"{1e6 * statistics.median(alone) / count:.0f} |", flush=True)


def children_time() -> float:
    """Processor seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def listed(count: int, row: str, end: str = "decoder: [linear: 16]\n") -> str:
    """A spec with a row for each layer of its encoder; `{}` in it is the number of the row modulo 7."""
    rows = "".join(f"  - {row.replace('{}', str(i % 7))}\n" for i in range(count))
    return f"name: long\ndata: digits\nencoder:\n{rows}latent: {{type: continuous, dim: 8}}\n{end}"


def deep(block: str, end: str = "decoder: [linear: 16]\n") -> str:
    """A spec with 10,000 layers in block form."""
    return f"name: deep\ndata: digits\nencoder: {{depth: 10000, {block}}}\nlatent: {{type: continuous, dim: 8}}\n{end}"


LINES = listed(495, "linear: {width: 3{}, activation: tanh}")
CASES = {
    "500 lines": LINES,
    "9,900 layers": listed(9_900, "linear: {width: 8}"),
    "9,900 layers, mirrored": listed(9_900, "linear: {width: 8}", ""),
    "10,000 transformers": deep("layer: transformer, width: 4"),
    "10,000 transformers, mirrored": deep("layer: transformer, width: 4", ""),
    "10,000 ConvNeXt blocks": deep("layer: convnext, width: 4"),
    "10,000 inverted residuals": deep("layer: inverted_residual, width: 4"),
    "6,000 layers with 12,000 mistakes": listed(6_000, "linear: {foo: 8}"),
    "6,000 misspelt keys": listed(6_000, "linear: {wdith: 8}"),
    "9,000 layers of an unknown kind": listed(9_000, "liner: {width: 8}"),
    "6,000 layers of as many unknown kinds": "".join(f"{line.replace('liner', f'liner{i}')}\n" for i, line in enumerate(
        listed(6_000, "liner: {width: 8}").splitlines())),
    "4,500 unknown activations": listed(4_500, "linear: {width: 8, activation: rleu}"),
}


def cases(runs: int) -> None:
    print("| spec | findings | processor time, ms |\n| --- | --: | --: |")
    for name, text in CASES.items():
        taken, found = [], 0
        for _ in range(runs):
            began = time.process_time()
            loaded = load("spec.yaml", text=text)
            render(loaded.diagnostics)
            taken.append(time.process_time() - began)
            found = len(loaded.diagnostics)
        print(f"| {name} | {found:,} | {1e3 * statistics.median(taken):.0f} |", flush=True)
    taken = []
    for stroke in range(20):
        edited = LINES.replace("width: 31", f"width: {100 + stroke}", 1)
        began = time.process_time()
        diagnostics(Document(Path("/long.yaml"), edited))
        taken.append(time.process_time() - began)
    print(f"| an edit of the 500 lines, to what the language server publishes | | {1e3 * statistics.median(taken):.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--only", nargs="*", choices=("cold", "planning", "cases"), default=("cold", "planning", "cases"))
    args = parser.parse_args()
    if "cold" in args.only:
        cold(args.runs)
    if "planning" in args.only:
        planning()
    if "cases" in args.only:
        cases(min(args.runs, 5))


if __name__ == "__main__":
    main()
