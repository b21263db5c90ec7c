"""The examples that parts carry, as small trainable specs, and the files that they name."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import warnings
import wave as wav
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from aebuild.lang.dataset import Known
from aebuild.lang.part import Part
from aebuild.results.catalogue import every_part
from aebuild.results.part_laws.alive import LOCAL
from aebuild.results.part_laws.examples import FRAME, own_example, specs_of

__all__ = ["FRAME", "LOCAL", "own_example", "specs_of"]

PLUGGED = {"penalty teacher": "its example names a run that is not there; tests/unit/test_distillation.py trains one"}


def plugged(part: type[Part]) -> bool:
    """True for a part that acts only together with one of a plug-in, where laws meet it (test_plugin_parts.py)."""
    return f"{part.family} {part.variant_name()}" in PLUGGED


def examples(parts: Iterable[type[Part]]) -> list[str]:
    """Every spec of these parts' examples, each once."""
    return list(dict.fromkeys(text for part in parts if own_example(part) for text in specs_of(own_example(part))))


def downloaded(part: type[Part]) -> bool:
    """True for a data set that is neither in a library nor among the files of `make_files`."""
    return issubclass(part, Known) and part.variant_name() != "ecg5000"


def every_example() -> list[str]:
    """The specs of all parts' examples over data that are at hand."""
    return examples(part for part in every_part() if not downloaded(part) and not plugged(part))


@contextmanager
def among_files(folder: Path) -> Iterator[None]:
    """While entered, the working directory has the files that the specs name."""
    before = Path.cwd()
    make_files(folder)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make_files(folder: Path) -> None:
    """Small files of every kind that a spec may name."""
    from PIL import Image

    draw = np.random.default_rng(0)
    (folder / "features.pt").write_bytes(feature_program())
    labels = np.arange(60) % 3
    np.savez(folder / "x.npz", x=draw.integers(0, 255, (60, 3, 6, 8), dtype=np.uint8), y=labels)
    np.save(folder / "text.npy", draw.integers(0, 7, (60, 6)))
    np.savez(folder / "s.npz", x=draw.normal(size=(60, 6, 2)), y=labels)
    (folder / "ecg5000").mkdir()
    beats = {f"{part}_{what}": array for part, count in (("train", 500), ("test", 4500)) for what, array in
             (("x", draw.normal(size=(count, 140)).astype(np.float32)), ("anomaly", np.arange(count) % 2))}
    np.savez(folder / "ecg5000" / "ecg5000.npz", **beats)
    rows = np.column_stack([draw.normal(size=(60, 4)), labels])
    names = "a,b,c,d,kind"
    (folder / "rows.csv").write_text("\n".join([names, *(",".join(f"{cell:g}" for cell in row) for row in rows)]) + "\n")
    cells = [[("" if (row + place) % 7 == 0 else f"{cell:g}") for place, cell in enumerate(line[:3])] for row, line in enumerate(rows)]
    (folder / "gaps.csv").write_text("\n".join(["a,b,c", *map(",".join, cells)]) + "\n")
    wave = np.sin(np.arange(200)[:, None] / (3, 5, 7)) + draw.normal(size=(200, 3)) / 10
    (folder / "wave.csv").write_text("\n".join(["u,v,w", *(",".join(f"{cell:.5f}" for cell in row) for row in wave)]) + "\n")
    sensor = [f"{row + row // 90},{u:.5f},{'' if row % 9 == 0 else f'{v:.5f}'}" for row, (u, v, _) in enumerate(wave)]
    (folder / "sensor.csv").write_text("\n".join(["time,u,v", *sensor]) + "\n")
    lines = ["machine,hall,u,v", *(f"{row // 50},{row // 100},{u:.5f},{v:.5f}" for row, (u, v, _) in enumerate(wave))]
    (folder / "machines.csv").write_text("\n".join(lines) + "\n")
    trips = [f"{trip},{u:.5f},{v:.5f}" for trip in range(30) for u, v, _ in wave[5 * trip:5 * trip + 3 + trip % 4]]
    (folder / "trips.csv").write_text("\n".join(["trip,u,v", *trips]) + "\n")
    words = ("so", "we", "beat", "on", "boats", "against", "the", "current", "\n")
    (folder / "prose.txt").write_text(" ".join(words[place] for place in draw.integers(0, 9, 240)))
    (folder / "quotes.csv").write_text("who,said\n" + "".join(f"{words[n % 5]},{words[n % 7]} {words[n % 3]}\n" for n in range(40)))
    for name, array in (("train-images-idx3-ubyte", draw.integers(0, 255, (50, 6, 5), dtype=np.uint8)),
                        ("train-labels-idx1-ubyte", (np.arange(50) % 3).astype(np.uint8))):
        head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(head + array.tobytes()))
    (folder / "shards").mkdir()
    for number in range(3):
        np.save(folder / "shards" / f"{number}.npy", draw.normal(size=(10, 2, 6)).astype(np.float16))
    write_tar(folder / "tars" / "a.tar", draw.integers(0, 255, (50, 6, 5), dtype=np.uint8))
    for kind in ("owl", "toad"):
        (folder / "calls" / kind).mkdir(parents=True)
        for i in range(10):
            with wav.open(str(folder / "calls" / kind / f"{i}.wav"), "wb") as call:
                call.setparams((1, 2, 800, 0, "NONE", ""))
                call.writeframes((3000 * draw.normal(size=160 + i)).astype("<i2").tobytes())
    for kind in ("cat", "dog"):
        (folder / "pictures" / kind).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(draw.integers(0, 255, (6, 7, 3), dtype=np.uint8)).save(folder / "pictures" / kind / f"{i}.png")
            (folder / "clips" / kind / f"{i}").mkdir(parents=True)
            for frame in draw.integers(0, 255, (6, 6, 7), dtype=np.uint8):
                frames = folder / "clips" / kind / f"{i}"
                Image.fromarray(frame).save(frames / f"{len(list(frames.iterdir()))}.png")


@cache
def feature_program() -> bytes:
    """A small network of random weights as TorchScript."""
    import torch

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        torch.manual_seed(0)
        held = io.BytesIO()
        torch.jit.save(torch.jit.trace(torch.nn.Conv2d(1, 3, 3).eval(), torch.zeros(2, 1, 8, 8)), held)
    return held.getvalue()


def write_tar(path: Path, images: np.ndarray) -> None:
    """Images as arrays in an archive, with a class each."""
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for row, image in enumerate(images):
            stored = io.BytesIO()
            np.save(stored, image)
            for name, data in ((f"{row}.npy", stored.getvalue()), (f"{row}.cls", str(row % 3).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
