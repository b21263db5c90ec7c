"""A Riemannian metric of the space of codes that is small near the codes of samples."""

from __future__ import annotations

import torch
from torch import Tensor


class Metric:
    """G⁻¹(z) = Σᵢ Mᵢ exp(−|z − cᵢ|² / T²) + λ·1 (Chadebec et al., 2020).

    `centroids` c are [K, D], `matrices` M symmetric and positive, [K, D, D]; `reach` is T, `floor` λ.
    """

    def __init__(self, centroids: Tensor, matrices: Tensor, reach: float, floor: float) -> None:
        self.centroids, self.matrices = centroids, matrices.flatten(1)
        self.reach, self.floor = reach, floor

    def at(self, z: Tensor) -> Place:
        """The metric at codes [M, D]."""
        apart = z.square().sum(1, keepdim=True) - 2 * z @ self.centroids.T + self.centroids.square().sum(1)          # (M, K)
        shares = (-apart / self.reach ** 2).exp()
        size = z.shape[1]
        inverse = (shares @ self.matrices).view(-1, size, size) + self.floor * torch.eye(size, dtype=z.dtype, device=z.device)
        return Place(self, z, shares, inverse)


class Place:
    """A metric at codes z, [M, D]: G⁻¹ there is `inverse`, [M, D, D], and C·Cᵀ with the lower `factor` C."""

    def __init__(self, metric: Metric, z: Tensor, shares: Tensor, inverse: Tensor) -> None:
        self.metric, self.z, self.shares, self.inverse = metric, z, shares, inverse
        self.factor: Tensor = torch.linalg.cholesky(inverse)
        self.matrix = torch.cholesky_inverse(self.factor)                            # G, (M, D, D)

    def log_root(self) -> Tensor:
        """log √det G⁻¹, [M]."""
        return self.factor.diagonal(dim1=1, dim2=2).log().sum(1)

    def heated(self, noise: Tensor) -> Tensor:
        """Momenta from N(0, G), made of standard normal numbers [M, D]."""
        momenta: Tensor = torch.linalg.solve_triangular(self.factor.mT, noise.unsqueeze(2), upper=True)
        return momenta.squeeze(2)

    def velocity(self, momentum: Tensor) -> Tensor:
        """G⁻¹ ρ of momenta [M, D]."""
        return (self.inverse @ momentum.unsqueeze(2)).squeeze(2)

    def energy(self, momentum: Tensor) -> Tensor:
        """−log N(ρ; 0, G) of momenta [M, D] less its constant, ½ ρᵀ G⁻¹ ρ − log √det G⁻¹, [M]."""
        return 0.5 * (momentum * self.velocity(momentum)).sum(1) - self.log_root()

    def force(self, momentum: Tensor | None = None) -> Tensor:
        """The slope of that energy by the code, [M, D]; without momenta that of −log √det G⁻¹."""
        pull = self.matrix if momentum is None else self.matrix - momentum.unsqueeze(2) * momentum.unsqueeze(1)
        each = self.shares * (pull.flatten(1) @ self.metric.matrices.T) / self.metric.reach ** 2                     # (M, K)
        return each.sum(1, keepdim=True) * self.z - each @ self.metric.centroids
