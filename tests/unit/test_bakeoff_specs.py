"""The nine specs of the bake-off: sizes as published, and a short form of the training on real images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.splits import Split, Splits
from aebuild.results.evaluate import evaluate
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job
from aebuild.trainer.run_dir.run import Run

pytestmark = pytest.mark.slow

SPECS = Path(__file__).parents[2] / "specs" / "bakeoff"
NAMES = ("shallow", "deep", "stacked", "sparse", "denoising", "vae", "beta_vae_strict", "beta_vae_loose", "vq")


@pytest.mark.parametrize(("name", "parameters"), [("deep", 782_814), ("vq", 793_054), ("stacked", 782_814), ("sparse", 782_814)])
def test_sizes_as_published(name: str, parameters: int) -> None:
    assert load(SPECS / f"{name}.yaml").require().params == parameters


def test_the_even_comparison_of_the_vae_has_equal_widths() -> None:
    even = load(SPECS / "vae.yaml", ["encoder.width=[341,113]"]).require().params
    assert even == 782_814 + 20 * (113 + 1)      # the log-variances are all that is left of the difference


@pytest.fixture(scope="module")
def splits(real_data: Path) -> Splits:
    whole = load_splits(load(SPECS / "base.yaml", ["data.limit=3000"]).require().spec.data, Where(SPECS))
    return replace(whole, validation=_first(whole.validation, 300), test=_first(whole.test, 500))


def _first(split: Split | None, count: int) -> Split:
    assert split is not None
    return Split(split.x[:count], None if split.labels is None else split.labels[:count], None)


@pytest.mark.parametrize("name", NAMES)
def test_a_short_form_learns(name: str, splits: Splits, tmp_path: Path) -> None:
    short = {"shallow": "train.epochs=20", "stacked": "train.phases=[{greedy: {target: input, epochs: 2}}]"}
    settings = [short.get(name, "train.epochs=4"), "train.batch_size=64"]
    plan = load(SPECS / f"{name}.yaml", settings).require()
    with Run.create(name, spec="", plan={}, data={}, folder=tmp_path / "run") as run:
        model = train(Job(plan, splits, run)).model
    scores = evaluate(plan, model, splits)
    assert scores.model.mse < 0.8 * scores.mean.mse
    assert scores.model.terms["reconstruction"] < 0.85 * scores.mean.terms["reconstruction"]
