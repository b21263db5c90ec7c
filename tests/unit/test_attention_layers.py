"""Relative positions, windows, queries and attention on grids against torch, the papers' formulae and the plan."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from sequence_models import SERIES, check_laws, counted_macs, model_of, plan_of, refusal, underlined
from torch import Tensor, nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.values import Grid, Sequence, Value, Vector
from aebuild.modules.grid_attention import GridAttention
from aebuild.modules.queried import QueriedBlock
from aebuild.modules.transformer import Attention, Block, alibi_slopes, attend, attend_nearby, rotary
from aebuild.results.summary import receptive_fields

POSITION = ", per: position"


@pytest.mark.parametrize(("encoder", "decoder", "latent", "value"), [
    ("{layer: transformer, width: 8, depth: 2, positions: rotary, window: 2}", "mirror", "", SERIES),
    ("[transformer: {width: 8, positions: alibi, causal: true}, transformer: {width: 8, positions: alibi}]", "mirror", POSITION, Sequence(13, 2)),
    ("[transformer: {width: 8, positions: rotary, gated: true, activation: silu}]", "mirror", "", Grid(2, (4, 5))),
    ("{layer: cross_attention, width: 8, queries: 4, dropout: 0.1}", "[cross_attention: {width: 6, heads: 3, tokens: 3}]", "", SERIES),
    ("[cross_attention: {width: 8, queries: 4}, transformer: {width: 8, positions: rotary}]", "mirror", POSITION, Sequence(2, 3)),
    ("[conv: {width: 8, stride: 2}, cross_attention: {width: 8, queries: 5}]", "mirror", POSITION, Grid(2, (9, 7))),
    ("[cross_attention: {width: 8, queries: 5}]", "[transformer: 8, cross_attention: 8, conv: 4, conv: 4]", POSITION, Grid(2, (9, 7))),
    ("[gru: 3]", "{steps: [cross_attention: 8, conv: 4], seed: [3]}", POSITION, SERIES),
    ("[repeat: {times: 2, steps: [{cross_attention: {width: 8, queries: 9}}]}]", "[conv: 8, residual: [cross_attention: {width: 8, queries: 7}]]",
     POSITION, SERIES),
    ("[cross_attention: {width: 8, queries: 5}]", "[linear: 6]", "", Vector(9)),
    ("[conv: {width: 8, stride: 2}, attention, conv: 8]", "mirror", "", Grid(2, (9, 7))),
    ("[conv: {width: 8, stride: 2}, attention: {heads: 2, groups: 4}]", "mirror", POSITION, Grid(2, (5, 4, 3))),
    ("[attention, residual: [attention, conv: 6]]", "[linear: 5]", "", SERIES),
])
def test_plan_and_module_agree(encoder: str, decoder: str, latent: str, value: Value) -> None:
    check_laws(encoder, decoder, latent=latent, value=value)


@pytest.mark.parametrize("kind", ["rotary", "alibi", "learned"])
@pytest.mark.parametrize("length", [1, 2, 7, 97, 200])
def test_any_length(kind: str, length: int) -> None:
    """Both halves, and the sum of operations, of series from 1 place to 200."""
    parts = f"[transformer: {{width: 8, heads: 2, positions: {kind}, window: 3}}, cross_attention: {{width: 8, queries: 3}}]", "mirror"
    value = Sequence(length, 2)
    made = plan_of(*parts, latent=POSITION, value=value)
    assert made.decoder.output == value and made.latent.code == Sequence(3, 4)
    if length in (7, 97):
        assert counted_macs(model_of(*parts, latent=POSITION, value=value), value) == made.macs


# ------------------------------------------------------------------------------------------------------- relative positions


def scores(turned_q: Tensor, turned_k: Tensor) -> Tensor:
    return (turned_q @ turned_k.transpose(2, 3))[0, 0]


def test_rotary_products_depend_on_differences_alone() -> None:
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64).expand(2, 1, 1, 11, 8)
    found = scores(rotary(q), rotary(k))
    for offset in range(-10, 11):
        along = found.diagonal(offset)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(scores(rotary(q, 50), rotary(k, 50)), found, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found.diagonal(1)[0], found.diagonal(2)[0])
    assert not torch.allclose(found.diagonal(1)[0], found.diagonal(-1)[0])


def test_rotary_turns_pairs_as_the_paper_writes() -> None:
    """Equation 34 of Su et al. (2021), pair by pair as complex numbers."""
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    places, rates = torch.arange(5.0, dtype=torch.float64)[:, None], 10000 ** (-torch.arange(0, 6, 2, dtype=torch.float64) / 6)
    turned = torch.view_as_complex(x.unflatten(3, (3, 2)).contiguous()) * torch.exp(1j * places * rates)
    torch.testing.assert_close(rotary(x), torch.view_as_real(turned).flatten(3), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(rotary(x).norm(dim=3), x.norm(dim=3))


def test_the_slopes_of_alibi() -> None:
    """Press et al. (2022): for 8 heads 1/2, 1/4, ..., 1/256; for 16 interpolated; for 12 those of 8 and every other of 16."""
    assert alibi_slopes(8).tolist() == [2.0 ** -i for i in range(1, 9)]
    torch.testing.assert_close(alibi_slopes(16), torch.tensor([2 ** (-i / 2) for i in range(1, 17)]))
    torch.testing.assert_close(alibi_slopes(12), torch.cat([alibi_slopes(8), alibi_slopes(16)[::2][:4]]))


@pytest.mark.parametrize("causal", [False, True])
def test_alibi_takes_distance_off_the_scores(causal: bool) -> None:
    q, k, v = torch.randn(3, 2, 4, 9, 5).unbind()
    wanted = torch.empty_like(q)
    for head, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        for i in range(9):
            seen = range(i + 1) if causal else range(9)
            weight = torch.stack([(q[:, head, i] * k[:, head, j]).sum(1) / math.sqrt(5) - slope * abs(i - j) for j in seen], 1).softmax(1)
            wanted[:, head, i] = sum(weight[:, n, None] * v[:, head, j] for n, j in enumerate(seen))  # type: ignore[assignment]
    for kernel in ("plain", "fused"):
        torch.testing.assert_close(attend(q, k, v, causal, kernel, slopes=alibi_slopes(4)), wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["rotary", "alibi"])
def test_relative_positions_stand_in_every_block_and_move_along(kind: str) -> None:
    """What comes out moves with what goes in, while each block tells its neighbours apart."""
    text = f"{{layer: transformer, depth: 2, width: 8, heads: 2, positions: {kind}, returns: sequence}}"
    model = model_of(text, "[linear: 5]", value=Sequence(40, 3)).encoder.double()
    assert [module.relative for module in model.modules() if isinstance(module, Attention)] == [kind, kind]
    x = torch.randn(2, 40, 3, dtype=torch.float64)
    torch.testing.assert_close(model(x[:, 5:25]), model(torch.cat([x[:, 5:25]], 1)))
    assert not torch.allclose(model(x), model(x.flip(1)).flip(1) if kind == "rotary" else model(x[:, torch.randperm(40)]))
    assert not [node for node in plan_of(text, "[linear: 5]").encoder.walk() if node.kind == "positions"]


def test_a_repeated_code_gets_positions_of_its_own() -> None:
    """Relative positions tell equal elements nothing."""
    decoder = model_of("[linear: 6]", "{layer: transformer, width: 8, positions: rotary}").decoder
    assert "0.positions.weight" in decoder.state_dict()
    assert decoder(torch.randn(1, 4)).std(1).min() > 1e-4


# ------------------------------------------------------------------------------------------------------------------- masks


def sees(block: nn.Module, length: int, width: int = 8) -> Tensor:
    """[T, T]: whether output i depends on input j, exactly."""
    jacobian = torch.autograd.functional.jacobian(lambda x: block(x).square().sum((0, 2)), torch.randn(1, length, width))
    return jacobian.abs().sum((1, 3)) > 0


@pytest.mark.parametrize("kernel", ["plain", "fused"])
@pytest.mark.parametrize("relative", [None, "rotary", "alibi"])
@pytest.mark.parametrize("causal", [False, True])
def test_windows_and_causality_are_exact(kernel: str, relative: str | None, causal: bool) -> None:
    distance = torch.arange(11)[:, None] - torch.arange(11)
    for window in (None, 1, 4):
        module = Attention(nn.Linear(8, 24), nn.Linear(8, 8), 2, causal, window=window, relative=relative)  # type: ignore[arg-type]
        module.kernel = kernel  # type: ignore[assignment]
        allowed = (distance.abs() <= window) if window else torch.ones(11, 11, dtype=torch.bool)
        assert torch.equal(sees(module, 11), allowed & (distance >= 0) if causal else allowed)


@pytest.mark.parametrize("kernel", ["plain", "fused"])
def test_all_masks_together(kernel: str) -> None:
    """Padding, window, causality and distance: real places as alone, nothing is NaN, and no gradient reaches the padding."""
    lengths = torch.tensor([9, 1, 4])
    q, k, v = (torch.randn(3, 2, 9, 4, requires_grad=True) for _ in range(3))
    options = {"window": 2, "slopes": alibi_slopes(2)}
    for causal in (False, True):
        found = attend(q, k, v, causal, kernel, lengths, **options)  # type: ignore[arg-type]
        real = torch.arange(9) < lengths[:, None]
        gradients = torch.autograd.grad((found * real[:, None, :, None]).square().sum(), (q, k, v))
        assert found.isfinite().all() and all(each.isfinite().all() for each in gradients)
        assert not any(each.masked_select(~real[:, None, :, None]).any() for each in gradients)
        for row, count in enumerate(lengths.tolist()):
            alone = attend(*(each[row:row + 1, :, :count] for each in (q, k, v)), causal, "plain", **options)  # type: ignore[arg-type, misc]
            torch.testing.assert_close(found[row:row + 1, :, :count], alone)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("window", "block"), [(1, 1), (2, 3), (4, 4), (5, 8), (40, 40)])
def test_blocks_of_a_window_are_the_window(window: int, block: int, causal: bool) -> None:
    """Padding and distance with them, values and gradients; of any length, of one that blocks do not divide too."""
    slopes = alibi_slopes(2)
    for length in (1, 7, 16, 37):
        q, k, v = (torch.randn(3, 2, length, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
        for lengths in (None, torch.tensor([length, 1, (length + 1) // 2])):
            pair = (attend(q, k, v, causal, "plain", lengths, window=window, slopes=slopes),
                    attend_nearby(q, k, v, causal, window, block, lengths, slopes))
            real = torch.arange(length) < (torch.full((3,), length) if lengths is None else lengths)[:, None]
            one, other = (each * real[:, None, :, None] for each in pair)
            torch.testing.assert_close(one, other)
            for a, b in zip(*(torch.autograd.grad(each.square().sum(), (q, k, v)) for each in (one, other)), strict=True):
                torch.testing.assert_close(a, b)


def test_a_gate_is_the_papers() -> None:
    """SwiGLU(x) = (swish(xW + b) ⊙ (xV + c)) W₂ (Shazeer, GLU variants improve transformer, 2020)."""
    block = model_of("[transformer: {width: 4, heads: 2, gated: true, activation: silu}]", "[linear: 3]").encoder.get_submodule("0")
    expand, contract = (block.get_submodule(f"mlp.{name}") for name in ("expand", "contract"))
    x = torch.randn(2, 5, 4)
    (w, v), (b, c) = expand.weight.chunk(2), expand.bias.chunk(2)
    opened = x @ w.T + b
    torch.testing.assert_close(block.get_submodule("mlp")(x), contract(opened * opened.sigmoid() * (x @ v.T + c)))


@pytest.mark.parametrize("more", ["", ", causal: true", ", positions: alibi"])
def test_a_long_series_with_a_window_costs_its_blocks(more: str) -> None:
    """As counted by torch, and a smaller part of what all places with all would."""
    parts, value = (f"[transformer: {{width: 8, heads: 2, window: 20{more}}}]", "[linear: 3]"), Sequence(300, 3)
    made, model = plan_of(*parts, latent=POSITION, value=value), model_of(*parts, latent=POSITION, value=value)
    assert [each.block for each in model.modules() if isinstance(each, Attention)] == [32]
    assert counted_macs(model, value) == made.macs < 2 * 300 ** 2 * 8


def test_a_windowed_block_has_a_field() -> None:
    made = plan_of("{layer: transformer, depth: 2, width: 8, window: 1, returns: sequence}", "[linear: 5]")
    told = {node.path: field for node, field in receptive_fields(made.encoder)}
    assert (told["encoder.0.attention"], told["encoder.1.attention"]) == ((3,), (5,))


# ----------------------------------------------------------------------------------------------------- queries, and grids


def test_cross_attention_equals_torchs() -> None:
    """nn.MultiheadAttention with the same weights, with and without padding."""
    block = model_of("[cross_attention: {width: 8, queries: 5, heads: 2}]", "[linear: 5]").encoder.get_submodule("0")
    assert isinstance(block, QueriedBlock)
    ours, theirs = block.get_submodule("attention"), nn.MultiheadAttention(8, 2, batch_first=True)
    state = ours.state_dict()
    theirs.load_state_dict({**{f"in_proj_{kind}": torch.cat([state[f"q.{kind}"], state[f"kv.{kind}"]]) for kind in ("weight", "bias")},
                            **{f"out_proj.{kind}": state[f"out.{kind}"] for kind in ("weight", "bias")}})
    queries, x, lengths = torch.randn(3, 5, 8), torch.randn(3, 7, 8), torch.tensor([7, 2, 4])
    torch.testing.assert_close(ours(queries, x), theirs(queries, x, x)[0])
    hidden = torch.arange(7) >= lengths[:, None]
    torch.testing.assert_close(ours(queries, x, lengths), theirs(queries, x, x, key_padding_mask=hidden)[0])


@pytest.mark.parametrize("size", [(5,), (3, 4), (2, 3, 2)])
def test_attention_on_grids_equals_torchs(size: tuple[int, ...]) -> None:
    """Group normalisation, nn.MultiheadAttention over the places in raster order, and the sum."""
    module = model_of("[conv: 8, attention: {heads: 2, groups: 4}]", "[linear: 5]", value=Grid(2, size)).encoder.get_submodule("1")
    assert isinstance(module, GridAttention)
    state, theirs = module.state_dict(), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict({"in_proj_weight": state["qkv.weight"].flatten(1), "in_proj_bias": state["qkv.bias"],
                            "out_proj.weight": state["out.weight"].flatten(1), "out_proj.bias": state["out.bias"]})
    x = torch.randn(3, 8, *size)
    places = nn.functional.group_norm(x, 4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(module(x), x + theirs(places, places, places)[0].transpose(1, 2).reshape(x.shape))


def test_parameters_and_macs_in_closed_form() -> None:
    t, d, w, m, q = 7, 3, 8, 4, 5
    block = plan_of("[cross_attention: {width: 8, queries: 5}]", "[linear: 5]").encoder.children[0]
    assert block.params == (d * w + w) + t * w + q * w + 4 * 2 * w + (4 * w * w + 4 * w) + (2 * m * w * w + m * w + w)
    assert block.all_macs == t * d * w + 2 * q * w * w + 2 * t * w * w + 2 * t * q * w + 2 * q * m * w * w
    grid = plan_of("[conv: 8, attention]", "[linear: 5]", value=Grid(2, (3, 4))).encoder.children[1]
    assert (grid.params, grid.all_macs) == (2 * w + 4 * (w * w + w), 12 * 4 * w * w + 2 * 12 ** 2 * w)


def test_a_code_of_any_length_decodes_to_the_data() -> None:
    """Codes per position of three lengths, each read by as many queries as the data have places."""
    for encoder, length in (("[cross_attention: {width: 8, queries: 11}]", 11), ("[gru: 4]", 7), ("[conv: {width: 4, stride: 3}]", 3)):
        made = plan_of(encoder, "[cross_attention: 8]", latent=POSITION)
        assert (made.latent.code.places, made.decoder.output) == ((length,), SERIES)


@torch.no_grad()
def test_queries_tell_places_apart_behind_relative_positions() -> None:
    """Scores that fall to both sides alike tell queries nothing of where a place is, so what they read gets positions of its own."""
    model = model_of("[transformer: {width: 8, positions: alibi}, cross_attention: {width: 8, queries: 4}]", "mirror").eval()
    x = torch.randn(2, *SERIES.shape)
    assert not torch.allclose(model.encoder(x), model.encoder(x.flip(1)), atol=1e-4)


def test_samples_do_not_see_each_other() -> None:
    for encoder in ("[transformer: {width: 8, positions: rotary, window: 2}]", "[cross_attention: {width: 8, queries: 4}]", "[conv: 8, attention]"):
        model, x = model_of(encoder, "mirror").eval(), torch.randn(4, *SERIES.shape)
        torch.testing.assert_close(model(x)[1:2], model(x[1:2]))


def test_series_of_unequal_length_may_keep_places_behind_queries() -> None:
    """All places of the code are real then; before them they would not be."""
    text = ("name: x\ndata: {type: arrays, path: x.npz, lengths: n, shape: [9, 2]}\nencoder: [%s]\n"
            "latent: {type: codebook, codes: 5, dim: 2}\ndecoder: [cross_attention: 4]\n")
    assert not load(Path("s.yaml"), text=text % "gru: 4, cross_attention: {width: 4, queries: 3}, transformer: 4").errors
    assert [found.code for found in load(Path("s.yaml"), text=text % "gru: 4").errors] == ["AE372"]
    early = text % "conv: 4, cross_attention: {width: 4, queries: 3}"
    assert [found.code for found in load(Path("s.yaml"), text=early).errors] == ["AE370"]


@pytest.mark.parametrize(("encoder", "decoder", "code", "place", "fix"), [
    ("[transformer: {width: 20, positions: rotary}]", "[linear: 4]", "AE811", "rotary", "positions: alibi"),
    ("[transformer: {width: 20, heads: 4, positions: rotary}]", "[linear: 4]", "AE811", "rotary", "heads: 2"),
    ("[transformer: {width: 9, heads: 3, positions: rotary}]", "[linear: 4]", "AE811", "rotary", "positions: alibi"),
    ("[cross_attention: {width: 8}]", "[linear: 4]", "AE812", "cross_attention: {width: 8}", "queries: 16"),
    ("[cross_attention: {width: 8, queries: 3, tokens: 5}]", "[linear: 4]", "AE813", "5", "remove tokens"),
    ("[transformer: {width: 8, positions: rotary}, transformer: {width: 8, positions: alibi}]", "[linear: 4]", "AE367", "alibi", "remove positions"),
    ("[conv: 6, attention: {heads: 4}]", "[linear: 4]", "AE366", "4", "heads: 3"),
    ("[conv: 6, attention: {groups: 4}]", "[linear: 4]", "AE320", "4", "groups: 3"),
    ("[residual: [cross_attention: {width: 8, queries: 3}]]", "[linear: 4]", "AE329", "[cross_attention: {width: 8, queries: 3}]", None),
])
def test_refusals(encoder: str, decoder: str, code: str, place: str, fix: str | None) -> None:
    found = refusal(encoder, decoder)
    assert (found.code, underlined(found), found.fix) == (code, place, fix)


def test_mirrors() -> None:
    block = plan_of("[cross_attention: {width: 8, queries: 4}, transformer: {width: 8, window: 2}]", "mirror", latent=POSITION)
    assert [str(node.output) for node in block.decoder.children] == ["sequence(4; 8)", "sequence(7; 8)", "sequence(7; 3)"]
    assert isinstance(model_of("[transformer: {width: 8, window: 2}]", "mirror").decoder.get_submodule("0"), Block)


def test_recomputed_steps_see_the_lengths_that_queries_end() -> None:
    """Gradients are the same where what is inside of the encoder is computed again, behind queries and in front of them."""
    text = ("name: x\ndata: {type: arrays, path: x.npz, lengths: n, shape: [9, 2]}\nencoder: [transformer: 4, cross_attention: {width: 4, "
            "queries: 3}, transformer: 4]\nlatent: {type: continuous, dim: 2, per: position}\ndecoder: [cross_attention: 4]\n")
    model, x = build(load(Path("s.yaml"), text=text).require(), 0), torch.randn(3, 9, 2)
    found = []
    for recompute in (False, True):
        model.encoder.recompute = recompute
        model.zero_grad()
        model.encode(x, torch.tensor([9, 1, 4])).value.square().sum().backward()  # type: ignore[no-untyped-call]
        found.append({name: parameter.grad for name, parameter in model.encoder.named_parameters()})
    torch.testing.assert_close(found[0], found[1])
