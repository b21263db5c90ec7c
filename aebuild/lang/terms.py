"""The families of the loss: weighted terms, likelihoods and penalties."""

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import Part, knob
from aebuild.lang.schedule import Dial
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import Tensor, nn

    from aebuild.lang.families import Latent


class Term(Part):
    """How a named loss term counts."""

    example = ("heads: {digit: {}}\n"
               "losses: {digit: {weight: 0.5}}")
    scalar = "weight"
    foreign = dict.fromkeys(("beta", "coefficient", "coef", "factor", "scale", "lambda", "alpha"), "weight")

    weight: Dial = knob(1.0, "factor of this term in the loss; a number or a schedule", affects="loss")
    reduction: Literal["sum", "mean"] = knob(
        "sum", "over a sample's elements: sum (the ELBO's ratio of terms) or mean; always averaged over the batch", affects="loss")

    def reduce(self, raw: "Tensor", elements: int) -> "Tensor":
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
    unit: ClassVar[str] = ""                                  # what its figure is, of one sample
    support: ClassVar[tuple[float, float] | None] = None      # target values must lie in it; None takes any real
    default_variant: ClassVar[str | None] = None

    def plan_output(self, target: Value, bounds: Range) -> "OutputPlan":
        """Channels, loss elements and own parameters for a target of this type and range."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def build_likelihood(self, target: Value, bounds: Range) -> "nn.Module":
        """The likelihood's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Penalty(Term):
    """A loss term beyond the likelihood and the latent's own; `key` is its name under `losses`.

    The module it builds has `forward(code_value) -> raw term`; a `views = 2` penalty gets the codes of two corrupted draws.
    """

    family = "penalty"
    key: ClassVar[str] = ""
    unit: ClassVar[str] = ""              # what its figure is, of one sample
    views: ClassVar[int] = 1
    across: ClassVar[bool] = False       # its value depends on which samples are in a batch together

    def check(self, latent: "Latent") -> str | None:
        """Why the penalty cannot act on this latent, if so."""
        return None

    def elements(self, code: Value) -> int:
        """What `reduction: mean` divides by."""
        return prod(code.shape)

    def build_penalty(self, code: Value) -> "nn.Module":
        """The penalty's module."""
        raise TypeError(f"{type(self).__name__} has no module")
