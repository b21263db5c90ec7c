"""The bases of the part families; a variant is one class in one file under `parts/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.node import Buildable, Node, Resize, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.terms import Contribution, Provider, Role, TermPlan
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Activation(Buildable):
    """A pointwise nonlinearity."""

    family = "activation"
    keeps_lengths = True
    gain: ClassVar[str] = "linear"       # torch.nn.init's name of the nonlinearity, chooses He or Xavier

    def plan(self, value: Value, site: Site) -> Node:
        """A node that keeps the type."""
        return Node(site.path, str(self.variant_name()), value, value, self)

    @property
    def slope(self) -> float:
        """The negative slope where there is one."""
        return 0.0


class Norm(Buildable):
    """A normalisation over batch, features or groups of channels."""

    family = "norm"

    def plan(self, value: Value, site: Site) -> Node:
        """A node that keeps the type."""
        raise TypeError(f"{type(self).__name__} has no plan")


class Layer(Buildable):
    """A step of a stage: takes a value type, gives a value type.

    `wants` lists the kinds it takes; anything else is adapted first. A `follower` (norm, activation, dropout) belongs to
    the layer before it when a stage is mirrored.
    """

    family = "layer"
    foreign = {**dict.fromkeys(("units", "filters", "channels", "out_channels", "out_features", "features", "neurons", "hidden",
                                "hidden_dim", "hidden_dims", "hidden_size", "hidden_sizes", "hidden_units", "d_model", "dim", "size",
                                "widths"), "width"),
               **dict.fromkeys(("num_layers", "n_layers", "layers", "blocks"), "depth"),
               **dict.fromkeys(("normalization", "batch_norm", "bn"), "norm"), **dict.fromkeys(("nhead", "num_heads", "n_heads"), "heads"),
               "type": "layer", "kernel_size": "kernel", "strides": "stride", "act": "activation", "nonlinearity": "activation",
               "drop": "dropout", "p": "rate"}
    wants: ClassVar[tuple[str, ...]] = ("vector", "grid", "sequence")
    follower: ClassVar[bool] = False

    def plan(self, value: Value, site: Site) -> Node:
        """The node of this step, or a refusal with field, reason and fix."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """The kinds of value this step takes here."""
        return self.wants

    def mirrored(self) -> Layer | None:
        """The step a mirrored decoder has in its place; None to leave it out."""
        return self

    def widened(self, factor: float) -> Layer:
        """This step with its widths multiplied."""
        width = getattr(self, "width", None)
        return self if width is None else self.but(width=max(1, round(width * factor)))

    def resizes(self, rank: int) -> list[Resize]:
        """How this step changes a grid of `rank` axes in a decoder, one entry a resizing layer."""
        return []

    def towards(self, rank: int) -> Layer:
        """This step in a decoder, where a grid of `rank` axes must come of it."""
        return self

    @property
    def seed_features(self) -> int | None:
        """Channels that a vector unfolds to in front of this step."""
        return getattr(self, "width", None)


def mirror_steps(steps: list[Layer]) -> list[Layer]:
    """The steps reversed and each mirrored; followers stay behind the layer they belong to."""
    chunks: list[list[Layer]] = []
    for step in steps:
        if step.follower and chunks:
            chunks[-1].append(step)
        else:
            chunks.append([step])
    return [m for chunk in reversed(chunks) for step in chunk if (m := step.mirrored()) is not None]


class Adapter(Buildable):
    """A step the compiler inserts where types differ; `adapter:` on a stage names one."""

    family = "adapter"
    standard: ClassVar[tuple[str, ...]] = ()      # the kinds it is the default for

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """True if this adapter turns the value into that kind here."""
        return False

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """The node that makes the value one of that kind in front of `layer`."""
        raise TypeError(f"{type(self).__name__} has no plan")


@dataclass(frozen=True, eq=False, kw_only=True)
class LatentPlan(Contribution):
    """A planned latent: what it contributes, the type the decoder gets, and its size in values and bits.

    `codes` is what a prior over it sees: the code itself, or the indices of a discrete one.
    """

    code: Value
    values: int
    bits: float
    codes: Value

    def joined(self, *others: Contribution) -> LatentPlan:
        """This latent with other parts below it."""
        return replace(self, node=replace(self.node, children=(*self.node.children, *(other.node for other in others))),
                       terms=(*self.terms, *(term for other in others for term in other.terms)),
                       players=(*self.players, *(role for other in others for role in other.players)),
                       refusals={**self.refusals, **{key: why for other in others for key, why in other.refusals.items()}})


class Latent(Provider):
    """The code between the halves; owns the projection to the code.

    The module it builds is a `modules.latent.Latent`: `forward(h, context, draws) -> Code`, `draw(n) -> code`,
    `losses() -> {term: loss(outputs)}`.
    """

    family = "latent"
    foreign: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("latent_dim", "latent_size", "z_dim", "n_z", "nz", "code_dim", "code_size", "embedding_dim", "width", "units",
         "size", "features", "hidden_dim", "bottleneck", "n_latent", "dimension"), "dim")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """The latent behind an encoder that ends in `value`."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def parts(self) -> tuple[Provider, ...]:
        """The parts it is made of that bring terms of their own: posterior, quantizer, prior."""
        return tuple(value for name in type(self).model_fields if isinstance(value := getattr(self, name), Provider))

    def phases(self) -> tuple[str, ...]:
        """The phases that it wants behind those that train the model, where the spec writes none."""
        return tuple(dict.fromkeys(phase for part in self.parts() for phase in part.phases()))


class ProjectedLatent(Latent):
    """A latent whose code is a projection of the encoder's output."""

    dim: int = knob(..., "features of the code at each place", examples=[16], affects="graph", ge=1)
    per: Literal["sample", "position"] = knob(
        "sample", "one code for the sample, or one at each place of the encoder's grid or sequence", affects="graph")


UNSERVED = Rule("AE347", "a prior that cannot serve this latent", """\
A prior is a distribution of codes. A `gaussian` latent needs one with a density, to which its KL term pulls; an `adversarial` latent one
that can be drawn from; a `continuous` latent one that is fitted to its codes or learned from them, since nothing pulls them anywhere; a
`codebook` needs a distribution of indices, not of vectors.

```yaml
latent: {type: gaussian, dim: 2, prior: swiss_roll}
```
```yaml
latent: {type: adversarial, dim: 2, prior: swiss_roll}
```
""")


class Prior(Provider):
    """A distribution of codes: what a KL term or a discriminator pulls to, and what new codes are drawn from.

    The module it builds is a `modules.priors.Prior`. With `density` it has `log_prob(codes)`; `learning` says how its numbers
    are found: not at all, together with the model, fitted to the codes of the training data afterwards, or in a phase of its own.
    `serves` are the kinds of codes: `code` (real vectors at places) and `tokens` (indices).
    """

    family = "prior"
    serves: ClassVar[tuple[Literal["code", "tokens"], ...]] = ("code",)
    density: ClassVar[bool] = False
    learning: ClassVar[Literal["none", "joint", "fitted", "phase"]] = "none"
    simplex: ClassVar[bool] = False           # its draws are one-hot, so the code becomes a softmax
    told: ClassVar[bool] = False              # it depends on conditions

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The prior over codes of this type."""
        return Contribution(node=Node(site.path, f"{self.variant_name()} prior", codes, codes, self, aside=True))

    def serve(self, latent: Latent, codes: Value, site: Site, learning: tuple[str, ...], *, density: bool = False) -> Contribution:
        """The prior's plan as this latent's; refuses one that cannot serve it."""
        kind = "tokens" if isinstance(codes, Tokens) else "code"
        everyone = Part.families["prior"].variants
        if not (kind in self.serves and self.learning in learning and (self.density or not density)):
            fitting = [name for name, each in everyone.items() if issubclass(each, Prior)
                       and kind in each.serves and each.learning in learning and (each.density or not density)
                       and (site.stage.given or not each.told)]
            site.refuse(latent, UNSERVED, f"a {latent.variant_name()} latent cannot have the prior {self.variant_name()}; it can have "
                        f"{', '.join(fitting)}", "prior", fix=f"prior: {fitting[0]}" if fitting else None)
        plan = self.plan_prior(codes, site.at("prior"))
        if self.learning != "phase":
            return plan
        role = Role("prior", (plan.node.path,), apart=True, through=False, phase="prior")
        return replace(plan, terms=(*plan.terms, TermPlan("prior", role.name, elements(codes))), players=(*plan.players, role))

    def phases(self) -> tuple[str, ...]:
        """The phase `prior`, if it is learned in one."""
        return ("prior",) if self.learning == "phase" else ()


class Posterior(Provider):
    """What a variational latent's code is drawn from.

    The module it builds takes the projection's output, [N, ...] with `numbers` features for each value of the code, to a
    `modules.posteriors.Distribution`.
    """

    family = "posterior"
    default_variant = "diagonal"
    numbers: ClassVar[int] = 2

    def plan_posterior(self, code: Value, site: Site) -> Contribution:
        """The posterior of codes of this type."""
        return Contribution(node=Node(site.path, f"{self.variant_name()} posterior", code, code, self, aside=True))


class Quantizer(Provider):
    """How a discrete latent's vectors become entries and indices.

    `takes` are the options of the latent that mean something to it; `needs` those of them that must be written. It plans the
    latent's own weights and builds the latent's module, a `modules.discrete.DiscreteLatent`.
    """

    family = "quantizer"
    default_variant = "vq"
    options: ClassVar[tuple[str, ...]] = ("codes", "dim", "groups", "shared", "update", "init", "restart")
    takes: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()

    def features(self, latent: Latent) -> int:
        """Features of the projected vectors at each place."""
        raise TypeError(f"{type(self).__name__} has no features")

    def plan_quantizer(self, latent: Latent, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """The latent's plan behind the projection `steps`; the latent adds its prior."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def build_latent(self, latent: Latent, node: Node, steps: dict[str, nn.Module], prior: nn.Module) -> nn.Module:
        """The latent's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Corruption(Part):
    """A change of the input that the model must undo.

    The module it builds has `forward(x) -> x`, or is a `modules.stage.Contextual` that puts what `writes_context` names into the context.
    """

    family = "corruption"
    writes_context: ClassVar[tuple[str, ...]] = ()
    foreign = {"sigma": "std", "stddev": "std", "noise": "std", "p": "ratio", "rate": "ratio", "prob": "ratio", "probability": "ratio"}
    when: Literal["training", "always"] = knob("training", "only while training, or in evaluation too", affects="data")

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """The type after the corruption."""
        return value

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        raise TypeError(f"{type(self).__name__} has no module")
