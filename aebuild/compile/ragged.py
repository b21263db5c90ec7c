"""Series of unequal length: every step of the encoder keeps to their real places, or is refused."""

from __future__ import annotations

from collections.abc import Iterator

from aebuild.compile.plan import Plan
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.node import Buildable, Node
from aebuild.lang.terms import Penalty

PADDED = Rule("AE370", "a step that would see padding", """\
Series of unequal length are padded to one length. What a sample's code is must not depend on how much padding stands behind it, so the
steps of the encoder keep to the real places: recurrent, transformer and cross-attention layers, activations, dropout and layer
normalisation do, and what flattens a series sees zeros behind its end. Convolutions and pooling mix the last real places with padding and
change how many places there are; batch normalisation counts padding among its statistics; a skip carries padded places past the
code; greedy training passes padded series from pair to pair.

```yaml
data: {type: text, path: names.txt, samples: lines, shape: [20], vocabulary: 60}
encoder: [conv: {width: 32, stride: 2}, gru: 64]
losses: {reconstruction: categorical}
```
```yaml
data: {type: text, path: names.txt, samples: lines, shape: [20], vocabulary: 60}
encoder: [gru: 32, gru: 64]
losses: {reconstruction: categorical}
```
""")

POSITIONS = Rule("AE372", "a code for each place of series of unequal length", """\
With `per: position` there is a code at each place, also where a series has ended: its terms would count padding, and a codebook would learn
entries for it. One code a sample has no such places; nor has what `cross_attention` gathers, equally many for each sample.

```yaml
data: {type: arrays, path: moves.npz, lengths: n, shape: [20, 6]}
encoder: [gru: 64]
latent: {type: continuous, dim: 2, per: position}
decoder: [gru: 64]
```
```yaml
latent: {type: continuous, dim: 2, per: sample}
```
""")

MIXES = "mixes the last real places with padding"
WHY = {**dict.fromkeys(("conv", "conv_transpose", "max_pool", "avg_pool"), MIXES), "batch_norm": "counts padding among its statistics",
       "skip": "carries padded places past the code"}


def check_ragged(plan: Plan, info: DataInfo) -> list[Diagnostic]:
    """Errors at steps that do not keep to the real places, where the data have series of unequal length."""
    if not info.ragged:
        return []
    found = [_refusal(node, plan) for node in _first_of_each(plan)]
    code = plan.latent.code
    if code.places and not _ends(plan.encoder):
        found.append(Diagnostic(POSITIONS, f"the code is {code}, and the series are of unequal length",
                                plan.spec.latent.place("per", "type"), "per: sample", "latent"))
    found += [Diagnostic(PADDED, f"{name} compares whole samples, and these are padded where a series has ended",
                         plan.spec.losses.place(name), f"remove {name}", f"losses.{name}")
              for name, term in plan.spec.losses.terms.items() if isinstance(term, Penalty) and term.whole]
    greedy = "greedy training passes padded series from pair to pair"
    found += [Diagnostic(PADDED, greedy, phase.place(), Hint("phases: [main]"), "train.phases")
              for phase in plan.spec.train.phases if phase.variant_name() == "greedy"]
    return found


def _first_of_each(plan: Plan) -> Iterator[Node]:
    """The first node of each written step of the encoder, and of heads on its output, that does not keep to the real places."""
    stages = [plan.encoder, *(head.node for head in plan.heads if head.source == "encoder" and not _ends(plan.encoder))]
    for stage in stages:
        for step in stage.children:
            if step.input.series_length is None:
                break                      # one vector from here on
            bad = next((node for node in step.walk() if node.input.series_length is not None and not _keeps(node)), None)
            if bad is not None:
                yield bad if not step.inserted else _served(step, stage)
                break
            if _ends(step):
                break                      # as many places for all samples from here on
    yield from (node for node in plan.decoder.walk() if node.kind == "skip" or (node.kind == "batch_norm" and node.input.places))


def _ends(node: Node) -> bool:
    """True if all places of what it gives are real."""
    return any(isinstance(each.part, Buildable) and each.part.ends_lengths for each in node.walk())


def _keeps(node: Node) -> bool:
    return isinstance(node.part, Buildable) and node.part.keeps_lengths


def _served(adapter: Node, stage: Node) -> Node:
    """The step that an adapter stands in front of."""
    number = adapter.name.partition("_")[0]
    return next((step for step in stage.children if step.name == number), adapter)


def _refusal(node: Node, plan: Plan) -> Diagnostic:
    owners = [each for each in plan.nodes() if f"{node.path}.".startswith(f"{each.path}.")]
    span = next((span for each in reversed(owners) if (span := each.part.place()) is not None), None)
    reason = WHY.get(node.kind, "does not keep to the real places")
    fix = "norm: layer" if node.kind == "batch_norm" else Hint("a recurrent or transformer layer in its place")
    return Diagnostic(PADDED, f"{node.path} ({node.kind}) {reason} of series of unequal length", span, fix, node.path)
