"""The plan's nodes, and the site a part is planned at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, dataclass_transform

from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.part import Part
from aebuild.lang.schedule import Dial
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def unchanging(cls: type[T]) -> type[T]:
    """A dataclass that the type checker takes for frozen; really frozen ones are three times as slow to make, and a plan is many nodes."""
    return dataclass(cls)


class Buildable(Part):
    """A part that plans a node and builds the node's module.

    With `keeps_lengths` its module gives the same at the real places of series of unequal length, whatever the padding behind them is;
    with `ends_lengths` all places of what it gives are real.
    """

    keeps_lengths: ClassVar[bool] = False
    ends_lengths: ClassVar[bool] = False

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module of a node this part planned; without an own `build`, its children in order."""
        raise TypeError(f"{type(self).__name__} has no module of its own")

    def dials(self) -> dict[str, Dial]:
        """Attributes of the built module that follow a schedule while training."""
        return {}

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """What its loss calls again in a step, as Outputs offer it: how often more `encoder`, `decoder` or `network`, its own, are kept for
        the gradient. A slope that has a slope counts as one more.
        """
        return {}


class Composite(Buildable):
    """What stands at a node that is only the order of its children."""

    keeps_lengths = True


@unchanging
class Node:
    """One row of the plan: what stands at a path, its types and its cost for one sample.

    `weights` are the node's own parameters by name and shape, as its module's state_dict spells them; `args` are
    the solved, JSON-able arguments that `part.build(node, children)` turns into an nn.Module. `macs` counts the
    multiply-accumulates of matrix products and convolutions. `window` is (kernel, stride) per spatial axis; of a
    layer that upsamples the stride is below one, and the kernel how many places of its output see one of its input. None stands for
    layers that see everything. `keeps` is how many values of a sample its own module keeps for the gradient, where that is not its input,
    as of a leaf with weights, or nothing, as of all others.
    """

    path: str
    kind: str
    input: Value
    output: Value
    part: Part = field(compare=False, repr=False)
    args: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    macs: int = 0
    children: tuple[Node, ...] = ()
    inserted: bool = False
    sequential: bool = False              # its children simply run in order
    init: str | None = None
    window: tuple[tuple[int, float], ...] | None = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    aside: bool = False
    keeps: int | None = None

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rsplit(".", 1)[-1]

    @property
    def own_params(self) -> int:
        """Parameters of this node without its children."""
        return sum(map(prod, self.weights.values()))

    @property
    def kept(self) -> int:
        """Values of a sample that its own module keeps for the gradient, without what is below it."""
        if self.keeps is not None:
            return self.keeps
        return elements(self.input) if self.weights and not self.children else 0

    @cached_property
    def params(self) -> int:
        """Parameters of this node and everything below it."""
        return sum([node.own_params for node in self.walk() if node.weights])

    @cached_property
    def all_macs(self) -> int:
        """Multiply-accumulates of this node and everything below it."""
        return sum([node.macs for node in self.walk()])

    @property
    def silent(self) -> bool:
        """True for what has nothing to show beside its part: no parameters, no cost, and no place in a reconstruction."""
        return self.aside and not self.params and not self.all_macs

    @property
    def reconstruction_macs(self) -> int:
        """Multiply-accumulates of what runs in a reconstruction."""
        return 0 if self.aside else self.macs + sum([child.reconstruction_macs for child in self.children])

    def walk(self) -> Iterator[Node]:
        """This node, then everything below it, in order of execution."""
        return iter(self._order)

    @cached_property
    def _order(self) -> tuple[Node, ...]:
        found, waiting = [], [self]
        while waiting:
            found.append(node := waiting.pop())
            waiting += node.children[::-1]
        return tuple(found)

    def marked_inserted(self) -> Node:
        """This node as one that the compiler put in."""
        return replace(self, inserted=True, children=tuple(child.marked_inserted() for child in self.children))


class Refusal(Exception):
    """A part that cannot be planned here; carries the one diagnostic that says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True, eq=False)
class Resize:
    """How one layer changes the spatial size in a decoder.

    `factor` per axis, None where the compiler may choose it. A size `n` can become anything up to `reach(n, axis,
    factor)`, and comes most naturally from `natural(out, axis, factor)`; a `forced` layer makes exactly `reach`.
    """

    factor: tuple[int, ...] | None
    reach: Callable[[int, int, int], int]
    natural: Callable[[int, int, int], int]
    forced: bool = False


@dataclass(eq=False)
class Stage:
    """What all steps of one half share while it is planned."""

    up: bool = False
    positions: bool = False                   # the latent (or the target) wants positions, not one vector
    target: Value | None = None               # a decoder's goal
    taken: Value | None = None                # what an encoder takes
    size: tuple[int, ...] | None = None       # where the solver says the grid stands now
    seeds: deque[tuple[int, ...] | None] = field(default_factory=deque)   # solved size of each unfolding, in order
    resizes: deque[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=deque)   # solved (factor, size) of each layer
    positioned: bool = False                  # positions were already added
    repeated: bool = False                    # a vector was repeated along a sequence
    visible: int | None = None                # patches that an encoder sees in training, where some are hidden
    shortened: bool = False                   # planned for these alone
    taps: dict[str, Value] = field(default_factory=dict)           # encoder outputs that skips may name
    adapter: str | None = None
    adapted: bool = False                     # the stage's `adapter` was used
    agreed: dict[str, Part] = field(default_factory=dict)          # the first part of a sort, which later ones must not contradict
    top: str = ""                             # the path of the list of layers that is told the conditions
    joins: tuple[Any, ...] = ()               # the conditions that it is told: each a conditioning.Join
    joined: bool = False                      # those that are told at its input were
    hidden: bool = False                      # a layer with weights came, behind which none of them was told yet
    given: tuple[Any, ...] = ()               # the Joins that a prior may read
    critics: tuple[Any, ...] = ()             # the Joins that discriminators are told
    likelihood: Any = None                    # what judges a decoder's output: a terms.Likelihood
    bounds: Range | None = None               # where the target's values lie
    gaps: bool = False                        # a sample may lack some of the target's values, which the batch's `mask` tells


@dataclass(eq=False)
class Site:
    """Where a part is planned: its path, its stage, and the services of the compiler.

    `chain` plans a list of layers one after another; `adapt` inserts the standard adapter that makes a value one of
    the wanted kinds; both are given by the compiler, so that parts need not know their siblings. `between` are the steps
    before and behind this one in its list, None at an end.
    """

    path: str
    stage: Stage
    final: bool
    chain: Callable[..., tuple[tuple[Node, ...], Value]]
    adapt: Callable[[Value, tuple[str, ...], Site, Any], tuple[tuple[Node, ...], Value]]
    between: tuple[Any, Any] = (None, None)

    def at(self, name: str, *, final: bool | None = None, between: tuple[Any, Any] = (None, None)) -> Site:
        """The site of something below this one."""
        return Site(f"{self.path}.{name}", self.stage, self.final if final is None else final, self.chain, self.adapt, between)

    def refuse(self, part: Part, rule: Rule, message: str, *fields: str, fix: str | None = None) -> NoReturn:
        """Stop planning this part: `fields` names what to underline, the first written one wins."""
        raise Refusal(Diagnostic(rule, message, part.place(*fields), fix, self.path))

    def next_resize(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The factor and the output size that the solver found for the next resizing layer."""
        factor, size = self.stage.resizes.popleft()
        self.stage.size = size
        return factor, size
