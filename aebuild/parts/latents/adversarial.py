"""A code pushed to a prior by a discriminator."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import LatentPlan, Layer, Prior, ProjectedLatent
from aebuild.lang.node import Node, Site, Stage
from aebuild.lang.part import knob
from aebuild.lang.projection import Projection, to_code
from aebuild.lang.terms import AUTOENCODER, Role, Term, TermPlan
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn

ONE_CODE = Rule("AE345", "an adversarial code per position", """\
The discriminator of an adversarial latent compares the whole code of a sample with a draw from the prior, which is one vector.

```yaml
latent: {type: adversarial, dim: 8, per: position}
```
```yaml
latent: {type: adversarial, dim: 8}
```
""")


def _paper() -> list[Any]:
    return [Layer.variants["linear"].model_validate({"width": 1000}) for _ in range(2)]


def _gaussian() -> Any:
    return Prior.variants["gaussian"]()


class Adversarial(ProjectedLatent):
    """A deterministic code whose distribution a discriminator pushes to a prior (Makhzani et al., 2015).

    Three players take turns: the autoencoder reconstructs, the discriminator learns to tell codes from draws of the prior, the
    generator (the encoder again) learns to fool it. With `categories` the code has a second part, a softmax that a discriminator of its own
    pushes to one-hot vectors: clusters, or classes where `losses: {supervision: categories}` has labels. With `joint` there is no
    generator: the autoencoder minimises the adversarial term, at its weight, together with the reconstruction, which is a Wasserstein
    autoencoder (WAE-GAN, Tolstikhin et al., 2018).
    """

    type: Literal["adversarial"] = "adversarial"
    example = ("data: {type: wine, limit: 40}\n"
               "latent: {type: adversarial, dim: 2, prior: gaussian, discriminator: {layer: linear, width: [4, 3]}}\n"
               "losses: {adversarial: {weight: 0.5}, discriminator: {weight: 2}}\n"
               "train: {steps: 4, batch_size: 20, players: {discriminator: {steps: 2, clip: 0.1}}}\n"
               "---\n"
               "data: {type: wine, limit: 40}\n"
               "latent: {type: adversarial, dim: 2, categories: 3, discriminator: {layer: linear, width: [4, 3]}}\n"
               "train: {steps: 4, batch_size: 20}")
    also = ("aae", "gan", "adversarial_ae", "wae_gan", "semi_supervised_aae")
    learns = ("none",)
    prior: Prior = Field(default_factory=_gaussian, description="the distribution that codes are to have")
    discriminator: list[Layer] = Field(
        default_factory=_paper, description="hidden layers of the discriminator, a stage; two of 1000 as in the paper")
    categories: int | None = knob(
        None, "values of a second part of the code, which a discriminator of its own pushes to one-hot vectors", affects="graph", ge=2)
    joint: bool = knob(False, "the autoencoder minimises the adversarial term too, instead of a generator in steps of its own",
                       affects="training")
    terms = {"adversarial": Term, "discriminator": Term, "categorical_adversarial": Term, "categorical_discriminator": Term}
    meanings = {"adversarial": "nats of surprise of the discriminator at codes; 0.693 where it cannot tell them from the prior",
                "discriminator": "nats of its surprise at codes and draws; 1.386 where it cannot tell them apart",
                "categorical_adversarial": "the same as adversarial, of the code's categories",
                "categorical_discriminator": "the same as discriminator, of the code's categories"}
    players = ("generator", "discriminator")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters and projection; and the discriminator, which a reconstruction does not run."""
        if self.per == "position":
            site.refuse(self, ONE_CODE, "an adversarial latent has one code for the sample", "per", fix="per: sample")
        code, size = Vector(self.dim), self.dim + (self.categories or 0)
        prior = self.prior.serve(self, code, site, self.learns)
        steps = to_code(self, value, site, size)
        judges = [self._plan_discriminator(code, site.at("discriminator"))]
        if self.categories is not None:
            judges.append(self._plan_discriminator(Vector(self.categories), site.at("categorical_discriminator")))
        node = Node(site.path, "adversarial", value, Vector(size), self, children=(*steps, *judges))
        fooling = AUTOENCODER if self.joint else "generator"
        terms = [TermPlan(name, player, 1) for judge in judges
                 for name, player in ((judge.name.replace("discriminator", "adversarial"), fooling), (judge.name, "discriminator"))]
        roles = [] if self.joint else [Role("generator", ("encoder", *(step.path for step in steps)))]
        roles.append(Role("discriminator", tuple(judge.path for judge in judges), apart=True, through=False))
        plan = LatentPlan(node=node, code=Vector(size), values=size, bits=32.0 * size, codes=Vector(size), terms=tuple(terms),
                          players=tuple(roles))
        return plan.joined(prior)

    def _plan_discriminator(self, code: Vector, site: Site) -> Node:
        site = replace(site, stage=Stage(top=site.path, joins=site.stage.critics))
        hidden, value = site.chain(self.discriminator, code, site)
        adapters, value = site.adapt(value, ("vector",), site, None)
        output = Projection(activation=None).plan(f"{site.path}.output", value, 1)
        return Node(site.path, "discriminator", code, output.output, self, children=(*hidden, *adapters, output), aside=True)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent, or its discriminator."""
        from aebuild.modules.latent_adversarial import AdversarialLatent
        from aebuild.modules.priors import Prior as PriorModule
        from aebuild.modules.stage import Stage as StageModule

        if node.kind == "discriminator":
            return StageModule(children)
        judges = {name: children.pop(name) for name in [*children] if name.endswith("discriminator")}
        prior = children.pop("prior")
        assert isinstance(prior, PriorModule)
        return AdversarialLatent(children, prior, **judges, simplex=self.prior.simplex, categories=self.categories or 0)
