"""The arithmetic and the leaves of convolutions, down and up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd, prod

from aebuild.lang.lint import Finding, warning
from aebuild.lang.node import Node
from aebuild.lang.norm_act import Weighted
from aebuild.lang.part import Part
from aebuild.lang.values import Grid, Value

HOLES = warning("AE207", "a stride larger than its kernel", """\
A window that moves further than its own size leaves places out: an encoder never sees them, a transposed convolution in a decoder never
writes them (they get the bias alone).

```yaml
encoder: [conv: {width: 32, kernel: 2, stride: 3}]
```
```yaml
encoder: [conv: {width: 32, kernel: 3, stride: 3}]
```
""")


def holes(part: Part, node: Node | None) -> Iterator[Finding]:
    """The first axis along which a window moves further than its own size."""
    if node is None or node.kind not in ("conv", "conv_transpose"):
        return
    for kernel, stride, dilation in zip(node.args["kernel"], node.args["stride"], node.args["dilation"], strict=True):
        if stride > dilation * (kernel - 1) + 1:
            yield HOLES, f"{node.path} moves by {stride} with a window of {dilation * (kernel - 1) + 1}", part, f"kernel: {stride}"
            return


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation and padding of a convolution, per axis; padding is (before, after)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    groups: int = 1

    def down(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """The size after the convolution; below one where the kernel does not fit."""
        return tuple((s + a + b - d * (k - 1) - 1) // f + 1 for s, k, f, d, (a, b) in
                     zip(size, self.kernel, self.stride, self.dilation, self.padding, strict=True))


def convolve(part: Weighted, path: str, value: Value, width: int, size: tuple[int, ...], window: Window, bias: bool,
             init: str) -> list[Node]:
    """Leaves of a convolution to `width` channels; uneven padding, or a cut, becomes a leaf of its own."""
    leaves: list[Node] = []
    even = all(a == b >= 0 for a, b in window.padding)
    if not even:
        padded = Grid(value.features, tuple(s + a + b for s, (a, b) in zip(value.places, window.padding, strict=True)))
        leaves.append(Node(f"{path}.pad", "pad", value, padded, part, {"padding": window.padding}))
        value = padded
    weights: dict[str, tuple[int, ...]] = {"weight": (width, value.features // window.groups, *window.kernel)}
    if bias:
        weights["bias"] = (width,)
    args = {"kernel": window.kernel, "stride": window.stride, "dilation": window.dilation, "groups": window.groups, "bias": bias,
            "padding": [a for a, _ in window.padding] if even else [0] * len(size)}
    leaf = Node(f"{path}.conv", "conv", value, Grid(width, size), part, args, weights, init=init, macs=prod(size) * prod(weights["weight"]),
                window=tuple((d * (k - 1) + 1, float(f)) for k, f, d in zip(window.kernel, window.stride, window.dilation, strict=True)))
    return [*leaves, part.written(leaf)]


def transpose(part: Weighted, path: str, value: Value, width: int, size: tuple[int, ...], window: Window,
              output_padding: tuple[int, ...], bias: bool, init: str) -> Node:
    """The leaf of a transposed convolution that ends at `size`."""
    weights: dict[str, tuple[int, ...]] = {"weight": (value.features, width // window.groups, *window.kernel)}
    if bias:
        weights["bias"] = (width,)
    args = {"kernel": window.kernel, "stride": window.stride, "dilation": window.dilation, "groups": window.groups, "bias": bias,
            "padding": [a for a, _ in window.padding], "output_padding": output_padding}
    leaf = Node(f"{path}.conv", "conv_transpose", value, Grid(width, size), part, args, weights, init=init,
                macs=prod(value.places) * prod(weights["weight"]),
                window=tuple((d * (k - 1) + 1, 1 / f) for k, f, d in zip(window.kernel, window.stride, window.dilation, strict=True)))
    return part.written(leaf)


def resampling(size: tuple[int, ...], goal: tuple[int, ...], mode: str = "nearest") -> tuple[tuple[int, float], ...]:
    """The window of taking `size` to `goal`: of the nearest, or linearly, where a place that falls on another sees that one alone."""
    window = []
    for have, want in zip(size, goal, strict=True):
        down, up = have // gcd(have, want), want // gcd(have, want)
        window.append((up if mode == "nearest" else 2 * up - (down - up + 1) % 2, down / up))
    return tuple(window)


def transposed_size(size: int, kernel: int, stride: int, dilation: int, padding: int, output_padding: int) -> int:
    """The size after a transposed convolution, as torch defines it."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding


def fit_causal(size: int, goal: int, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """The same for a result whose places see none behind their own: nothing is cut in front, all of the rest behind."""
    full = transposed_size(size, kernel, stride, dilation, 0, 0)
    return 0, max(0, goal - full), max(0, full - goal)


def fit_transpose(size: int, goal: int, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """Padding, output padding and final crop that take `size` to `goal`; prefers the customary padding (kernel-1)//2."""
    span = dilation * (kernel - 1) + 1
    customary = (span - 1) // 2
    for crop in (0, 1):
        # (size-1)·stride - 2·p + span + op = goal + crop, with 0 <= op < max(stride, dilation)
        free = (size - 1) * stride + span - goal - crop
        least, most = max(0, -(-free // 2)), (free + max(stride, dilation) - 1) // 2
        if least <= most:
            p = min(max(customary, least), most)
            return p, 2 * p - free, crop
    raise ValueError(f"no padding takes {size} to {goal} with kernel {kernel} and stride {stride}")
