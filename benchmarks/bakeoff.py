"""The great autoencoder bake-off on full MNIST: `aebuild bakeoff` with the nine specs, its means beside the published figures.

python benchmarks/bakeoff.py [-o FOLDER] [--seeds N] [any other option of aebuild bakeoff]

Needs MNIST under AEBUILD_DATA. The protocol is that of docs/results.md: 60 epochs, the last weights, the official test images, which are
looked at once, at the end. The probe is the task of that name: `linear` follows the published protocol on the first 550 labels, the
other columns say what else there is to know. The same command goes on with what was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

SPECS = Path(__file__).parent.parent / "specs" / "bakeoff"
PUBLISHED = {"shallow": (123.2, 4, 0.4511), "deep": (63.92, 4, 0.7835), "stacked": (87.87, 6, 0.6107), "sparse": (64.27, 4, 0.2221),
             "denoising": (75.15, 4, 0.8049), "vae": (76.12, 4, 0.6016), "beta_vae_strict": (86.12, 4, 0.4536),
             "beta_vae_loose": (69.51, 4, 0.6311), "vq": (64.49, 4, 0.7717)}         # test BCE, % to accept, accuracy of the probe
PROBE = ("linear", "converged", "knn", "converged_all", "knn_all", "untrained", "from_scratch")
ASKED = ("--set", "data.labels=null", "--tasks", "probe: {labels: 550}")             # the first 550 are the few labels, all are known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", dest="out", type=Path, default=Path("runs") / "bakeoff")
    parser.add_argument("--seeds", default="42,")
    options, further = parser.parse_known_args()
    specs = [str(SPECS / f"{name}.yaml") for name in PUBLISHED]
    subprocess.run([sys.executable, "-m", "aebuild", "bakeoff", *specs, "--seeds", options.seeds, "-o", str(options.out), *ASKED, *further],
                   check=True)
    usual, *others = json.loads((options.out / "results.json").read_text())["tables"]
    probes = next((table["rows"] for table in others if "linear" in str(table["rows"])), {})
    print(f"| spec | published BCE | test BCE | difference | accept up to | published probe | {' | '.join(PROBE)} |")
    print("| --- |" + " --: |" * (5 + len(PROBE)))
    for name, (published, accepted, accuracy) in PUBLISHED.items():
        cell, probed = usual["rows"].get(f"bakeoff_{name}", {}).get("reconstruction"), probes.get(f"bakeoff_{name}", {})
        if cell is not None:
            figures = (f"{probed[figure]['mean']:.4f}" if figure in probed else "" for figure in PROBE)
            print(f"| {name} | {published:.2f} | {cell['mean']:.2f} | {100 * (cell['mean'] / published - 1):+.1f} % | +{accepted} % | "
                  f"{accuracy:.4f} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
