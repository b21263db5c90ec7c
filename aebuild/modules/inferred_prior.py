"""Disentangled inferred priors: the covariance of all codes is pulled to the identity."""

from __future__ import annotations

import torch
from torch import Tensor

from aebuild.modules.collectives import gathered_samples, total
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs
from aebuild.modules.posteriors import Distribution


class InferredPrior(Loss):
    """DIP-VAE I and II (Kumar et al., 2018): squared differences of a covariance to the identity, a scalar.

    With `noise` it is that of the codes, Cov(means) + E[Cov(code given the sample)] (II), else that of the means alone (I); a code
    without posterior is its own mean.
    """

    def __init__(self, off_diagonal: float, diagonal: float, *, noise: bool) -> None:
        super().__init__()
        self.off_diagonal, self.diagonal, self.noise = off_diagonal, diagonal, noise

    def loss(self, outputs: Outputs) -> Tensor:
        """A scalar."""
        posterior = outputs.code.posterior
        return self(outputs.code.value if posterior is None else posterior.mean, posterior)  # type: ignore[no-any-return]

    def forward(self, means: Tensor, posterior: Distribution | None) -> Tensor:
        """Means [N, ...] and their posterior."""
        rows = gathered_samples(means.flatten(1))                                                            # (M, D)
        centred = rows - rows.mean(0)
        covariance = centred.T @ centred / len(rows)                                                         # (D, D)
        if self.noise:
            assert posterior is not None, "the plan asks for one"
            covariance = covariance + total(posterior.covariance().sum(0)) / len(rows)
        squares = (covariance - torch.eye(len(covariance), device=rows.device)).square()
        diagonal = squares.diagonal().sum()
        return self.off_diagonal * (squares.sum() - diagonal) + self.diagonal * diagonal
