"""The families of the loss: weighted terms, likelihoods, penalties and bounds; and what any part contributes to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from aebuild.lang.node import Buildable, Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.schedule import Dial
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

AUTOENCODER = "autoencoder"        # the player that every model has


def without_level(name: str) -> str:
    """The name of a term, metric or player of one level of a code, as it is called where there are no levels."""
    stem, _, level = name.rpartition("_")
    return stem if stem and level.isdecimal() else name


class Term(Buildable):
    """How a named loss term counts."""

    example = ("heads: {digit: {}}\n"
               "losses: {digit: {weight: 0.5}}")
    scalar = "weight"
    foreign = dict.fromkeys(("beta", "coefficient", "coef", "factor", "scale", "lambda", "alpha"), "weight")

    weight: Dial = knob(1.0, "factor of this term in the loss; a number or a schedule", affects="loss")
    reduction: Literal["sum", "mean"] = knob(
        "sum", "over a sample's elements: sum (the ELBO's ratio of terms) or mean; always averaged over the batch", affects="loss")

    @property
    def pools(self) -> bool:
        """True if its scalar is no mean over samples, so that the parts of a batch must be judged together."""
        return False

    def settled(self, value: Callable[[Dial], float]) -> Self:
        """This term with its scheduled options, other than the weight, at the values of a moment."""
        return self

    def reduce(self, raw: Tensor, elements: int) -> Tensor:
        """A scalar from the raw term: [N, ...] is summed over elements and averaged over N, a scalar stays."""
        total = raw if raw.ndim == 0 else raw.sum() / raw.shape[0]
        return total / elements if self.reduction == "mean" else total

    def by_sample(self, raw: Tensor, elements: int) -> Tensor:
        """The raw term [N, ...] as one number a sample, [N], which a bound combines."""
        total = raw.flatten(1).sum(1) if raw.ndim > 1 else raw
        return total / elements if self.reduction == "mean" else total


@dataclass(frozen=True)
class TermPlan:
    """A named term that some part provides.

    `elements` is what `reduction: mean` divides by; `player` minimises it; `config` holds weight and reduction. Without `pathwise` it is
    of draws that no gradient passes, so that only its closed form can be minimised.
    """

    name: str
    player: str
    elements: int
    config: Term = field(default_factory=Term)
    pathwise: bool = True


@dataclass(frozen=True)
class Role:
    """A player that a part brings into the model: who moves the weights under `modules`.

    An `apart` role's weights are moved by no other player. Without `through` its gradient ends at its own modules: it reads the
    outputs of a pass that another player made. It plays in phases of the type `phase`. It minimises the terms of the player `of`, its own
    if that is None, in so many `steps` a batch unless the spec says otherwise.
    """

    name: str
    modules: tuple[str, ...]
    apart: bool = False
    through: bool = True
    phase: str = "main"
    of: str | None = None
    steps: int = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Contribution:
    """What a part brings into a model: a network at its path, terms, players, and what the model cannot do because of it."""

    node: Node
    terms: tuple[TermPlan, ...] = ()
    players: tuple[Role, ...] = ()
    refusals: Mapping[str, str] = field(default_factory=dict)      # operation -> reason


class Provider(Buildable):
    """A part whose modules make named loss terms and metrics.

    `terms` maps each term to the class of its options, `meanings` each term and metric to what it is and which way is better;
    `players` are the names of those it may bring along.
    """

    terms: ClassVar[Mapping[str, type[Term]]] = {}
    meanings: ClassVar[Mapping[str, str]] = {}
    players: ClassVar[tuple[str, ...]] = ()

    def phases(self) -> tuple[str, ...]:
        """The phases that it wants besides those that train the model."""
        return ()


@dataclass(frozen=True, eq=False)
class ModelTypes:
    """What a loss can know of the model: the types that flow, the latent, what corrupts the input, and who writes the context.

    `given` is what the encoder gets of `input`, behind what changes its type. `samples` are those of the training split, None where no
    header tells.
    """

    input: Value
    target: Value
    bounds: Range
    features: Value
    code: Value
    latent: Part
    corrupt: tuple[Part, ...] = ()
    written: tuple[str, ...] = ()
    samples: int | None = None
    classes: int | None = None            # that the data's labels name
    labelled: bool = False
    given: Value | None = None


@dataclass(frozen=True)
class OutputPlan:
    """What a likelihood asks of the decoder's output layer and offers as a loss."""

    channels: int                       # output channels for each channel of the target
    elements: int                       # target elements of a sample
    args: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: dict[str, tuple[int, ...]] = field(default_factory=dict)


class Likelihood(Term):
    """How a reconstruction is judged; owns the output layer's channels and activation.

    The module it builds has `forward(params, target) -> [N]` (negative log-likelihood or error, summed over the
    sample), `mean(params) -> tensor like the target` and its inverse `params_of(mean)`. What it must know of the sample beside the code it
    puts into the parameters by `linked(params, context)`.
    """

    family = "likelihood"
    unit: ClassVar[str] = ""                                  # what its figure is, of one sample
    support: ClassVar[tuple[float, float] | None] = None      # target values must lie in it; None takes any real
    judges: ClassVar[tuple[str, ...]] = ("vector", "grid", "sequence")       # kinds of targets
    reads_context: ClassVar[tuple[str, ...]] = ()             # keys of the context that it needs
    elementwise: ClassVar[bool] = True                        # it can judge some elements of a sample alone
    draws: ClassVar[bool] = False                             # its module has `draw`: data, element by element
    remembers: ClassVar[int] = 1                              # tensors of the size of its parameters that the loss keeps for the gradient
    reads_fields: ClassVar[bool] = False                      # it judges the categories and flags of a table as such
    default_variant: ClassVar[str | None] = None

    on: Literal["all", "masked"] = knob(
        "all", "the elements that are judged: all, or those that a corruption hid from the encoder (`patch_mask`, `block_mask`, "
        "`mask`, `token_mask`), which are then hidden where epochs and test samples are judged too", affects="loss")
    normalize: Literal["patch"] | None = knob(
        None, "patch: the decoder gives, and the loss compares, each patch of the encoder's `patchify` less the target's mean over its "
        "deviation (He et al., 2021)", affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """Channels, loss elements and own parameters for a target of this type and range."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def undrawn(self, bounds: Range) -> str | None:
        """Why a decoder cannot draw data from it place by place and have their probability, if so."""
        return None if self.draws else "it is no distribution of single elements, of which one could draw"

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        raise TypeError(f"{type(self).__name__} has no module")


class Penalty(Term):
    """A loss term beyond the likelihood and the latent's own; `key` is its name under `losses`.

    The module it builds is a `modules.losses.Loss`: `loss(outputs) -> [N, ...]`, or a scalar.
    """

    family = "penalty"
    key: ClassVar[str] = ""
    unit: ClassVar[str] = ""              # what its figure is, of one sample
    views: ClassVar[int] = 1              # draws of `corrupt` that it compares
    across: ClassVar[bool] = False        # its value depends on which samples are in a batch together
    reads_context: ClassVar[tuple[str, ...]] = ()     # keys of the context that it needs
    players: ClassVar[tuple[str, ...]] = ()     # names of players it brings along
    leads: ClassVar[bool] = False         # it is meant where its key is written without a type
    needs_labels: ClassVar[bool] = False
    whole: ClassVar[bool] = False         # it compares whole reconstructions, so that padding and missing values would count
    needs: ClassVar[tuple[str, ...]] = ()       # operations of the model that it uses
    optional: ClassVar[bool] = False            # there are batches without it
    metrics: ClassVar[tuple[str, ...]] = ()     # that it logs behind its name and an underscore
    replaces: ClassVar[tuple[str, ...]] = ()    # terms that need no weight beside it

    def located(self, base: Path) -> Self:
        """The same with absolute paths; relative ones start from `base`."""
        return self

    def kept(self, base: Path) -> Self:
        """The same as a run keeps it: located, and with everything written down that is found out from files."""
        return self.located(base)

    def files(self) -> tuple[tuple[str, Path], ...]:
        """Files that must be there before training begins, each with the field that names it."""
        return ()

    @property
    def teacher(self) -> str | None:
        """A run whose encoder its module is given as `teacher` while a model is trained."""
        return None

    def check(self, types: ModelTypes) -> str | None:
        """Why the penalty cannot act on this model, if so."""
        return None

    def elements(self, types: ModelTypes) -> int:
        """What `reduction: mean` divides by."""
        return prod(types.code.shape)

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """Its module and term; without networks of its own the module needs nothing but the code's type."""
        node = Node(site.path, str(self.variant_name()), types.code, types.code, self, aside=True)
        return Contribution(node=node, terms=(TermPlan(name, AUTOENCODER, self.elements(types), self),))


class Bound(Part):
    """How the terms of a sample become its loss.

    What `joined` names is combined sample by sample by the module it builds, `forward({term: [N, draws]}) -> [N]`, from weighted
    terms; all other terms are added to it. If the module has `observe({term: mean})`, it is shown what each batch came to after the
    step, and its buffers are part of checkpoints. What its `figures()` are is logged; `meanings` says what that is.

    One that `balances` joins nothing: it weighs the terms of a player, and its module is a `modules.gradient_balance.GradientBalance`.
    """

    family = "bound"
    default_variant = "sum"
    joined: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()         # of the model's own, which it is given too, weighed as the reconstruction: `decoding`
    balances: ClassVar[bool] = False
    meanings: ClassVar[Mapping[str, str]] = {}

    @property
    def draws(self) -> int | None:
        """Codes drawn for each sample, whose KL is then log q − log p of the draw; None: one, and closed forms where known."""
        return None

    @property
    def decodings(self) -> int:
        """How often a step decodes each sample."""
        return self.draws or 1

    def check(self, terms: tuple[TermPlan, ...]) -> str | None:
        """Why these terms cannot be combined, if so."""
        missing = [name for name in self.joined if all(term.name != name for term in terms)]
        if missing:
            return f"it combines {' and '.join(self.joined)}, but no {missing[0]} is there"
        blocked = [term.name for term in terms if term.name in self.joined and self.draws is not None and not term.pathwise]
        return f"it weighs single draws, and those of {blocked[0]} are discrete, which no gradient passes" if blocked else None

    def build_bound(self) -> nn.Module | None:
        """The bound's module, None if nothing is joined."""
        return None

    def build_balance(self, terms: tuple[str, ...]) -> nn.Module:
        """The module that weighs the terms of these names."""
        raise TypeError(f"{type(self).__name__} balances nothing")
