"""Patches, masks and the masked autoencoder: identities, and formulas written out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.masks import BlockMask, PatchMask, TokenMask
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.patches import MaskTokens, PatchScale, VisiblePatches
from aebuild.modules.randomness import random_modules, reseed

ENCODER = "encoder: [patchify: {size: 2, width: 8}, transformer: {width: 8, heads: 2}, transformer: {width: 8, heads: 2}]\n"
LATENT = "latent: {type: continuous, dim: 6, per: position}\n"
DECODER = "decoder: [transformer: {width: 6, heads: 2}, unpatchify: 2]\n"
MASKED = "corrupt: [patch_mask: 0.75]\n"
LOSS = "losses: {reconstruction: {type: mse, on: masked, normalize: patch}}\n"
MAE = "data: digits\n" + MASKED + ENCODER + LATENT + DECODER + LOSS
SHAPES = [((12,), (4,)), ((7, 10), (3, 5)), ((4, 6, 5), (2, 3, 4))]


def model_of(text: str) -> Autoencoder:
    return build(load(Path("spec.yaml"), text=text).require())


def images(count: int = 6, size: int = 8) -> Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(1))


def passed(model: Autoencoder, x: Tensor, target: Tensor | None = None, tick: int = 0) -> tuple[Outputs, Tensor]:
    """A pass whose masks are those of this tick, and its reconstruction term."""
    reseed(random_modules(model), 0, tick)
    outputs = model.run(Batch(x, x if target is None else target))
    return outputs, model.losses(outputs, ["reconstruction"])["reconstruction"]


def rows_of(x: Tensor, size: int) -> Tensor:
    """The patches of images [N, C, H, W] as rows [N, T, C·size²], by torch's own cut."""
    return F.unfold(x, size, stride=size).transpose(1, 2)


@pytest.mark.parametrize(("places", "size"), SHAPES, ids=str)
def test_a_grid_is_cut_mapped_and_put_together_again(places: tuple[int, ...], size: tuple[int, ...]) -> None:
    """With maps that keep every value unpatchify undoes patchify, in any number of axes and for sizes that patches do not divide."""
    shape, sizes = [2, *places], list(size)
    text = (f"data: {{type: arrays, path: x.npz, shape: {shape}, as: grid}}\n"
            f"encoder: [patchify: {{size: {sizes}, positions: none, pad: true}}]\nlatent: {{type: continuous, dim: 3, per: position}}\n"
            f"decoder: [unpatchify: {{size: {sizes}, width: 2}}]\n")
    model = model_of(text)
    x = torch.rand(3, *shape)
    cut, together = model.encoder[0], model.decoder[0]
    with torch.no_grad():
        inside = cut.conv.weight[0].numel()
        cut.conv.weight.copy_(torch.eye(inside).view_as(cut.conv.weight))                  # place j of a sequence: value j of the patch
        rows = cut(x, {})
        linear = torch.nn.Linear(inside, inside)
        linear.weight.copy_(torch.eye(inside))
        linear.bias.zero_()
        together.linear = linear
        assert torch.equal(together(rows, {}), x)
    assert rows.shape[1:] == (torch.tensor([-(-p // s) for p, s in zip(places, size, strict=True)]).prod(), inside)
    if len(places) == 2:
        padded = F.pad(x, (0, -places[1] % size[1], 0, -places[0] % size[0]))
        assert torch.equal(rows, F.unfold(padded, size, stride=size).transpose(1, 2))


def test_hidden_patches_come_back_to_their_places() -> None:
    x, visible = torch.rand(2, 5, 3), torch.tensor([[4, 0, 2], [1, 3, 4]])
    tokens = MaskTokens(5, 3)
    kept = VisiblePatches()(x, {"visible": visible})
    assert torch.equal(kept, torch.stack([x[0, [4, 0, 2]], x[1, [1, 3, 4]]]))
    back = tokens(kept, {"visible": visible})
    for row in range(2):
        for place in range(5):
            assert torch.equal(back[row, place], x[row, place] if place in visible[row] else tokens.weight)
    every = torch.rand(2, 5).argsort(1)
    assert torch.equal(tokens(VisiblePatches()(x, {"visible": every}), {"visible": every}), x)       # shuffled and unshuffled
    assert VisiblePatches()(x, {}) is x
    assert tokens(x, {}) is x


def test_the_number_of_visible_patches_is_exact_and_the_seed_decides_which() -> None:
    mask = PatchMask(147, (16, 16), (14, 14), (224, 224), 1)
    mask.reseed(3)
    x, context = torch.rand(2, 3, 224, 224), {}
    seen = mask(x, context)
    assert context["visible"].shape == (2, 49)
    assert (rows_of(context["masked"].float(), 16).sum(2) == 256).sum(1).tolist() == [147, 147]      # whole patches
    assert torch.equal(seen, x * ~context["masked"])
    again: dict[str, Tensor] = {}
    mask.reseed(3)
    mask(x, again)
    assert torch.equal(again["visible"], context["visible"])
    mask(x, again)
    assert not torch.equal(again["visible"], context["visible"])
    padded: dict[str, Tensor] = {}
    PatchMask(3, (4,), (3,), (10,), 2)(torch.rand(2, 10, 1), padded)
    assert padded["masked"].shape == (2, 10, 1)
    assert padded["masked"].all()


def test_the_loss_is_the_published_formula() -> None:
    """Mean over hidden patches of the squared error to the target's patches, each normalised as in the authors' code."""
    model, x = model_of(MAE.replace("normalize: patch", "normalize: patch, reduction: mean")).train(), images()
    plan = load(Path("spec.yaml"), text=MAE.replace("normalize: patch", "normalize: patch, reduction: mean")).require()
    outputs, raw = passed(model, x)
    context: dict[str, Tensor] = {}
    reseed(random_modules(model), 0, 0)
    features = model.features(model.corrupt(x, context), context)
    predicted = rows_of(model.decoder(model.latent(features, context).value, context), 2)
    target = rows_of(x, 2)
    target = (target - target.mean(2, keepdim=True)) / (target.var(2, keepdim=True) + 1e-6).sqrt()
    hidden = torch.ones(len(x), 16).scatter(1, context["visible"], 0.0)
    expected = ((predicted - target).square().mean(2) * hidden).sum() / hidden.sum()
    term = plan.term("reconstruction")
    torch.testing.assert_close(term.config.reduce(raw, term.elements), expected, rtol=1e-4, atol=1e-5)
    assert term.elements == 48
    assert outputs.context["visible"].shape == (6, 4)


def test_visible_patches_have_no_part_in_the_loss() -> None:
    model, x = model_of(MAE.replace(", normalize: patch", "")).train(), images()
    outputs, raw = passed(model, x)
    visible = ~outputs.hidden.expand_as(x)
    assert outputs.params is not None
    gradient, = torch.autograd.grad(raw.sum(), outputs.params)
    assert not gradient[visible].any()
    assert gradient[~visible].all()
    assert torch.equal(passed(model, x, torch.where(visible, x + 5, x))[1], raw)        # targets of visible patches change
    blind = torch.where(visible, x, torch.rand_like(x))                                 # and so may hidden inputs
    torch.testing.assert_close(passed(model, blind, x)[1], raw)


def test_a_mask_of_nothing_is_the_plain_autoencoder() -> None:
    masked, plain = model_of(MAE.replace("on: masked, ", "")).train(), model_of("data: digits\n" + ENCODER + LATENT + DECODER).train()
    masked.likelihood.patches = None
    extra = {"encoder.2_mask_tokens.weight"}
    assert set(masked.state_dict()) - set(plain.state_dict()) == extra
    plain.load_state_dict({name: value for name, value in masked.state_dict().items() if name not in extra})
    masked.corruptions[0].hidden = 0
    x = images()
    torch.testing.assert_close(passed(masked, x)[1], passed(plain, x)[1])
    torch.testing.assert_close(masked.eval().reconstruct(x), plain.eval().reconstruct(x))            # nor does a trained one hide


def test_the_encoder_computes_for_visible_patches_alone() -> None:
    """The operations that torch counts are those of the plan of the visible patches."""
    loaded = load(Path("spec.yaml"), text=MAE).require()
    model, x = build(loaded).train(), images(4)
    model.encoder[1].attention.kernel = model.encoder[2].attention.kernel = "plain"
    assert loaded.shorter is not None
    for training, node in ((True, loaded.shorter), (False, loaded.encoder)):
        context: dict[str, Tensor] = {}
        model.train(training)
        seen = model.corrupt(x, context)
        with FlopCounterMode(display=False) as counter:
            model.features(seen, context)
        assert counter.get_total_flops() == 2 * len(x) * node.all_macs
    assert loaded.shorter.all_macs < 0.3 * loaded.encoder.all_macs


def test_judging_hides_and_encoding_does_not() -> None:
    model, x = model_of(MAE).eval(), images()
    outputs, raw = passed(model, x)
    assert "visible" in outputs.context                      # epochs are judged by what is trained,
    assert torch.equal(passed(model, x)[1], raw)             # by the same masks each time,
    assert not torch.equal(passed(model, x, tick=1)[1], raw)
    first, second = (model.encode(x).value for _ in range(2))
    assert torch.equal(first, second)                        # and codes are those of whole samples
    always = model_of(MAE.replace("patch_mask: 0.75", "patch_mask: {ratio: 0.75, when: always}")).eval()
    assert not torch.equal(always.encode(x).value, always.encode(x).value)
    with pytest.raises(ValueError, match="less its mean over its deviation"):
        model.decode(first)


@pytest.mark.parametrize("size", [(2, 2), (3, 5)], ids=str)
def test_patches_are_normalised_and_restored(size: tuple[int, int]) -> None:
    scale, x = PatchScale(size), torch.rand(3, 2, 6, 10)
    normal = scale(x, x)
    rows = F.unfold(normal, size, stride=size)                                            # (N, C·p, T)
    torch.testing.assert_close(rows.mean(1), torch.zeros(rows.shape[0], rows.shape[2]), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.var(1), torch.ones(rows.shape[0], rows.shape[2]), atol=1e-3, rtol=0)
    torch.testing.assert_close(scale.restored(normal, x), x)


def test_blocks_are_hidden_whole() -> None:
    mask, x = BlockMask(1, (3, 2), (8, 7), 1, 0.5), torch.ones(400, 2, 8, 7)
    mask.reseed(0)
    context: dict[str, Tensor] = {}
    seen, masked = mask(x, context), context["masked"]
    assert masked.shape == (400, 1, 8, 7)
    assert masked.flatten(1).sum(1).unique().tolist() == [6]
    assert torch.equal(seen == 0.5, masked.expand_as(x))
    assert (masked.any(3).sum(2).max(), masked.any(2).sum(2).max()) == (3, 2)
    corners = masked.flatten(1).float().argmax(1).bincount(minlength=56).view(8, 7)       # where blocks begin: each place alike
    assert (corners[:6, :6] > 0).all()
    assert corners[:6, :6].sum() == 400
    series: dict[str, Tensor] = {}
    BlockMask(2, (3,), (9,), 2, 0.0)(torch.ones(5, 9, 4), series)
    assert series["masked"].shape == (5, 9, 1)


def test_tokens_are_chosen_and_mostly_hidden() -> None:
    """80 % the mask's symbol, 10 % another token, 10 % as it was; no padding."""
    mask, x = TokenMask(0.15, 20, 0.8, 0.1), torch.randint(0, 20, (400, 50))
    mask.reseed(1)
    lengths, context = torch.randint(1, 51, (400,)), {}
    context["lengths"] = lengths
    seen, chosen = mask(x, context), context["masked"]
    real = torch.arange(50) < lengths[:, None]
    assert not (chosen & ~real).any()
    assert torch.equal(seen[~chosen], x[~chosen])
    assert (chosen.sum() / real.sum()).item() == pytest.approx(0.15, abs=0.015)
    hidden, same = (seen == 20) & chosen, (seen == x) & chosen
    assert (hidden.sum() / chosen.sum()).item() == pytest.approx(0.8, abs=0.03)
    assert (same.sum() / chosen.sum()).item() == pytest.approx(0.1 + 0.1 / 20, abs=0.03)
    assert seen.max() == 20


def test_padding_is_not_judged() -> None:
    text = ("data: {type: sentences, count: 40}\ncorrupt: [token_mask: {ratio: 0.5}]\nencoder: {layer: gru, width: 8}\n"
            "latent: {type: continuous, dim: 4}\nlosses: {reconstruction: {type: categorical, on: masked}}\n")
    model = model_of(text).train()
    x, lengths = torch.randint(0, 20, (5, 88)), torch.tensor([3, 10, 40, 88, 1])
    reseed(random_modules(model), 0, 0)
    outputs = model.run(Batch(x, x, lengths=lengths))
    raw = model.losses(outputs, ["reconstruction"])["reconstruction"]
    assert outputs.params is not None
    each = F.cross_entropy(outputs.params.movedim(2, 1), x, reduction="none")
    counts = outputs.hidden & (torch.arange(88) < lengths[:, None])
    torch.testing.assert_close(raw, (each * counts).sum(1))
    torch.testing.assert_close(raw, (each * outputs.hidden).sum(1))                      # none of the padding was chosen


def test_holes_in_images_are_filled_and_left_out(tmp_path: Path) -> None:
    """What is not known becomes its channel's mean, counts in no loss and no gradient, and the model fills it in."""
    x = np.random.default_rng(0).random((60, 2, 4, 3)).astype(np.float32)
    holes = np.random.default_rng(1).random(x.shape) < 0.2
    np.save(tmp_path / "holes.npy", np.where(holes, np.nan, x))
    text = "data: {type: arrays, path: holes.npy, missing: mask}\nencoder: [linear: 8]\nlatent: {type: continuous, dim: 4}\ntrain: {batch_size: 9}\n"
    loaded = load(tmp_path / "spec.yaml", text=text)
    assert not loaded.diagnostics
    splits, model = load_splits(loaded.spec.data, Where(tmp_path)), build(loaded.require()).eval()
    train = splits.train
    known, values = torch.from_numpy(train.beside["mask"]), torch.from_numpy(train.inputs.take(np.arange(len(train.x))))
    assert (~known).float().mean().item() == pytest.approx(0.2, abs=0.03)
    for channel in range(2):
        given = values[:, channel][known[:, channel]]
        torch.testing.assert_close(values[:, channel][~known[:, channel]], given.mean().expand((~known[:, channel]).sum()), atol=1e-4, rtol=0)
    outputs = model.run(Batch(values, values, mask=known))
    raw = model.losses(outputs, ["reconstruction"])["reconstruction"]
    torch.testing.assert_close(raw, ((outputs.params - values).square() * known).flatten(1).sum(1))
    padded, streamed = (load(tmp_path / "spec.yaml", text=text.replace("mask}", f"mask, {more}}}")) for more in ("pad: 1", "stream: true"))
    assert [found.code for found in padded.errors] == ["AE431"]
    with pytest.raises(DataError, match="AE431"):
        load_splits(streamed.spec.data, Where(tmp_path))
