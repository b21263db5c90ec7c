"""Known labels for the categories of a code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node, Site
from aebuild.lang.terms import Contribution, ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class Categories(Penalty):
    """Nats of surprise at known labels of the code's categories (semi-supervised AAE, Makhzani et al., 2015).

    The last `categories` values of an adversarial code are the probabilities of the classes; samples without a label (`data.labels`)
    count nothing.
    """

    type: Literal["categories"] = "categories"
    key = "supervision"
    metrics = ("accuracy",)
    optional = True
    unit = "nats of surprise at the label"
    example = ("data: {type: digits, limit: 40, labels: 20}\n"
               "latent: {type: adversarial, dim: 2, categories: 10, discriminator: {layer: linear, width: [4, 3]}}\n"
               "losses: {supervision: {type: categories, weight: 0.5}}\n"
               "train: {steps: 4, batch_size: 20}")
    also = ("semi_supervised", "cross_entropy")

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def check(self, types: ModelTypes) -> str | None:
        """The code must have categories, the data labels, and no more of these than there are categories."""
        categories = getattr(types.latent, "categories", None)
        if categories is None:
            return "it reads the categories of the code, which an adversarial latent has with `categories: 10`"
        if types.classes is None:
            return "it reads labels, and the data have none"
        if types.classes > categories:
            return f"the labels name {types.classes} classes, but the code has {categories} categories"
        return None

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """Its term, and where in the code the categories are."""
        planned = super().plan_loss(name, types, site)
        return replace(planned, node=replace(planned.node, args={"categories": getattr(types.latent, "categories", 0), "name": name}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.labels import LabelledCategories

        return LabelledCategories(**node.args)
