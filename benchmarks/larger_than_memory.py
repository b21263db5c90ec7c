"""Data larger than memory: one pass over tar shards, with and without reading ahead, and the most memory it took.

    python benchmarks/larger_than_memory.py --gib 4 --folder /tmp/larger

Writes shards of random images once, then trains a small convolutional model on them in a process of its own for each
way. The most memory is the process's greatest resident set: torch and the model included, the system's file cache not.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SPEC = """
data: {{type: webdataset, path: {folder}, stream: true, split: {{validation: 256, test: 256}}}}
encoder: [conv: {{width: 8, kernel: 16, stride: 16}}]
latent: {{type: continuous, dim: 32}}
decoder: [linear: 512, unflatten: [8, 8], output: {{kernel: 16, stride: 16}}]
train: {{{length}, batch_size: 128, device: {device}}}
"""
EACH = 4096           # images of a shard


def write(folder: Path, gibibytes: float, side: int, form: str) -> tuple[int, int]:
    """Shards of random smooth images until they hold so much as bytes; the number of images and the bytes of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    count = int(gibibytes * 2**30 / (3 * side * side))
    draw = np.random.default_rng(0)
    grains = draw.integers(0, 256, (256, 3, side, side), dtype=np.uint8)
    for start in range(0, count, EACH):
        path = folder / f"train-{start // EACH:05}.tar"
        if path.exists():
            continue
        with tarfile.open(path.with_suffix(".part"), "w") as archive:
            for number in range(start, min(start + EACH, count)):
                image = np.roll(grains[number % 256], number // 256, 2)
                data = encoded(image, form)
                info = tarfile.TarInfo(f"{number:08}.{form}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        path.with_suffix(".part").rename(path)
    return count, sum(path.stat().st_size for path in folder.glob("*.tar"))


def encoded(image: np.ndarray[Any, Any], form: str) -> bytes:
    """One image [3, H, W] as an .npy or a .png, the latter smoothed so that it shrinks."""
    stored = io.BytesIO()
    if form == "npy":
        np.save(stored, image)
    else:
        from PIL import Image

        small = Image.fromarray(image[:, ::8, ::8].transpose(1, 2, 0).copy())
        small.resize(image.shape[1:], Image.Resampling.BILINEAR).save(stored, "PNG", compress_level=1)
    return stored.getvalue()


@contextmanager
def one_by_one(read: Callable[[Any], Any], indices: Iterable[Any]) -> Iterator[Iterator[Any]]:
    """Reads each batch when it is wanted."""
    yield map(read, indices)


def train(folder: Path, device: str, prefetch: bool, steps: int | None) -> dict[str, Any]:
    """One pass: its speed and the most memory."""
    from aebuild.compile.front import load
    from aebuild.data.assemble import load_splits
    from aebuild.lang.dataset import Where
    from aebuild.trainer.batches import loader
    from aebuild.trainer.fit import train as fit
    from aebuild.trainer.job import Job
    from aebuild.trainer.run_dir.run import Run, data_record

    if not prefetch:
        loader.ahead = one_by_one
    plan = load(folder / "spec.yaml", text=SPEC.format(folder=folder, device=device, length=f"steps: {steps}" if steps else "epochs: 1")).require()
    began = time.perf_counter()
    splits = load_splits(plan.spec.data, Where(folder))
    scanned = time.perf_counter() - began
    run_folder = folder / f"run-{time.time_ns()}"
    with Run.create("larger", spec="name: larger\n", plan=plan.to_json(), data=data_record(splits), folder=run_folder) as run:
        result = fit(Job(plan, splits, run))
        line = next(line for line in run.journal.read() if line["split"] == "train")
    return {"prefetch": prefetch, "samples": result.steps * 128, "CPU seconds": round(time.process_time(), 1), "scan seconds": round(scanned, 1), "seconds": round(result.seconds, 1),
            "samples/s": line["samples_per_second"], "peak RSS MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}


def main() -> None:
    """Writes, then measures each way in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gib", type=float, default=4.0, help="gibibytes of images as bytes")
    options.add_argument("--folder", type=Path, default=Path("larger"))
    options.add_argument("--side", type=int, default=128)
    options.add_argument("--form", choices=("npy", "png"), default="npy")
    options.add_argument("--device", default="cpu")
    options.add_argument("--steps", type=int, help="batches of each way (default: a whole pass)")
    options.add_argument("--only", choices=("ahead", "plain"), help=argparse.SUPPRESS)
    told = options.parse_args()
    if told.only:
        print(json.dumps(train(told.folder.absolute(), told.device, told.only == "ahead", told.steps)))
        return
    count, size = write(told.folder, told.gib, told.side, told.form)
    print(f"{count:,} images of 3×{told.side}×{told.side}: {told.gib:g} GiB as bytes, {told.gib * 4:g} GiB as float32, "
          f"{size / 2**30:.2f} GiB of .{told.form} in tar archives", flush=True)
    for way in ("plain", "ahead", "plain", "ahead"):
        command = [sys.executable, __file__, "--folder", str(told.folder), "--device", told.device, "--only", way, *(["--steps", str(told.steps)] if told.steps else [])]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
