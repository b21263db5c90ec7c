"""Dead units that begin anew at inputs which are reconstructed badly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.sparsity import Revival
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Resample(Revival):
    """Every so many steps dead units begin anew at inputs of the batch that are reconstructed badly (Bricken et al., 2023).

    An input is drawn with a chance proportional to the square of its squared error. The unit's column of the decoder becomes its
    direction, the row of the projection the same at a share of the mean norm of the living ones, the bias 0, and the optimiser's moments
    of all these 0. The paper's figures are `every` 25,000, `after` 12,500 and inputs of 819,200 samples where this looks at the batch.
    """

    type: Literal["resample"] = "resample"
    example = ("data: {type: wine, limit: 40}\n"
               "encoder: []\n"
               "latent: {type: sparse, dim: 20, activation: {type: top_k, k: 2}, revive: {type: resample, every: 2, after: 1, times: 2, "
               "scale: 0.5}}\n"
               "decoder: []\n"
               "train: {steps: 12, batch_size: 4}")
    also = ("resampling", "neuron_resampling", "resample_dead", "reinit", "reinitialise")
    moves = True
    every: int = knob(2000, "training steps from one revival to the next", affects="training", ge=1)
    after: int = knob(1000, "training steps in which no sample activates a unit, after which it is dead", affects="training", ge=1)
    times: int | None = knob(4, "revivals at most, so that what begins anew has time to learn; none: to the end", affects="training", ge=1)
    scale: float = knob(0.2, "norm of a revived row of the projection, as a share of the mean norm of the living ones", affects="training",
                        gt=0)

    def plan_revival(self, code: Value, site: Site) -> Contribution:
        """Its counters."""
        node = Node(site.path, "resample", code, code, self, buffers={"idle": (code.features,), "steps": ()}, aside=True)
        return Contribution(node=node)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.revival import Resampling

        return Resampling(node.output.feature_axis, node.output.features, self.after, self.every, self.times, self.scale)
