"""What critics share: networks that learn to tell what a model makes from what it should make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.families import Activation, Layer, Prior
from aebuild.lang.node import Buildable, Node, Site, Stage
from aebuild.lang.part import knob
from aebuild.lang.projection import Projection
from aebuild.lang.schedule import Dial, Duration, Ramp
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, Penalty, Role, Term, TermPlan
from aebuild.lang.values import Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn


def _gaussian() -> Any:
    return Prior.named("gaussian")


def judging_network(part: Buildable, layers: list[Layer], given: Value, site: Site, *, patches: bool = False, told: bool = False) -> Node:
    """The stage that takes what is given to one verdict, or to one at each place; `told` the conditions of critics."""
    inside = replace(site, stage=Stage(positions=patches, top=site.path, joins=site.stage.critics if told else ()))
    hidden, value = inside.chain(layers, given, inside)
    adapters: tuple[Node, ...] = ()
    if not patches:
        adapters, value = inside.adapt(value, ("vector",), inside, None)
    output = Projection(activation=None).plan(f"{inside.path}.output", value, 1)
    return Node(inside.path, "stage", given, output.output, part, children=(*hidden, *adapters, output), sequential=True, aside=True)


def leaky_layers(kind: str, *widths: int, **options: Any) -> list[Any]:
    """Hidden layers of these widths behind leaky rectifiers, as critics usually have them."""
    return [Layer.variants[kind].model_validate({"width": width, "activation": Activation.named("leaky_relu"), **options})
            for width in widths]


class Critic(Penalty):
    """A network that learns to tell what the model makes from what it should make, and a term that is small where it cannot.

    It is a player of its own, called after its term with `_discriminator` behind it. The verdicts on the patches of a grid are averaged.
    """

    unit = "loss of the model at its critic"
    patches: ClassVar[bool] = False          # a verdict for each place instead of one for the sample

    network: list[Layer] = Field(default_factory=list, description="hidden layers, a stage")
    reads: Literal["output", "code", "both", "pair"] = knob(
        "output", "what it judges: reconstructions, codes, or both together; pair: reconstructions beside the input that they were made of",
        affects="graph")
    form: Literal["hinge", "non_saturating", "least_squares", "wasserstein"] = knob(
        "hinge", "how verdicts become losses; wasserstein wants a gradient_penalty or spectral_norm", affects="loss")
    start: Duration | None = knob(None, "how long the model is trained before the critic's verdict counts", affects="loss")
    adaptive: bool = knob(False, "weigh the verdict by the ratio of its gradient to the reconstruction's, at the decoder's output",
                          affects="gradient")
    prior: Prior = Field(default_factory=_gaussian, description="what codes should look like, where it reads codes alone")
    spectral_norm: bool = knob(
        False, "divide each weight matrix of the network by its largest singular value (Miyato et al., 2018)", affects="loss")
    r1: float | None = knob(
        None, "weight of half the squared gradient of the verdict at what should be (R1, Mescheder et al., 2018)", affects="loss", gt=0)
    gradient_penalty: float | None = knob(
        None, "weight of the squared distance from 1 of the gradient's norm between what is made and what should be; 10 in the paper "
        "(WGAN-GP, Gulrajani et al., 2017)", affects="loss", gt=0)

    def elements(self, types: ModelTypes) -> int:
        """One verdict for a sample."""
        return 1

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """The network, two terms and a player."""
        given: Value = types.code if self.reads == "code" else types.target
        if self.reads == "pair":
            assert types.given is not None, "check has looked at it"
            given = types.target.with_features(types.target.features + types.given.features)
        if self.reads == "both":
            given = Vector(elements(types.target) + elements(types.code))
        network = judging_network(self, self.network, given, site.at("network"), patches=self.patches, told=True)
        prior = self.prior.plan_prior(given, site.at("prior")).node if self.reads == "code" else None
        node = Node(site.path, str(self.variant_name()), given, network.output, self, self._arguments(given),
                    children=(network, *([prior] if prior else [])), aside=True)
        player = f"{name}_discriminator"
        return Contribution(node=node, terms=(TermPlan(name, AUTOENCODER, 1, self), TermPlan(player, player, 1, Term())),
                            players=(Role(player, (network.path,), apart=True, through=False),))

    def check(self, types: ModelTypes) -> str | None:
        """A pair stands place by place."""
        if self.reads == "pair" and (types.given is None or not types.given.alike(types.target) or types.given.dtype != "float32"):
            return f"it judges pairs, and the input {types.given} has not the places of the target {types.target}"
        return None

    def _arguments(self, given: Value) -> dict[str, Any]:
        stacked = {"axis": given.feature_axis} if self.reads == "pair" else {}
        return {"dials": self.start is not None, **stacked}

    def dials(self) -> dict[str, Dial]:
        """Whether the verdict counts yet."""
        if self.start is None:
            return {}
        ramps = [{"from": 0, "to": 0, "over": self.start}, {"from": 1, "to": 1, "over": "1 steps"}]
        return {"gate": [Ramp.model_validate(ramp) for ramp in ramps]}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The critic around its network."""
        from aebuild.modules.critics import Critic as CriticModule

        return CriticModule(children["network"], self.reads, self.form, axis=node.args.get("axis", 1), **self.options(children))

    def options(self, children: dict[str, nn.Module]) -> dict[str, Any]:
        """What every critic's module is told besides."""
        return {"adaptive": self.adaptive, "prior": children.get("prior"), "spectral_norm": self.spectral_norm, "r1": self.r1,
                "gradient_penalty": self.gradient_penalty}
