"""Heads that predict columns of a table: numbers, categories, several together, known for a part of the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from aebuild import open_run, train
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.samples import Where
from aebuild.modules.answers import ColumnsHead
from aebuild.modules.code import Code
from aebuild.modules.outputs import Batch, Outputs

NAN = float("nan")
SPEC = """\
name: heads
data: {type: table, path: rows.csv, label: kind}
encoder: [linear: 16]
latent: {type: continuous, dim: 2}
heads: {price: {predicts: price, network: [linear: 16]}, both: {predicts: [colour, price]}}
train: {steps: 600, batch_size: 50, keep: last, device: cpu, speed: exact, optimizer: {lr: 0.01}}
"""


def write(place: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 3))
    price, colour = 5 + 10 * x[:, 0], np.where(x[:, 1] > 0, "red", "blue")
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{'' if n % 3 == 0 else f'{p:.4f}'},{'' if n % 4 == 0 else k},{n % 2}"
            for n, (a, b, c, p, k) in enumerate(zip(*x.T, price, colour, strict=True))]
    (place / "rows.csv").write_text("\n".join(["a,b,c,price,colour,kind", *rows]) + "\n")


def test_the_loss_by_hand() -> None:
    """Squared errors of numbers, cross-entropies of categories, each the mean of the samples in which it is known."""
    head = ColumnsHead(nn.Identity(), "latent", "both", (("both_colour_accuracy", True, 0, 2), ("both_price_r2", False, 2, 1)))
    guess = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, -1.0], [0.3, 0.1, 2.0]], requires_grad=True)
    answers = torch.tensor([[1.0, 0, 1.5], [0, 0, 0.0], [0, 1, NAN]])
    outputs = Outputs(Batch(guess, guess, answers=answers), Code(guess))
    loss = head.loss(outputs)
    assert loss is not None
    surprise = -guess[:, :2].log_softmax(1)
    wanted = (surprise[0, 0] + surprise[2, 1]) / 2 + ((0.5 - 1.5) ** 2 + 1) / 2
    torch.testing.assert_close(loss.mean(), wanted)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert guess.grad is not None
    assert guess.grad[1, :2].abs().max() == guess.grad[2, 2] == 0                # nothing is known of these
    assert outputs.metrics["both_colour_accuracy"] / outputs.metrics["both_colour_accuracy per"] == 0.5
    assert outputs.metrics["both_price_r2"] / outputs.metrics["both_price_r2 per"] == pytest.approx(0.0)
    assert head.loss(Outputs(Batch(guess, guess), Code(guess))) is None


def test_columns_are_learned_and_are_no_inputs(tmp_path: Path) -> None:
    write(tmp_path)
    loaded = load(tmp_path / "spec.yaml", text=SPEC)
    assert [str(found) for found in loaded.errors] == []
    assert loaded.info is not None
    assert loaded.info.columns == ("a", "b", "c")
    assert [(each.name, each.kind) for each in loaded.info.predicted] == [("price", "number"), ("colour", "category")]
    assert loaded.info.conditions == ()
    splits = load_splits(loaded.require().spec.data, Where(tmp_path))
    answers = splits.train.beside["answers"]
    known = ~np.isnan(answers[:, 0])
    assert known.mean() == pytest.approx(2 / 3, abs=0.05)
    assert answers[known, 0].mean() == pytest.approx(0, abs=1e-5)
    assert answers[:, 1:].sum(1).mean() == pytest.approx(3 / 4, abs=0.05)
    outcome = train(loaded, folder=tmp_path / "run")
    told = outcome.evaluation.model.metrics
    assert told["price_r2"] > 0.5
    assert told["both_colour_accuracy"] > 0.7
    assert open_run(tmp_path / "run").model.heads["both"].columns == loaded.require().heads[1].columns


@pytest.mark.parametrize(("old", "new", "code"), [("predicts: price,", "predicts: prize,", "AE379"), ("label: kind}", "columns: [a]}", "")])
def test_a_column_must_be_there(old: str, new: str, code: str, tmp_path: Path) -> None:
    write(tmp_path)
    found = load(tmp_path / "spec.yaml", text=SPEC.replace(old, new)).errors
    assert [error.code for error in found] == ([code] if code else [])
    if code:
        assert found[0].fix == "price"
