"""The probe: its classifiers against second implementations and conditions of their optimum, and data that cannot answer it."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from torch import nn
from trained_runs import run_folder

import aebuild
from aebuild.compile.build import build
from aebuild.lang.diagnostics import SpecError, UsageError
from aebuild.lang.tasks import Table
from aebuild.metrics.classifiers import BATCH, Labelled, converged, encoded, nearest, predicted, share_right, train_by_protocol
from aebuild.modules.supervised_encoder import SupervisedEncoder
from aebuild.parts.tasks.probe import Probe
from aebuild.results.open_run import OpenRun, open_run

RANDOM = np.random.RandomState(11)
MIDDLES = RANDOM.standard_normal((4, 5)) * 2


def clouds(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four clouds of points, float32 [n, 5], and which each belongs to."""
    random = np.random.RandomState(seed)
    classes = random.randint(0, 4, count)
    return (MIDDLES[classes] + random.standard_normal((count, 5))).astype(np.float32), classes


def labelled(x: np.ndarray, classes: np.ndarray) -> Labelled:
    return Labelled([torch.from_numpy(x)], torch.from_numpy(classes))


def copied(kind: str, place: Path) -> OpenRun:
    return open_run(copytree(run_folder(kind), place / kind))


def softmax_by_hand(x: np.ndarray, classes: np.ndarray, epochs: int, seed: int) -> np.ndarray:
    """The weights of softmax regression after some epochs of Adam (Kingma and Ba, 2015), in numpy; [4, 6] with the bias."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        start = nn.Linear(5, 4)
    weights = np.column_stack([start.weight.detach().numpy(), start.bias.detach().numpy()]).astype(np.float64)
    draw, first, second, step = torch.Generator().manual_seed(seed), np.zeros_like(weights), np.zeros_like(weights), 0
    rows = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=draw).numpy()
        for begun in range(0, len(x), BATCH):
            some = order[begun:begun + BATCH]
            scores = np.exp(rows[some] @ weights.T)
            wrong = scores / scores.sum(1, keepdims=True) - np.eye(4)[classes[some]]
            gradient, step = wrong.T @ rows[some] / len(some), step + 1
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            weights -= 1e-3 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights


def test_the_protocol_is_softmax_regression_by_adam_as_numpy_has_it() -> None:
    x, classes = clouds(90)
    network = train_by_protocol(nn.Identity(), 5, 4, labelled(x, classes), None, epochs=3, seed=4)
    layer = network[1]
    found = np.column_stack([layer.weight.detach().numpy(), layer.bias.detach().numpy()])
    np.testing.assert_allclose(found, softmax_by_hand(x, classes, 3, 4), atol=1e-5)


def test_it_takes_the_weights_that_held_out_samples_find_best() -> None:
    x, classes = clouds(64)
    wrong = labelled(x, (classes + 1) % 4)                     # learning makes these ever worse
    network = train_by_protocol(nn.Identity(), 5, 4, labelled(x, classes), wrong, epochs=20)
    judged = []
    for count in range(1, 21):
        again = train_by_protocol(nn.Identity(), 5, 4, labelled(x, classes), None, epochs=count)
        judged.append((float((predicted(again, wrong) == wrong.classes.numpy()).mean()), again[1].weight))
    best, weight = max(judged, key=lambda each: each[0])
    assert best > judged[-1][0]
    assert float((predicted(network, wrong) == wrong.classes.numpy()).mean()) == best
    assert torch.equal(network[1].weight, weight)


def test_a_last_sample_alone_joins_the_batch_before_it() -> None:
    encoder = nn.BatchNorm1d(5)                                # one sample has no spread
    x, classes = clouds(BATCH + 1)
    train_by_protocol(encoder, 5, 4, labelled(x, classes), None, epochs=2)
    assert encoder.running_mean is not None
    assert torch.isfinite(encoder.running_mean).all()
    assert int(encoder.num_batches_tracked) == 2


def test_the_converged_probe_is_where_its_gradient_vanishes() -> None:
    x, classes = clouds(200)
    fitted = converged(x, classes)
    assert fitted.ended
    held_out, wanted = clouds(2000, seed=1)
    best = (np.square(held_out[:, None] - MIDDLES).sum(2)).argmin(1)         # Bayes: the nearest middle
    assert share_right(fitted.classes_of(held_out), wanted)[0] > share_right(best, wanted)[0] - 0.02
    rows, layer = (x - x.mean(0)) / x.std(0), fitted.model[-1]
    wrong = layer.predict_proba(rows) - np.eye(4)[classes]
    np.testing.assert_allclose(wrong.T @ rows + layer.coef_, 0, atol=0.05)    # of the sum of losses plus half the squares


def test_nearest_is_a_vote_by_brute_force() -> None:
    x, classes = clouds(60)
    new, _ = clouds(40, seed=2)
    order = np.linalg.norm(new[:, None] - x, axis=2).argsort(1)[:, :7]
    wanted = [np.bincount(classes[row], minlength=4).argmax() for row in order]
    assert nearest(x, classes, 7).classes_of(new).tolist() == wanted
    assert len(nearest(x, classes, 500).classes_of(new)) == 40            # more neighbours than samples


def test_an_interval_shrinks_as_the_root_of_the_samples() -> None:
    wanted = np.zeros(100, int)
    found = np.asarray([0] * 90 + [1] * 10)
    share, low, high = share_right(found, wanted)
    z = 1.959964
    middle, width = (0.9 + z**2 / 200) / (1 + z**2 / 100), z * np.sqrt(0.9 * 0.1 / 100 + z**2 / 40000) / (1 + z**2 / 100)
    assert (share, low, high) == pytest.approx((0.9, middle - width, middle + width))


def test_the_task_probes_the_codes_that_the_decoder_gets(tmp_path: Path) -> None:
    run = copied("image", tmp_path)
    found = run.ask("{probe: {labels: 100, epochs: 3, neighbours: 3}}")["probe"].answer
    assert set(found.figures) == set(Probe.meanings)
    train, test = run.own_split("train").split, run.own_split("test").split
    assert train.labels is not None
    assert test.labels is not None
    pixels = [split.x.reshape(len(split), -1) for split in (train, test)]
    raw = nearest(pixels[0][:100], train.labels[:100], 3).classes_of(pixels[1])
    assert found.figures["raw_knn"] == pytest.approx((raw == test.labels).mean())
    assert found.figures["chance"] == pytest.approx(np.bincount(test.labels).max() / len(test))
    assert found.figures["converged_all"] > found.figures["converged"] - 0.05
    table = found.exhibits[0]
    assert isinstance(table, Table)
    assert {row[2] for row in table.rows} == {100, len(train)}
    again = run.ask("{probe: {labels: 100, epochs: 3, neighbours: 3}}")["probe"].answer
    assert again.figures == found.figures


def test_codes_of_a_codebook_are_its_entries(tmp_path: Path) -> None:
    run = copied("codebook", tmp_path)
    found = run.ask("probe: 60")["probe"].answer
    codes = run.encode(run.own_split("test")).values.reshape(180, -1)
    few = run.encode(run.own_split("train")).values[:60].reshape(60, -1)
    train, test = run.own_split("train").split.labels, run.own_split("test").split.labels
    assert train is not None
    assert found.figures["knn"] == pytest.approx((nearest(few, train[:60], 5).classes_of(codes) == test).mean())


def test_an_encoder_from_scratch_learns_what_labels_say_without_its_decoder() -> None:
    run = open_run(run_folder("skips"))
    encoder = SupervisedEncoder(build(run.plan, 5))
    before = encoded(encoder, Labelled([torch.ones(2, 1, 8, 8)], torch.zeros(2)))
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(40) % 2
    x[:, :, :4] *= classes[:, None, None, None]               # the upper half of one class is black
    network = train_by_protocol(encoder, 3, 2, Labelled([x], classes), None, epochs=40)
    assert (predicted(network, Labelled([x], classes)) == classes.numpy()).mean() > 0.8
    assert not np.allclose(before, encoded(encoder, Labelled([torch.ones(2, 1, 8, 8)], torch.zeros(2))))
    assert not any(name.startswith("decoder") for name, _ in encoder.named_parameters())
    assert {name for name, _ in encoder.named_parameters()} <= {name for name, _ in run.model.named_parameters()}


@pytest.mark.parametrize("keys", [
    {"condition": {"label": {"by": "concat", "into": ["encoder", "decoder"]}}, "latent": {"type": "continuous", "dim": 2}},
    {"latent": {"type": "gaussian", "dim": 2, "posterior": {"type": "hamiltonian", "steps": 1}}}], ids=["conditions", "decoder"])
def test_an_encoder_is_told_with_fresh_weights_what_it_was_told_before(keys: dict[str, object], tmp_path: Path) -> None:
    spec = {"data": {"type": "digits", "limit": 60}, "encoder": [], "losses": {"reconstruction": "mse"}, "train": {"steps": 1}} | keys
    run = open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    figures = run.ask("probe: {labels: 40, epochs: 1}")["probe"].answer.figures
    assert {"untrained", "from_scratch"} <= set(figures)


def test_data_that_cannot_answer_say_why(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no labels"):
        copied("series", tmp_path).ask("probe")
    with pytest.raises(UsageError, match="5 labelled training samples are fewer than the 10 classes"):
        copied("image", tmp_path).ask("probe: 5")
    found = copied("table", tmp_path).ask("probe")["probe"].answer
    assert any("240 are known" in note for note in found.notes)
    assert "knn_all" not in found.figures
    whole = {"data": {"type": "digits", "limit": 60, "split": {"validation": 0, "test": 0}}, "encoder": [],
             "latent": {"type": "continuous", "dim": 2}, "losses": {"reconstruction": "mse"}, "train": {"steps": 1}}
    notes = open_run(aebuild.train(whole, folder=tmp_path / "whole").run).ask("probe: 30")["probe"].answer.notes
    assert any("training samples are judged" in note for note in notes)
    assert any("instead of the best" in note for note in notes)
    spec = {"name": "one", "data": {"type": "digits", "labels": 40, "limit": 200}, "encoder": [], "latent": {"type": "continuous", "dim": 2},
            "losses": {"reconstruction": "mse"}, "train": {"steps": 1}}
    few = open_run(aebuild.train(spec, folder=tmp_path / "few").run)
    assert any("only 40 training samples have a known label" in note for note in few.ask("probe: 40")["probe"].answer.notes)
    none = aebuild.train({**spec, "data": {**spec["data"], "labels": 0}}, folder=tmp_path / "none")
    with pytest.raises(UsageError, match="0 labelled training samples"):
        open_run(none.run).ask("probe")
