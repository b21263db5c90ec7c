"""Bounds: what passes them, and which gradients."""

from __future__ import annotations

import torch

from aebuild.modules.bounds import bounded, bounded_log_variance


def test_values_are_held_and_those_within_are_left() -> None:
    x = torch.tensor([-3.0, -2.0, 0.5, 1.0, 4.0])
    assert bounded(x, -2, 1).tolist() == [-2, -2, 0.5, 1, 1]
    assert bounded_log_variance(torch.tensor([-21.0, -20.0, 3.0, 20.0, 21.0])).tolist() == [-20, -20, 3, 20, 20]


def test_a_gradient_passes_unless_it_leads_further_out() -> None:
    """A step of descent goes against the gradient: a positive one lowers the value."""
    for pull, expected in ((0.5, [0.0, 0.5, 0.5, 0.5, 0.5]), (-0.5, [-0.5, -0.5, -0.5, -0.5, 0.0])):
        x = torch.tensor([-3.0, -2.0, 0.5, 1.0, 4.0], requires_grad=True)          # below, on, within, on, above
        (grad,) = torch.autograd.grad(bounded(x, -2, 1), x, torch.full((5,), pull))
        assert grad.tolist() == expected
