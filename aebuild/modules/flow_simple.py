"""Planar and radial flows (Rezende and Mohamed, 2015), whose numbers an encoder gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BISECTIONS = 60        # of the interval that holds the inverse of a planar flow


class Planar(nn.Module):
    """y = x + û·tanh(w·x + b): pushes along one direction. It is told u, w and b, [M, 2D + 1]; û keeps w·û above -1."""

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """[M, D] to [M, D] and log|det J|, [M]."""
        u, w, b, slope = self._numbers(x, told)
        bend = ((w * x).sum(1) + b).tanh()
        return x + u * bend.unsqueeze(1), torch.log1p((1 - bend.square()) * slope)

    def inverse(self, y: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Back, by halving: a + w·û·tanh(a + b) = w·y has one solution a = w·x."""
        u, w, b, slope = self._numbers(y, told)
        wanted = (w * y).sum(1)
        low, high = wanted - slope.abs(), wanted + slope.abs()
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            beyond = middle + slope * (middle + b).tanh() > wanted
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        bend = (low + b).tanh()
        return y - u * bend.unsqueeze(1), -torch.log1p((1 - bend.square()) * slope)

    def _numbers(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """û, w, b and w·û."""
        u, w, b = torch.split(told, [x.shape[1], x.shape[1], 1], 1)
        inner = (w * u).sum(1)
        slope = F.softplus(inner) - 1
        u = u + ((slope - inner) / (w.square().sum(1) + 1e-8)).unsqueeze(1) * w
        return u, w, b.squeeze(1), (w * u).sum(1)


class Radial(nn.Module):
    """y = x + β(x − c)/(α + |x − c|): pushes to a point c or away from it. It is told c, α and β, [M, D + 2]; α > 0, β > -α."""

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """[M, D] to [M, D] and log|det J|, [M]."""
        centre, alpha, beta = self._numbers(x, told)
        away = x - centre
        radius = (away.square().sum(1) + 1e-12).sqrt()
        pull = beta / (alpha + radius)
        return x + pull.unsqueeze(1) * away, self._volume(radius, alpha, beta, x.shape[1])

    def inverse(self, y: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Back: the radius solves a quadratic equation."""
        centre, alpha, beta = self._numbers(y, told)
        away = y - centre
        reached = (away.square().sum(1) + 1e-12).sqrt()
        half = (alpha + beta - reached) / 2
        radius = (half.square() + alpha * reached).sqrt() - half
        return centre + away / (1 + beta / (alpha + radius)).unsqueeze(1), -self._volume(radius, alpha, beta, y.shape[1])

    def _numbers(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        centre, alpha, beta = torch.split(told, [x.shape[1], 1, 1], 1)
        alpha = F.softplus(alpha).squeeze(1)
        return centre, alpha, F.softplus(beta).squeeze(1) - alpha

    def _volume(self, radius: Tensor, alpha: Tensor, beta: Tensor, features: int) -> Tensor:
        pull = beta / (alpha + radius)
        return (features - 1) * torch.log1p(pull) + torch.log1p(pull - beta * radius / (alpha + radius).square())
