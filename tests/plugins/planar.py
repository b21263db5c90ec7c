"""Planar flows (Rezende and Mohamed, 2015): a posterior that bends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Planar(Posterior):
    """A diagonal Gaussian through planar flows (Rezende and Mohamed, 2015)."""

    type: Literal["own_planar"] = "own_planar"
    flows: int = knob(4, "flows, one after the other", affects="graph", ge=1)
    example: ClassVar[str] = """\
data: digits
encoder: [linear: 32]
latent: {type: gaussian, dim: 4, posterior: {type: own_planar, flows: 3}}
losses: {kl: {free_bits: 0.05}}
"""

    def plan_posterior(self, code: Value, site: Site) -> Contribution:
        """A direction, a plane and an offset for each flow."""
        size = elements(code)
        return Contribution(node=Node(site.path, "planar posterior", code, code, self, aside=True, weights={
            "u": (self.flows, size), "w": (self.flows, size), "b": (self.flows,)}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        import torch
        from torch import Tensor, nn
        from torch.nn import functional as F

        from aebuild.modules.posteriors import Diagonal, Distribution

        class Bent(Distribution):
            def __init__(self, base: Any, flows: Any) -> None:
                self.mean, self._base, self._flows = base.mean, base, flows
                self._log_q: Tensor | None = None

            def sample(self, noise: Tensor) -> Tensor:
                value = self._base.sample(noise)
                z, self._log_q = value.flatten(1), self._base.log_q().flatten(1).sum(1)
                for u, w, b in zip(self._flows.u, self._flows.w, self._flows.b, strict=True):
                    inner = w @ u                                          # kept above -1, so that the flow can be undone
                    u = u + (F.softplus(inner) - 1 - inner) * w / (w @ w + 1e-8)
                    bend = (z @ w + b).tanh()
                    self._log_q = self._log_q - (1 + (1 - bend.square()) * (w @ u)).abs().log()
                    z = z + bend.unsqueeze(1) * u
                return z.view_as(value)

            def log_q(self) -> Tensor:
                assert self._log_q is not None
                return self._log_q

        class Flows(nn.Module):
            def __init__(self, flows: int, size: int, axis: int) -> None:
                super().__init__()
                self.base = Diagonal(axis)
                self.u, self.w = (nn.Parameter(0.1 * torch.randn(flows, size)) for _ in range(2))
                self.b = nn.Parameter(torch.zeros(flows))

            def forward(self, numbers: Tensor) -> Bent:
                return Bent(self.base(numbers), self)

        return Flows(self.flows, elements(node.output), node.output.feature_axis)
