"""Terms that count as much as the reconstruction, whatever their scale."""

from __future__ import annotations

import torch
from torch import Tensor

from aebuild.modules.collectives import total
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

SMALL_NORM = 1e-4          # added to the term's gradient, and the largest weight is its inverse (Esser et al., 2021)


def gradient_ratio(term: Tensor, params: Tensor | None, outputs: Outputs) -> Tensor | float:
    """How large the reconstruction's gradient at the decoder's output is, divided by the term's; 1 where nothing has a gradient.

    `params` is the decoder's output that the term is one of, which may come from another pass.
    """
    reconstruction = outputs.terms.get("reconstruction")
    if params is None or outputs.params is None or reconstruction is None or not params.requires_grad:
        return 1.0
    ours, = torch.autograd.grad(reconstruction.sum(), outputs.params, retain_graph=True)
    theirs, = torch.autograd.grad(term.sum(), params, retain_graph=True)
    norms = [total(gradient.square().sum()).sqrt() for gradient in (ours, theirs)]
    return (norms[0] / (norms[1] + SMALL_NORM)).clamp(max=1 / SMALL_NORM).detach()


class Balanced(Loss):
    """Another term, scaled so that its gradient at the decoder's output is as large as the reconstruction's (Esser et al., 2021)."""

    def __init__(self, term: Loss) -> None:
        super().__init__()
        self.term = term

    def loss(self, outputs: Outputs) -> Tensor | None:
        """As the term has it."""
        found = self.term.loss(outputs)
        return found if found is None else found * gradient_ratio(found, outputs.params, outputs)

    def ready(self, target: Tensor) -> None:
        """As the term has it."""
        self.term.ready(target)
