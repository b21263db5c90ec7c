"""The output layer: from the decoder's last hidden value to the likelihood's parameters."""

from __future__ import annotations

from math import prod

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Composite, Node, Refusal, Site
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Value, Vector

MISMATCH = Rule("AE310", "the decoder does not end at the data's size", """\
The output layer makes the channels of the data at each place; the places themselves must already be those of the data.

```yaml
data: ecg5000                                            # 140 steps
encoder: [conv: {width: 16, stride: 2}]                  # 70 places
latent: {type: continuous, dim: 1, per: position}
decoder: [lstm: 32]                                      # 70 steps, but the data have 140
```
```yaml
decoder: [conv: {width: 16, stride: 2}]
```
""")

SHAPED = Rule("AE311", "an output window where there is no grid", """\
`output` gives the output layer a window over a grid. A decoder that ends in a vector or a sequence has none. `columns` are those of a
linear output layer, which a decoder that ends in a grid does not have.

```yaml
decoder: [linear: 256, output: {kernel: 3}]
```
```yaml
decoder: [linear: 256]
```
""")


def plan_output(value: Value, target: Value, output: OutputPlan, shape: Layer, site: Site) -> Node:
    """The node `output`: a linear map, a convolution, or a linear map at each position, with bias."""
    here = site.at("output")
    wanted = target.with_features(target.features * output.channels)
    shaped, columns = shape.windowed, shape.columns  # type: ignore[attr-defined]
    if not target.places:
        nodes = _to_vector(value, wanted.features, here, columns)
    elif not value.places:
        nodes = _unfold(value, wanted, here, columns)
    elif wanted.series_length is not None and value.series_length is not None and not shaped:
        nodes = _positionwise(value, wanted, here, columns)
    else:
        if columns != "free":
            raise Refusal(Diagnostic(SHAPED, "an output layer by convolution has no columns", shape.place("columns"), "columns: free",
                                     here.path))
        return _by_convolution(value, target, wanted, shape, here)
    if shaped:
        raise Refusal(Diagnostic(SHAPED, f"the decoder ends in {value}, which has no grid for a window", shape.place(), "remove output",
                                 here.path))
    return Node(here.path, "output", value, wanted, Composite(), sequential=True, children=tuple(nodes))


def _linear(value: Value, width: int, path: str, out: Value, columns: str, repeats: int = 1) -> Node:
    part = Layer.named("linear", width=width, activation=None, columns=columns)
    weights: dict[str, tuple[int, ...]] = {"weight": (width, value.features), "bias": (width,)}
    return Node(path, "linear", value, out, part, part.options, weights, init="linear", window=None,  # type: ignore[attr-defined]
                macs=repeats * width * value.features)


def _to_vector(value: Value, width: int, here: Site, columns: str) -> list[Node]:
    adapters, flat = here.adapt(value, ("vector",), here, None)
    return [*adapters, _linear(flat, width, f"{here.path}.linear", Vector(width), columns)]


def _unfold(value: Value, wanted: Value, here: Site, columns: str) -> list[Node]:
    total = prod(wanted.shape)
    linear = _linear(value, total, f"{here.path}.linear", Vector(total), columns)
    part = Layer.named("unflatten", size=list(wanted.places))
    view = Node(f"{here.path}.unflatten", "unflatten", linear.output, wanted, part, {"shape": wanted.shape})
    return [linear, view.marked_inserted()]


def _positionwise(value: Value, wanted: Value, here: Site, columns: str) -> list[Node]:
    _same_places(value, wanted, here)
    return [_linear(value, wanted.features, f"{here.path}.linear", wanted, columns, repeats=prod(value.places))]


def _by_convolution(value: Value, target: Value, wanted: Value, shape: Layer, here: Site) -> Node:
    stage = here.stage
    if value.series_length not in (None, prod(stage.size or ())):
        stage.size = target.places
    adapters, grid = here.adapt(value, ("grid",), here, None)
    if not stage.resizes:
        stage.resizes.append(((1,) * grid.axes, grid.places))
    window = {"kernel": shape.kernel, "stride": shape.stride}  # type: ignore[attr-defined]
    node = Layer.named("conv", width=wanted.features, activation=None, **window).plan(grid, here)
    back: tuple[Node, ...] = ()
    out = node.output
    if wanted.series_length is not None:
        back, out = here.adapt(out, ("sequence",), here, None)
    _same_places(out, wanted, here)
    return Node(here.path, "output", value, out, Composite(), sequential=True, children=(*adapters, *node.children, *back))


def _same_places(value: Value, wanted: Value, here: Site) -> None:
    if value.places != wanted.places:
        raise Refusal(Diagnostic(MISMATCH, f"the decoder ends in {value}, but the data need {wanted}", None,
                                 Hint("a convolution or `upsample` that enlarges, or `unflatten`"), here.path))
