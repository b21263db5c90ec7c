"""The great autoencoder bake-off on full MNIST: nine specs, test BCE and probe accuracy beside the published ones.

python benchmarks/bakeoff.py [--set PATH=VALUE ...] [--out FOLDER] [name ...]

Needs MNIST under AEBUILD_DATA. The protocol is that of docs/results.md: 60 epochs, the last weights, the official test images; the test
images are looked at once, at the end. The probe is the task of that name (aebuild/parts/tasks/probe.py): `linear` follows the published
protocol on the first 550 labels, the columns behind it say what else there is to know.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from aebuild.results.experiment import train

SPECS = Path(__file__).parent.parent / "specs" / "bakeoff"
PUBLISHED = {"shallow": (123.2, 4, 0.4511), "deep": (63.92, 4, 0.7835), "stacked": (87.87, 6, 0.6107), "sparse": (64.27, 4, 0.2221),
             "denoising": (75.15, 4, 0.8049), "vae": (76.12, 4, 0.6016), "beta_vae_strict": (86.12, 4, 0.4536),
             "beta_vae_loose": (69.51, 4, 0.6311), "vq": (64.49, 4, 0.7717)}         # test BCE, % to accept, accuracy of the probe
PROBE = ("linear", "converged", "knn", "converged_all", "knn_all", "untrained", "from_scratch")
ASKED = ("data.labels=null", "evaluate.tasks=[{probe: {labels: 550}}]")              # the first 550 are the few labels, all are known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs") / "bakeoff")
    parser.add_argument("names", nargs="*", default=list(PUBLISHED))
    options = parser.parse_args()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} thread(s)"
    print(f"{where}, torch {torch.__version__}\n\n| spec | published BCE | test BCE | difference | accept up to | seconds | published probe | "
          f"{' | '.join(PROBE)} |\n| --- |{' --: |' * (6 + len(PROBE))}")
    for name in options.names:
        began = time.perf_counter()
        outcome = train(SPECS / f"{name}.yaml", [*ASKED, *options.settings], parent=options.out)
        found = json.loads((outcome.run / "evaluation.json").read_text())
        bce, (published, accepted, accuracy) = found["model"]["terms"]["reconstruction"], PUBLISHED[name]
        probed = (f"{found['tasks']['probe'][figure]:.4f}" for figure in PROBE)
        print(f"| {name} | {published:.2f} | {bce:.2f} | {100 * (bce / published - 1):+.1f} % | +{accepted} % | "
              f"{time.perf_counter() - began:.0f} | {accuracy:.4f} | {' | '.join(probed)} |", flush=True)


if __name__ == "__main__":
    main()
