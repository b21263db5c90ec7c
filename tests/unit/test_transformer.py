"""Transformer blocks against torch's own layer, their formulae and the plan."""

from __future__ import annotations

import math

import pytest
import torch
from sequence_models import SERIES, check_laws, counted_macs, model_of, plan_of, refusal, underlined
from torch import Tensor, nn

from aebuild.lang.attending import nearest_divisor
from aebuild.lang.families import Layer
from aebuild.lang.values import Grid, Sequence, Vector
from aebuild.modules import transformer
from aebuild.modules.transformer import Block, attend, sinusoids


@pytest.mark.parametrize(("encoder", "decoder"), [
    ("[transformer: 8]", "[transformer: {width: 8, heads: 2}]"),
    ("{layer: transformer, width: [8, 12], depth: 2, positions: sinusoidal, mlp: 2}", "mirror"),
    ("[transformer: {width: 8, returns: sequence}]", "[linear: 6, transformer: {width: 9, heads: 3, causal: true, dropout: 0.2}]"),
    ("[lstm: 8, transformer: {width: 8, positions: none, activation: relu}]", "[transformer: {width: 8, returns: mean}, linear: 5]"),
    ("[conv: 4, transformer: 8]", "[repeat: {times: 2, steps: [transformer: 8]}]"),
])
def test_plan_and_module_agree(encoder: str, decoder: str) -> None:
    check_laws(encoder, decoder)


def test_images_and_codes_per_position() -> None:
    check_laws("[conv: {width: 8, stride: 2}, transformer: 8]", "[transformer: 8, conv: 8]", value=Grid(2, (5, 6)),
               latent=", per: position")
    assert plan_of("[transformer: 8]", "[linear: 5]", latent=", per: position").encoder.output == Sequence(7, 8)


def test_parameters_and_macs_in_closed_form() -> None:
    t, d, w, m = 7, 3, 8, 4
    block = plan_of("[transformer: 8]", "[linear: 5]").encoder.children[0]
    assert block.params == (d * w + w) + t * w + 3 * 2 * w + (4 * w * w + 4 * w) + (2 * m * w * w + m * w + w)
    assert block.all_macs == t * d * w + t * 4 * w * w + 2 * t * t * w + 2 * t * m * w * w


def test_weights_follow_the_paths() -> None:
    names = set(model_of("[transformer: 8]", "[transformer: {width: 4, dropout: 0.1}]").state_dict())
    leaves = ("embed", "attention_norm", "attention.qkv", "attention.out", "mlp_norm", "mlp.expand", "mlp.contract", "norm")
    assert {name for name in names if name.startswith("encoder")} == {
        "encoder.0.positions.weight", *(f"encoder.0.{leaf}.{kind}" for leaf in leaves for kind in ("weight", "bias"))}


def block_and_torch(activation: str = "gelu", causal: bool = False) -> tuple[Block, nn.TransformerEncoderLayer]:
    """A block and torch's layer with the same weights."""
    text = f"[transformer: {{width: 8, heads: 2, mlp: 3, positions: none, causal: {str(causal).lower()}, activation: {activation}}}]"
    ours = model_of("[linear: 4]", f"[lstm: {{width: 8}}, {text[1:-1]}, dropout: 0.5]").decoder.get_submodule("1")
    theirs = nn.TransformerEncoderLayer(8, 2, 24, dropout=0, activation=activation, batch_first=True, norm_first=True)
    names = {"self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj.": "attention.out.", "norm1.": "attention_norm.",
             "norm2.": "mlp_norm.", "linear1.": "mlp.expand.", "linear2.": "mlp.contract."}
    theirs.load_state_dict({old + kind: ours.state_dict()[new + kind] for old, new in names.items() for kind in ("weight", "bias")})
    assert isinstance(ours, Block)
    assert len(ours.state_dict()) == len(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_block_equals_torchs_pre_norm_layer(activation: str, causal: bool) -> None:
    ours, theirs = block_and_torch(activation, causal)
    x = torch.randn(3, 7, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    torch.testing.assert_close(ours(x), theirs(x, src_mask=mask, is_causal=causal))


@pytest.mark.parametrize("causal", [False, True])
def test_plain_and_fused_products_agree(causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for longest in (100, 0):
        monkeypatch.setattr(transformer, "PLAIN_UP_TO", longest)
        inputs = [torch.randn(2, 3, 9, 4, generator=torch.Generator().manual_seed(i)).requires_grad_() for i in range(3)]
        out = attend(*inputs, causal)
        results.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    for plain, fused in zip(*results, strict=True):
        torch.testing.assert_close(plain, fused)


@pytest.mark.parametrize("causal", ["false", "true"])
@pytest.mark.parametrize("longest", [0, 100])
def test_macs_do_not_depend_on_how_they_are_computed(causal: str, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformer, "PLAIN_UP_TO", longest)
    parts = ("[transformer: 8]", f"[transformer: {{width: 8, causal: {causal}}}]")
    assert counted_macs(model_of(*parts), SERIES) == plan_of(*parts).macs


def sensitivity(block: nn.Module, x: Tensor) -> Tensor:
    """[T, T]: whether output i depends on input j."""
    jacobian = torch.autograd.functional.jacobian(lambda x: block(x).square().sum((0, 2)), x)
    return jacobian.abs().sum((1, 3)) > 0


def test_causal_blocks_do_not_look_ahead() -> None:
    ours, _ = block_and_torch(causal=True)
    assert torch.equal(sensitivity(ours, torch.randn(1, 7, 8)), torch.ones(7, 7, dtype=torch.bool).tril())
    ours, _ = block_and_torch()
    assert sensitivity(ours, torch.randn(1, 7, 8)).all()


def test_without_positions_order_does_not_matter() -> None:
    shuffled = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, *SERIES.shape)
    blind = model_of("[transformer: {width: 8, positions: none}]", "[linear: 5]").encoder
    torch.testing.assert_close(blind(x), blind(x[:, shuffled]))
    for kind in ("learned", "sinusoidal"):
        seeing = model_of(f"[transformer: {{width: 8, positions: {kind}}}]", "[linear: 5]").encoder
        assert not torch.allclose(seeing(x), seeing(x[:, shuffled]), atol=1e-4)


def test_positions_are_added_once_a_stage() -> None:
    kinds = [node.path for node in plan_of("{layer: transformer, width: 8, depth: 3}", "mirror").nodes() if node.kind == "positions"]
    assert kinds == ["encoder.0.positions", "decoder.0.positions"]
    late = plan_of("[transformer: {width: 8, positions: none}, transformer: 8]", "[linear: 5]")
    assert [node.path for node in late.nodes() if node.kind == "positions"] == ["encoder.1.positions"]


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoids(width: int) -> None:
    table = sinusoids(5, width)
    assert table.shape == (5, width)
    for t in range(5):
        for i in range(width):
            angle = t / 10000 ** (2 * (i // 2) / width)
            assert table[t, i].item() == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-6)


def test_the_last_block_ends_in_a_norm() -> None:
    made = plan_of("{layer: transformer, width: 8, depth: 2}", "[transformer: {width: 8, returns: mean}, linear: 4]")
    assert [node.path for node in made.nodes() if node.path.endswith(".norm")] == ["encoder.1.norm", "decoder.0.norm"]
    features = model_of("{layer: transformer, width: 8, depth: 2, returns: sequence}", "[linear: 5]").encoder(torch.randn(2, 7, 3))
    torch.testing.assert_close(features.mean(2), torch.zeros(2, 7), atol=1e-5, rtol=0)


def test_mean_over_positions() -> None:
    pooled = model_of("[transformer: 8]", "[linear: 5]").encoder
    every = model_of("[transformer: {width: 8, returns: sequence}]", "[linear: 5]").encoder
    x = torch.randn(2, *SERIES.shape)
    torch.testing.assert_close(pooled(x), every(x).mean(1))


def test_dropout_draws_from_its_own_numbers() -> None:
    model = model_of("[transformer: {width: 8, dropout: 0.5}]", "[linear: 5]").encoder
    x = torch.randn(4, *SERIES.shape)
    state = torch.get_rng_state()
    noisy = model.train()(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.allclose(noisy, model.eval()(x))
    assert torch.equal(model(x), model(x))


def test_heads_must_divide_the_width() -> None:
    found = refusal("[transformer: {width: 100, heads: 8}]", "[linear: 5]")
    assert (found.code, underlined(found), found.fix) == ("AE366", "8", "heads: 10")
    assert [nearest_divisor(12, n) for n in (1, 5, 8, 9, 11, 40, 10**15)] == [1, 4, 6, 6, 12, 12, 12]
    assert nearest_divisor(10**15 + 37, 10**12) == 1


def test_one_kind_of_positions_a_stage() -> None:
    found = refusal("[transformer: {width: 8, positions: learned}, transformer: {width: 8, positions: sinusoidal}]", "[linear: 5]")
    assert (found.code, underlined(found)) == ("AE367", "sinusoidal")
    plan_of("{layer: transformer, width: 8, depth: 2, positions: sinusoidal}", "[linear: 5]")


def test_tables_need_a_length() -> None:
    assert refusal("[linear: 6]", "[transformer: 8]", value=Vector(9)).code == "AE360"
    check_laws("[linear: 6]", "{layer: transformer, width: 8, seed: [5]}", value=Vector(9))


def test_mirrored_and_widened() -> None:
    block = Layer.variants["transformer"](width=12, heads=4, returns="mean", causal=True)
    assert block.mirrored() == block.but(returns=None)
    assert [block.widened(factor).width for factor in (0.1, 0.5, 1.3, 2)] == [4, 8, 16, 24]
