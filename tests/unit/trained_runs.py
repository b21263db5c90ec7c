"""Small trained runs, one for each kind of data, made once for all tests of a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

import aebuild
from aebuild.results.open_run import OpenRun

FOLDER = Path(mkdtemp(prefix="aebuild-runs-"))
TRAIN: dict[str, Any] = {"epochs": 2, "batch_size": 64, "optimizer": {"type": "adam", "lr": 3e-3}}


def table_file(path: Path, rows: int = 300, seed: int = 0, label: bool = True) -> Path:
    """A table of four numbers that lie near a plane, with an id, and a kind in words."""
    random = np.random.RandomState(seed)
    hidden = random.standard_normal((rows, 2))
    values = hidden @ [[1, 0.5, -1, 0.2], [0.3, -1, 0.4, 2]] + 0.1 * random.standard_normal((rows, 4)) + [10, 0, -5, 100]
    names = ["length", "width", "depth", "weight"]
    lines = [",".join(["id", *names, *(["kind"] if label else [])])]
    for number, row in enumerate(values):
        lines.append(",".join([f"r{number}", *(f"{value:.6f}" for value in row), *(["odd" if number % 7 == 0 else "even"] if label else [])]))
    path.write_text("\n".join(lines) + "\n")
    return path


def series_file(path: Path, steps: int = 600, broken_at: int | None = None) -> Path:
    """A series of two sensors, a minute a step; from `broken_at` on one of them is stuck for a while."""
    time = np.arange(steps)
    random = np.random.RandomState(1)
    values = np.stack([np.sin(time / 7), np.cos(time / 5)], 1) + 0.05 * random.standard_normal((steps, 2))
    if broken_at is not None:
        values[broken_at:broken_at + 12, 1] = 3.0
    stamps = np.datetime64("2026-01-01T00:00") + time
    lines = ["time,pressure,flow", *(f"{stamp},{a:.5f},{b:.5f}" for stamp, (a, b) in zip(stamps, values, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def trips_file(path: Path, trips: int = 40, seed: int = 3, longest: int = 25) -> Path:
    """Trips of 3 to `longest` steps with two measurements, a row a step, in no order; the first trip is the longest."""
    random = np.random.RandomState(seed)
    rows = []
    for trip in range(trips):
        time = np.arange(longest if trip == 0 else random.randint(3, longest))
        values = np.stack([np.sin(time / 4 + trip), np.cos(time / 4 + trip)], 1) + 0.05 * random.standard_normal((len(time), 2))
        rows += [f"t{trip:02},2026-01-{1 + trip % 28:02}T00:{step:02},{a:.5f},{b:.5f}" for step, (a, b) in zip(time, values, strict=True)]
    random.shuffle(rows)
    path.write_text("\n".join(["trip,when,speed,load", *rows]) + "\n")
    return path


def specs() -> dict[str, dict[str, Any]]:
    """A spec for each kind of data and code."""
    table, series, tokens = table_file(FOLDER / "table.csv"), series_file(FOLDER / "series.csv"), FOLDER / "tokens.npz"
    trips = trips_file(FOLDER / "trips.csv")
    np.savez(tokens, x=np.random.RandomState(2).randint(0, 5, (200, 12)))
    linear = {"layer": "linear", "width": [16]}
    return {
        "image": {"data": "digits", "encoder": {"layer": "conv", "width": [8, 8], "stride": 2},
                  "latent": {"type": "gaussian", "dim": 4}, "losses": {"reconstruction": "bernoulli"}},
        "codebook": {"data": "digits", "encoder": {"layer": "conv", "width": 8, "stride": 2},
                     "latent": {"type": "codebook", "codes": 12, "dim": 4}, "losses": {"reconstruction": "bernoulli"}},
        "table": {"data": {"path": str(table), "label": "kind", "index": True}, "encoder": linear,
                  "latent": {"type": "continuous", "dim": 2}, "losses": {"reconstruction": "mse"}},
        "series": {"data": {"path": str(series), "window": {"length": 20, "stride": 5}}, "encoder": {"layer": "lstm", "width": 8},
                   "latent": {"type": "continuous", "dim": 3}, "losses": {"reconstruction": "mse"}},
        "trips": {"data": {"path": str(trips), "group": "trip"}, "encoder": {"layer": "gru", "width": 8},
                  "latent": {"type": "continuous", "dim": 3}, "losses": {"reconstruction": "mse"}},
        "tokens": {"data": {"path": str(tokens), "as": "tokens"}, "encoder": {"layer": "gru", "width": 8},
                   "latent": {"type": "continuous", "dim": 3}, "losses": {"reconstruction": "categorical"}},
        "skips": {"data": "digits", "encoder": {"layer": "conv", "width": [4, 4], "stride": 2}, "latent": {"type": "continuous", "dim": 3},
                  "decoder": {"layer": "conv", "width": [4, 4], "skip": True}, "losses": {"reconstruction": "bernoulli"}},
    }


@cache
def run_folder(kind: str) -> Path:
    """The folder of a trained run of this kind; tests must leave it as it is."""
    return aebuild.train({**specs()[kind], "name": kind, "train": TRAIN}, folder=FOLDER / kind).run


@cache
def opened(kind: str) -> OpenRun:
    """That run, opened."""
    return aebuild.open_run(run_folder(kind))


def raw(kind: str) -> Any:
    """Its data as they are stored, [n, ...]."""
    if kind in ("image", "codebook", "skips"):
        from sklearn.datasets import load_digits

        return load_digits().images[:40, None]
    if kind == "tokens":
        with np.load(FOLDER / "tokens.npz") as held:
            return held["x"][:30]
    file = FOLDER / f"{kind}.csv"
    columns = (1, 2, 3, 4) if kind == "table" else (1, 2)
    return np.loadtxt(file, delimiter=",", skiprows=1, usecols=columns)[:40]
