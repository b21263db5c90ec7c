"""The bases of the part families; a variant is one class in one file under `parts/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from aebuild.lang.diagnostics import Span
from aebuild.lang.node import Buildable, Node, Resize, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.prior import Prior, Support
from aebuild.lang.schedule import Dial
from aebuild.lang.terms import Contribution, Provider
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

__all__ = ["Activation", "Adapter", "Corruption", "Latent", "LatentPlan", "Layer", "Norm", "Posterior", "Prior", "ProjectedLatent",
           "Quantizer", "mirror_steps"]


class Activation(Buildable):
    """A pointwise nonlinearity."""

    family = "activation"
    keeps_lengths = True
    gain: ClassVar[str] = "linear"       # torch.nn.init's name of the nonlinearity, chooses He or Xavier
    keeps_positive: ClassVar[bool] = False       # gives what is not negative back as it is
    remembers: ClassVar[int] = 1         # tensors of its size kept for the gradient; none where its output is enough, which the next keeps

    def plan(self, value: Value, site: Site) -> Node:
        """A node that keeps the type."""
        return Node(site.path, str(self.variant_name()), value, value, self, keeps=self.remembers * elements(value))

    @property
    def slope(self) -> float:
        """The negative slope where there is one."""
        return 0.0


class Norm(Buildable):
    """A normalisation over batch, features or groups of channels.

    One that `shifts` learns what is added to each channel, so that a bias in front of it would do nothing.
    """

    family = "norm"
    shifts: ClassVar[bool] = True

    def plan(self, value: Value, site: Site) -> Node:
        """A node that keeps the type."""
        raise TypeError(f"{type(self).__name__} has no plan")


class Layer(Buildable):
    """A step of a stage: takes a value type, gives a value type.

    `wants` lists the kinds it takes; anything else is adapted first. A `follower` (norm, activation, dropout) belongs to
    the layer before it when a stage is mirrored.
    """

    family = "layer"
    foreign = {**dict.fromkeys(("parametrization", "parametrisation", "weight_norm", "spectral_norm"), "weights"),
               **dict.fromkeys(("units", "filters", "channels", "out_channels", "out_features", "features", "neurons", "hidden",
                                "hidden_dim", "hidden_dims", "hidden_size", "hidden_sizes", "hidden_units", "d_model", "dim", "size",
                                "widths"), "width"),
               **dict.fromkeys(("num_layers", "n_layers", "layers", "blocks"), "depth"),
               **dict.fromkeys(("normalization", "batch_norm", "bn"), "norm"), **dict.fromkeys(("nhead", "num_heads", "n_heads"), "heads"),
               "type": "layer", "kernel_size": "kernel", "strides": "stride", "act": "activation", "nonlinearity": "activation",
               "drop": "dropout", "p": "rate"}
    wants: ClassVar[tuple[str, ...]] = ("vector", "grid", "sequence")
    follower: ClassVar[bool] = False

    @property
    def entrance(self) -> Layer:
        """What reads the value that this step is given: itself, or the first of steps that it runs in order."""
        return self

    @property
    def exit(self) -> Layer:
        """What gives this step's value: itself, or the last of steps that it runs in order."""
        return self

    def located(self, base: Path) -> Layer:
        """With absolute paths of the files that it names, those relative to `base`."""
        return self

    def kept(self, base: Path) -> Layer:
        """The same as a run keeps it: located, and with everything written down that is found out from files."""
        return self.located(base)

    def plan(self, value: Value, site: Site) -> Node:
        """The node of this step, or a refusal with field, reason and fix."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """The kinds of value this step takes here."""
        return self.wants

    def mirrored(self) -> Layer | None:
        """The step a mirrored decoder has in its place; None to leave it out."""
        return self

    def mirrored_before(self, behind: Layer | None) -> Layer:
        """This mirrored step with what stands between it and the one `behind` it, its neighbour in the encoder."""
        return self

    def widened(self, factor: float) -> Layer:
        """This step with its widths multiplied."""
        width = getattr(self, "width", None)
        return self if width is None else self.but(width=max(1, round(width * factor)))

    def resizes(self, rank: int) -> list[Resize]:
        """How this step changes a grid of `rank` axes in a decoder, one entry a resizing layer."""
        return []

    @property
    def begins(self) -> tuple[int, ...] | None:
        """The places of a grid or sequence that begins anew here in a decoder; () leaves them to the compiler, None if none does."""
        return None

    def towards(self, rank: int) -> Layer:
        """This step in a decoder, where a grid of `rank` axes must come of it."""
        return self

    @property
    def seed_features(self) -> int | None:
        """Channels that a vector unfolds to in front of this step."""
        return getattr(self, "width", None)


def mirror_steps(steps: list[Layer], *, before: bool = False) -> list[Layer]:
    """The steps reversed and each mirrored; followers stay behind the layer they belong to, or `before` it."""
    chunks: list[list[Layer]] = []
    for step, last in zip(steps, [None, *steps], strict=False):
        joins = last is not None and last.follower if before else step.follower
        if joins and chunks:
            chunks[-1].append(step)
        else:
            chunks.append([step])
    made = [m for chunk in reversed(chunks) for step in chunk if (m := step.mirrored()) is not None]
    return [step.mirrored_before(behind) for step, behind in zip(made, [*made[1:], None], strict=False)]


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


@dataclass(frozen=True)
class LevelPlan:
    """A part of a code that joins the decoder on its way: `key` of the context, its type, and the path of the step behind which it does.

    Without `to` that is the first step where both have the same places.
    """

    key: str
    value: Value
    to: str | None
    place: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class LatentPlan(Contribution):
    """A planned latent: what it contributes, the type the decoder gets, and its size in values and bits.

    `codes` is what a prior over it sees: the code itself, or the indices of a discrete one. Of a code in levels the decoder begins with
    what the node `start` gives, and the others join it as `levels` say.
    """

    code: Value
    values: int
    bits: float
    codes: Value
    start: Node | None = None
    levels: tuple[LevelPlan, ...] = ()

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
    listed = "levels"
    learns: ClassVar[tuple[str, ...]] = ("none", "joint", "fitted", "phase")      # ways in which a prior may be learned that it takes
    foreign: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("latent_dim", "latent_size", "z_dim", "n_z", "nz", "code_dim", "code_size", "embedding_dim", "width", "units",
         "size", "features", "hidden_dim", "bottleneck", "n_latent", "dimension"), "dim")
    support: ClassVar[Support] = "code"

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """The latent behind an encoder that ends in `value`."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def support_options(self) -> dict[str, Any]:
        """What a prior must know of where codes lie, as arguments of its node."""
        return {}

    def meets(self, encoder: Node, decoder: Node, site: Site) -> None:
        """Refuses halves that it cannot work with; called when all are planned."""

    def parts(self) -> tuple[Provider, ...]:
        """The parts it is made of that bring terms of their own: posterior, quantizer, prior."""
        return tuple(value for name in type(self).model_fields if isinstance(value := getattr(self, name), Provider))

    def phases(self) -> tuple[str, ...]:
        """The phases that it wants behind those that train the model, where the spec writes none."""
        return tuple(dict.fromkeys(phase for part in self.parts() for phase in (
            part.phases_of(self.learns) if isinstance(part, Prior) else part.phases())))


class ProjectedLatent(Latent):
    """A latent whose code is a projection of the encoder's output."""

    scalar = "dim"
    dim: int = knob(..., "features of the code at each place", examples=[16], affects="graph", ge=1)
    per: Literal["sample", "position"] = knob(
        "sample", "one code for the sample, or one at each place of the encoder's grid or sequence", affects="graph")


class Posterior(Provider):
    """What a variational latent's code is drawn from.

    The module it builds takes the projection's output, [N, ...] with `features` at each place of the code, to a
    `modules.posteriors.Distribution`. `form` says what is known of it: `diagonal` and `full` are Gaussians with and without
    independent values, `led` begins as one. A `curved` one moves in the metric of a prior that `bends`.
    """

    family = "posterior"
    default_variant = "diagonal"
    form: ClassVar[Literal["diagonal", "full", "led", "other"]] = "other"
    follows: ClassVar[bool] = False            # its draws follow the joint density of sample and code, which the decoder must tell
    curved: ClassVar[bool] = False
    beside_prior: ClassVar[bool] = False       # it is told as what it differs by from the Gaussian that the prior gives each sample

    def features(self, dim: int) -> int:
        """Numbers at each place that describe the posterior of `dim` values there."""
        return 2 * dim

    def macs_of_draw(self, code: Value) -> int:
        """Multiply-accumulates of a draw of such a code, which the latent makes."""
        return 0

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

    def dials(self) -> dict[str, Dial]:
        """What a schedule may move, by the attribute of the latent's module."""
        return {}

    def plan_quantizer(self, latent: Latent, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """The latent's plan behind the projection `steps`; the latent adds its prior."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def build_latent(self, latent: Latent, node: Node, steps: dict[str, nn.Module], prior: nn.Module) -> nn.Module:
        """The latent's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Corruption(Part):
    """A change of the input that the model must undo.

    The module it builds has `forward(x) -> x`, or is a `modules.stage.Contextual` that puts what `writes_context` names into the context.
    One that hides elements leaves under `masked` which.
    """

    family = "corruption"
    takes: ClassVar[tuple[str, ...]] = ("vector", "grid", "sequence")        # kinds of samples
    writes_context: ClassVar[tuple[str, ...]] = ()
    foreign = {"sigma": "std", "stddev": "std", "noise": "std", "p": "ratio", "rate": "ratio", "prob": "ratio", "probability": "ratio"}
    when: Literal["training", "always"] = knob("training", "only while training, or in evaluation too", affects="data")

    def facing(self, value: Value, encoder: tuple[Layer, ...], site: Site) -> Self:
        """The corruption of such samples in front of these layers, with what it must know of both; or a refusal."""
        return self

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """The type after the corruption."""
        return value

    @property
    def share(self) -> float:
        """The share of a sample's elements that it hides, on average."""
        return 0.0

    @property
    def visible(self) -> int | None:
        """How many of its first layer's patches the encoder sees; None where it sees all."""
        return None

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        raise TypeError(f"{type(self).__name__} has no module")
