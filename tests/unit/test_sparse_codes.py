"""Sparse codes against their papers' equations, and the weights that they share with the decoder."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from aebuild.compile.build import build
from aebuild.compile.front import Loaded, load
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.dictionary import UnitLinear, columns_of
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.revival import Auxiliary, Resampling
from aebuild.modules.sparse_codes import BatchTopK, Gated, JumpReLU, TopK
from aebuild.trainer.players import forget

HEAD = "data: {type: wine, limit: 40}\nencoder: []\n"


def loaded(latent: str, decoder: str = "[]", more: str = "") -> Loaded:
    return load("spec.yaml", text=f"{HEAD}latent: {{type: sparse, dim: 20, {latent}}}\ndecoder: {decoder}\n{more}")


def model_of(latent: str, decoder: str = "[]", more: str = "") -> Autoencoder:
    found = loaded(latent, decoder, more)
    assert found.plan is not None, found.errors
    return build(found.plan)


def passed(model: Autoencoder, rows: int = 6) -> Outputs:
    x = torch.randn(rows, 13, generator=torch.Generator().manual_seed(0))
    return model.run(Batch(x, x))


def moved(model: Autoencoder, raw: Tensor) -> set[str]:
    model.zero_grad()
    raw.sum().backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


@pytest.mark.parametrize("axis", [1, -1])
def test_top_k_keeps_the_largest_of_each_place(axis: int) -> None:
    pre = torch.randn(3, 6, 5)
    code = TopK(axis, 2)(pre, None)[0]
    for each, kept in zip(pre.movedim(axis, -1).flatten(0, 1), code.movedim(axis, -1).flatten(0, 1), strict=True):
        order = sorted(range(len(each)), key=lambda i: -each[i].item())[:2]
        assert torch.equal(kept, torch.tensor([max(v.item(), 0) if i in order else 0 for i, v in enumerate(each)]))


def test_batch_top_k_keeps_the_largest_of_the_batch_and_learns_a_threshold() -> None:
    module, draw = BatchTopK(1, 3, 0.5), torch.Generator().manual_seed(1)
    least = []
    for _ in range(3):
        pre = torch.rand(8, 20, generator=draw)
        code = module.train()(pre, None)[0]
        cut = pre.flatten().sort(descending=True).values[23]
        assert torch.equal(code, pre * (pre >= cut))
        assert (code > 0).sum() == 24
        least.append(cut.item())
    threshold = (0.25 * least[0] + 0.5 * least[1] + least[2]) / 1.75               # the running mean, corrected for its start
    judged = module.eval()(pre, None)[0]
    assert torch.equal(judged, pre * (pre > threshold))
    assert torch.equal(BatchTopK(1, 3, 0.5).eval()(pre - 0.5, None)[0], torch.relu(pre - 0.5)), "untrained it knows no threshold"


def test_jump_relu_has_the_gradients_of_its_paper() -> None:
    """Rajamanoharan et al. (2024b), equations 11 and 12: −θ/ε·K((z − θ)/ε) of the value, −1/ε·K of the count."""
    module = JumpReLU(1, 4, 0.3, 0.2).double()
    with torch.no_grad():
        module.log_threshold.copy_(torch.tensor([0.2, 0.3, 0.4, 0.5]).log())
    z = torch.rand(50, 4, dtype=torch.float64, requires_grad=True)
    code, terms, _ = module(z, None)
    theta = module.log_threshold.exp().detach()
    above, near = (z > theta).double().detach(), ((z - theta).abs() < 0.1).double().detach()
    assert torch.equal(code, z * above)
    assert torch.equal(terms["l0"], above)
    pull = torch.rand(50, 4, dtype=torch.float64)
    (pull * code).sum().backward(retain_graph=True)
    assert torch.equal(z.grad, pull * above)
    assert module.log_threshold.grad is not None
    torch.testing.assert_close(module.log_threshold.grad, (-pull * near * theta / 0.2).sum(0) * theta)
    z.grad, module.log_threshold.grad = None, None
    (pull * terms["l0"]).sum().backward()
    assert z.grad is None
    torch.testing.assert_close(module.log_threshold.grad, (-pull * near / 0.2).sum(0) * theta)


def test_gates_share_the_projection() -> None:
    """Rajamanoharan et al. (2024a), equations 4 to 8."""
    module, w, bias, x = Gated(1, 4), torch.randn(4, 3), torch.randn(4), torch.randn(7, 3)
    with torch.no_grad():
        module.scale.normal_()
        module.bias.normal_()
    code, terms, _ = module(x @ w.T + bias, bias)
    gate = ((x @ w.T + bias) > 0).float()
    size = torch.relu((x @ w.T) * module.scale.exp() + module.bias)
    torch.testing.assert_close(code, gate * size)
    torch.testing.assert_close(terms["gate"], torch.relu(x @ w.T + bias))


def test_what_the_gate_reconstructs_does_not_move_the_decoder() -> None:
    model = model_of("activation: gated", more="losses: {gate: 0.1}\n")
    outputs = passed(model)
    found = model.losses(outputs, ["gate_reconstruction", "gate"])
    pre = model.latent.projection(outputs.batch.x)
    torch.testing.assert_close(found["gate_reconstruction"], (model.decode(torch.relu(pre)) - outputs.batch.x).square().sum(1))
    encoder = {"latent.projection.weight", "latent.projection.bias"}
    assert moved(model, found["gate_reconstruction"]) == encoder
    assert moved(model, model.losses(passed(model), ["reconstruction"])["reconstruction"]) >= {"decoder.output.linear.weight"}


def test_dead_units_reconstruct_what_is_missing() -> None:
    """Gao et al. (2024), appendix A.2: ‖e − ê‖² with ê the decoder's map of the k largest dead units."""
    model = model_of("activation: {type: top_k, k: 2}, revive: {type: auxiliary, k: 3, after: 5}")
    model.latent.revive.idle.copy_(torch.arange(20) % 10.0)
    model.eval()
    outputs = passed(model)
    found = model.losses(outputs, ["auxiliary"])["auxiliary"]
    pre, dead = model.latent.projection(outputs.batch.x), torch.arange(20) % 10 >= 5
    kept = torch.zeros_like(pre)
    for row, each in enumerate(pre):
        for unit in sorted(torch.nonzero(dead).flatten().tolist(), key=lambda u: -each[u].item())[:3]:
            kept[row, unit] = max(each[unit], 0)
    missing = outputs.batch.x - model.decode(outputs.code.value)
    wanted = (missing - kept @ model.decoder.output.linear.weight.T).square().sum(1)
    torch.testing.assert_close(found, wanted)
    model.zero_grad()
    found.sum().backward()
    weight, decoder = model.latent.projection.weight.grad, model.decoder.output.linear.weight.grad
    assert (weight[~dead] == 0).all() and (weight[dead] != 0).any()
    assert (decoder[:, ~dead] == 0).all(), "the living, and the bias, do not learn from it"


def test_a_unit_is_dead_after_as_many_steps_without_a_sample() -> None:
    module = Auxiliary(1, 3, 2, 1)
    for code in ([[1.0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 2.0, 0]], [[0, 0, 0], [0, 0, 0]]):
        module.watch(torch.tensor(code))
    assert module.idle.tolist() == [2, 1, 3]
    assert module.dead.tolist() == [True, False, True]
    assert model_of("activation: {type: top_k, k: 2}, revive: {type: auxiliary, after: 1}").latent.revive.dead.any() == torch.tensor(False)


@pytest.mark.parametrize(("options", "decoder"), [("activation: {type: top_k, k: 2}, centred: true", "[output: {columns: unit}]"),
                                                  ("activation: gated", "[]"), ("activation: jump_relu", "[]"),
                                                  ("activation: {type: top_k, k: 2}, weights: tied", "[]")])
def test_dead_units_begin_anew_where_the_error_is(options: str, decoder: str) -> None:
    """Bricken et al. (2023): the input's direction, a fifth of the living rows' mean norm, bias and moments of 0; the living stay."""
    model = model_of(f"{options}, revive: {{type: resample, every: 2, after: 5, times: 1}}", decoder).train()
    latent, linear = model.latent, model.decoder.output.linear
    optimizer = torch.optim.Adam(model.parameters(), 0.0)
    passed(model).params.square().sum().backward()
    optimizer.step()
    dead = torch.arange(20) % 4 == 0
    before = {name: value.clone() for name, value in model.state_dict().items()}
    latent.revive.idle.copy_(torch.where(dead, 5, 0))
    x = torch.zeros(6, 13)
    x[3] = torch.arange(13.0)                                              # the others are reconstructed nearly as they are
    linear.bias.data.zero_()
    latent.activation.scale.data.fill_(1) if hasattr(latent.activation, "scale") else None
    model.run(Batch(x, x))
    forget(optimizer.state, latent.renewed)
    wanted = x[3] / x[3].norm()
    torch.testing.assert_close(columns_of(linear)[:, dead], wanted.unsqueeze(1).expand(-1, 5))
    assert torch.equal(linear.weight[:, ~dead], before["decoder.output.linear.weight"][:, ~dead])
    assert (latent.projection.bias[dead] == 0).all()
    if "latent.projection.weight" in before:
        rows = before["latent.projection.weight"]
        torch.testing.assert_close(latent.projection.weight[dead], (0.2 * rows[~dead].norm(dim=1).mean() * wanted).expand(5, -1))
        assert torch.equal(latent.projection.weight[~dead], rows[~dead])
    for parameter, axis in ((linear.weight, 1), (latent.projection.bias, 0)):
        moments = optimizer.state[parameter]["exp_avg_sq"].movedim(axis, 0)
        assert (moments[dead] == 0).all()
        assert (moments[~dead] != 0).any() or parameter is latent.projection.bias
    if hasattr(latent.activation, "scale"):
        assert (latent.activation.scale[dead] == 0).all() and (latent.activation.scale[~dead] == 1).all()
    assert (latent.revive.idle[dead] <= 1).all()
    latent.revive.idle.fill_(9)
    kept = linear.weight.clone()
    model.run(Batch(x, x)), model.run(Batch(x, x))                         # no more than `times`
    assert torch.equal(linear.weight, kept)


def test_inputs_are_drawn_by_the_square_of_their_error() -> None:
    module = Resampling(-1, 6000, 1, 1, None, 0.2)
    module.idle.fill_(1)
    linear, projection = nn.Linear(6000, 3), nn.Linear(3, 6000)
    module.renew(torch.eye(3), torch.tensor([1.0, 0.0, 3.0]), projection, linear)
    torch.testing.assert_close((linear.weight > 0.5).float().mean(1), torch.tensor([0.1, 0.0, 0.9]), atol=0.02, rtol=0)


@pytest.mark.parametrize("decoder", ["[]", "[output: {columns: unit}]"])
def test_streams_weigh_a_unit_by_the_norms_of_its_directions(decoder: str) -> None:
    """Lindsey et al. (2024): Σᵢ fᵢ(x)·Σₗ ‖Wᵢˡ‖, which both halves learn from."""
    found = load("spec.yaml", text="data: {type: activations, samples: 60, values: 6, features: 10, active: 2}\nencoder: []\n"
                                   f"latent: {{type: sparse, dim: 12, streams: 3}}\ndecoder: {decoder}\n")
    assert found.plan is not None and "AE230" not in [each.code for each in found.diagnostics]
    model = build(found.plan)
    x = torch.randn(5, 6)
    outputs = model.run(Batch(x, x))
    columns = columns_of(model.decoder.output.linear)
    wanted = sum(outputs.code.value * torch.stack([columns[2 * stream:2 * stream + 2, unit].norm() for unit in range(12)]) for stream in range(3))
    torch.testing.assert_close(outputs.terms["stream_l1"], wanted)
    assert moved(model, outputs.terms["stream_l1"]) >= {"decoder.output.linear.weight", "latent.projection.weight"}


def test_no_gradient_points_along_a_column_of_norm_one() -> None:
    linear = UnitLinear(4, 3)
    (linear(torch.randn(9, 4)) - torch.randn(9, 3)).square().sum().backward()
    assert linear.weight.grad is not None
    torch.testing.assert_close(linear.columns().norm(dim=0), torch.ones(4))
    torch.testing.assert_close((linear.weight.grad * linear.weight).sum(0), torch.zeros(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("decoder", ["[]", "[output: {columns: unit}]"])
def test_a_tied_projection_is_the_transpose(decoder: str) -> None:
    model = model_of("activation: {type: top_k, k: 3}, weights: tied, centred: true", decoder)
    outputs, linear = passed(model), model.decoder.output.linear
    pre = (outputs.batch.x - linear.bias) @ columns_of(linear) + model.latent.projection.bias
    torch.testing.assert_close(outputs.code.value, TopK(1, 3)(pre, None)[0])
    assert "latent.projection.weight" not in model.state_dict()
    assert moved(model, model.losses(outputs, ["reconstruction"])["reconstruction"]) >= {"decoder.output.linear.weight", "latent.projection.bias"}


def test_it_begins_as_the_transpose() -> None:
    model = model_of("weights: transposed, activation: {type: top_k, k: 3}", "[output: {columns: unit}]")
    torch.testing.assert_close(model.latent.projection.weight, columns_of(model.decoder.output.linear).T)
    free = model_of("activation: {type: top_k, k: 3}")
    assert not torch.equal(free.latent.projection.weight, free.decoder.output.linear.weight.T)


def test_what_cannot_share_weights_is_refused() -> None:
    assert [error.code for error in loaded("activation: {type: top_k, k: 3}, centred: true", "[linear: 5]").errors] == ["AE380"]
    assert [error.code for error in loaded("activation: {type: top_k, k: 3}, weights: tied", "[linear: 5]").errors] == ["AE380"]
    assert [error.code for error in loaded("activation: {type: top_k, k: 20}").errors] == ["AE381"]
    assert "AE230" in [finding.code for finding in loaded("activation: relu").diagnostics]
