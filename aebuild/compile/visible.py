"""An encoder that sees some of the patches in training: planned for these too, and refused where it counts on all."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from math import prod

from aebuild.compile.spec import Spec
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Corruption
from aebuild.lang.node import Buildable, Node, Refusal
from aebuild.lang.patches import MaskTokens
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Value

NEEDS_ALL = Rule("AE825", "what needs the whole sample", """\
Under `patch_mask` the encoder is given only the patches that are visible, as a shorter sequence. Layers that treat each patch alone, or
look at all that are there, take any number of them: transformer and recurrent layers, layer normalisation, activations, dropout. What
counts on a place for each patch does not: flattening, a convolution along the sequence, batch normalisation, positions that are added
behind the patches (`patchify` adds them before any is hidden), rotary positions, ALiBi and windows, which go by the distance of two
places, a skip to the decoder. Greedy training, which passes samples from pair to
pair, has neither hidden patches nor a loss of what is hidden.

```yaml
data: mnist
corrupt: [patch_mask: 0.75]
encoder: [patchify: {size: 4, width: 32}, flatten, linear: 64]
```
```yaml
data: mnist
corrupt: [patch_mask: 0.75]
encoder: [patchify: {size: 4, width: 32}, transformer: {width: 32, returns: mean}, linear: 64]
```
""")

UNMASKED = Rule("AE826", "a loss of what is hidden, and nothing hides", """\
`on: masked` counts only the elements that a corruption hid from the encoder: `patch_mask`, `block_mask`, `mask` and `token_mask` say which
these are, of a target that has the same elements and of which each is judged by itself. Other corruptions change all elements.

```yaml
data: mnist
encoder: {layer: conv, width: [16, 32], stride: 2}
losses: {reconstruction: {type: mse, on: masked}}
```
```yaml
data: mnist
corrupt: [block_mask: {size: 10, count: 2}]
encoder: {layer: conv, width: [16, 32], stride: 2}
losses: {reconstruction: {type: mse, on: masked}}
```
""")

UNPATCHED = Rule("AE827", "patches are normalised where there are none", """\
`normalize: patch` has the decoder give each patch less its mean over its deviation. It needs patches, which are those of an encoder that
begins with `patchify`; a target of the input's type; and a likelihood of one free real number for each element, such as mse, l1, huber or
gaussian with a given variance: probabilities, counts and predicted variances have no such scale.

```yaml
data: mnist
encoder: {layer: conv, width: [16, 32], stride: 2}
losses: {reconstruction: {type: mse, normalize: patch}}
```
```yaml
data: mnist
encoder: [patchify: {size: 4, width: 32}, transformer: 32]
losses: {reconstruction: {type: mse, normalize: patch}}
```
""")

SCALELESS = "the decoder gives each patch less its mean over its deviation (`normalize: patch`), which no code holds"


@dataclass(frozen=True)
class Seen:
    """An encoder whose output has all places, and what it computes of the visible ones."""

    whole: Node
    shorter: Node


def visible_patches(corruptions: Seq[Corruption]) -> int | None:
    """How many patches the encoder sees in training; None where it sees all."""
    return next((each.visible for each in reversed(corruptions) if each.visible is not None), None)


def hidden_elements(corruptions: Seq[Corruption], elements: int) -> int:
    """How many elements of a sample are hidden on average, at least one."""
    return max(1, round(elements * (1 - prod(1 - each.share for each in corruptions))))


def seen(whole: Node, again: Callable[[], Node | None], visible: int) -> Seen:
    """The encoder with a vector for each hidden patch behind it; `again` plans it for the `visible` ones. Refusal where that is another."""
    first = next(number for number, step in enumerate(whole.children, 1) if step.kind == "patchify")
    steps = whole.children[first:]
    bad = next((step for step in steps if not _takes_any(step)), None)
    shorter = None if bad is not None else again()
    if shorter is None:
        raise Refusal(_refusal(bad or steps[-1], visible, whole))
    for step, other in zip(steps, shorter.children[first:], strict=True):
        if _modules(step) != _modules(other) or other.output.places not in ((), (visible,)):
            raise Refusal(_refusal(step, visible, whole))
    if not whole.output.places:
        return Seen(whole, shorter)
    last = whole.children[-1]
    tokens = MaskTokens().plan(f"{whole.path}.{last.name.split('_')[0]}_mask_tokens", whole.output)
    return Seen(replace(whole, children=(*whole.children, tokens)), shorter)


def _modules(step: Node) -> list[tuple[object, ...]]:
    return [(node.kind, node.weights, node.buffers) for node in step.walk()]


def _takes_any(step: Node) -> bool:
    """True if the modules of a step take any number of places, and none counts how far apart two of them are."""
    return all(isinstance(node.part, Buildable) and node.part.keeps_lengths and node.kind not in ("positions", "flatten")
               and not any(node.args.get(name) for name in ("relative", "window"))
               for node in step.walk() if node.input.series_length is not None)


def _refusal(step: Node, visible: int, whole: Node) -> Diagnostic:
    advice = "`norm: layer` in place of `norm: batch`" if any(node.kind == "batch_norm" for node in step.walk()) else \
        "a `transformer` with `returns: mean`, or `per: position` under latent"
    return Diagnostic(NEEDS_ALL, f"{step.path} ({step.kind}) counts on a place for each patch, and in training `patch_mask` leaves "
                      f"{visible:,} to the encoder", step.part.place(), Hint(advice), whole.path)


def check_uses(spec: Spec, decoder: Node | None, visible: int | None, found: list[Diagnostic]) -> None:
    """Reports skips past hidden patches, and greedy training of a loss or an encoder that goes by what is hidden."""
    for node in decoder.walk() if decoder is not None and visible is not None else ():
        if node.kind == "skip":
            found.append(Diagnostic(NEEDS_ALL, f"{node.path} brings a step of the encoder into the decoder, and in training `patch_mask` "
                                    f"leaves {visible:,} of its places", node.part.place(), Hint("no skip"), node.path))
    if visible is not None or spec.losses.reconstruction.on == "masked":
        found += [Diagnostic(NEEDS_ALL, "greedy training passes whole samples from pair to pair, and here some of each is hidden",
                             phase.place(), Hint("phases: [main]"), "train.phases")
                  for phase in spec.train.phases if phase.variant_name() == "greedy"]


def check_masked(spec: Spec, corruptions: Seq[Corruption], corrupted: Value, target: Value) -> None:
    """Refuses `on: masked` where nothing is hidden, or not of what is reproduced."""
    likelihood = spec.losses.reconstruction
    if likelihood.on == "all":
        return
    reason: str | None = None
    if not any("masked" in each.writes_context for each in corruptions):
        reason = "no corruption here hides anything"
    elif corrupted.shape != target.shape:
        reason = f"elements of {corrupted} are hidden, and {target} is to be reproduced"
    elif not likelihood.elementwise:
        reason = f"{likelihood.variant_name()} judges whole samples"
    if reason is not None:
        raise Refusal(Diagnostic(UNMASKED, f"`on: masked`: {reason}", likelihood.place("on"), "remove on", "losses.reconstruction"))


def check_patches(spec: Spec, output: OutputPlan, value: Value, target: Value) -> None:
    """Refuses `normalize: patch` where there are no patches, or of what has no scale."""
    likelihood = spec.losses.reconstruction
    if likelihood.normalize is None:
        return
    reason: str | None = None
    if not spec.encoder.steps or spec.encoder.steps[0].variant_name() != "patchify":
        reason = "the encoder does not begin with `patchify`, so there are no patches"
    elif value != target:
        reason = f"patches of {value} are cut, and {target} is to be reproduced"
    elif target.kind != "grid":
        reason = f"{target} has no patches"
    elif output.channels != 1 or likelihood.support is not None or output.weights:
        reason = f"what {likelihood.variant_name()} is told of an element is no free real number alone"
    if reason is not None:
        raise Refusal(Diagnostic(UNPATCHED, f"`normalize: patch`: {reason}", likelihood.place("normalize"), "remove normalize",
                                 "losses.reconstruction"))
