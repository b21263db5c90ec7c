"""Recurrent steps against torch's own layers, naive loops and the plan."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from sequence_models import SERIES, check_laws, model_of, plan_of, planned, refusal, underlined
from torch import Tensor, nn

from aebuild.lang.families import Layer
from aebuild.lang.node import Node
from aebuild.lang.values import Grid, Sequence, Vector
from aebuild.modules.outputs import Batch
from aebuild.modules.recurrent import Recurrent, Undriven, Unroll

KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def series(batch: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(batch, *SERIES.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("encoder", "decoder"), [
    ("[rnn: 5]", "[rnn: {width: 5, nonlinearity: relu}]"),
    ("{layer: gru, width: [8, 6], bidirectional: true}", "mirror"),
    ("[lstm: {width: 5, reverse: true}]", "[gru: {width: 5, feed: none, reverse: true}, lstm: 4]"),
    ("[lstm: {width: 4, returns: mean}]", "{layer: lstm, depth: 2, width: 6, feed: none, bidirectional: true}"),
    ("[linear: 6]", "[linear: 5, rnn: {width: 6, feed: none}]"),
    ("[lstm: {width: 4, returns: sequence}]", "{layer: lstm, depth: 2, width: 6, feed: previous}"),
    ("[gru: 4]", "{layer: gru, depth: 2, width: 6, feed: previous, teacher_forcing: 0.5, reverse: true}"),
    ("[gru: 4]", "[rnn: {width: 6, feed: previous, teacher_forcing: 0}, residual: {steps: [gru: 4, norm: layer]}, activation: tanh]"),
    ("[conv: 4, lstm: 5]", "[lstm: {width: 5, returns: last}, linear: 6]"),
    ("[linear: 6]", "[repeat: {times: 2, steps: [lstm: {width: 4, feed: none}]}]"),
    ("{layer: rnn, depth: 3, width: 5, dropout: 0.2}", "mirror"),
    ("[repeat: {times: 2, steps: [gru: {width: 5, dropout: 0.2}]}]", "mirror"),
    ("[gru: {width: 5, dropout: 0.2}, gru: 4]", "[lstm: {width: 6, feed: previous, teacher_forcing: 0.5, dropout: 0.2}, gru: 5]"),
    ("[residual: [gru: {width: 3, dropout: 0.2}, rnn: 3]]", "[gru: {width: 4, feed: none, dropout: 0.2}, gru: 4]"),
])
def test_plan_and_module_agree(encoder: str, decoder: str) -> None:
    check_laws(encoder, decoder)


@pytest.mark.parametrize("decoder", ["[lstm: 4]", "[gru: {width: 4, feed: none}]"])
def test_images_are_read_and_written_in_raster_order(decoder: str) -> None:
    check_laws("[lstm: 6]", decoder, value=Grid(2, (3, 4)))


def test_tables_need_a_length() -> None:
    found = refusal("[linear: 6]", "[lstm: 4]", value=Vector(9))
    assert (found.code, found.fix) == ("AE360", "seed: [8]")
    check_laws("[linear: 6]", "{layer: lstm, width: 4, seed: [8]}", value=Vector(9))
    check_laws("[linear: 6]", "{layer: lstm, width: 4, feed: none, seed: [8]}", value=Vector(9))


def test_codes_per_position_reach_the_decoder_one_by_one() -> None:
    check_laws("{layer: lstm, width: 6}", "{layer: lstm, width: 5}", latent=", per: position")
    assert plan_of("[lstm: 6]", "[lstm: 5]", latent=", per: position").encoder.output == Sequence(7, 6)


def test_weights_have_torchs_names() -> None:
    names = set(model_of("[lstm: {width: 8, bidirectional: true}]", "[gru: {width: 4, feed: none}]").state_dict())
    assert {f"encoder.0.lstm.{kind}_l0{way}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for way in ("", "_reverse")} <= names
    assert {"decoder.0.initial.weight", "decoder.0.gru.weight_hh_l0", "decoder.0.gru.bias_ih_l0"} <= names
    assert "decoder.0.gru.weight_ih_l0" not in names
    names = set(model_of("[lstm: 8]", "[lstm: {width: 4, feed: previous}, gru: 3]").state_dict())
    assert {"decoder.0.lstm.weight_ih_l0", "decoder.0.tail.1.gru.weight_ih_l0", "decoder.0.tail.output.linear.weight"} <= names


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_one_position_at_a_time_equals_the_whole_sequence(kind: str, reverse: bool) -> None:
    torch.manual_seed(0)
    layer = KINDS[kind](3, 4, batch_first=True)
    x = torch.randn(2, 6, 3)
    ways = {returns: Recurrent(kind, layer, returns, reverse)(x) for returns in ("sequence", "mean", "last")}
    module, memory = Recurrent(kind, layer, "sequence", reverse), {}
    order = range(5, -1, -1) if reverse else range(6)
    steps = {t: module.step(x[:, t:t + 1], memory) for t in order}
    naive = torch.cat([steps[t] for t in range(6)], 1)
    torch.testing.assert_close(ways["sequence"], naive)
    torch.testing.assert_close(ways["mean"], naive.mean(1))
    torch.testing.assert_close(ways["last"], naive[:, 0 if reverse else -1])


def test_the_last_state_of_both_directions() -> None:
    layer = nn.GRU(3, 4, batch_first=True, bidirectional=True)
    x = torch.randn(2, 6, 3)
    last = Recurrent("gru", layer, "last", False)(x)
    every = layer(x)[0]
    torch.testing.assert_close(last, torch.cat([every[:, -1, :4], every[:, 0, 4:]], 1))


@pytest.mark.parametrize("mode", ["RNN_TANH", "RNN_RELU", "GRU", "LSTM"])
def test_without_inputs_equals_torchs_layer_on_zeros(mode: str) -> None:
    torch.manual_seed(0)
    cls = {"GRU": nn.GRU, "LSTM": nn.LSTM}.get(mode, nn.RNN)
    options = {"nonlinearity": mode[4:].lower()} if cls is nn.RNN else {}
    layer = cls(1, 4, batch_first=True, bidirectional=True, **options)
    ours = Undriven(mode, 4, True)
    ours.load_state_dict({name: value for name, value in layer.state_dict().items() if "weight_ih" not in name})
    state = tuple(torch.randn(2, 3, 4) for _ in range(2 if mode == "LSTM" else 1))
    theirs, last = layer(torch.zeros(3, 6, 1), state if mode == "LSTM" else state[0])
    mine, end = ours(state, 6)
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(end, last[0] if mode == "LSTM" else last)


def unroll(teacher_forcing: str = "1", decoder: str = "{layer: lstm, depth: 2, width: 6, feed: previous%s, reverse: %s}",
           reverse: bool = False) -> tuple[Unroll, Any]:
    model = model_of("[lstm: 4]", decoder % (f", teacher_forcing: {teacher_forcing}", str(reverse).lower()))
    module = model.decoder[0]
    assert isinstance(module, Unroll)
    return module, model


def naive(module: Unroll, code: Tensor, truth: Tensor | None = None) -> Tensor:
    """The two-layer LSTM decoder step by step, with torch's layers on sequences of length one; the mean is the identity."""
    h, c = (part.unsqueeze(0).contiguous() for part in module.initial(code).chunk(2, 1))
    first, second, linear = module.lstm, module.tail.get_submodule("1").lstm, module.tail.output.linear
    x, above, outputs = torch.zeros(code.shape[0], 1, 3), None, {}
    for t in range(6, -1, -1) if module.reverse else range(7):
        hidden, (h, c) = first(x, (h, c))
        hidden, above = second(hidden, above) if above else second(hidden)
        outputs[t] = linear(hidden)
        x = outputs[t] if truth is None else truth[:, t:t + 1]
    return torch.cat([outputs[t] for t in range(7)], 1)


@pytest.mark.parametrize("reverse", [False, True])
def test_fed_with_true_values_all_at_once_or_one_by_one(reverse: bool) -> None:
    module, model = unroll(reverse=reverse)
    code, target = torch.randn(5, 4), series()
    fast = module.train()(code, {"target": target, "mean": model.likelihood.mean})
    torch.testing.assert_close(fast, naive(module, code, target))
    module.teacher_forcing = 1 - 1e-9           # below one: the loop, whose coins all fall on the true value
    torch.testing.assert_close(module(code, {"target": target, "mean": model.likelihood.mean}), fast)


@pytest.mark.parametrize("forcing", [1.0, 1 - 1e-9])
def test_where_the_true_value_is_missing_it_is_fed_its_own(forcing: float) -> None:
    module, model = unroll()
    module.teacher_forcing = forcing
    code, target = torch.randn(5, 4), series()
    known = torch.ones_like(target, dtype=torch.bool)
    told = {"target": target, "mask": known, "mean": model.likelihood.mean}
    torch.testing.assert_close(module.train()(code, dict(told)), naive(module, code, target))
    known[2, 3:5, 1] = False
    out = module(code, dict(told))
    filled = torch.where(known, target, torch.full_like(target, torch.nan))
    torch.testing.assert_close(module(code, {**told, "target": filled}), out)                # whatever stands there is not looked at
    own = target.clone()
    own[2, 3:5, 1] = out[2, 3:5, 1].detach()
    torch.testing.assert_close(naive(module, code, own), out)


@pytest.mark.parametrize("reverse", [False, True])
def test_fed_with_its_own_output(reverse: bool) -> None:
    module, model = unroll("0", reverse=reverse)
    code, mean = torch.randn(5, 4), {"mean": model.likelihood.mean}
    expected = naive(module, code)
    torch.testing.assert_close(module.train()(code, {"target": series(), **mean}), expected)
    module.teacher_forcing = 1.0
    torch.testing.assert_close(module(code, dict(mean)), expected)                           # no target to be taught with
    torch.testing.assert_close(module.eval()(code, {"target": series(), **mean}), expected)  # evaluation never sees it


def test_a_sequence_out_of_a_code_alone_goes_the_other_way_with_reverse() -> None:
    text = "[lstm: {width: 6, feed: none, reverse: %s}]"
    forward, backward = (model_of("[lstm: 4]", text % way) for way in ("false", "true"))
    backward.load_state_dict(forward.state_dict())
    code = torch.randn(5, 4)
    torch.testing.assert_close(backward.decode(code), forward.decode(code).flip(1))


def test_reverse_is_the_mirror_image() -> None:
    forward, _ = unroll()
    backward, model = unroll(reverse=True)
    backward.load_state_dict(forward.state_dict())
    code, target = torch.randn(5, 4), series()
    a = forward.train()(code, {"target": target, "mean": model.likelihood.mean})
    b = backward.train()(code, {"target": target.flip(1), "mean": model.likelihood.mean})
    torch.testing.assert_close(a, b.flip(1))


@pytest.mark.parametrize("reverse", [False, True])
def test_no_position_sees_itself_or_what_comes_after(reverse: bool) -> None:
    module, model = unroll(reverse=reverse)
    code, target = torch.randn(1, 4), series(1).requires_grad_()
    out = module.train()(code, {"target": target, "mean": model.likelihood.mean})
    for t in range(7):
        grad, = torch.autograd.grad(out[:, t].sum(), target, retain_graph=True)
        reached = grad.abs().sum((0, 2)) > 0
        assert reached.tolist() == [(s > t if reverse else s < t) for s in range(7)]


def test_coins_are_tossed_for_each_sample_and_position() -> None:
    module, _ = unroll("0.3")
    guess, truth = torch.zeros(20_000, 3), torch.ones(20_000, 3)
    module.reseed(1)
    first, second = module._input(guess, truth), module._input(guess, truth)
    assert first[:, 0].mean().item() == pytest.approx(0.3, abs=0.01)
    assert torch.equal(first[:, 0], first[:, 2])                        # a whole position is true or not
    assert (first[:, 0] * second[:, 0]).mean().item() == pytest.approx(0.09, abs=0.01)
    module.reseed(1)
    assert torch.equal(module._input(guess, truth), first)


def test_the_schedule_sets_the_module() -> None:
    text = "[lstm: {width: 4, feed: previous, teacher_forcing: {from: 1, to: 0.2, over: 5 epochs}}]"
    made = plan_of("[lstm: 4]", text)
    dial, = made.dials
    assert (dial.path, dial.attribute) == ("decoder.0", "teacher_forcing")
    json.dumps([node.args for node in made.nodes()])
    assert getattr(model_of("[lstm: 4]", text).get_submodule(dial.path), dial.attribute) == 1
    default, = plan_of("[lstm: 4]", "[lstm: {width: 4, feed: previous}]").dials
    assert default.dial == 1
    assert plan_of("[lstm: 4]", "[lstm: {width: 4, feed: none}]").dials == ()


def test_gradients_flow_through_the_values_fed_back() -> None:
    module, model = unroll("0")
    code = torch.randn(2, 4)
    context = {"mean": lambda params: model.likelihood.mean(params).detach()}
    with_memory, without = (torch.autograd.grad(module(code, c)[:, -1].sum(), module.lstm.weight_ih_l0)[0]
                            for c in ({"mean": model.likelihood.mean}, context))
    assert not torch.allclose(with_memory, without)


def test_a_mirrored_encoder_keeps_width_and_directions() -> None:
    step = Layer.variants["lstm"](width=8, bidirectional=True, returns="mean")
    assert step.mirrored() == Layer.variants["lstm"](width=8, bidirectional=True)
    assert plan_of("[lstm: 8, gru: 5]", "mirror").decoder.children[-2].output == Sequence(7, 8)


def dropouts(half: Node) -> list[tuple[str, float]]:
    return [(node.path, node.part.dropout) for node in half.walk() if node.kind == "dropout"]


def test_a_mirror_drops_between_the_same_layers() -> None:
    made = plan_of("[rnn: 8, lstm: {width: 6, dropout: 0.2}, gru: 5]", "mirror")
    assert dropouts(made.encoder) == [("encoder.1.dropout", 0.2)]
    assert dropouts(made.decoder) == [("decoder.0.dropout", 0.2)]
    assert len(dropouts(plan_of("{layer: gru, depth: 3, width: 5, dropout: 0.2}", "{type: mirror, deepen: 1}").decoder)) == 3
    rounds = plan_of("[gru: {width: 6, dropout: 0.1}, repeat: {times: 3, steps: [gru: {width: 5, dropout: 0.2}]}]", "mirror")
    assert [rate for _, rate in dropouts(rounds.encoder)] == [0.1, 0.2, 0.2]
    assert [rate for _, rate in dropouts(rounds.decoder)][:2] == [0.2, 0.2]


def test_dropout_is_drawn_between_two_layers_as_over_what_the_first_returns() -> None:
    model = model_of("{layer: gru, depth: 2, width: 64, dropout: 0.4}", "[lstm: 4]", dim=2)
    first, second = model.encoder[0], model.encoder[1]
    x = series()
    plain = model.eval().encoder(x)
    torch.testing.assert_close(plain, second.gru(first.gru(x)[0])[1][0])
    model.train()
    first.dropout.reseed(3)
    hidden, whole = first(x), first.gru(x)[0]
    kept = hidden != 0
    torch.testing.assert_close(hidden, torch.where(kept, whole / 0.6, 0.0))
    assert kept.float().mean().item() == pytest.approx(0.6, abs=0.05)
    assert not torch.equal(kept[:, 0], kept[:, 1])                          # each position has a mask of its own
    assert second.dropout is None
    first.dropout.reseed(3)
    torch.testing.assert_close(model.encoder(x), second.gru(hidden)[1][0])


def test_in_the_loop_each_position_draws_its_own() -> None:
    module, model = unroll("0.5", "{layer: lstm, depth: 2, width: 64, feed: previous, dropout: 0.4%s, reverse: %s}")
    seen: list[Tensor] = []
    module.tail.dropout.register_forward_hook(lambda _, given, made: seen.append(made == 0))
    module.train()(torch.randn(5, 4), {"target": series(), "mean": model.likelihood.mean})
    assert len(seen) == 7
    assert not torch.equal(seen[0], seen[1])
    assert torch.stack(seen).float().mean().item() == pytest.approx(0.4, abs=0.05)


def test_repeating_copies_nothing() -> None:
    model = model_of("[lstm: 4]", "[lstm: 5]")
    code = torch.randn(2, 4)
    repeated = model.decoder[0](code)
    assert repeated.stride()[1] == 0
    assert torch.equal(repeated, code[:, None].repeat(1, 7, 1))


@pytest.mark.parametrize(("encoder", "decoder", "code", "text"), [
    ("[lstm: {width: 4, feed: previous}]", "[lstm: 4]", "AE361", "previous"),
    ("[lstm: 4]", "[lstm: 4, lstm: {width: 4, feed: none}]", "AE361", "none"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: none}, lstm: {width: 4, feed: repeat}]", "AE361", "repeat"),
    ("[lstm: 4]", "[lstm: 4, lstm: {width: 4, feed: previous}]", "AE361", "previous"),
    ("[lstm: 4]", "[repeat: {times: 2, steps: [lstm: {width: 4, feed: previous}]}]", "AE361", "previous"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, lstm: {width: 4, feed: previous, teacher_forcing: 0.5}]", "AE361", "previous"),
    ("[lstm: 4]", "{layer: lstm, width: 4, feed: repeat, adapter: linear}", "AE361", "repeat"),
    ("[lstm: 4]", "[lstm: {width: 4, teacher_forcing: 0.5}]", "AE362", "0.5"),
    ("[lstm: {width: 4, bidirectional: true, reverse: true}]", "[lstm: 4]", "AE363", "true"),
    ("[lstm: 4]", "[lstm: {width: 4, bidirectional: true, feed: previous}]", "AE363", "true"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous, returns: last}]", "AE365", "last"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, norm: batch]", "AE365", "batch"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, lstm: {width: 4, reverse: true}]", "AE365", "lstm: {width: 4, reverse: true}"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, transformer: 4]", "AE365", "transformer: 4"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, residual: [lstm: {width: 4, bidirectional: true}]]", "AE365", None),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, conv: 4]", "AE365", None),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous}, linear: 4]", "AE365", None),
    ("[lstm: {width: 4, dropout: 0.5}]", "[lstm: 4]", "AE859", "0.5"),
    ("[lstm: {width: 4, dropout: 0.5}, linear: 4]", "[lstm: 4]", "AE859", "0.5"),
    ("[lstm: {width: 4, dropout: 0.5}, lstm: {width: 4, dropout: 0.25}]", "[lstm: 4]", "AE859", "0.25"),
    ("[lstm: 4]", "[lstm: {width: 4, feed: previous, dropout: 0.5}]", "AE859", "0.5"),
    ("[lstm: 4]", "[lstm: {width: 4, returns: last, dropout: 0.5}, lstm: 4]", "AE859", "0.5"),
])
def test_refusals_point_at_what_is_wrong(encoder: str, decoder: str, code: str, text: str | None) -> None:
    found = refusal(encoder, decoder)
    assert found.code == code, found
    if text is not None:
        assert underlined(found) == text


def test_a_sequence_of_codes_needs_no_feed() -> None:
    assert refusal("[lstm: 4]", "[lstm: {width: 4, feed: repeat}]", latent=", per: position").code == "AE361"
    assert refusal("[lstm: 4]", "[lstm: {width: 4, feed: previous}]", latent=", per: position").code == "AE361"


def test_only_series_are_made_position_by_position() -> None:
    found = refusal("[lstm: 4]", "[lstm: {width: 4, feed: previous}]", value=Grid(1, (4, 4)))
    assert (found.code, underlined(found), found.fix) == ("AE364", "previous", "feed: repeat")


@pytest.mark.parametrize("dial", ["1.5", "-0.1", "{from: 1, to: 2}", "[]"])
def test_teacher_forcing_is_a_probability(dial: str) -> None:
    made, found = planned("[lstm: 4]", f"[lstm: {{width: 4, feed: previous, teacher_forcing: {dial}}}]")
    assert made is None
    assert found


def test_the_loop_learns_a_series_from_its_code() -> None:
    model = model_of("[gru: 16]", "[gru: {width: 16, feed: previous, teacher_forcing: 0.5}]", dim=2)
    start = torch.arange(32)[:, None] / 5
    x = torch.sin(start + torch.arange(7)).unsqueeze(2).repeat(1, 1, 3)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(120):
        optimizer.zero_grad()
        model.train().terms(Batch(x, x))[0]["reconstruction"].mean().backward()
        optimizer.step()
    assert (model.eval().reconstruct(x) - x).square().mean() < 0.1 * x.var()
