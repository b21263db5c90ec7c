"""What the recurrent layers share: reading a sequence, and making one of a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, assert_never

from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.families import Layer
from aebuild.lang.node import Composite, Node, Refusal, Site
from aebuild.lang.projection import PLAIN
from aebuild.lang.recurrence import SERIES, Recurrence
from aebuild.lang.schedule import Dial, Ramp, numbers
from aebuild.lang.sequence_length import length_for
from aebuild.lang.values import Grid, Sequence, Tokens, Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn


class Recurrent(Recurrence):
    """A recurrent layer, in torch's form."""

    keeps_lengths = True
    gates: ClassVar[int] = 1              # matrices side by side in the weights
    states: ClassVar[int] = 1             # vectors carried from one position to the next
    remembers: ClassVar[int] = 1          # vectors of the width that torch keeps of a position for the gradient, measured on the CPU

    @property
    def mode(self) -> str:
        """The word torch has for this kind of update."""
        return str(self.variant_name()).upper()

    @property
    def directions(self) -> int:
        """One, or two that run against each other."""
        return 2 if self.bidirectional else 1

    def mirrored(self) -> Layer | None:
        """The same layer, returning what its own place asks for."""
        return self.but(returns=None)

    def plan(self, value: Value, site: Site) -> Node:
        """sequence(T; D), or a code, to sequence(T; width) or vector(width)."""
        self.check(value, site)
        length = value.series_length
        if length is None:
            return self._from_code(value, site)
        returns = self._returns(site)
        leaf = self._cell(value, length, f"{site.path}.{self.variant_name()}")
        return Node(site.path, str(self.variant_name()), value, self._output(length, returns), self,
                    self._args("read", returns=returns), children=(leaf, *self._dropped(leaf.output, site.path, site)), window=None)

    def unrolled_value(self, target: Value) -> Value:
        """What the steps inside the loop get."""
        match target:
            case Sequence():
                return Sequence(target.length, self.width)
            case Vector() | Grid() | Tokens():
                raise Refusal(Diagnostic(SERIES, f"feed: previous makes a series position by position, but the data are {target}",
                                         self.place("feed"), "feed: repeat", "decoder"))
            case _:
                assert_never(target)

    def plan_unrolled(self, value: Value, tail: tuple[Node, ...], site: Site) -> Node:
        """The rest of the decoder, its output layer last, in one loop with this step."""
        self.check_loop(value, site)
        target = site.stage.target
        assert isinstance(target, Sequence)
        for node in tail:
            self.check_tail(node, target.length, site)
        inside = self.unrolled_value(target)
        tail = (*self._dropped(inside, f"{site.path}.tail", site), *tail)
        rest = Node(f"{site.path}.tail", "tail", inside, tail[-1].output, Composite(), sequential=True, children=tail)
        children = (self._initial(value, site), self._cell(target, target.length, f"{site.path}.{self.variant_name()}"), rest)
        args = self._args("unroll", length=target.length, teacher_forcing=numbers(self.forcing)[0],
                          dials={"teacher_forcing": _plain(self.forcing)})
        return Node(site.path, "unroll", value, rest.output, self, args, children=children, window=None,
                    reads=("mean", "target"))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The layer of torch, what runs it, or the dropout behind it."""
        from aebuild.modules.dropout import Dropout
        from aebuild.modules.recurrent import assemble

        return Dropout(self.dropout) if node.kind == "dropout" else assemble(children, **node.args)

    def _dropped(self, value: Value, path: str, site: Site) -> tuple[Node, ...]:
        """The dropout on what goes to the recurrent layer behind this one, below `path`."""
        if not self.drops(site):
            return ()
        return (Node(f"{path}.dropout", "dropout", value, value, self, keeps=elements(value)),)

    def _args(self, role: str, **more: Any) -> dict[str, Any]:
        """What `modules.recurrent.assemble` makes a step of."""
        return {"role": role, "name": str(self.variant_name()), "reverse": self.reverse, **more}

    def _options(self, role: str, **more: Any) -> dict[str, Any]:
        """What it makes the layer inside of."""
        return {"role": role, "mode": self.mode, "width": self.width, "bidirectional": self.bidirectional, **more}

    def _returns(self, site: Site) -> str:
        if self.returns is not None:
            return self.returns
        stage = site.stage
        return "last" if site.final and not stage.up and not stage.positions else "sequence"

    def _output(self, length: int, returns: str) -> Value:
        features = self.width * self.directions
        return Sequence(length, features) if returns == "sequence" else Vector(features)

    def _cell(self, value: Value, length: int, path: str) -> Node:
        rows = self.gates * self.width
        one = {"weight_ih": (rows, value.features), "weight_hh": (rows, self.width), "bias_ih": (rows,), "bias_hh": (rows,)}
        return Node(path, str(self.variant_name()), value, self._output(length, "sequence"), self,
                    self._options("layer", inputs=value.features), self._named(one),
                    macs=self.directions * length * rows * (value.features + self.width), window=None,
                    keeps=elements(value) + self._remembered(length))

    def _undriven(self, value: Value, length: int, path: str) -> Node:
        rows = self.gates * self.width
        one = {"weight_hh": (rows, self.width), "bias_ih": (rows,), "bias_hh": (rows,)}
        return Node(path, str(self.variant_name()), value, self._output(length, "sequence"), self,
                    self._options("undriven"), self._named(one), macs=self.directions * length * rows * self.width, window=None,
                    keeps=self._remembered(length))

    def _remembered(self, length: int) -> int:
        return self.remembers * self.directions * length * self.width

    def _named(self, one: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        return {f"{name}_l0{way}": shape for way in ("", "_reverse")[:self.directions] for name, shape in one.items()}

    def _initial(self, value: Value, site: Site) -> Node:
        """The linear map from the code to the first state."""
        return PLAIN.plan(f"{site.path}.initial", value, self.states * self.directions * self.width)

    def _from_code(self, value: Value, site: Site) -> Node:
        stage = site.stage
        if stage.seeds:
            stage.size = stage.seeds.popleft()
        length, returns = length_for(self, value, site), self._returns(site)
        initial = self._initial(value, site)
        leaf = self._undriven(initial.output, length, f"{site.path}.{self.variant_name()}")
        children = (initial, leaf, *self._dropped(leaf.output, site.path, site))
        return Node(site.path, str(self.variant_name()), value, self._output(length, returns), self,
                    self._args("unfold", returns=returns, length=length), children=children, window=None)


def _plain(dial: Dial) -> Any:
    """A dial as JSON."""
    if isinstance(dial, list):
        return [_plain(ramp) for ramp in dial]
    return dial.model_dump(mode="json", by_alias=True) if isinstance(dial, Ramp) else dial
