"""The great autoencoder bake-off on full MNIST: `aebuild bakeoff` with the nine specs, its means beside the published test BCE.

python benchmarks/bakeoff.py [-o FOLDER] [--seeds N] [any other option of aebuild bakeoff]

Needs MNIST under AEBUILD_DATA. The protocol is that of docs/results.md: 60 epochs, the last weights, the official test images, which are
looked at once, at the end. The same command goes on with what was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

SPECS = Path(__file__).parent.parent / "specs" / "bakeoff"
PUBLISHED = {"shallow": (123.2, 4), "deep": (63.92, 4), "stacked": (87.87, 6), "sparse": (64.27, 4), "denoising": (75.15, 4),
             "vae": (76.12, 4), "beta_vae_strict": (86.12, 4), "beta_vae_loose": (69.51, 4), "vq": (64.49, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", dest="out", type=Path, default=Path("runs") / "bakeoff")
    parser.add_argument("--seeds", default="42,")
    options, further = parser.parse_known_args()
    specs = [str(SPECS / f"{name}.yaml") for name in PUBLISHED]
    subprocess.run([sys.executable, "-m", "aebuild", "bakeoff", *specs, "--seeds", options.seeds, "-o", str(options.out), *further],
                   check=True)
    rows = json.loads((options.out / "results.json").read_text())["tables"][0]["rows"]
    print("| spec | published BCE | test BCE | difference | accept up to |\n| --- | --: | --: | --: | --: |")
    for name, (published, accepted) in PUBLISHED.items():
        if (cell := rows.get(f"bakeoff_{name}", {}).get("reconstruction")) is not None:
            print(f"| {name} | {published:.2f} | {cell['mean']:.2f} | {100 * (cell['mean'] / published - 1):+.1f} % | +{accepted} % |")


if __name__ == "__main__":
    main()
