"""A result that a baseline beats: a real training for each cause, and the fix it is given."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.compile.front import load
from aebuild.compile.lints import BEATEN
from aebuild.results.curves import Curves
from aebuild.results.diagnosis.beaten import beaten
from aebuild.results.evaluate import Evaluation, Scores
from aebuild.results.experiment import train

pytestmark = pytest.mark.slow

LOW, BIG, NOISE = "{path: low.npy, scale: none}", "{path: big.npy, scale: none}", "{path: noise.npy, scale: none}"
LINES, VARIATIONAL = "{type: continuous, dim: 3}", "{type: gaussian, dim: 3}"
SPEC = """
name: beaten
data: %s
encoder: {layer: linear, width: %d}
latent: %s
losses: {%s}
train: {batch_size: 32, device: cpu, speed: exact, %s}
"""
# data, width, latent, losses, train: what is said, and the setting that is proposed
CAUSES = {
    "short": (LOW, 32, LINES, "", "epochs: 8", "after 8 epochs while the loss was still falling", "train.epochs="),
    "short in steps": (LOW, 32, LINES, "", "phases: [main: {steps: 20}]", "still falling", "train.phases.0.steps=2000"),
    "one epoch": (LOW, 32, LINES, "", "epochs: 1", "after 1 epoch while", "train.epochs=670"),
    "scale": (BIG, 32, LINES, "", "epochs: 10", "far from unit size", "data.scale=standard"),
    "too large a rate": (LOW, 32, LINES, "", "epochs: 30, optimizer: {lr: 0.3}", "the learning rate of 0.3 is", "train.optimizer.lr=0.03"),
    "too small a rate": (LOW, 32, LINES, "", "epochs: 30, optimizer: {lr: 1e-7}", "1e-07 is too small", "train.optimizer.lr=0.001"),
    "by heart": (NOISE, 256, "{type: continuous, dim: 8}", "", "epochs: 60, optimizer: {lr: 1e-2}", "learned by heart", ""),
    "collapse": (LOW, 16, VARIATIONAL, "kl: 50", "epochs: 60, optimizer: {lr: 1e-2}", "collapsed to the prior", "losses.kl=1"),
    "price": (LOW, 16, VARIATIONAL, "kl: 1", "epochs: 100, optimizer: {lr: 1e-2, schedule: cosine}", "lets the code carry", "losses.kl=0.1"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows on a plane with a little noise, the same in thousands, and mere noise."""
    made, rng = tmp_path_factory.mktemp("verdict"), np.random.default_rng(0)
    low = rng.normal(size=(120, 3)) @ rng.normal(size=(3, 12)) + 0.1 * rng.normal(size=(120, 12))
    for name, rows in (("low", low), ("big", 3000 * low), ("noise", rng.normal(size=(60, 40)))):
        np.save(made / f"{name}.npy", rows.astype(np.float32))
    return made


@pytest.mark.parametrize("cause", CAUSES)
def test_the_cause_is_found_and_its_fix_can_be_used(folder: Path, cause: str) -> None:
    *parts, said, proposed = CAUSES[cause]
    (folder / "spec.yaml").write_text(SPEC % tuple(parts))
    outcome = train(folder / "spec.yaml", folder=folder / cause.replace(" ", "-"))
    (found,) = outcome.evaluation.findings
    assert found.code == "AE702"
    assert said in found.message
    assert json.loads((outcome.run / "evaluation.json").read_text())["warnings"][0]["fix"] == found.fix
    assert proposed in str(found.fix)
    words = shlex.split(str(found.fix))
    if proposed:
        settings = [after for word, after in pairwise(words) if word == "--set"]
        assert settings
        assert not load(outcome.run / "spec.yaml", settings).errors
        assert "--resume" in words or str(outcome.run / "spec.yaml") in words


def test_the_fix_of_a_short_training_works_and_is_the_last_word(folder: Path, capsys: pytest.CaptureFixture[str],
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.results.diagnosis.length.STEPS", 40)
    def run(*words: str) -> tuple[str, str]:
        assert guarded(lambda: commands.main(list(words), standalone_mode=False)) == 0
        return capsys.readouterr()

    (folder / "spec.yaml").write_text(SPEC % (LOW, 32, LINES, "", "epochs: 8"))
    shown, told = run("train", str(folder / "spec.yaml"), "-o", str(folder / "run"), "-q")
    assert "AE702" in told
    assert "AE702" not in shown
    fix = json.loads((folder / "run" / "evaluation.json").read_text())["warnings"][0]["fix"]
    run(*shlex.split(fix)[1:], "-q")
    assert len((folder / "run" / "metrics.jsonl").read_text().splitlines()) > 2 * 16


def test_the_warning_can_be_allowed(folder: Path) -> None:
    (folder / "spec.yaml").write_text(SPEC % (LOW, 32, LINES, "", "steps: 4") + "allow: {AE702: a try}\n")
    assert not load(folder / "spec.yaml").diagnostics
    assert train(folder / "spec.yaml", folder=folder / "allowed").evaluation.findings == ()


def scores(model: float, pca: float, mean: float, *, terms: bool = True, lossless: bool = False) -> Evaluation:
    made = [Scores({"reconstruction": value} if terms else {}, 0.0 if lossless else value, None) for value in (model, pca, mean)]
    return Evaluation("x", "test", 9, 1, 32.0, 1, *made)


def test_a_better_model_is_left_alone_and_the_mean_is_named_first() -> None:
    assert beaten(scores(1.0, 2.0, 3.0)) is None
    assert beaten(scores(2.005, 2.0, 3.0)) is None                           # as good
    assert beaten(scores(2.5, 2.0, 3.0)).baseline.startswith("PCA")          # type: ignore[union-attr]
    assert beaten(scores(3.0, 2.0, 3.0)).baseline.startswith("the mean")     # type: ignore[union-attr]
    assert beaten(scores(2.5, 2.0, 3.0, terms=False)).measure == "MSE per element"     # type: ignore[union-attr]
    assert beaten(scores(2.5, 2.0, 3.0, lossless=True)) is None
    unseen = replace(scores(2.5, 2.0, 3.0), translated=True)                 # PCA of targets that the model does not see
    assert beaten(unseen) is None
    assert beaten(replace(unseen, plain=unseen.pca, plain_name="grey")).baseline == "grey of the input"         # type: ignore[union-attr]
    assert BEATEN.severity == "warning"


def test_hidden_tokens_are_compared_by_the_share_that_is_wrong() -> None:
    """Judged at hidden places alone, the model's term is no term of a guess for all places."""
    model, guess = Scores({"reconstruction": 9.0}, None, None, accuracy=0.25), Scores({}, None, None, accuracy=0.75)
    found = beaten(Evaluation("x", "test", 9, 1, 32.0, 0, model, None, guess))
    assert (found.measure, found.ours, found.theirs) == ("share of wrong tokens", 0.75, 0.25)      # type: ignore[union-attr]
    assert beaten(Evaluation("x", "test", 9, 1, 32.0, 0, guess, None, model)) is None


def test_curves_are_read_as_a_person_reads_them() -> None:
    noise = np.random.default_rng(0).normal(size=200) * 0.3
    falling = tuple(100 * math.exp(-i / 80) + noise[i] for i in range(200))
    flat = tuple(100 * math.exp(-i / 10) + noise[i] for i in range(200))
    back = tuple(40 + abs(60 - i) for i in range(200))
    assert Curves(falling, falling).pace() > 0
    assert Curves(flat, flat).pace() == 0
    assert Curves(falling, back).pace() == 0
    assert Curves((), ()).pace() == 0
    assert Curves(falling, back).by_heart()
    assert not Curves(falling, tuple(value + 1 for value in falling)).by_heart()
    assert Curves(tuple(50 + 40 * (-1) ** i for i in range(30)), ()).unsteady()
    assert not Curves(falling, falling).unsteady()
