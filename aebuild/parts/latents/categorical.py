"""A code of categories."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.relaxed_latent import RelaxedLatent
from aebuild.lang.schedule import numbers
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Categorical(RelaxedLatent):
    """A variational code of categories, relaxed by Gumbel-softmax draws while training (Jang et al., 2017).

    The decoder gets `dim` one-hot vectors of `classes` values beside each other, at each place.
    """

    type: Literal["categorical"] = "categorical"
    example = ("latent: {type: categorical, dim: 3, classes: 4, temperature: 0.7}\n"
               "---\n"
               "latent: {type: categorical, dim: 2, classes: 3, hard: false, temperature: {from: 1, to: 0.5, over: 3 steps}}")
    also = ("gumbel", "gumbel_softmax", "concrete", "cat_vae", "categorical_vae", "joint_vae")
    support = "one_hot"
    dim: int = knob(..., "categorical variables at each place", examples=[20], affects="graph", ge=1)
    classes: int = knob(10, "categories of each variable", affects="graph", ge=2)

    def support_options(self) -> dict[str, Any]:
        """The number of categories."""
        return {"classes": self.classes}

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """A logit for each category."""
        return self.plan_relaxed(value, site, "categorical", self.dim * self.classes, self.dim, log2(self.classes))

    def build_posterior(self, node: Node) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.relaxed import CategoricalPosterior

        return CategoricalPosterior(node.output.feature_axis, self.classes, numbers(self.temperature)[0], hard=self.hard)
