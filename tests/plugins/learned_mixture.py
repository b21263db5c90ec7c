"""A mixture of Gaussians as a prior that is learned together with the model (Dilokthanakul et al., 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class LearnedMixture(Prior):
    """Gaussians whose places, widths and shares are learned with the model (Dilokthanakul et al., 2016)."""

    type: Literal["learned_mixture"] = "learned_mixture"
    density = True
    learning = "joint"
    components: int = knob(8, "Gaussians", affects="graph", ge=2)
    example: ClassVar[str] = """\
data: digits
encoder: [linear: 32]
latent: {type: gaussian, dim: 4, prior: {type: learned_mixture, components: 5}}
"""

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Means, widths and shares."""
        size = elements(codes)
        return Contribution(node=Node(site.path, "learned mixture", codes, codes, self, aside=True, weights={
            "means": (self.components, size), "log_std": (self.components, size), "shares": (self.components,)}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        import torch
        from torch import Tensor, distributions, nn

        from aebuild.modules.priors import Prior as PriorModule

        class Module(PriorModule):
            def __init__(self, components: int, shape: tuple[int, ...]) -> None:
                super().__init__(shape)
                size = elements(node.output)
                self.means, self.log_std = nn.Parameter(torch.randn(components, size)), nn.Parameter(torch.zeros(components, size))
                self.shares = nn.Parameter(torch.zeros(components))

            def log_prob(self, codes: Tensor) -> Tensor:
                each = distributions.Normal(self.means, self.log_std.exp()).log_prob(codes.flatten(1).unsqueeze(1)).sum(2)
                log_prob: Tensor = (each + self.shares.log_softmax(0)).logsumexp(1)
                return log_prob

            def draw(self, n: int, device: torch.device) -> Tensor:
                chance = self.uniform(n, 1, device)
                chosen = torch.searchsorted(self.shares.softmax(0).cumsum(0)[:-1].contiguous(), chance).squeeze(1)
                noise = self.normal(n, self.means.shape[1], device=device)
                return (self.means[chosen] + self.log_std[chosen].exp() * noise).view(n, *self.shape)

        return Module(self.components, node.output.shape)
