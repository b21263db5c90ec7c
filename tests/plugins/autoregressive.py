"""An autoregressive prior over the indices of a codebook, in a phase of its own (van den Oord et al., 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn


class RecurrentIndices(Prior):
    """Each index from those before it, by a GRU that is trained on the codes of the finished model."""

    type: Literal["recurrent_indices"] = "recurrent_indices"
    serves = ("tokens",)
    density = True
    learning = "phase"
    width: int = knob(32, "features of the GRU's state", affects="graph", ge=1)
    example: ClassVar[str] = """\
data: digits
encoder: {layer: conv, width: [8, 8], stride: 2}
latent: {type: codebook, codes: 16, dim: 4, prior: {type: recurrent_indices, width: 24}}
"""

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """An embedding (one more for the beginning), a GRU and an output."""
        assert isinstance(codes, Tokens)
        width, classes = self.width, codes.classes
        weights = {"embed.weight": (classes + 1, width), "gru.weight_ih_l0": (3 * width, width), "gru.weight_hh_l0": (3 * width, width),
                   "gru.bias_ih_l0": (3 * width,), "gru.bias_hh_l0": (3 * width,), "output.weight": (classes, width),
                   "output.bias": (classes,)}
        return Contribution(node=Node(site.path, "autoregressive prior", codes, codes, self, aside=True, weights=weights,
                                      macs=codes.length * (6 * width * width + width * classes)))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        import torch
        from torch import Tensor, nn
        from torch.nn import functional as F

        from aebuild.modules.priors import Prior as PriorModule

        assert isinstance(node.output, Tokens)

        class Module(PriorModule):
            def __init__(self, width: int, length: int, classes: int) -> None:
                super().__init__((length,))
                self.classes = classes
                self.embed, self.gru = nn.Embedding(classes + 1, width), nn.GRU(width, width, batch_first=True)
                self.output = nn.Linear(width, classes)

            def log_prob(self, codes: Tensor) -> Tensor:
                before = F.pad(codes[:, :-1], (1, 0), value=self.classes)
                logits = self.output(self.gru(self.embed(before))[0])                     # (N, L, K)
                return -F.cross_entropy(logits.transpose(1, 2), codes, reduction="none").sum(1)

            def draw(self, n: int, device: torch.device) -> Tensor:
                last = torch.full((n, 1), self.classes, device=device)
                state, found = None, []
                for chance in self.uniform(n, self.shape[0], device).split(1, 1):
                    out, state = self.gru(self.embed(last), state)
                    below = self.output(out[:, 0]).softmax(1).cumsum(1)[:, :-1].contiguous()
                    last = torch.searchsorted(below, chance.contiguous())
                    found.append(last)
                return torch.cat(found, 1)

        return Module(self.width, node.output.length, node.output.classes)
