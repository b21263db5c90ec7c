"""The mixed likelihood against torch's distributions, and losses that leave missing targets out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

from aebuild.api import open_run, train
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.columns import Field
from aebuild.lang.samples import Where
from aebuild.lang.values import Range, Vector
from aebuild.modules.outputs import Batch
from aebuild.parts import discover
from aebuild.parts.likelihoods.mixed import Mixed
from aebuild.trainer.batches.loader import SplitLoader

discover()
FIELDS = (Field("a", "number", 0), Field("b", "category", 1, 3, ("x", "y", "z")), Field("c", "flag", 4, 1, ("no", "yes")),
          Field("d", "number", 5), Field("a", "missing", 6))


@pytest.mark.parametrize("variance", [0.25, "learned", "per_dim"])
def test_a_row_is_judged_column_by_column(variance: float | str) -> None:
    module = Mixed(variance=variance).build_likelihood(Vector(7), Range(fields=FIELDS))
    scale = torch.tensor([0.5, 0.5])
    if variance != 0.25:
        (weight,) = module.parameters()
        torch.nn.init.constant_(weight, -1.0) if variance == "learned" else weight.data.copy_(torch.tensor([-1.0, 0.5]))
        scale = (weight.detach().expand(2) / 2).exp()
    torch.manual_seed(0)
    params = torch.randn(5, 7)
    classes, flags, numbers = torch.tensor([0, 1, 2, 2, 0]), torch.randint(0, 2, (5, 2)).float(), torch.randn(5, 2)
    target = torch.cat([numbers[:, :1], torch.eye(3)[classes], flags[:, :1], numbers[:, 1:], flags[:, 1:]], 1)
    wanted = -(Normal(params[:, [0, 5]], scale).log_prob(numbers).sum(1) + Categorical(logits=params[:, 1:4]).log_prob(classes)
               + Bernoulli(logits=params[:, [4, 6]]).log_prob(flags).sum(1))
    assert torch.allclose(module(params, target), wanted, atol=1e-5)
    mean = module.mean(params)
    assert torch.allclose(mean[:, 1:4], params[:, 1:4].softmax(1))
    assert torch.equal(mean[:, [0, 5]], params[:, [0, 5]])
    sure = mean.clamp(1 / 500, 499 / 500)
    sure[:, [0, 5]] = mean[:, [0, 5]]
    assert torch.allclose(module.mean(module.params_of(mean)), mean, atol=3e-3) or not torch.allclose(sure, mean)
    assert Mixed(variance=variance).plan_output(Vector(7), Range(fields=FIELDS)).elements == 5


SPEC = """\
name: gaps
data: {path: t.csv, missing: mask, split: {seed: 1}}
encoder: [linear: 32]
latent: {type: continuous, dim: 2}
losses: {reconstruction: %s}
train: {steps: 400, batch_size: 60, device: cpu, speed: exact}
"""


def related(folder: Path, rows: int = 300) -> np.ndarray:
    """Three columns that follow from one number, with a tenth of the cells empty; gives them without holes."""
    draw = np.random.default_rng(0)
    t = draw.normal(size=rows)
    whole = np.column_stack([t, 2 * t + 5, -t])
    kind = np.where(t > 0, "up", "down")
    holes = draw.random((rows, 4)) < 0.1
    cells = [["" if hole else cell for cell, hole in zip([*(f"{x:.5f}" for x in line), word], gone, strict=True)]
             for line, word, gone in zip(whole, kind, holes, strict=True)]
    (folder / "t.csv").write_text("\n".join(["a,b,c,kind", *map(",".join, cells)]) + "\n")
    return whole


@pytest.mark.parametrize("likelihood", ["mse", "l1", "gaussian", "{type: gaussian, variance: predicted}", "mixed",
                                        "{type: mixed, variance: per_dim}"])
def test_masked_targets_change_neither_loss_nor_gradients(tmp_path: Path, likelihood: str) -> None:
    related(tmp_path)
    loaded = load(tmp_path / "s.yaml", text=SPEC % likelihood)
    model = build(loaded.require())
    batch = SplitLoader(load_splits(loaded.spec.data, Where(tmp_path)).train, torch.device("cpu")).slice(0, 40)  # type: ignore[union-attr]
    assert batch.mask is not None and not batch.mask.all()
    other = torch.where(batch.mask, batch.x, torch.rand_like(batch.x))
    found = []
    for target in (batch.x, other):
        model.zero_grad()
        losses, _ = model.run_losses(Batch(batch.x, target, mask=batch.mask), ["reconstruction"])
        losses["reconstruction"].sum().backward()
        found.append([losses["reconstruction"].detach(), *(weight.grad.clone() for weight in model.parameters() if weight.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    losses, _ = model.run_losses(Batch(batch.x, other), ["reconstruction"])
    assert not torch.equal(losses["reconstruction"], found[0][0])


@pytest.mark.slow
def test_a_model_that_left_them_out_imputes(tmp_path: Path) -> None:
    whole = related(tmp_path)
    (tmp_path / "s.yaml").write_text(SPEC % "mixed")
    outcome = train(tmp_path / "s.yaml", folder=tmp_path / "run")
    splits = load_splits(load(tmp_path / "s.yaml").spec.data, Where(tmp_path))  # type: ignore[union-attr]
    order = np.random.RandomState(1).permutation(len(whole))[240 + 30:]
    with torch.no_grad():
        made = splits.scaling.undo(outcome.result.model(torch.from_numpy(splits.test.x)).numpy())[:, :3]
    empty = ~splits.test.beside["mask"][:, :3]
    deviation = whole.std(0)
    error = (np.abs(made - whole[order]) / deviation)[empty]
    guess = (np.abs(whole.mean(0) - whole[order]) / deviation)[empty]
    assert empty.sum() > 3
    assert error.mean() < 0.5 * guess.mean()


def test_what_is_masked_is_left_out_of_the_evaluation_too(tmp_path: Path) -> None:
    related(tmp_path)
    text = SPEC.replace("steps: 400", "steps: 2") % "mse"
    (tmp_path / "s.yaml").write_text(text)
    evaluation = train(tmp_path / "s.yaml", folder=tmp_path / "run").evaluation
    splits = load_splits(load(tmp_path / "s.yaml").spec.data, Where(tmp_path))  # type: ignore[union-attr]
    mask, x = splits.test.beside["mask"], splits.test.x
    mean = splits.train.x.mean(0, dtype=np.float64)
    assert evaluation.mean.mse == pytest.approx(np.square(x - mean)[mask].mean(), rel=1e-4)
    assert evaluation.mean.terms["reconstruction"] == pytest.approx((np.square(x - mean) * mask).sum(1).mean(), rel=1e-4)


def test_a_run_over_words_and_gaps_encodes_writes_and_scores_by_column(tmp_path: Path) -> None:
    related(tmp_path)
    (tmp_path / "s.yaml").write_text(SPEC.replace("steps: 400", "steps: 20") % "mixed")
    train(tmp_path / "s.yaml", folder=tmp_path / "run")
    run = open_run(tmp_path / "run")
    scored = run.score(tmp_path / "t.csv")
    assert scored.columns == ("a", "b", "c", "kind")
    assert scored.parts.shape == (300, 4)
    other = (tmp_path / "t.csv").read_text().replace("a,b,c,kind", "a,b,c,kind,note").replace("\n", ",x\n").replace("note,x", "note")
    (tmp_path / "n.csv").write_text(other)
    assert np.array_equal(run.encode(tmp_path / "n.csv").values, run.encode(tmp_path / "t.csv").values)
    back = run.reconstruct(tmp_path / "n.csv")
    assert back.shape == (300, 5)
