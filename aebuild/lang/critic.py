"""What critics share: networks that learn to tell what a model makes from what it should make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.families import Layer, Prior
from aebuild.lang.node import Node, Site, Stage
from aebuild.lang.part import knob
from aebuild.lang.projection import Projection
from aebuild.lang.schedule import Dial, Duration, Ramp
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, Penalty, Role, Term, TermPlan
from aebuild.lang.values import Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn


def _gaussian() -> Any:
    return Prior.named("gaussian")


class Critic(Penalty):
    """A network that learns to tell what the model makes from what it should make, and a term that is small where it cannot.

    It is a player of its own, called after its term with `_discriminator` behind it. The verdicts on the patches of a grid are averaged.
    """

    unit = "loss of the model at its critic"
    patches: ClassVar[bool] = False          # a verdict for each place instead of one for the sample

    network: list[Layer] = Field(default_factory=list, description="hidden layers, a stage")
    reads: Literal["output", "code", "both"] = knob(
        "output", "what it judges: reconstructions, codes, or both together", affects="graph")
    form: Literal["hinge", "non_saturating", "least_squares"] = knob("hinge", "how verdicts become losses", affects="loss")
    start: Duration | None = knob(None, "how long the model is trained before the critic's verdict counts", affects="loss")
    adaptive: bool = knob(False, "weigh the verdict by the ratio of its gradient to the reconstruction's, at the decoder's output",
                          affects="gradient")
    prior: Prior = Field(default_factory=_gaussian, description="what codes should look like, where it reads codes alone")

    def elements(self, types: ModelTypes) -> int:
        """One verdict for a sample."""
        return 1

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """The network, two terms and a player."""
        given: Value = types.target if self.reads == "output" else types.code
        if self.reads == "both":
            given = Vector(elements(types.target) + elements(types.code))
        inside = site.at("network")
        inside = replace(inside, stage=Stage(positions=self.patches, top=inside.path, joins=site.stage.critics))
        hidden, value = inside.chain(self.network, given, inside)
        adapters: tuple[Node, ...] = ()
        if not self.patches:
            adapters, value = inside.adapt(value, ("vector",), inside, None)
        output = Projection(activation=None).plan(f"{inside.path}.output", value, 1)
        network = Node(inside.path, "stage", given, output.output, self, children=(*hidden, *adapters, output), sequential=True, aside=True)
        prior = self.prior.plan_prior(given, site.at("prior")).node if self.reads == "code" else None
        node = Node(site.path, str(self.variant_name()), given, output.output, self, {"dials": self.start is not None},
                    children=(network, *([prior] if prior else [])), aside=True)
        player = f"{name}_discriminator"
        return Contribution(node=node, terms=(TermPlan(name, AUTOENCODER, 1, self), TermPlan(player, player, 1, Term())),
                            players=(Role(player, (network.path,), apart=True, through=False),))

    def dials(self) -> dict[str, Dial]:
        """Whether the verdict counts yet."""
        if self.start is None:
            return {}
        ramps = [{"from": 0, "to": 0, "over": self.start}, {"from": 1, "to": 1, "over": "1 steps"}]
        return {"gate": [Ramp.model_validate(ramp) for ramp in ramps]}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The critic around its network."""
        from aebuild.modules.critics import Critic as CriticModule
        from aebuild.modules.priors import Prior as PriorModule

        prior = children.get("prior")
        assert prior is None or isinstance(prior, PriorModule)
        return CriticModule(children["network"], self.reads, self.form, adaptive=self.adaptive, prior=prior)
