"""A Gaussian fitted to the codes of the training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn

FULL_COVARIANCE = 512        # values of the largest code that is fitted with a full covariance


class Fitted(Prior):
    """A Gaussian fitted to the codes of the training data after training; with full covariance up to 512 values."""

    type: Literal["fitted"] = "fitted"
    example = "latent: {type: continuous, dim: 4, prior: fitted}"
    also = ("full_gaussian", "ex_post", "post_hoc")
    learning = "fitted"

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Mean and factor of the covariance, as buffers."""
        size = elements(codes)
        full = size <= FULL_COVARIANCE
        return Contribution(node=Node(site.path, "fitted prior", codes, codes, self, {"full_covariance": full}, aside=True,
                                      buffers={"mean": (size,), "factor": (size, size) if full else (size,)}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import FittedGaussian

        return FittedGaussian(node.output.shape, full=node.args["full_covariance"])
