"""The bases of the part families; a variant is one class in one file under `parts/`."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.schedule import Dial, numbers
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import Tensor, nn


class Buildable(Part):
    """A part that plans a node and builds the node's module."""

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module of a node this part planned; without an own `build`, its children in order."""
        raise TypeError(f"{type(self).__name__} has no module of its own")

    def dials(self) -> dict[str, Dial]:
        """Attributes of the built module that follow a schedule while training."""
        return {}


class Activation(Buildable):
    """A pointwise nonlinearity."""

    family = "activation"
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


class Term(Part):
    """How a named loss term counts."""

    scalar = "weight"

    weight: Dial = knob(1.0, "factor of this term in the loss; a number or a schedule", affects="loss")
    reduction: Literal["sum", "mean"] = knob(
        "sum", "over a sample's elements: sum (the ELBO's ratio of terms) or mean; always averaged over the batch", affects="loss")

    def reduce(self, raw: Tensor, elements: int) -> Tensor:
        """A scalar from the raw term: [N, ...] is summed over elements and averaged over N, a scalar stays."""
        total = raw if raw.ndim == 0 else raw.sum() / raw.shape[0]
        return total / elements if self.reduction == "mean" else total


@dataclass(frozen=True)
class TermPlan:
    """A named term that some part provides.

    `elements` is what `reduction: mean` divides by; `player` minimises it; `config` holds weight and reduction.
    """

    name: str
    player: str
    elements: int
    config: Term = field(default_factory=Term)


@dataclass(frozen=True)
class LatentPlan:
    """A planned latent: its node, the type the decoder gets, its size in values and bits, and its terms."""

    node: Node
    code: Value
    values: int
    bits: float
    terms: tuple[tuple[str, str, int], ...] = ()      # (term, player that minimises it, elements)
    discriminator: Node | None = None


class Latent(Buildable):
    """The code between the halves; owns the projection to the code.

    The module it builds obeys `modules/latent.py`'s protocol: `forward(h) -> Code(value, terms, metrics)`,
    `draw(n) -> code`, `play(player, h) -> terms`. `terms` maps each term it provides to the class of its options.
    """

    family = "latent"
    terms: ClassVar[dict[str, type[Term]]] = {}
    players: ClassVar[tuple[str, ...]] = ("autoencoder",)
    unsampled: ClassVar[str | None] = None            # why `sample` must be fitted after training, if so

    dim: int = knob(..., "features of the code at each place", affects="graph", ge=1)
    per: Literal["sample", "position"] = knob(
        "sample", "one code for the sample, or one at each place of the encoder's grid or sequence", affects="graph")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """The latent behind an encoder that ends in `value`."""
        raise TypeError(f"{type(self).__name__} has no plan")


class Prior(Buildable):
    """A distribution that an adversarial latent's code is pushed to.

    The module it builds has `draw(n, device) -> [n, dim]`.
    """

    family = "prior"
    simplex: ClassVar[bool] = False           # its draws are one-hot, so the code becomes a softmax

    def size(self, dim: int, site: Site) -> int:
        """Checks that the prior can have this dimension and returns it."""
        return dim

    def build_prior(self, dim: int) -> nn.Module:
        """The prior's module."""
        raise TypeError(f"{type(self).__name__} has no module")


@dataclass(frozen=True)
class OutputPlan:
    """What a likelihood asks of the decoder's output layer and offers as a loss."""

    channels: int                       # output channels for each channel of the target
    elements: int                       # target elements of a sample
    args: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)


class Likelihood(Term):
    """How a reconstruction is judged; owns the output layer's channels and activation.

    The module it builds has `forward(params, target) -> [N]` (negative log-likelihood or error, summed over the
    sample) and `mean(params) -> tensor like the target`.
    """

    family = "likelihood"
    support: ClassVar[tuple[float, float] | None] = None      # target values must lie in it; None takes any real
    default_variant: ClassVar[str | None] = None

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """Channels, loss elements and own parameters for a target of this type and range."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Penalty(Term):
    """A loss term beyond the likelihood and the latent's own; `key` is its name under `losses`.

    The module it builds has `forward(code_value) -> raw term`; a `views = 2` penalty gets the codes of two corrupted draws.
    """

    family = "penalty"
    key: ClassVar[str] = ""
    views: ClassVar[int] = 1

    def check(self, latent: Latent) -> str | None:
        """Why the penalty cannot act on this latent, if so."""
        return None

    def elements(self, code: Value) -> int:
        """What `reduction: mean` divides by."""
        return prod(code.shape)

    def build_penalty(self, code: Value) -> nn.Module:
        """The penalty's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Corruption(Part):
    """A change of the input that the model must undo.

    The module it builds has `forward(x) -> x`.
    """

    family = "corruption"
    when: Literal["training", "always"] = knob("training", "only while training, or in evaluation too", affects="data")

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """The type after the corruption."""
        return value

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class LrSchedule(Part):
    """One of torch's learning-rate schedules, stepped once an epoch or a step."""

    family = "lr_schedule"
    each: ClassVar[Literal["epoch", "step"]] = "epoch"

    def build_schedule(self, optimizer: Any, epochs: int, steps: int) -> Any:
        """The torch.optim.lr_scheduler object."""
        raise TypeError(f"{type(self).__name__} has no schedule")


class Optimizer(Part):
    """One of torch's optimisers, under torch's names."""

    family = "optimizer"
    default_variant = "adam"
    scalar = "lr"
    slots: ClassVar[int] = 2          # numbers it keeps for each parameter

    lr: Dial = knob(1e-3, "learning rate; a number or a schedule", affects="training")
    schedule: LrSchedule | None = Field(None, description="one of torch's learning-rate schedules, on top of lr")

    @field_validator("lr")
    @classmethod
    def _positive(cls, lr: Dial) -> Dial:
        if min(numbers(lr), default=-1) < 0 or max(numbers(lr)) == 0:
            raise ValueError("a learning rate is positive; only a schedule may start or end at 0")
        return lr

    def build_optimizer(self, params: Seq[Any]) -> Any:
        """The torch.optim object."""
        raise TypeError(f"{type(self).__name__} has no optimiser")


class Player(Part):
    """A set of parameters that minimises its own terms."""

    optimizer: Optimizer | None = Field(None, description="its optimiser; the phase's if absent")
    clip: float | None = knob(None, "largest gradient norm; the phase's if absent", affects="gradient", gt=0)
    steps: int = knob(1, "updates of this player for each batch", affects="training", ge=1)


class PhasePart(Part):
    """A stretch of training over some players and some data; what it leaves out it takes from `train`."""

    family = "phase"

    epochs: int | None = knob(None, "passes over the training data", affects="training", ge=1)
    steps: int | None = knob(None, "optimiser steps instead of epochs", affects="training", ge=1)
    batch_size: int | None = knob(None, "samples per step", affects="training", ge=1)
    optimizer: Optimizer | None = Field(None, description="one of torch's optimisers")
    clip: float | None = knob(None, "largest gradient norm", affects="gradient", gt=0)
    players: dict[str, Player] = Field(default_factory=dict, description="options of single players")

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """Names of the stretches it consists of, and the pair of layers each trains; `depth` counts the pairs."""
        raise TypeError(f"{type(self).__name__} has no stretches")
