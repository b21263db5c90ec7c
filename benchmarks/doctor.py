"""Plants each failure that `aebuild doctor` knows, applies the command it gives, and tells whether that helped.

python benchmarks/doctor.py [--out FOLDER] [name ...]

Everything is trained on data inside scikit-learn, on one thread: digits and wine. Beside the failures stand healthy runs, of which nothing
should be said. A row has what was planted, what was named first, the figure of the symptom, the squared error on the judged split before
and after the fix, what is named after it, and what is remarked then, which is no failure. Ends with 1 if a failure is not named first, if
another one is left after the fix, or if a healthy run has one.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

import aebuild
from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.lang.diagnostics import DivergedError, Hint
from aebuild.results.diagnosis.cause import Finding
from aebuild.results.diagnosis.diagnose import Diagnosis, diagnose
from aebuild.results.open_run import open_run

TRAIN: dict[str, Any] = {"batch_size": 32, "device": "cpu", "speed": "exact"}
BERNOULLI, SMALL = {"reconstruction": "bernoulli"}, {"type": "digits", "limit": 400}


@dataclass(frozen=True)
class Planted:
    """A failure: the cause that should be named, and a spec that has it and is sound without: with two faults, one fix would not do."""

    cause: str
    spec: dict[str, Any]
    train: dict[str, Any]
    data: Callable[[Path], dict[str, Any]] | None = None         # files that are made first
    better: bool = True            # the squared error should fall: not where it was too good to be true, or codes were no prior's

    def whole(self, name: str, folder: Path) -> dict[str, Any]:
        """The spec, its data made."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {"data": self.data(folder)} if self.data is not None else {}
        return {"data": SMALL, **self.spec, **data, "name": name, "train": {**TRAIN, **self.train}}


def linear(*width: int, **more: Any) -> dict[str, Any]:
    """A stage of linear layers."""
    return {"layer": "linear", "width": list(width), **more}


def digits_twice(folder: Path) -> dict[str, Any]:
    """Digits of which every third is in the file twice, the second time with a little noise."""
    from sklearn.datasets import load_digits

    rows, random = load_digits().data[:600].astype(np.float32) / 16, np.random.default_rng(0)
    again = rows[::3] + 0.002 * random.standard_normal(rows[::3].shape).astype(np.float32)
    np.save(folder / "twice.npy", np.concatenate([rows, again]))
    return {"path": str(folder / "twice.npy"), "scale": "none"}


def digits_once(folder: Path) -> dict[str, Any]:
    """The same without the copies."""
    from sklearn.datasets import load_digits

    np.save(folder / "once.npy", load_digits().data[:600].astype(np.float32) / 16)
    return {"path": str(folder / "once.npy"), "scale": "none"}


def wine_in_thousands(folder: Path) -> dict[str, Any]:
    """Standardised wine times 3,000."""
    from sklearn.datasets import load_wine

    rows = load_wine().data
    np.save(folder / "thousands.npy", (3000 * (rows - rows.mean(0)) / rows.std(0)).astype(np.float32))
    return {"path": str(folder / "thousands.npy"), "scale": "none"}


VARIATIONAL, PLAIN = {"type": "gaussian", "dim": 6}, {"type": "continuous", "dim": 6}
PLANTED = {
    "collapse": Planted("collapsed posterior", {"encoder": linear(32), "latent": VARIATIONAL, "losses": {**BERNOULLI, "kl": 30}},
                        {"epochs": 100, "optimizer": {"lr": 3e-3}}),
    "codebook": Planted("dead codebook", {"encoder": {"layer": "conv", "width": 16, "stride": 2}, "losses": BERNOULLI,
                                          "latent": {"type": "codebook", "codes": 64, "dim": 16, "per": "sample", "init": "normal",
                                                     "restart": "none"}}, {"epochs": 15, "optimizer": {"lr": 3e-3}}),
    "wide": Planted("wrong scale of the likelihood", {"encoder": linear(32), "latent": VARIATIONAL,
                                                      "losses": {"reconstruction": {"type": "gaussian", "variance": 100.0}}},
                    {"epochs": 100, "optimizer": {"lr": 1e-2}}),
    "narrow": Planted("wrong scale of the likelihood", {"encoder": linear(32), "latent": VARIATIONAL,
                                                        "losses": {"reconstruction": {"type": "gaussian", "variance": 1e-5}}},
                      {"epochs": 100, "optimizer": {"lr": 1e-2}}, better=False),
    "diverged": Planted("diverged", {"encoder": linear(32), "latent": PLAIN}, {"epochs": 150, "optimizer": {"lr": 1e12}}),
    "rate": Planted("learning rate too large", {"encoder": linear(32), "latent": PLAIN, "losses": BERNOULLI},
                    {"epochs": 40, "optimizer": {"lr": 0.3}}),
    "slow": Planted("learning rate too small", {"encoder": linear(32), "latent": PLAIN, "losses": BERNOULLI},
                    {"epochs": 40, "optimizer": {"lr": 1e-7}}),
    "short": Planted("training too short", {"encoder": linear(32), "latent": PLAIN, "losses": BERNOULLI}, {"epochs": 4}),
    "identity": Planted("identity bottleneck", {"encoder": linear(128), "latent": {"type": "continuous", "dim": 64}, "losses": BERNOULLI}, {"epochs": 100, "optimizer": {"lr": 3e-3}}, better=False),
    "critic": Planted("saturated critic", {"encoder": linear(32), "losses": BERNOULLI,
                                           "latent": {"type": "adversarial", "dim": 4, "discriminator": linear(32)}},
                      {"epochs": 80, "players": {"discriminator": {"steps": 3, "optimizer": {"lr": 0.02}},
                                                 "generator": {"optimizer": {"lr": 1e-4}}}}, better=False),
    "leak": Planted("leaked split", {"encoder": linear(32), "latent": PLAIN}, {"epochs": 60, "optimizer": {"lr": 3e-3}}, digits_twice, better=False),
    "norm": Planted("batch normalisation", {"encoder": linear(32, 32, norm={"type": "batch", "momentum": 1e-5}), "latent": VARIATIONAL,
                                            "losses": {**BERNOULLI, "kl": {"weight": {"from": 0, "to": 1, "over": "20%"}}},
                                            "allow": {"AE203": "planted"}},
                    {"epochs": 120, "batch_size": 16, "keep": "last", "optimizer": {"lr": 3e-3}}),
    "by heart": Planted("learned by heart", {"data": {"type": "digits", "limit": 100}, "encoder": linear(256, 256),
                                             "latent": {"type": "continuous", "dim": 16}, "losses": BERNOULLI}, {"epochs": 200}),
    "dead units": Planted("dead units", {"encoder": linear(32), "latent": PLAIN, "losses": BERNOULLI},
                          {"epochs": 60, "optimizer": {"lr": 0.08}}),
    "size": Planted("data far from unit size", {"encoder": linear(32, activation="tanh"), "latent": {"type": "continuous", "dim": 3}},
                    {"epochs": 200, "optimizer": {"lr": 3e-3}}, wine_in_thousands),
}
HEALTHY = {
    "linear": ({"encoder": linear(32), "latent": PLAIN, "losses": BERNOULLI}, {"epochs": 150, "optimizer": {"lr": 3e-3}}),
    "variational": ({"encoder": linear(32), "latent": VARIATIONAL, "losses": BERNOULLI}, {"epochs": 150, "optimizer": {"lr": 3e-3}}),
    "codebook": ({"encoder": {"layer": "conv", "width": 16, "stride": 2}, "latent": {"type": "codebook", "codes": 32, "dim": 8}, "losses": BERNOULLI},
                 {"epochs": 100, "optimizer": {"lr": 3e-3}}),
    "adversarial": ({"encoder": linear(32), "losses": BERNOULLI, "latent": {"type": "adversarial", "dim": 4, "discriminator": linear(64)}},
                    {"epochs": 150, "players": {"generator": {"optimizer": {"lr": 5e-4}}, "discriminator": {"optimizer": {"lr": 5e-4}}}}),
    "wine": ({"data": "wine", "encoder": [], "decoder": [], "latent": {"type": "continuous", "dim": 3}}, {"epochs": 500}),
}


def trained(spec: dict[str, Any], folder: Path) -> Diagnosis:
    """Trains a spec, which may diverge, and looks at its run."""
    with suppress(DivergedError):
        aebuild.train(spec, folder=folder)
    return diagnose(folder, open_run)


def mended(found: Diagnosis, planted: Planted, folder: Path) -> Diagnosis | None:
    """The run after the fix: the command as it is given, with a folder; where only its reader can do it, by hand; None without a fix."""
    fix = found.findings[0].fix
    if isinstance(fix, Hint):
        if planted.data is not digits_twice:
            return None
        return trained(replace(planted, data=digits_once).whole("mended", folder.parent), folder)
    words = shlex.split(str(fix))[1:]
    again = "--resume" in words
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        code = guarded(lambda: commands.main([*words, "-q", *([] if again else ["-o", str(folder)])], standalone_mode=False))
    if code:
        raise SystemExit(f"{fix}: ended with code {code}")
    return diagnose(Path(words[words.index("--resume") + 1]) if again else folder, open_run)


def error(found: Diagnosis | None) -> float:
    """The squared error on the judged split as a share of that of the mean of the training samples, as scaling leaves it."""
    if found is None or found.evaluation is None or found.evaluation.model.mse is None or not found.evaluation.mean.mse:
        return float("nan")
    return found.evaluation.model.mse / found.evaluation.mean.mse


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("names", nargs="*", default=[*PLANTED, *(f"healthy {name}" for name in HEALTHY)])
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="aebuild-doctor-"))
    out.mkdir(parents=True, exist_ok=True)
    print("| planted | named first | also | seen | error before | error after | named after the fix | remarked then |\n"
          "| --- | --- | --- | --- | --: | --: | --- | --- |", flush=True)
    failed = []
    for name in options.names:
        if name in PLANTED:
            right = row(name, PLANTED[name], out)
        else:
            spec, train = HEALTHY[name.removeprefix("healthy ")]
            found = trained(Planted("", spec, train).whole("healthy", out), out / name.replace(" ", "-"))
            print(f"| {name} | {names(found.findings)} | | {'; '.join(each.message for each in found.findings)} | {error(found):.3f} | | "
                  f"| {names(found.remarks)} |", flush=True)
            right = not found.findings
        failed += [] if right else [name]
    print(f"\n{len(options.names) - len(failed)} of {len(options.names)} as they should be{': not ' * bool(failed)}{', '.join(failed)}")
    raise SystemExit(bool(failed))


def names(found: Sequence[Finding]) -> str:
    """Their causes."""
    return ", ".join(each.cause for each in found) or "nothing"


def row(name: str, planted: Planted, out: Path) -> bool:
    """One line of the table; whether the failure is named first and its fix leaves none."""
    found = trained(planted.whole(name.replace(" ", "-"), out), out / name.replace(" ", "-"))
    first, *others = [*found.findings] or [None]
    before = error(found)
    after = mended(found, planted, out / f"{name.replace(' ', '-')}-mended") if first is not None else None
    print(f"| {planted.cause} ({name}) | {first.cause if first else 'nothing'} | {', '.join(each.cause for each in others if each)} "
          f"| {first.message if first else ''} | {before:.3f} | {error(after):.3f} "
          f"| {names(after.findings) if after else 'no command'} | {names(after.remarks) if after else ''} |", flush=True)
    mended_too = after is not None and not after.findings and (error(after) < before or not planted.better)
    return first is not None and first.cause == planted.cause and mended_too


if __name__ == "__main__":
    main()
