"""The great autoencoder bake-off on full MNIST: nine specs, test BCE beside the published one.

python benchmarks/bakeoff.py [--set PATH=VALUE ...] [--out FOLDER] [name ...]

Needs MNIST under AEBUILD_DATA. The protocol is that of docs/results.md: 60 epochs, the last weights, the official test images; the test
images are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from aebuild.results.experiment import train

SPECS = Path(__file__).parent.parent / "specs" / "bakeoff"
PUBLISHED = {"shallow": (123.2, 4), "deep": (63.92, 4), "stacked": (87.87, 6), "sparse": (64.27, 4), "denoising": (75.15, 4),
             "vae": (76.12, 4), "beta_vae_strict": (86.12, 4), "beta_vae_loose": (69.51, 4), "vq": (64.49, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs") / "bakeoff")
    parser.add_argument("names", nargs="*", default=list(PUBLISHED))
    options = parser.parse_args()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} thread(s)"
    print(f"{where}, torch {torch.__version__}\n\n| spec | published BCE | test BCE | difference | accept up to | seconds |\n"
          "| --- | --: | --: | --: | --: | --: |")
    for name in options.names:
        began = time.perf_counter()
        outcome = train(SPECS / f"{name}.yaml", options.settings, parent=options.out)
        scores = json.loads((outcome.run / "evaluation.json").read_text())["model"]
        bce, (published, accepted) = scores["terms"]["reconstruction"], PUBLISHED[name]
        print(f"| {name} | {published:.2f} | {bce:.2f} | {100 * (bce / published - 1):+.1f} % | +{accepted} % | "
              f"{time.perf_counter() - began:.0f} |", flush=True)


if __name__ == "__main__":
    main()
