"""Evaluation against closed forms, baselines, pictures, and runs opened again."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from sklearn.decomposition import PCA
from tiny_training import WIDTH, TinyLatent, phase, tiny_model, tiny_plan, tiny_run, tiny_splits
from torch import Tensor, nn

from aebuild.lang.splits import Split
from aebuild.lang.values import Grid, Range, Sequence, Vector
from aebuild.metrics.outliers import components_of
from aebuild.modules.categorical_likelihood import Categorical
from aebuild.modules.code import Code
from aebuild.modules.likelihoods import (
    AbsoluteError,
    Bernoulli,
    FixedGaussian,
    LearnedGaussian,
    Likelihood,
    PredictedGaussian,
    SquaredError,
)
from aebuild.modules.priors import FittedGaussian
from aebuild.results import baselines
from aebuild.results.baselines import clipped, mean_reconstruction, pca_reconstruction, principal_axes
from aebuild.results.drawing import CURVES, cell_size, draw_sample
from aebuild.results.evaluate import evaluate
from aebuild.results.evaluation_table import table
from aebuild.results.judged_split import judged_samples, judged_split
from aebuild.results.picture import draw_picture
from aebuild.results.usage import Usage
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.progress.formatting import code_size


class Projection(nn.Module):
    """The code is the input."""

    def forward(self, h: Tensor, context: Any = None, draws: int | None = None) -> Code:
        """The same."""
        return Code(h)

    def losses(self) -> dict[str, Any]:
        """None."""
        return {}


def pca_model(training: np.ndarray, components: int) -> Any:
    """An autoencoder whose weights are the principal components."""
    model = tiny_model()
    fitted = PCA(components).fit(training)
    down, up = nn.Linear(WIDTH, components), nn.Linear(components, WIDTH)
    basis, mean = torch.from_numpy(fitted.components_).float(), torch.from_numpy(fitted.mean_).float()
    with torch.no_grad():
        down.weight.copy_(basis)
        down.bias.copy_(-basis @ mean)
        up.weight.copy_(basis.T)
        up.bias.copy_(mean)
    model.encoder.add_module("0", down)
    model.latent = Projection()
    model.decoder.add_module("0", nn.Identity())
    model.decoder.add_module("output", up)
    return model


def test_a_linear_autoencoder_at_the_optimum_scores_like_pca() -> None:
    splits, plan = tiny_splits(train=200), tiny_plan(phase())
    plan.terms = plan.terms[:1]
    plan.latent.bits = 32.0 * 2
    found = evaluate(plan, pca_model(splits.train.x, 2), splits)
    assert (found.components, found.split, found.samples) == (2, "test", 20)
    assert found.model.mse == pytest.approx(found.pca.mse, rel=1e-3, abs=1e-9)
    assert found.model.terms["reconstruction"] == pytest.approx(found.model.mse * WIDTH, rel=1e-4, abs=1e-9)
    assert found.mean.mse == pytest.approx(float(np.square(splits.test.x - splits.train.x.mean(0)).mean()), rel=1e-5)
    assert found.mean.terms["reconstruction"] == pytest.approx(found.mean.mse * WIDTH, rel=1e-5)
    assert found.model.psnr is None


def test_psnr_follows_from_the_range() -> None:
    splits, plan = tiny_splits(), tiny_plan(phase())
    plan.bounds = Range(-1.0, 1.0)
    found = evaluate(plan, tiny_model(), splits)
    assert found.model.psnr == pytest.approx(10 * math.log10(4 / found.model.mse))


def test_an_empty_test_split_falls_back() -> None:
    assert judged_split(tiny_splits(test=0))[0] == "validation"
    assert judged_split(tiny_splits(test=0, validation=0))[0] == "training"


def test_components_take_the_space_of_the_code() -> None:
    assert [components_of(bits, 100, 50) for bits in (64.0, 441.0, 9.0, 1e6)] == [2, 14, 1, 50]
    assert components_of(320.0, 4, 50) == 4


def test_pca_and_mean_equal_plain_formulas() -> None:
    rng = np.random.default_rng(0)
    training, test = (rng.normal(size=(n, 2, 3)).astype(np.float32) for n in (80, 7))
    centred = training.reshape(80, 6) - training.reshape(80, 6).mean(0)
    basis = np.linalg.svd(centred, full_matrices=False)[2][:2]
    flat = test.reshape(7, 6) - training.reshape(80, 6).mean(0)
    expected = flat @ basis.T @ basis + training.reshape(80, 6).mean(0)
    assert pca_reconstruction(training, 2)(test).reshape(7, 6) == pytest.approx(expected, abs=1e-4)
    assert mean_reconstruction(training)(test)[3] == pytest.approx(training.mean(0), abs=1e-6)
    assert clipped(test, Range(0.0, 0.5)).min() == 0.0
    assert clipped(test, Range()) is test


@pytest.mark.parametrize(("rows", "columns", "exact"), [(60, 12, 1000), (12, 60, 1000), (60, 40, 1)])
def test_principal_axes_are_those_of_scikit_learn(rows: int, columns: int, exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By products of columns, of rows, and by subspace iteration; beyond the rank of the samples nothing is left."""
    from sklearn.decomposition import PCA

    monkeypatch.setattr(baselines, "EXACT", exact)
    random = np.random.default_rng(0)
    x = (random.normal(size=(rows, columns)) * 0.7 ** np.arange(columns)).astype(np.float32)
    centred = x - x.mean(0)
    ours, theirs = principal_axes(centred, 4), PCA(4, svd_solver="full").fit(x).components_
    assert np.abs(ours.T @ ours - np.eye(4)).max() < 1e-5
    assert np.abs(np.abs(theirs @ ours) - np.eye(4)).max() < 1e-3
    assert np.square(pca_reconstruction(x, min(rows, columns))(x) - x).mean() < 1e-10


def judge(likelihood: Likelihood, means: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
    """The term of reconstructions that no decoder made."""
    params = likelihood.params_of(means)
    return None if params is None else likelihood(params, target)


def test_baselines_are_judged_by_the_models_own_term() -> None:
    target, means = torch.rand(5, 4), torch.rand(5, 4).clamp(0.1, 0.9)
    squares = (means - target).square().sum(1)
    assert torch.allclose(judge(SquaredError(), means, target), squares)
    assert torch.allclose(judge(AbsoluteError(), means, target), (means - target).abs().sum(1))
    gaussian = 0.5 * (squares / 0.3 + 4 * math.log(2 * math.pi * 0.3))
    assert torch.allclose(judge(FixedGaussian(0.3), means, target), gaussian)
    assert torch.allclose(judge(LearnedGaussian(()), means, target), 0.5 * (squares + 4 * math.log(2 * math.pi)))
    bce = nn.functional.binary_cross_entropy(means, target, reduction="none").sum(1)
    assert torch.allclose(judge(Bernoulli(), means, target), bce, atol=1e-4)
    assert judge(Bernoulli(), torch.zeros(1, 4), torch.ones(1, 4)).item() == pytest.approx(4 * math.log(512), rel=1e-4)
    assert judge(PredictedGaussian(1), means, target) is None
    assert judge(Categorical(3, 1), means, target) is None


@pytest.mark.parametrize(("books", "expected"), [(1, 2.828427), (2, (1.0 + 2.0) / 2)])
def test_usage_is_the_perplexity_over_everything(books: int, expected: float) -> None:
    rows = {1: [[0, 0], [1, 2]], 2: [[0, 0], [0, 1]]}[books]
    latent = SimpleNamespace(book_sizes=[4] * books, by_book=lambda indices: indices.reshape(-1, books).t())
    usage = Usage(SimpleNamespace(latent=latent))  # type: ignore[arg-type]
    for row in rows:
        usage.add(torch.tensor([row]))
    assert usage.metrics()["perplexity"] == pytest.approx(expected, abs=1e-6)
    assert usage.metrics()["usage"] == pytest.approx({1: 0.75, 2: (0.25 + 0.5) / 2}[books])


def test_codes_without_entries_have_no_usage() -> None:
    usage = Usage(tiny_model())
    usage.add(tiny_model().encode(torch.zeros(4, WIDTH)).indices)
    assert usage.metrics() == {}


def test_a_large_split_is_judged_by_some_of_it() -> None:
    split = Split(np.arange(30_000, dtype=np.float32)[:, None], np.arange(30_000))
    assert judged_samples(split, 0) == 2_000
    assert judged_samples(split, 100_000) == 6_000
    assert judged_samples(split, 10**7) >= len(split)
    some = split.thinned(4)
    assert some.x[:, 0].tolist() == [0, 10_000, 19_999, 29_999]
    assert some.labels is not None
    assert some.labels.tolist() == [0, 10_000, 19_999, 29_999]


def test_a_thinned_evaluation_says_so() -> None:
    plan, splits = tiny_plan(phase()), tiny_splits()
    told: list[tuple[str, int, int]] = []
    few = evaluate(plan, tiny_model(), splits, trained=0, progress=lambda *each: told.append(each))
    assert (few.samples, few.whole) == (few.to_json()["samples"], few.to_json()["samples_in_split"])
    assert [done for what, done, _ in told if what == "evaluating the model"] == list(range(1, told[0][2] + 1))


def test_the_table_reads_well_and_the_json_is_plain() -> None:
    found = evaluate(tiny_plan(phase()), tiny_model(), tiny_splits())
    console = Console(file=StringIO(), width=80)
    console.print(table(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("test split, 20 samples; code of 3 numbers", "PCA, 3 numbers", "reconstruction", "kl", "MSE per element", "size"):
        assert part in text
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()
    assert [code_size(1, 32.0), code_size(3, 96.0), code_size(256, 32.0)] == ["1 number", "3 numbers", "32 bits"]


def test_images_are_enlarged_without_blur() -> None:
    value = Grid(1, (8, 8))
    sample = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    wide, high = cell_size(value)
    assert (wide, high) == (80, 80)
    drawn = np.asarray(draw_sample(value, sample, (0.0, 1.0)))
    assert (drawn[::10, ::10, 0] == (sample[0] * 255).round().astype(np.uint8)).all()
    assert (drawn[5:10, 5:10] == drawn[0, 0]).all()


@pytest.mark.parametrize(("depth", "shown"), [(16, [2, 6, 10, 14]), (4, [0, 1, 2, 3]), (3, [0, 1, 2])])
def test_a_volume_is_drawn_as_evenly_spaced_slices(depth: int, shown: list[int]) -> None:
    sample = np.random.default_rng(0).random((1, depth, 8, 8)).astype(np.float32)
    drawn = np.asarray(draw_sample(Grid(1, (depth, 8, 8)), sample, (0.0, 1.0)))
    factor, across = drawn.shape[0] // (17 if depth >= 4 else 8), 2 if depth >= 4 else depth
    pixels = drawn[::factor, ::factor, 0]
    for place, number in enumerate(shown):
        row, column = 9 * (place // across), 9 * (place % across)
        assert (pixels[row:row + 8, column:column + 8] == (sample[0, number] * 255).round().astype(np.uint8)).all()


@pytest.mark.parametrize(("value", "size"), [
    (Grid(3, (32, 32)), (96, 96)), (Grid(1, (50, 70)), (70, 50)), (Grid(2, (400, 200)), (80, 160)), (Grid(1, (5, 28, 28)), (114, 114)), (Grid(3, (2, 9, 9)), (152, 72)),
    (Sequence(140, 2), CURVES), (Vector(1), CURVES), (Grid(2, (99,)), CURVES)])
def test_every_type_can_be_drawn(value: Any, size: tuple[int, int]) -> None:
    sample = np.random.default_rng(0).normal(size=value.shape).astype(np.float32)
    drawn = draw_sample(value, sample, (-2.0, 2.0), None if size != CURVES else sample)
    assert drawn.size == size
    assert len(set(drawn.get_flattened_data())) > 10


def test_the_picture_has_a_row_each_and_refused_samples_are_noted(tmp_path: Path) -> None:
    plan, model, splits = tiny_plan(phase()), tiny_model(), tiny_splits()
    whole = draw_picture(plan, model, splits, tmp_path / "a.png")
    again = draw_picture(plan, model, splits, tmp_path / "b.png")
    assert whole.notes == ()
    assert whole.path.read_bytes() == again.path.read_bytes()
    model.refusals["sample"] = "its skips carry the input past the code"
    less = draw_picture(plan, model, splits, tmp_path / "c.png")
    assert less.notes == ("no samples: its skips carry the input past the code",)
    with Image.open(whole.path) as big, Image.open(less.path) as small:
        assert big.width == small.width
        assert big.height - small.height == 26 + CURVES[1] + 3 + 8


def fitted_latent() -> TinyLatent:
    """A latent whose prior is fitted after training."""
    latent = TinyLatent()
    latent.prior = FittedGaussian((3,), full=False)
    return latent


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_prior_is_fitted_after_training_and_stored(tmp_path: Path, keep: str) -> None:
    model, splits = tiny_model(), tiny_splits()
    model.latent = fitted_latent()
    with tiny_run(tmp_path / "run") as run:
        result = train(Job(tiny_plan(phase(), keep=keep), splits, run), model=model)
        stored = run.checkpoints.load("best" if keep == "best" else "step").checkpoint.model
    assert result.kept.startswith("best-" if keep == "best" else "step-")
    assert result.model.latent.prior.mean.abs().sum() > 0
    assert torch.equal(stored["latent.prior.mean"], result.model.latent.prior.mean)
    assert all(torch.equal(stored[name], tensor) for name, tensor in result.model.state_dict().items())


def test_no_prior_is_fitted_where_nothing_can_be_sampled(tmp_path: Path) -> None:
    class Notes(Quiet):
        def note(self, text: str) -> None:
            assert "fitted a prior" not in text

    model, plan = tiny_model(), tiny_plan(phase())
    model.latent = fitted_latent()
    plan.refusals["sample"] = "its skips carry the input past the code"
    with tiny_run(tmp_path / "run") as run:
        result = train(Job(plan, tiny_splits(), run, Notes()), model=model)
    assert not result.model.latent.prior.mean.any()
