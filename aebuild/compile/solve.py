"""What a decoder leaves open: seed sizes, factors, and the size after every layer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from functools import partial
from math import prod

from aebuild.compile.spec import StageSpec
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Refusal, Resize
from aebuild.lang.values import Value

Size = tuple[int, ...]

UNREACHABLE = Rule("AE305", "the decoder's strides do not lead to the data's size", """\
Written strides multiply to a fixed enlargement. From where the decoder starts, they must lead to the size of the data; padding can mend a
few places at the border, not a factor of two.

```yaml
data: mnist                                                              # 28×28
encoder: {layer: conv, width: [32, 64], stride: 2}                       # 28 → 14 → 7
latent: {type: codebook, codes: 512, dim: 16}                            # one code at each of 7×7 places
decoder: {layer: conv, width: [64, 32, 16], stride: 2}                   # 7 → 14 → 28 → 56
```
```yaml
decoder: {layer: conv, width: [64, 32, 16]}                              # the compiler chooses which two enlarge
```
""")

BAD_SEED = Rule("AE306", "a seed of another rank", """\
`seed` is the size of the grid that the code unfolds to: one number for each axis of the data's grid.

```yaml
data: mnist
decoder: {layer: conv, width: [64, 32], seed: [7]}
```
```yaml
decoder: {layer: conv, width: [64, 32], seed: [7, 7]}
```
""")

DEAD_SEED = Rule("AE307", "a seed that nothing uses", """\
`seed` says what size a vector unfolds to. Where the code already stands on a grid, or no layer needs one, it would do nothing.

```yaml
latent: {type: continuous, dim: 32}
decoder: {layer: linear, width: 256, seed: [7, 7]}
```
```yaml
decoder: {layer: linear, width: 256}
```
""")


@dataclass(eq=False)
class Solution:
    """The sizes at which vectors unfold, in order, and (factor, size after) of each resizing layer, in order."""

    size: Size | None = None
    seeds: deque[Size | None] = field(default_factory=deque)
    resizes: deque[tuple[Size, Size]] = field(default_factory=deque)


@dataclass(eq=False)
class _Segment:
    """Steps between two vectors: they share one grid."""

    resizes: list[Resize]
    start: Size | None = None          # fixed by the code or by an unflatten step
    unfolds: bool = False              # begins with a vector that must unfold
    to_target: bool = False


def solve(stage: StageSpec, code: Value, target: Value, encoder_last: Size | None) -> Solution:
    """Sizes for a decoder from `code` to `target`, or a Refusal.

    Without a grid or sequence in the data nothing has to be reached, and layers on grids keep the size of the seed.
    """
    start = _start(code, (encoder_last, target.places))
    rank = len(target.places) or len(stage.seed or encoder_last or code.places) or 1
    if stage.seed is not None and len(target.places) not in (0, len(stage.seed)):
        raise Refusal(Diagnostic(BAD_SEED, f"the seed is {list(stage.seed)} but the data have {len(target.places)} axes",
                                 stage.place("seed"), f"seed: {[stage.seed[0]] * rank}", "decoder"))
    solution = Solution(size=start)
    segments = _segments(stage.steps, start, rank)
    if segments and target.places:
        segments[-1].to_target = True
    if stage.seed is not None and not any(segment.unfolds for segment in segments):
        raise Refusal(Diagnostic(DEAD_SEED, "nothing unfolds to this seed", stage.place("seed"), "remove seed", "decoder"))
    for segment in segments:
        _solve_segment(segment, stage, target, encoder_last, rank, solution)
    return solution


def _start(code: Value, grids: Seq[Size | None]) -> Size | None:
    """The grid that the code stands on; a sequence that was read from one of these grids goes back to it."""
    if code.series_length is not None:
        return next((size for size in grids if size and prod(size) == code.series_length), code.places)
    return code.places or None


def _segments(steps: Seq[Layer], start: Size | None, rank: int) -> list[_Segment]:
    segments: list[_Segment] = []
    current = None if start is None else _Segment([], start=start)
    if current:
        segments.append(current)
    for step in steps:
        if step.variant_name() == "unflatten":
            current = _Segment([], start=tuple(step.size))  # type: ignore[attr-defined]
            segments.append(current)
        elif step.begins is not None:
            current = _Segment([], start=step.begins or None, unfolds=not step.begins)
            segments.append(current)
        elif step.wants == ("vector",) or step.variant_name() == "flatten":
            current = None
        elif "vector" not in step.wants or step.resizes(rank):
            if current is None:
                current = _Segment([], unfolds=True)
                segments.append(current)
            current.resizes += step.resizes(len(current.start) if current.start else rank)
    if segments and current is None:
        segments.append(_Segment([]))      # ends in a vector: nothing is left to reach
    return segments


def _solve_segment(segment: _Segment, stage: StageSpec, target: Value, encoder_last: Size | None, rank: int, out: Solution) -> None:
    goal = target.places if segment.to_target and (segment.resizes or segment.start or segment.unfolds) else None
    seed = segment.start
    if segment.unfolds:
        if stage.seed is not None:
            seed = tuple(stage.seed)
        elif goal is not None:
            seed = _choose_seed(segment.resizes, goal, encoder_last)
        else:
            seed = encoder_last
        out.seeds.append(seed)
    if not segment.resizes:
        return
    rank = len(seed) if seed is not None else rank
    if seed is None:
        out.resizes.extend(((1,) * rank, (1,) * rank) for _ in segment.resizes)     # the unfolding will be refused
    elif goal is None or len(goal) != len(seed):
        out.resizes.extend(_forward(segment.resizes, seed))
    else:
        axes = [_solve_axis(segment.resizes, seed[axis], goal[axis], axis, stage) for axis in range(len(goal))]
        out.resizes.extend(zip(zip(*(factors for factors, _ in axes), strict=True), zip(*(sizes for _, sizes in axes), strict=True),
                               strict=True))


def _forward(resizes: Seq[Resize], seed: Size) -> list[tuple[Size, Size]]:
    found, size = [], seed
    for resize in resizes:
        factor = resize.factor or (1,) * len(seed)
        size = tuple(resize.reach(s, axis, f) if f > 1 or resize.forced else s
                     for axis, (s, f) in enumerate(zip(size, factor, strict=True)))
        found.append((factor, size))
    return found


def _choose_seed(resizes: Seq[Resize], goal: Size, encoder_last: Size | None) -> Size:
    """The encoder's last grid if there is one; else the goal halved once a layer, never under 4; written strides decide alone."""
    open_layers = sum(resize.factor is None for resize in resizes)
    if not open_layers:
        return tuple(_natural(resizes, [resize.factor[axis] for resize in resizes if resize.factor], extent, axis)[0]
                     for axis, extent in enumerate(goal))
    if encoder_last is not None and len(encoder_last) == len(goal) and all(e <= g for e, g in zip(encoder_last, goal, strict=True)):
        return encoder_last
    seed = []
    for axis, extent in enumerate(goal):
        after = _natural([r for r in resizes if r.factor], [r.factor[axis] for r in resizes if r.factor], extent, axis)[0]
        for _ in range(open_layers):
            after = -(-after // 2) if -(-after // 2) >= 4 else after
        seed.append(after)
    return tuple(seed)


def _natural(resizes: Seq[Resize], factors: Seq[int], goal: int, axis: int) -> list[int]:
    """Sizes before each layer and at the end, walking back from the goal with customary padding."""
    sizes = [goal]
    for resize, factor in zip(reversed(resizes), reversed(factors), strict=True):
        sizes.append(max(1, resize.natural(sizes[-1], axis, factor)))
    return sizes[::-1]


def _solve_axis(resizes: Seq[Resize], seed: int, goal: int, axis: int, stage: StageSpec) -> tuple[list[int], list[int]]:
    """Factor and size after each layer, along one axis."""
    factors = _choose_factors(resizes, seed, goal, axis)
    ideal = _natural(resizes, factors, goal, axis)
    need = [goal]
    for resize, factor in zip(reversed(resizes), reversed(factors), strict=True):
        need.append(_least(resize, factor, need[-1], axis))
    need.reverse()
    sizes, size = [], seed
    for i, (resize, factor) in enumerate(zip(resizes, factors, strict=True), start=1):
        most = resize.reach(size, axis, factor)
        size = most if resize.forced else min(most, max(ideal[i], need[i]))
        sizes.append(size)
    rigid = all(resize.factor is not None for resize in resizes)
    if size != goal or rigid and seed > max(ideal[0], need[0]) + 1:
        _unreachable(resizes, factors, seed, goal, stage)
    return factors, sizes


def _least(resize: Resize, factor: int, goal: int, axis: int) -> int:
    """The smallest size that the layer can take to the goal; it reaches further from a larger one."""
    high = max(1, resize.natural(goal, axis, factor))
    while resize.reach(high, axis, factor) < goal:
        high *= 2
    return _first(high, lambda size: resize.reach(size, axis, factor) >= goal)


def _first(high: int, suits: Callable[[int], bool]) -> int:
    """The smallest number from 1 that suits; `high` does, and so does all above the first."""
    low = 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suits(middle) else (middle + 1, high)
    return low


def _power_reaches(exponent: int, goal: int, base: int) -> bool:
    return int(base ** exponent) >= goal


def _choose_factors(resizes: Seq[Resize], seed: int, goal: int, axis: int) -> list[int]:
    """Open layers double where needed: spread evenly, later ones first; more than two only where too few layers are left."""
    open_at = [i for i, resize in enumerate(resizes) if resize.factor is None]
    factors = [1 if resize.factor is None else resize.factor[axis] for resize in resizes]
    if not open_at:
        return factors
    written = [(r, f) for r, f in zip(resizes, factors, strict=True) if r.factor is not None]
    inner = _natural([r for r, _ in written], [f for _, f in written], goal, axis)[0]
    doublings = 0
    while seed * 2 ** doublings < inner:
        doublings += 1
    layers = len(open_at)
    if doublings <= layers:
        for k in range(doublings):
            factors[open_at[layers - 1 - k * layers // doublings]] = 2
        return factors
    for k, i in enumerate(open_at):
        left, ratio = layers - k, -(-inner // seed)
        factor = _first(ratio, partial(_power_reaches, left, ratio))
        factors[i] = factor
        inner = -(-inner // factor)
    factors_open = sorted(factors[i] for i in open_at)
    for i, factor in zip(open_at, factors_open, strict=True):
        factors[i] = factor
    return factors


def _unreachable(resizes: Seq[Resize], factors: Seq[int], seed: int, goal: int, stage: StageSpec) -> None:
    sizes, size = [seed], seed
    for resize, factor in zip(resizes, factors, strict=True):
        size = size * factor if not resize.forced else resize.reach(size, 0, factor)
        sizes.append(size)
    way = " → ".join(map(str, sizes))
    raise Refusal(Diagnostic(UNREACHABLE, f"the decoder goes {way} but the data need {goal}", stage.place("steps"),
                             Hint("remove the strides: the compiler then chooses them"), "decoder"))
