"""Series of unequal length: padding is 0, and neither scaling, loss nor evaluation looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_making import load as load_data
from data_making import refusal

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.data.fingerprint import fingerprint
from aebuild.lang.dataset import Where
from aebuild.modules.categorical_likelihood import Categorical, CategoricalTokens
from aebuild.modules.lengths import real_places
from aebuild.modules.likelihoods import (
    AbsoluteError,
    Bernoulli,
    FixedGaussian,
    LearnedGaussian,
    Likelihood,
    PredictedGaussian,
    SquaredError,
)
from aebuild.modules.outputs import Batch
from aebuild.results.baselines import token_frequencies
from aebuild.results.evaluate import evaluate
from aebuild.trainer.batches.loader import SplitLoader

DRAW = np.random.default_rng(0)
LENGTHS = np.asarray([5, 1, 7, 7, 3] * 8)
SERIES = DRAW.normal(2, 3, (40, 7, 2))
TEXT = DRAW.integers(0, 4, (40, 7))
PADDED = np.arange(7) >= LENGTHS[:, None]
ORDER = np.random.RandomState(42).permutation(40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    holes = SERIES.copy()
    holes[PADDED] = np.nan
    np.savez(tmp_path / "a.npz", x=holes, n=LENGTHS, text=np.where(PADDED, 3, TEXT), few=LENGTHS[:39], long=LENGTHS + 1, halves=LENGTHS / 2,
             flat=SERIES[:, 0], aim=np.nan_to_num(holes)[:, :5])
    return tmp_path


def test_padding_is_zero_and_does_not_count_for_the_scaling(folder: Path) -> None:
    splits = load_data("arrays", folder, path="a.npz", array="x", lengths="n")
    train = ORDER[:32]
    assert splits.train.lengths is not None
    assert splits.train.lengths.tolist() == LENGTHS[train].tolist()
    assert "lengths in n" in splits.info.detected
    known = SERIES[train][~PADDED[train]]
    wanted = np.where(PADDED[train][..., None], 0, (SERIES[train] - known.mean(0)) / known.std(0))
    np.testing.assert_allclose(splits.train.x, wanted, atol=1e-5)
    assert splits.train.thinned(4).lengths.tolist() == LENGTHS[train][[0, 10, 21, 31]].tolist()  # type: ignore[union-attr]


def test_padded_text(folder: Path) -> None:
    splits = load_data("arrays", folder, path="a.npz", array="text", lengths="n", vocabulary=4, **{"as": "tokens"})
    assert (splits.train.x == np.where(PADDED, 0, TEXT)[ORDER[:32]]).all()


def test_other_lengths_are_other_data(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(load_data("arrays", folder, path="a.npz", array="text", lengths="n", vocabulary=4, **{"as": "tokens"}))
    held = dict(np.load(folder / "a.npz"))
    np.savez(folder / "a.npz", **(held | {"n": np.where(TEXT[:, 0] == 0, 1, LENGTHS), "text": np.where(TEXT[:, :1] == 0, 0, held["text"])}))
    assert fingerprint(load_data("arrays", folder, path="a.npz", array="text", lengths="n", vocabulary=4, **{"as": "tokens"})) != before


@pytest.mark.parametrize(("fields", "code"), [
    ({"lengths": "few"}, "AE411"), ({"lengths": "long"}, "AE473"), ({"lengths": "halves"}, "AE473"), ({"lengths": "m"}, "AE409"),
    ({"array": "flat", "lengths": "n"}, "AE473"), ({"lengths": "n", "target": "aim"}, "AE473")])
def test_what_are_no_lengths_is_refused(folder: Path, fields: dict[str, Any], code: str) -> None:
    assert refusal("arrays", folder, **({"path": "a.npz", "array": "x"} | fields)).code == code


def test_batches_carry_the_lengths_of_their_samples(folder: Path) -> None:
    split = load_data("arrays", folder, path="a.npz", array="x", lengths="n").train
    loader = SplitLoader(split, torch.device("cpu"))
    index = torch.tensor([3, 0, 9])
    taken, sliced = loader.take(index), loader.slice(4, 8)
    assert taken.lengths is not None
    assert sliced.lengths is not None
    assert taken.lengths.tolist() == split.lengths[index.numpy()].tolist()  # type: ignore[index]
    assert sliced.lengths.tolist() == split.lengths[4:8].tolist()  # type: ignore[index]
    assert sliced.rows(1, 3).lengths.tolist() == split.lengths[5:7].tolist()  # type: ignore[index,union-attr]


@pytest.mark.parametrize(("likelihood", "count"), [
    (Bernoulli(), 1), (SquaredError(), 1), (AbsoluteError(), 1), (FixedGaussian(0.3), 1), (LearnedGaussian(()), 1), (LearnedGaussian((7, 2)), 1),
    (PredictedGaussian(-1), 2), (Categorical(4, -1), 4)], ids=lambda value: type(value).__name__)
def test_a_masked_likelihood_is_that_of_the_real_places(likelihood: Likelihood, count: int) -> None:
    """As if each sample ended where it ends; with all places real it is the plain one."""
    generator = torch.Generator().manual_seed(0)
    params, target = torch.randn(5, 7, 2 * count, generator=generator), torch.randint(0, 2, (5, 7, 2), generator=generator).float()
    for parameter in likelihood.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    lengths = torch.tensor([5, 1, 7, 7, 3])
    found = likelihood.within(params, target, lengths)
    alone = []
    for row, length in enumerate(lengths.tolist()):
        part = likelihood
        if isinstance(likelihood, LearnedGaussian) and likelihood.log_variance.ndim:
            part = LearnedGaussian((length, 2))
            part.log_variance.data = likelihood.log_variance.data[:length]
        alone.append(part(params[row:row + 1, :length], target[row:row + 1, :length]))
    torch.testing.assert_close(found, torch.cat(alone))
    torch.testing.assert_close(likelihood.within(params, target, torch.full((5,), 7)), likelihood(params, target))
    changed = torch.where(real_places(lengths, params), params, torch.full_like(params, 9.0))
    assert torch.equal(likelihood.within(changed, target, lengths), found)


def test_a_likelihood_of_whole_samples_says_so() -> None:
    with pytest.raises(TypeError, match="unequal length"):
        Likelihood().within(torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), torch.tensor([1]))


@pytest.mark.parametrize(("array", "likelihood"), [("x", "mse"), ("text, as: tokens, vocabulary: 4", "categorical")])
def test_evaluation_counts_real_places_only(folder: Path, array: str, likelihood: str) -> None:
    loaded = load(folder / "spec.yaml", text=f"name: x\ndata: {{path: a.npz, array: {array}, lengths: n}}\nencoder: [lstm: 5]\n"
                  f"latent: {{type: continuous, dim: 2}}\nlosses: {{reconstruction: {likelihood}}}\n")
    plan = loaded.require()
    splits = load_splits(plan.spec.data, Where(folder))
    model = build(plan, 0).eval()
    found = evaluate(plan, model, splits)
    test, lengths = torch.from_numpy(splits.test.x), torch.from_numpy(splits.test.lengths)
    with torch.no_grad():
        rebuilt = model.reconstruct(test, lengths)
        terms, _ = model.terms(Batch(test, test, lengths=lengths))
    real = (torch.arange(7) < lengths[:, None]).numpy()
    assert found.model.terms["reconstruction"] == pytest.approx(float(terms["reconstruction"].mean()), rel=1e-5)
    if likelihood == "mse":
        assert found.model.mse == pytest.approx(float(((rebuilt - test) ** 2).numpy()[real].mean()), rel=1e-5)
        mean = splits.train.x.mean(0)
        assert found.mean.mse == pytest.approx(float(((mean - test.numpy()) ** 2)[real].mean()), rel=1e-4)
        assert found.mean.terms["reconstruction"] == pytest.approx(float((((mean - test.numpy()) ** 2) * real[..., None]).sum() / 4), rel=1e-4)
    else:
        assert found.model.accuracy == pytest.approx(float((rebuilt == test).numpy()[real].mean()))
        assert found.pca is None
        shares = token_frequencies(splits.train.x, 4, splits.train.lengths)
        assert found.mean.accuracy == pytest.approx(float((shares.argmax(1) == test.numpy())[real].mean()))
        rows = [np.log(shares[t, int(token)]) for sample, length in zip(test, lengths, strict=True) for t, token in enumerate(sample[:length])]
        assert found.mean.terms["reconstruction"] == pytest.approx(-sum(rows) / 4, rel=1e-5)


def test_frequencies_are_counted_at_each_place() -> None:
    training, lengths = np.asarray([[0, 2], [0, 1], [1, 1]]), np.asarray([2, 2, 1])
    np.testing.assert_allclose(token_frequencies(training, 3), np.asarray([[3, 2, 1], [1, 3, 2]]) / 6)
    np.testing.assert_allclose(token_frequencies(training, 3, lengths)[1], np.asarray([1, 2, 2]) / 5)


def test_the_loss_has_no_gradient_at_padding() -> None:
    logits = torch.zeros(2, 4, 3, requires_grad=True)
    CategoricalTokens(2).within(logits, torch.zeros(2, 4, dtype=torch.int64), torch.tensor([1, 4])).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().sum((0, 2)).tolist() == pytest.approx([8 / 3, 4 / 3, 4 / 3, 4 / 3])
