"""The specs that `aebuild advise` writes beside the shipped specs of their kind, on real data, by the goal's own figure.

python benchmarks/advise.py [--steps TIMES] [--seed N] [case ...]

Needs the folders of AEBUILD_DATA; all cases take about a quarter of an hour of one core, `--steps 0.5` half of it. Both sides get the same data, the same size of code, the same steps and batches, and one thread. Figures
are those of the test split: the squared error (of tokens the cross-entropy) for `represent` and `compress`, that of noisy samples for
`denoise`, precision and recall of samples for `generate`, and the area under the ROC curve for `anomaly`, where labels only judge.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import aebuild
from aebuild.compile.canonical import text as canonical
from aebuild.data.assemble import load_splits
from aebuild.lang.diagnostics import SpecError
from aebuild.lang.samples import Where
from aebuild.lang.source import read
from aebuild.lang.splits import Split
from aebuild.lang.values import Tokens
from aebuild.results.advising.advise import advise
from aebuild.results.advising.candidates import Goal
from aebuild.results.experiment import train_only
from aebuild.results.open_run import OpenRun
from aebuild.results.shipped import shipped

Floats = NDArray[np.float64]
LIMIT = 0.10                # how much worse than the best shipped spec counts as a loss
IMAGES_TAKEN = 6_000        # training images of a known set
SAMPLES = 2_000             # drawn to be judged, and test samples beside them
FEATURES, NEIGHBOURS = 50, 5      # principal components and neighbours that likeness is judged by
DENSE = ("deep", "shallow", "asymmetric", "bakeoff/deep", "bakeoff/sparse")
IMAGES = ("conv_to_linear", "bakeoff/deep", "deep", "asymmetric", "shallow")
SERIES = ("anomaly/nab_taxi", "anomaly/ecg_dense")
TABLES = ("anomaly/optdigits", "anomaly/thyroid", "bakeoff/deep", "asymmetric")


@dataclass(frozen=True)
class Case:
    """Data, a goal, the shipped specs to stand beside, and how long all train."""

    data: str
    goal: Goal
    rivals: tuple[str, ...]
    steps: int


def adbench(number: str) -> Case:
    return Case(f"adbench/{number}.npz", "anomaly", TABLES, 400)


def series(name: str) -> Case:
    return Case(f"nab/realKnownCause/{name}.csv", "represent", SERIES, 300)


CASES: dict[str, Case] = {
    "mnist": Case("mnist", "represent", IMAGES, 250),
    "fashion": Case("fashion_mnist", "represent", IMAGES, 250),
    "cifar10": Case("cifar10/cifar10_rgb_small.npz", "represent", IMAGES, 250),
    "digits": Case("digits", "represent", DENSE, 600),
    "ecg": Case("ecg5000", "represent", (*SERIES, "lstm_ae", "transformer_ae"), 150),
    "motions": Case("basicmotions/BasicMotions.npz", "represent", (*SERIES, "lstm_ae"), 300),
    "taxi": series("nyc_taxi"),
    "machine": series("machine_temperature_system_failure"),
    "speech": Case("fsdd", "represent", ("conv_to_linear", "deep"), 40),
    "shakespeare": Case("tinyshakespeare/input.txt", "represent", ("text",), 100),
    **{name: adbench(number) for name, number in (
        ("cardio", "6_cardio"), ("mammography", "23_mammography"), ("optdigits", "26_optdigits"), ("pageblocks", "27_PageBlocks"),
        ("satellite", "30_satellite"), ("shuttle", "32_shuttle"), ("thyroid", "38_thyroid"))},
    "ecg_anomaly": Case("ecg5000", "anomaly", ("anomaly/ecg_dense", "anomaly/ecg_lstm"), 150),
    "mnist_generate": Case("mnist", "generate", ("conv_vae", "vae", "bakeoff/vae"), 300),
    "mnist_compress": Case("mnist", "compress", ("bakeoff/vq",), 200),
    "mnist_denoise": Case("mnist", "denoise", ("denoising", "bakeoff/denoising"), 100),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=float, default=1.0, help="times the steps of each case")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="case", help=", ".join(CASES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    print("| data | goal | family | steps | code | figure | advised | best shipped | ratio | within 10 % | all shipped | CPU seconds |\n"
          "| --- | --- | --- | --: | --: | --- | --: | --: | --: | --- | --- | --: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.cases:
            compare(name, CASES[name], round(CASES[name].steps * options.steps), options.seed, Path(folder))
    print(f"\n{time.process_time() - began:.0f} CPU seconds, torch {torch.__version__}, one thread")


def compare(name: str, case: Case, steps: int, seed: int, folder: Path) -> None:
    """One row: the advised spec and the shipped ones, trained alike."""
    began, judged = time.process_time(), {}
    written = advise(located(case.data, folder), case.goal)
    advised, chosen = read(written.text, "advised")[0].plain(), written.choice.chosen
    family = chosen.family.word if chosen.family is chosen.network else f"{chosen.family.word} on {chosen.network.word}"
    ours = trained(advised, advised, steps, seed, folder)
    tokens = isinstance(ours.plan.target, Tokens)
    measure = measure_of(case.goal, tokens)
    mine = measure.of(ours, advised)
    for rival in case.rivals:
        try:
            judged[rival] = measure.of(trained(rival_spec(rival, advised), advised, steps, seed, folder), advised)
        except SpecError as refused:
            print(f"  {rival} does not take {name}: {str(refused).splitlines()[0]}", flush=True)
    best = (max if measure.higher else min)(judged, key=judged.__getitem__)
    ratio = judged[best] / mine if measure.higher else mine / judged[best]
    told = ", ".join(f"{rival} {each:.4g}" for rival, each in judged.items())
    if measure.name == "MSE":
        told += f"; PCA {pca_error(ours):.4g}"
    print(f"| {name} | {case.goal} | {family} | {steps} | {ours.plan.latent.values} | {measure.name} | {mine:.4g} | {judged[best]:.4g} ({best}) | {ratio:.2f} | "
          f"{'yes' if ratio <= 1 + LIMIT else '**no**'} | {told} | {time.process_time() - began:.0f} |", flush=True)


def located(data: str, folder: Path) -> str:
    """The path of data under AEBUILD_DATA, or a known name; packed recordings are unpacked."""
    place = Path(os.environ["AEBUILD_DATA"]) / data
    if data == "fsdd":
        with zipfile.ZipFile(place / "recordings.zip") as packed:
            packed.extractall(folder / "fsdd")
        wanted = folder / "fsdd" / "recordings"
        return f"{wanted if wanted.is_dir() else folder / 'fsdd'}/"
    if data in ("mnist", "fashion_mnist"):
        return str(few_images(data, folder))
    return str(place) if "/" in data else data


def few_images(name: str, folder: Path) -> Path:
    """IMAGES_TAKEN training images of a known set and 2,000 test images as one file, which is read in a moment."""
    path = folder / f"{name}.npz"
    if not path.exists():
        data = aebuild.plan({"data": {"type": name, "limit": IMAGES_TAKEN}, "encoder": [], "latent": {"type": "continuous", "dim": 2}}).spec.data
        splits = load_splits(data, Where(folder))
        parts = {"train": splits.train, "test": splits.test.thinned(SAMPLES)}
        np.savez(path, **{f"x_{part}": np.round(255 * split.x[:, 0]).astype(np.uint8) for part, split in parts.items()})
    return path


def rival_spec(name: str, advised: dict[str, Any]) -> dict[str, Any]:
    """A shipped spec over the data and with the code of the advised one."""
    loaded = aebuild.load(str(shipped()[name]))
    spec: dict[str, Any] = read(canonical(loaded.spec), name)[0].plain()
    spec["data"] = advised["data"]
    if advised["losses"]["reconstruction"] != "bernoulli":                  # of pictures both judge themselves as they are written
        spec.setdefault("losses", {})["reconstruction"] = advised["losses"]["reconstruction"]
    code = advised["latent"]
    if code["type"] == "codebook":
        spec["latent"].update({key: code[key] for key in ("codes", "groups")}, dim=code["groups"])
    else:
        spec["latent"] = {**spec["latent"], "dim": code["dim"]}
        spec["latent"].pop("per", None)
    return spec


def trained(spec: dict[str, Any], advised: dict[str, Any], steps: int, seed: int, folder: Path) -> OpenRun:
    """A short training of a spec in batches as large as the advised one's."""
    train = {key: value for key, value in spec["train"].items() if key not in ("epochs", "phases")}
    train |= {"steps": steps, "batch_size": advised["train"]["batch_size"], "seed": seed, "speed": "exact"}
    return aebuild.open_run(train_only(aebuild.load({**spec, "train": train}), folder / "runs"))


@dataclass(frozen=True)
class Measure:
    """The figure of a goal, whether more of it is better, and how it is read off a run."""

    name: str
    higher: bool
    of: Callable[[OpenRun, dict[str, Any]], float]


def measure_of(goal: str, tokens: bool) -> Measure:
    if goal == "anomaly":
        return Measure("ROC AUC of the combined score", True, area)
    if goal == "generate":
        return Measure("precision and recall", True, likeness_of)
    if goal == "denoise":
        return Measure("MSE from noisy samples", False, denoised)
    return Measure("cross-entropy", False, surprise) if tokens else Measure("MSE", False, error)


def tested(run: OpenRun) -> Split:
    """At most SAMPLES of the test split, evenly spaced."""
    split = run.own_split("test").split
    return split.thinned(min(SAMPLES, len(split)))


@torch.no_grad()
def error(run: OpenRun, advised: dict[str, Any]) -> float:
    x = tested(run).x
    back = [run.model.reconstruct(torch.from_numpy(part)).numpy() for part in np.array_split(x, max(1, len(x) // 256))]
    return float(np.square(np.concatenate(back) - x).mean())


def surprise(run: OpenRun, advised: dict[str, Any]) -> float:
    return run.evaluate().model.terms["reconstruction"]


def area(run: OpenRun, advised: dict[str, Any]) -> float:
    test = run.own_split("test")
    anomalies = ("1",) if "1" in (test.words or ()) else None           # of ADBench's files; else the labels say so by their names
    return 100 * run.score(test, by="combined", anomalies=anomalies).detection["combined"].roc_auc


def likeness_of(run: OpenRun, advised: dict[str, Any]) -> float:
    """How far as many samples are like test samples."""
    drawn = run.scaling.apply(run.sample(SAMPLES))
    return 100 * likeness(*(flat(x) for x in (run.own_split("train").split.thinned(SAMPLES).x, tested(run).x, drawn)))


def flat(x: NDArray[Any]) -> Floats:
    return x.reshape(len(x), -1).astype(np.float64)


def likeness(train: Floats, test: Floats, drawn: Floats) -> float:
    """The harmonic mean of precision and recall (Kynkäänniemi et al., 2019) in FEATURES principal components of the training samples, 0 to 1.

    Precision is the share of drawn samples that lie as near to a test sample as its NEIGHBOURSth neighbour, recall the reverse.
    """
    from sklearn.decomposition import PCA

    pca = PCA(min(FEATURES, train.shape[1]), random_state=0).fit(train)
    real, made = pca.transform(test), pca.transform(drawn)
    precision, recall = within(real, made), within(made, real)
    return 2 * precision * recall / max(1e-12, precision + recall)


def within(samples: Floats, others: Floats) -> float:
    """The share of others inside the ball of any sample that reaches to its NEIGHBOURSth neighbour."""
    from scipy.spatial.distance import cdist

    reach = np.sort(cdist(samples, samples), axis=1)[:, NEIGHBOURS]
    return float((cdist(others, samples) <= reach).any(axis=1).mean())


@torch.no_grad()
def denoised(run: OpenRun, advised: dict[str, Any]) -> float:
    """The error from samples with the advised noise to the clean ones."""
    std = advised["corrupt"][0]["gaussian"]["std"]
    clean = tested(run).x
    noisy = clean + std * np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)
    return float(np.square(run.model.reconstruct(torch.from_numpy(noisy)).numpy() - clean).mean())


def pca_error(run: OpenRun) -> float:
    from aebuild.metrics.outliers import components_of
    from aebuild.results.baselines import fitted_rows, pca_reconstruction

    training = fitted_rows(run.own_split("train").split.aims)
    x = tested(run).x
    components = components_of(run.plan.latent.bits, len(training), x[0].size)
    return float(np.square(pca_reconstruction(training, components)(x) - x).mean())


if __name__ == "__main__":
    main()
