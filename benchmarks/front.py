"""The front half's speed: a cold `aebuild validate`, and planning by the number of layers.

python benchmarks/front.py [--runs 15]

The cold start is compared with importing the libraries that any such tool imports, pair by pair in one run. Planning is timed for block
specs of 10 to 10,000 layers: from the text to the plan.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from aebuild.compile.front import load
from aebuild.compile.planner import plan

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
    pairs = [(seconds(validate), seconds(imports)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"cold `aebuild validate`: {1e3 * statistics.median(a for a, _ in pairs):.0f} ms, the imports alone "
          f"{1e3 * statistics.median(b for _, b in pairs):.0f} ms, ratio {ratio:.2f} (median of {runs} pairs); torch imported: {torch}\n")


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    cold(parser.parse_args().runs)
    planning()
