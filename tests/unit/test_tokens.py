"""Tokens: whole numbers from the file to the reconstruction, never scaled, never averaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from data_making import load as load_data
from data_making import part_of, refusal
from torch.nn import functional as F

from aebuild import open_run, train
from aebuild.compile.build import build
from aebuild.compile.front import Loaded, load
from aebuild.data.fingerprint import fingerprint
from aebuild.lang.dataset import Where
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling
from aebuild.lang.values import Grid, Sequence, Tokens, Value, Vector, from_json
from aebuild.modules.categorical_likelihood import CategoricalTokens
from aebuild.results.drawing import cell_size, draw_sample

DRAW = np.random.default_rng(0)
TEXT = DRAW.integers(0, 9, (40, 6))
TEXT[0, 0] = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "text.npy", TEXT)
    np.savez(tmp_path / "pair.npz", x=TEXT, aim=TEXT[:, :4] + 3, kind=np.arange(40) % 2)
    np.save(tmp_path / "floats.npy", TEXT + 0.5)
    return tmp_path


def planned(folder: Path, encoder: str = "[lstm: 5]", more: str = "", data: str = "{path: text.npy, as: tokens}",
            losses: str = "losses: {reconstruction: categorical}") -> Loaded:
    return load(folder / "spec.yaml", text=f"name: x\ndata: {data}\nencoder: {encoder}\nlatent: {{type: continuous, dim: 2}}\n{losses}\n"
                f"train: {{batch_size: 4}}\n{more}")


@pytest.mark.parametrize("value", [Vector(5), Grid(3, (4,)), Grid(1, (4, 5)), Sequence(4, 2), Tokens(7, 30)])
def test_types_survive_json(value: Value) -> None:
    assert from_json(value.to_json()) == value


@pytest.mark.parametrize("value", [Vector(5), Grid(3, (4,)), Grid(1, (4, 5)), Grid(2, (3, 4, 5)), Sequence(4, 2)])
def test_what_a_type_says_holds_for_its_tensor(value: Value) -> None:
    tensor = torch.zeros(2, *value.shape)
    assert tensor.shape[value.feature_axis] == value.features
    assert tensor.sum(value.other_axes).shape == (value.features,)
    assert tensor.flatten(1).shape[1:] == value.flat.shape
    assert value.with_features(9).places == value.places
    assert torch.zeros(2, *value.with_features(9).shape).shape[value.feature_axis] == 9
    assert value.alike(value.with_features(9))


def test_tokens_stay_whole_numbers(folder: Path) -> None:
    splits = load_data("arrays", folder, path="text.npy", **{"as": "tokens"})
    assert splits.info.value == splits.info.target == Tokens(6, 9)
    assert splits.train.x.dtype == np.int64
    assert splits.train.inputs.nbytes == 32 * 6                # a byte a token
    assert splits.scaling == Scaling("tokens", low=0.0, high=8.0)
    order = np.random.RandomState(42).permutation(40)
    assert (splits.train.x == TEXT[order[:32]]).all()
    assert (splits.scaling.undo(splits.scaling.apply(TEXT)) == TEXT).all()
    assert DataInfo.from_json(splits.info.to_json()) == splits.info
    assert splits.notes == ()
    assert "tokens(6; 9)" in str(fingerprint(splits))


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i4"])
def test_tokens_of_any_whole_numbers(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", TEXT.astype(dtype))
    splits = load_data("arrays", tmp_path, path="a.npy", **{"as": "tokens"})
    order = np.random.RandomState(42).permutation(40)
    assert splits.train.x.dtype == np.int64
    assert (splits.train.x == TEXT[order[:32]]).all()


def test_tokens_that_stay_on_disk(folder: Path) -> None:
    held = load_data("arrays", folder, path="text.npy", **{"as": "tokens"})
    streamed = load_data("arrays", folder, path="text.npy", stream=True, **{"as": "tokens"})
    assert streamed.streamed
    assert streamed.train.x.dtype == np.int64
    assert sorted(streamed.train.x.tolist()) == sorted(held.train.x.tolist())


def test_a_target_shares_the_vocabulary(folder: Path) -> None:
    info = load_data("arrays", folder, path="pair.npz", target="aim", label="kind", **{"as": "tokens"}).info
    assert (info.value, info.target) == (Tokens(6, 12), Tokens(4, 12))


def test_declared_tokens_need_no_file(tmp_path: Path) -> None:
    info = part_of("arrays", path="gone.npy", shape=[6], vocabulary=9, **{"as": "tokens"}).probe(Where(tmp_path))
    assert (info.value, info.range.low, info.range.high, info.range.integer) == (Tokens(6, 9), 0, 8, True)


@pytest.mark.parametrize(("fields", "code", "fix"), [
    ({"path": "floats.npy"}, "AE470", None), ({"path": "text.npy", "vocabulary": 8}, "AE471", "vocabulary: 9"),
    ({"path": "text.npy", "scale": "unit"}, "AE472", "remove scale"), ({"path": "text.npy", "channels": "last"}, "AE472", "remove channels"),
    ({"path": "text.npy", "as": None, "vocabulary": 9}, "AE472", "as: tokens"), ({"path": "text.npy", "shape": [6]}, "AE470", None),
    ({"path": "text.npy", "as": "vector", "vocabulary": 9}, "AE472", "remove vocabulary"), ({"path": "text.npy", "size": 4}, "AE413", "remove size"),
])
def test_what_is_no_token_is_refused(folder: Path, fields: dict[str, object], code: str, fix: str | None) -> None:
    found = refusal("arrays", folder, **({"as": "tokens"} | fields))
    assert found.code == code
    assert fix is None or found.fix == fix


def test_negative_tokens_are_refused_by_their_record(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.concatenate([TEXT, [[0, -1, 0, 0, 0, 0]]]))
    assert "record 40 holds -1" in refusal("arrays", tmp_path, path="a.npy", split={"validation": 0, "test": 0}, **{"as": "tokens"}).message


@pytest.mark.parametrize(("encoder", "inserted"), [
    ("[lstm: 5]", ["encoder.0_embed sequence(6; 5)"]), ("[linear: 20]", ["encoder.0_embed sequence(6; 9)", "encoder.0_flatten vector(54)"]),
    ("[conv: 4]", ["encoder.0_embed sequence(6; 4)", "encoder.0_transpose grid(4; 6)", "latent.flatten vector(24)"]),
    ("[]", ["encoder.embed sequence(6; 9)", "latent.flatten vector(54)"]),
    ("{layer: transformer, width: 8}", ["encoder.0_embed sequence(6; 8)"]),
])
def test_tokens_become_what_a_layer_takes(folder: Path, encoder: str, inserted: list[str]) -> None:
    loaded = planned(folder, encoder, "decoder: [linear: 7]\n")
    plan = loaded.require()
    down = [node for half in (plan.encoder, plan.latent.node) for node in half.walk() if node.inserted]
    assert [f"{node.path} {node.output}" for node in down] == inserted
    model = build(plan)
    assert {name: tuple(held.shape) for name, held in model.state_dict().items() if name.endswith("embed.weight")} == {
        f"{node.path}.weight": node.weights["weight"] for node in down if node.kind == "embed"}
    tokens = torch.from_numpy(TEXT[:3])
    assert model(tokens).shape == (3, 6)
    assert model(tokens).dtype == torch.int64
    assert model.interpolate(tokens, tokens.flip(0), 2, "features").shape == (2, 3, 6)


@pytest.mark.parametrize("decoder", ["[lstm: 5]", "[linear: 7]", "[conv: 4]", "{layer: transformer, width: 8}", "[conv: {width: 4, stride: 2}, output: {kernel: 3}]"])
def test_any_decoder_gives_a_logit_for_each_token(folder: Path, decoder: str) -> None:
    plan = planned(folder, more=f"decoder: {decoder}\n").require()
    assert plan.decoder.output == Sequence(6, 9)
    assert plan.term("reconstruction").elements == 6
    assert build(plan).parameters_of(torch.zeros(3, 2)).shape == (3, 6, 9)


def test_the_likelihood_is_the_cross_entropy_of_each_place() -> None:
    logits, tokens = torch.randn(4, 6, 9, generator=torch.Generator().manual_seed(0)), torch.from_numpy(TEXT[:4])
    likelihood = CategoricalTokens(9)
    found = likelihood(logits, tokens)
    share = logits.log_softmax(-1)
    torch.testing.assert_close(found, torch.stack([-sum(share[n, t, tokens[n, t]] for t in range(6)) for n in range(4)]))
    sure = 50.0 * F.one_hot(tokens, 9)
    assert likelihood(sure, tokens).max() < 1e-5
    assert torch.equal(likelihood.mean(sure), tokens)


@pytest.mark.parametrize(("losses", "more", "code"), [
    *((f"losses: {{reconstruction: {word}}}", "", "AE355") for word in ("mse", "l1", "gaussian", "bernoulli")), ("", "", "AE355"),
    ("losses: {reconstruction: categorical}", "corrupt: [mask: {ratio: 0.2}]\n", "AE354"),
    ("losses: {reconstruction: categorical}", "decoder: [lstm: {width: 5, feed: previous}]\n", "AE364")])
def test_what_needs_numbers_is_refused(folder: Path, losses: str, more: str, code: str) -> None:
    found = planned(folder, more=more, losses=losses).diagnostics
    assert [finding.code for finding in found] == [code]


def test_a_tiny_model_learns_repeated_patterns(tmp_path: Path) -> None:
    """Texts of two motifs in turn: the model tells most tokens, the most frequent one of each place few; a resume goes on with it."""
    draw = np.random.default_rng(0)
    motifs = draw.integers(0, 8, (4, 3))
    which = draw.integers(0, 4, (300, 2))
    np.save(tmp_path / "text.npy", np.tile(motifs[which].reshape(300, 6), 2))
    spec = {"name": "motifs", "data": {"path": str(tmp_path / "text.npy"), "as": "tokens"}, "encoder": [{"linear": 48}],
            "latent": {"type": "continuous", "dim": 6}, "losses": {"reconstruction": "categorical"},
            "train": {"epochs": 25, "batch_size": 32, "device": "cpu", "speed": "exact", "optimizer": {"lr": 0.01}}}
    outcome = train(spec, folder=tmp_path / "run")
    judged = outcome.evaluation
    assert judged.pca is None
    assert judged.findings == ()
    assert judged.model.accuracy is not None
    assert judged.mean.accuracy is not None
    assert judged.mean.accuracy < 0.7 < 0.9 < judged.model.accuracy
    assert judged.model.terms["reconstruction"] < judged.mean.terms["reconstruction"]
    written = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert written["model"]["accuracy"] == judged.model.accuracy
    assert set(written["most_frequent"]) == {"terms", "accuracy", "metrics"}
    assert "pca" not in written
    opened = open_run(tmp_path / "run")
    order = np.random.RandomState(42).permutation(300)
    test = torch.from_numpy(np.load(tmp_path / "text.npy")[order[270:]])
    assert float((opened.model(test) == test).double().mean()) == pytest.approx(judged.model.accuracy)
    drawn = opened.model.sample(3)
    assert drawn.shape == (3, 12)
    assert drawn.dtype == torch.int64


@pytest.mark.parametrize("length", [1, 7, 16, 17, 40, 1000])
def test_tokens_are_drawn_in_lines_and_framed_where_they_are_wrong(length: int) -> None:
    value, sample = Tokens(length, 9), DRAW.integers(0, 9, length).astype(np.float32)
    alone, right = draw_sample(value, sample, (0, 8)), draw_sample(value, sample, (0, 8), sample)
    wrong = draw_sample(value, sample, (0, 8), np.where(np.arange(length) == 0, (sample + 1) % 9, sample))
    assert alone.size == cell_size(value)
    assert alone.tobytes() == right.tobytes() != wrong.tobytes()
    assert draw_sample(value, (sample + 1) % 9, (0, 8)).tobytes() != alone.tobytes()
