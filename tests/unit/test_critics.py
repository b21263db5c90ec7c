"""Critics: the three forms, what they read, the delayed start, the adaptive weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from aebuild.modules.balance import SMALL_NORM, gradient_ratio
from aebuild.modules.code import Code
from aebuild.modules.critics import Critic
from aebuild.modules.outputs import Batch, Outputs

X = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
MADE = torch.tensor([[0.5, 2.0], [1.0, -3.0]])
CODE = torch.tensor([[4.0], [-4.0]])


def passed(params: torch.Tensor = MADE) -> Outputs:
    """A pass whose decoder gives the reconstruction itself, judged by the squared error."""
    terms = {"reconstruction": (params - X).square().sum(1)}
    return Outputs(Batch(X, X), Code(CODE), params=params, context={"given": -X}, mean=lambda given: given, terms=terms)


def critic(form: str, *, reads: str = "output", adaptive: bool = False, prior: Any = None) -> Critic:
    return Critic(nn.Identity(), reads, form, adaptive=adaptive, prior=prior)


@pytest.mark.parametrize(("form", "real", "fake", "fooled"), [
    ("non_saturating", lambda s: F.softplus(-s), lambda s: F.softplus(s), lambda s: F.softplus(-s)),
    ("hinge", lambda s: (1 - s).clamp(min=0), lambda s: (1 + s).clamp(min=0), lambda s: -s),
    ("least_squares", lambda s: (s - 1) ** 2, lambda s: s ** 2, lambda s: (s - 1) ** 2),
])
def test_the_forms(form: str, real: Any, fake: Any, fooled: Any) -> None:
    """Verdicts are averaged over a sample's patches, here the two values themselves."""
    functions = critic(form).losses("look")
    torch.testing.assert_close(functions["look"](passed()), fooled(MADE).mean(1))
    torch.testing.assert_close(functions["look_discriminator"](passed()), real(X).mean(1) + fake(MADE).mean(1))


def test_what_a_critic_reads() -> None:
    class Prior:
        def given(self, context: dict[str, Any]) -> Prior:
            return self

        def draw(self, n: int, device: torch.device) -> torch.Tensor:
            return torch.full((n, 1), 9.0)

    for reads, made, wanted in (("output", MADE, X), ("code", CODE, torch.full((2, 1), 9.0)),
                                ("both", torch.cat([MADE, CODE], 1), torch.cat([X, CODE], 1)),
                                ("pair", torch.cat([MADE, -X], 1), torch.cat([X, -X], 1))):
        each = critic("least_squares", reads=reads, prior=Prior())
        assert torch.equal(each.made(passed()), made)
        assert torch.equal(each.wanted(passed()), wanted)


def test_its_own_term_pulls_nothing_but_the_network_and_a_closed_gate_counts_nothing() -> None:
    params = MADE.clone().requires_grad_()
    each = critic("least_squares", adaptive=True)
    both = critic("least_squares", reads="both")
    outputs = passed(params)
    outputs.code.value = CODE.clone().requires_grad_()
    assert not each.tell_apart(outputs).requires_grad
    assert not both.tell_apart(outputs).requires_grad
    each.gate = 0.0
    assert each.fool(passed(params)).tolist() == [0, 0]
    each.gate = 0.5
    half = each.fool(passed(params))
    each.gate = 1.0
    torch.testing.assert_close(2 * half, each.fool(passed(params)))


def test_the_adaptive_weight_is_the_ratio_of_the_gradients_at_the_output() -> None:
    params = MADE.clone().requires_grad_()
    outputs = passed(params)
    adaptive, plain = critic("least_squares", adaptive=True).fool(outputs), critic("least_squares").fool(outputs)
    (outputs.terms["reconstruction"].sum() + 0 * adaptive.sum()).backward(retain_graph=True)         # the pass is whole still
    ours = (2 * (MADE - X)).square().sum().sqrt()                       # of the squared error
    theirs = (MADE - 1).square().sum().sqrt()                           # of the mean of two squares
    torch.testing.assert_close(adaptive, plain * ours / (theirs + SMALL_NORM))
    (gradient,) = torch.autograd.grad(adaptive.sum(), params)           # the weight itself is no function of the output
    torch.testing.assert_close(gradient, (MADE - 1) * ours / (theirs + SMALL_NORM))
    flat = torch.ones(2, 2, requires_grad=True)                         # where the critic is flat the weight is held
    assert gradient_ratio(torch.zeros(2) * flat.sum(1), flat, passed(flat)) == pytest.approx(1 / SMALL_NORM)
    assert torch.equal(critic("hinge", adaptive=True).fool(passed()), critic("hinge").fool(passed()))
