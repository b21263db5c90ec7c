"""Greedy training: whether the layers of both halves stand in pairs."""

from __future__ import annotations

from aebuild.compile.spec import Spec, StageSpec
from aebuild.lang.conditioning import KEY
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node
from aebuild.lang.training import PhasePart

UNPAIRED = Rule("AE316", "greedy training needs halves of equal depth", """\
Greedy layer-wise training takes one layer of each half at a time, from the outside in, and each decoder layer must give back
exactly what its encoder layer took.

```yaml
encoder: [linear: 341, linear: 113]
decoder: [linear: 341]
train: {phases: [greedy]}
```
```yaml
decoder: mirror
```
""")


def paired(spec: Spec, written: StageSpec, encoder: Node | None, decoder: Node | None, latent: LatentPlan | None, phase: PhasePart,
           found: list[Diagnostic]) -> bool:
    """True if each layer of the encoder has one of the decoder that undoes it; reports why not."""
    down, up = len(spec.encoder.steps), len(written.steps)
    if decoder is not None:                         # an output that is written undoes no layer
        up = len({child.name.split("_")[0] for child in decoder.children} - {"output"})
    if down != up:
        found.append(Diagnostic(UNPAIRED, f"the encoder has {down} layers and the decoder {up}", phase.place(), "decoder: mirror"))
        return False
    if not (encoder and decoder and latent):
        return False
    whole = next((node.kind for node in decoder.walk() if {*node.reads} - {KEY}), None)
    if whole is not None:
        found.append(Diagnostic(UNPAIRED, f"the decoder's {whole} ties its layers together, so they cannot be trained in pairs",
                                phase.place(), "phases: [main]"))
        return False
    befores = [*(_input_of(encoder, str(i)) for i in range(down)), encoder.output]
    afters = [decoder.output, *(_output_of(decoder, str(down - i)) for i in range(1, down + 1))]
    for i, (before, after) in enumerate(zip(befores[1:], afters[1:], strict=True), start=1):
        if before != after:
            found.append(Diagnostic(UNPAIRED, f"encoder layer {i} takes {before}, but the decoder layer that should undo it gives {after}",
                                    phase.place(), "decoder: mirror"))
            return False
    return True


def _input_of(stage: Node, index: str) -> object:
    return next(child.input for child in stage.children if child.name.split("_")[0] == index)


def _output_of(stage: Node, index: str) -> object:
    return next(child.output for child in reversed(stage.children) if child.name.split("_")[0] == index)
