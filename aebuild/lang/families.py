"""The bases of the part families; a variant is one class in one file under `parts/`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.schedule import Dial
from aebuild.lang.terms import Term
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Buildable(Part):
    """A part that plans a node and builds the node's module."""

    def build(self, node: Node, children: "dict[str, nn.Module]") -> "nn.Module":
        """The module of a node this part planned; without an own `build`, its children in order."""
        raise TypeError(f"{type(self).__name__} has no module of its own")

    def dials(self) -> dict[str, Dial]:
        """Attributes of the built module that follow a schedule while training."""
        return {}


class Composite(Buildable):
    """What stands at a node that is only the order of its children."""


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

    def mirrored(self) -> "Layer | None":
        """The step a mirrored decoder has in its place; None to leave it out."""
        return self

    def widened(self, factor: float) -> "Layer":
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


def mirror_steps(steps: "list[Layer]") -> "list[Layer]":
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

    def plan(self, value: Value, kind: str, site: Site, layer: "Layer | None") -> Node:
        """The node that makes the value one of that kind in front of `layer`."""
        raise TypeError(f"{type(self).__name__} has no plan")


@dataclass(frozen=True, eq=False)
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
    `draw(n) -> code`, `play(player, h) -> terms`. `terms` maps each term it provides to the class of its options, `metrics`
    names the figures that are logged besides.
    """

    family = "latent"
    foreign = dict.fromkeys(("latent_dim", "latent_size", "z_dim", "n_z", "nz", "code_dim", "code_size", "embedding_dim", "width", "units",
                             "size", "features", "hidden_dim", "bottleneck", "n_latent", "dimension"), "dim")
    terms: ClassVar[dict[str, type[Term]]] = {}
    metrics: ClassVar[tuple[str, ...]] = ()
    players: ClassVar[tuple[str, ...]] = ("autoencoder",)
    unsampled: ClassVar[str | None] = None            # why `sample` must be fitted after training, if so

    dim: int = knob(..., "features of the code at each place", examples=[16], affects="graph", ge=1)
    per: Literal["sample", "position"] = knob(
        "sample", "one code for the sample, or one at each place of the encoder's grid or sequence", affects="graph")

    def plan_latent(self, value: Value, site: Site) -> "LatentPlan":
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

    def build_prior(self, dim: int) -> "nn.Module":
        """The prior's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Corruption(Part):
    """A change of the input that the model must undo.

    The module it builds has `forward(x) -> x`.
    """

    family = "corruption"
    foreign = {"sigma": "std", "stddev": "std", "noise": "std", "p": "ratio", "rate": "ratio", "prob": "ratio", "probability": "ratio"}
    when: Literal["training", "always"] = knob("training", "only while training, or in evaluation too", affects="data")

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """The type after the corruption."""
        return value

    def build_corruption(self) -> "nn.Module":
        """The corruption's module."""
        raise TypeError(f"{type(self).__name__} has no module")
