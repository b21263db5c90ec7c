"""What decoders that read their own target share: where they stand, what they go through, and what may stand behind them."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Never

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Composite, Node, Refusal, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn

    from aebuild.modules.autoregression import CausalNetwork, Entry

MISPLACED = Rule("AE831", "an autoregressive layer where no data are made", """\
`pixelcnn`, `wavenet` and `causal_transformer` make the data themselves, each place from those before it and the code. One of them stands
in the decoder's own list; in front of it what prepares the code, behind it what looks at each place on its own. In an encoder, inside
another step, behind another one, or in a decoder with skips or levels there is nothing for it to make.

```yaml
data: {type: mnist, binarize: dynamic}
encoder: [pixelcnn: {width: 32}]
losses: {reconstruction: bernoulli}
```
```yaml
data: {type: mnist, binarize: dynamic}
encoder: {layer: conv, width: [32, 64], stride: 2}
decoder: [pixelcnn: {width: 32}]
losses: {reconstruction: bernoulli}
```
""")

ORDER = Rule("AE832", "data that an autoregressive layer does not go through", """\
A `pixelcnn` goes through the pixels of an image, row by row; a `wavenet` through a waveform, a series or a text; a `causal_transformer`
through a series or a text.

```yaml
data: ecg5000
encoder: {layer: gru, width: 32}
decoder: [pixelcnn: {width: 32}]
losses: {reconstruction: gaussian}
```
```yaml
data: ecg5000
encoder: {layer: gru, width: 32}
decoder: [wavenet: {width: 32}]
losses: {reconstruction: gaussian}
```
""")

BEHIND = Rule("AE833", "a step behind an autoregressive layer that sees other places", """\
What comes out at a place must depend on the places before it alone. A step behind the autoregressive layer that looks further, such as a
wider convolution, attention, or a normalisation over places or samples, would see the value that it is asked for, and the likelihood would
be none. Activations, dropout and convolutions of kernel 1 look at each place on its own.

```yaml
data: {type: mnist, binarize: dynamic}
decoder: [pixelcnn: {width: 32}, conv: {width: 32, kernel: 3}]
losses: {reconstruction: bernoulli}
```
```yaml
decoder: [pixelcnn: {width: 32}, conv: {width: 32, kernel: 1}]
```
""")

UNDRAWN = Rule("AE834", "a likelihood that nothing is drawn from", """\
An autoregressive decoder gives each place a distribution, draws the value there from it and goes on. So its likelihood must be one of
single elements: `bernoulli` of zeros and ones, `categorical`, `discretized_logistic` and its mixture, `gaussian`, `laplace`. Errors such as
`mse` are none, of grey values `bernoulli` is none, and a scale for each element of a whole sample does not stand at one place.

```yaml
data: mnist                                        # grey values
decoder: [pixelcnn: {width: 32}]
losses: {reconstruction: bernoulli}
```
```yaml
data: {type: mnist, binarize: dynamic}             # zeros and ones
losses: {reconstruction: bernoulli}
```
""")

APART = Rule("AE835", "a code with other places than the data", """\
An autoregressive layer is told one vector, which holds for all places, or features at each place of the data. A code on a coarser grid is
brought there by the steps in front, which the compiler lets enlarge.

```yaml
data: {type: mnist, binarize: dynamic}             # 28×28
encoder: {layer: conv, width: [32, 64], stride: 2}
latent: {type: gaussian, dim: 8, per: position}    # 7×7
decoder: [pixelcnn: {width: 32}]
losses: {reconstruction: bernoulli}
```
```yaml
decoder: [conv: 32, conv: 16, pixelcnn: {width: 32}]
```
""")


class Autoregressive(Layer):
    """A decoder's end that makes the data place by place, with an exact likelihood."""

    keeps_lengths = True
    captures: ClassVar[bool] = True                            # the rest of the decoder runs inside it
    ways: ClassVar[tuple[str, ...]] = ()       # kinds of data that it goes through
    rank: ClassVar[int | None] = None          # axes of the grids among them
    first: ClassVar[bool] = True               # its features stand in axis 1

    width: int = knob(..., "features of each layer", examples=[64], affects="graph", ge=1)
    depth: int = knob(8, "layers of the stack", affects="graph", ge=1, le=1000)
    input_dropout: float = knob(
        0.0, "share of the places that training hides from those behind them, so that the code must tell of them (word dropout)",
        affects="gradient", ge=0, lt=1)

    scalar = "width"
    wants = ("vector", "grid")

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """A vector as it is; else places, in the form that the network runs over."""
        if not value.places:
            return ("vector",)
        return ("grid",) if self.first else ("sequence",)

    def plan(self, value: Value, site: Site) -> Node:
        """Refused: what it can stand in was planned by `plan_unrolled`."""
        site.refuse(self, MISPLACED, f"{self.variant_name()} makes the data, so one stands in the decoder's own list, without levels or "
                    "another one in front", fix=Hint("leave it out here"))

    def unrolled_value(self, target: Value) -> Value:
        """What the steps behind it get: features at each place of the data."""
        fits = target.kind in self.ways and (target.kind != "grid" or target.axes == self.rank)
        if not fits:
            raise Refusal(Diagnostic(ORDER, f"{self.variant_name()} goes through {self.goes_through}, but the data are {target}",
                                     self.place("type"), Hint("another layer"), "decoder"))
        return self.hidden(target)

    @property
    def goes_through(self) -> str:
        """The data that it is for, in words."""
        return {1: "waveforms, series and texts", 2: "images"}.get(self.rank or 0, "series and texts")

    def hidden(self, target: Value) -> Value:
        """The features that it makes at the target's places."""
        raise TypeError(f"{type(self).__name__} has no hidden value")

    def plan_network(self, value: Value, target: Value, site: Site) -> tuple[dict[str, tuple[int, ...]], int]:
        """The weights of its network, and multiply-accumulates, for such a code."""
        raise TypeError(f"{type(self).__name__} has no network")

    def kept_at_place(self, value: Value, target: Value) -> int:
        """Values that its network keeps for the gradient at a place, told such a code."""
        raise TypeError(f"{type(self).__name__} has no network")

    def options(self, value: Value, target: Value) -> dict[str, Any]:
        """What of the network no shape of a weight tells, for such a code."""
        return {}

    def network(self, node: Node, entry: Entry) -> CausalNetwork:
        """The network's module."""
        raise TypeError(f"{type(self).__name__} has no network")

    def plan_unrolled(self, value: Value, tail: tuple[Node, ...], site: Site) -> Node:
        """The network, and the rest of the decoder, its output layer last, behind it."""
        target = site.stage.target
        assert target is not None, "a decoder has one"
        self._check(value, target, site)
        for node in tail:
            stray = strayer(node, target.places)
            if stray is not None:
                where = replace(site, path=stray.path)
                where.refuse(stray.part if stray.part.place() is not None else self, BEHIND,
                             f"{stray.kind} cannot stand behind {self.variant_name()}, because it sees more than one place",
                             fix=Hint("a convolution of kernel 1, an activation, or nothing"))
        weights, macs = self.plan_network(value, target, site)
        if isinstance(target, Tokens):
            weights = {"entry.embed.weight": (target.classes, self.width), **weights}
        inside = self.hidden(target)
        bounds = site.stage.bounds
        args = {"target": target.to_json(), "inputs": self.inputs(target, site), "low": bounds and bounds.low,
                "high": bounds and bounds.high, **self.options(value, target)}
        if site.stage.gaps:
            args["gaps"] = True
        steps = self.steps(target)
        if steps > 1:
            args["steps"] = steps
            tail = tuple(_each_step(node, steps) for node in tail)
        network = Node(f"{site.path}.network", "causal network", value, inside, self, args, weights, macs=macs, window=None,
                       keeps=prod(target.places) * self.kept_at_place(value, target))
        rest = Node(f"{site.path}.tail", "tail", inside, tail[-1].output, Composite(), sequential=True, children=tail)
        return Node(site.path, "autoregression", value, rest.output, self, {"shape": target.shape, "axis": target.feature_axis},
                    children=(network, rest), window=None, reads=("target", "mask") if site.stage.gaps else ("target",))

    def _check(self, value: Value, target: Value, site: Site) -> None:
        self.check_places(value, target, site)
        likelihood = site.stage.likelihood
        reason = likelihood.undrawn(site.stage.bounds)
        if reason is not None:
            self._undrawn(likelihood, reason, target)

    def check_places(self, value: Value, target: Value, site: Site) -> None:
        """Refuses a code that has places other than the data's."""
        if value.places and value.places != target.places:
            site.refuse(self, APART, f"{self.variant_name()} is told {value}, but goes through {target}",
                        fix=Hint("steps in front that enlarge, or `flatten`"))

    def _undrawn(self, likelihood: Any, reason: str, target: Value) -> Never:
        fix = "reconstruction: categorical" if isinstance(target, Tokens) else "reconstruction: {type: gaussian, variance: learned}"
        message = f"{self.variant_name()} draws each place from the likelihood; {likelihood.variant_name()} will not do: {reason}"
        raise Refusal(Diagnostic(UNDRAWN, message, likelihood.place() or self.place(), fix if likelihood.place() else Hint(fix),
                                 "losses.reconstruction"))

    def steps(self, target: Value) -> int:
        """The steps in which the values of a place are made, each told those before it; what stands behind runs once a step."""
        return 1

    def inputs(self, target: Value, site: Site) -> int:
        """Features that the network is given at a place: beside each number of data with holes whether it is missing."""
        return self.width if isinstance(target, Tokens) else target.features * (2 if site.stage.gaps else 1)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The network, or what runs it."""
        from aebuild.lang.values import from_json
        from aebuild.modules.autoregression import Autoregression, Entry

        if node.kind == "causal network":
            target = from_json(node.args["target"])
            classes = target.classes if isinstance(target, Tokens) else None
            axis, gaps = target.feature_axis, "gaps" in node.args
            entry = Entry(classes, self.width, node.args["low"], node.args["high"], axis=axis, first=self.first and axis != 1, gaps=gaps)
            return self.network(node, entry)
        return Autoregression(children["network"], children["tail"], node.args["shape"],  # type: ignore[arg-type]
                              node.args["axis"], self.input_dropout)


def _each_step(node: Node, steps: int) -> Node:
    """A node of the tail that runs once a step."""
    children = tuple(_each_step(child, steps) for child in node.children)
    return replace(node, macs=node.macs * steps, keeps=node.kept * steps, children=children)


def strayer(node: Node, places: tuple[int, ...]) -> Node | None:
    """The first node that does not keep to one place of one sample."""
    if any(value.places != places for value in (node.input, node.output)):
        return node
    if node.children:
        inner = (strayer(child, places) for child in node.children)
        return next((found for found in inner if found), None) if node.sequential or node.kind == "residual" else node
    if node.kind == "linear" or (node.kind == "layer_norm" and not node.input.axes):
        return None
    over_places = node.kind.endswith("_norm")
    local = node.window is not None and all(window == (1, 1.0) for window in node.window)
    return None if local and not over_places and not node.buffers and node.kind != "skip" else node


